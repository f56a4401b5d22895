//! The native door: gRPC over HTTP/2 in front of the node, on one thread of its own. It adds no meaning: bytes in, bytes
//! out, by the wire's own table of methods; a refusal leaves as the node's `google.rpc.Status`.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use csroute_door::{Door, Inbox, Mail, Settings};
//! use csroute_node::{Limits, Node};
//!
//! let mail = Arc::new(Mail::default());
//! let node = Arc::new(Node::start(Limits::default(), Inbox(mail.clone()))?);
//! let door = Door::open("127.0.0.1:0", Settings::default(), node.clone(), mail)?;
//! assert_ne!(door.address().port(), 0);
//! door.drain();
//! node.stop();
//! door.stop(Duration::from_secs(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`mail`](Mail): answers cross from the writer's thread a block at a time, with one wake-up.
//! - A unary call is one call of the node's. At most `calls_max` are in flight; past it they are shed, BUSY with a retry
//!   hint, before their bytes are read.
//! - A stream is read only as its client takes its answers, at most `stream_window` messages ahead; one that takes nothing
//!   for `write_timeout` is cut.
//! - Draining: no new calls, what is in flight is finished, streams end as DRAINING.

mod codec;
mod desk;
mod door;
mod mail;
mod refusal;
mod service;
mod standard;
mod strand;
mod talk;
mod tls;
mod who;

use std::time::Duration;

pub use crate::door::Door;
pub use crate::mail::{Inbox, Mail, NATIVE};
pub use crate::service::ECHO;
pub use crate::tls::Tls;
pub use crate::who::{CALLER_KEY, TENANT_KEY};

/// The door's bounds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Unary calls in flight; past it: BUSY.
    pub calls_max: usize,
    /// Connections; past it they are closed as they come.
    pub connections_max: usize,
    /// Calls and streams at a time on one connection; more wait at the client.
    pub connection_calls_max: u32,
    /// Open streams; past it: BUSY.
    pub streams_max: usize,
    /// Messages of one stream that are read and not answered yet.
    pub stream_window: usize,
    /// The largest request that the node takes.
    pub message_bytes_max: usize,
    /// A client that reads nothing for so long is cut.
    pub write_timeout: Duration,
    /// Rejections logged a second; the others are counted.
    pub rejections_logged_per_s: u32,
    /// Whether it answers [`ECHO`], for benches.
    pub echo: bool,
    /// Certificates; None: connections are taken as they come.
    pub tls: Option<Tls>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            calls_max: 4096,
            connections_max: 4096,
            connection_calls_max: 1024,
            streams_max: 2048,
            stream_window: 512,
            message_bytes_max: 4 << 20,
            write_timeout: Duration::from_secs(30),
            rejections_logged_per_s: 20,
            echo: false,
            tls: None,
        }
    }
}
