//! The node: the single writer. It stamps the time, applies what is queued, answers, and publishes what happened. The
//! only place with a clock or a thread.
//!
//! - [`core`] has all of it but the clock and the thread: for use in process, under a time of one's own.
//! - [`node`] adds them: calls in by `submit`, answers out to a `Sink`, a block at a time. No caller waits inside.
//!
//! - [`access`] is the front: which tenant, caller and role a credential stands for. Doors ask [`Node::admit`].
//!
//! Every bound is named, in [`core::Limits`]. Past one, the answer is a numbered rejection.
//!
//! ```
//! use std::sync::mpsc;
//! use csroute_node::{Call, Completion, Limits, Node, Sink};
//!
//! struct Answers(mpsc::Sender<Completion>);
//! impl Sink for Answers {
//!     fn deliver(&self, block: &mut Vec<Completion>) {
//!         block.drain(..).for_each(|answer| self.0.send(answer).unwrap_or(()));
//!     }
//! }
//!
//! let (sender, answers) = mpsc::channel();
//! let node = Node::start(Limits::default(), Answers(sender))?;
//! node.submit(&Call { method: 9999, tenant: "default", caller: "", request: b"" }, 7, 0);
//! assert_eq!(answers.recv()?.token, 7); // a numbered no: there is no such method
//! node.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod access;
pub mod clock;
pub mod core;
pub mod feed;
mod gauge;
mod granting;
pub mod histogram;
pub mod image;
mod keeper;
pub mod keeping;
pub mod log;
mod metrics;
pub mod node;
pub mod offline;
pub mod parking;
pub mod passing;
mod policies;
pub mod privacy;
pub mod queue;
pub mod record;
pub mod recovery;
mod replay;
pub mod ring;
mod snapshots;
pub mod stage;
pub mod tenant;
pub mod trouble;
mod versions;
mod watch;
mod writer;

pub use crate::core::{Call, Limits, NodeCore};
pub use crate::keeping::Keeping;
pub use crate::node::{Asked, Completion, Node, Settings, Sink};
pub use crate::stage::Stage;
pub use crate::trouble::Trouble;
