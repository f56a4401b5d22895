//! Nothing is lost: an append-only journal of blocks of records, and snapshots. It knows bytes, not tickets.
//!
//! One writer appends records to the block under way ([`BlockBuilder`]) and hands it over sealed; a thread of its own
//! ([`Committer`]) writes and fsyncs, and says how far all is durable. After a crash [`Folder::recover`] reads what is
//! there from a snapshot's position on, cuts a torn tail, refuses damage, and goes on. `FORMAT.md` has the bytes.
//!
//! - [`disk`]: what is asked of a disk, and the real one
//! - [`format`], [`block`]: bytes
//! - [`log`], [`committer`]: writing, without and with a thread
//! - [`segment`], [`reader`], [`recovery`], [`repair`]: reading, starting, cutting at damage
//! - [`snapshot`], [`retention`], [`backup`]: what stands for old blocks, when those may go, and copies
//!
//! The examples of the modules run against a real folder.

pub mod backup;
pub mod block;
pub mod committer;
pub mod disk;
pub mod error;
pub mod format;
pub mod log;
pub mod reader;
pub mod recovery;
pub mod repair;
pub mod retention;
pub mod segment;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod sim;
pub mod snapshot;

pub use crate::block::{BlockBuilder, Sealed};
pub use crate::committer::{CommitOptions, Committer, Durability, Figures, Progress, Space};
pub use crate::disk::{Disk, DiskFile, OsDisk};
pub use crate::error::{Error, Result};
pub use crate::format::{Chain, Id, Position};
pub use crate::log::{Log, Options};
pub use crate::reader::{Block, Reader, Start};
pub use crate::recovery::{Folder, Recovered, Recovery};
pub use crate::repair::{Repaired, repair};
pub use crate::retention::{Pruned, Retention, prune};
pub use crate::segment::{Segment, Tail, list_segments};
#[cfg(feature = "sim")]
#[doc(hidden)]
pub use crate::sim::{Faults, Op, SimDisk};
pub use crate::snapshot::{Snapshot, SnapshotReader, SnapshotWriter, newest_good, snapshot_names, verify_snapshot};
