//! What can go wrong, each with what the operator should do about it.

use std::io;
use std::sync::Arc;

/// One error for the crate. Its text names the file and says what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has the folder.
    #[error("{folder} is in use by {holder}: one node writes a journal. Stop that process, or name another folder")]
    Locked {
        /// The journal's folder.
        folder: String,
        /// The process that holds it, as it named itself.
        holder: String,
    },
    /// The disk refused. Of a write or an fsync this is final: what the disk holds is not known any more.
    #[error(
        "{what} {file} failed: {source}. Nothing after the last durable block was acknowledged: look at the disk, then \
         start again, recovery finds what is there"
    )]
    Io {
        /// The operation.
        what: &'static str,
        /// The file, or the folder.
        file: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// No space. The block that did not fit was cut back: it may be written again when space returns.
    #[error(
        "no space is left for {file}: {source}. Free some; the journal goes on by itself, at the block it stopped at"
    )]
    Full {
        /// The file that should grow.
        file: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Bytes that were durable once are not what was written.
    #[error(
        "{file} is damaged at byte {offset}{}{}: {what}. Nothing from there on is served. Restore a backup, or run \
         `csroute journal repair`: it cuts the journal there and keeps a copy of all that it changes",
        .block.map(|block| format!(", block {block}")).unwrap_or_default(),
        .record.map(|record| format!(", record {record}")).unwrap_or_default(),
    )]
    Damaged {
        /// The segment or snapshot.
        file: String,
        /// Where in it.
        offset: u64,
        /// The block, when it is known.
        block: Option<u64>,
        /// The record in the block, from 0, when it is known.
        record: Option<u32>,
        /// What is wrong.
        what: String,
    },
    /// A file of a later format.
    #[error(
        "{file} has format {found}, this version reads up to {known}: start the version that wrote it, or a later one"
    )]
    Format {
        /// The file.
        file: String,
        /// Its format.
        found: u32,
        /// The highest one known here.
        known: u32,
    },
    /// Blocks to be replayed were decided by other rules than this version's.
    #[error(
        "{file} was written under semantics {found}, this version decides by {ours}: the same commands could end \
         otherwise. Start the version that wrote it, drain it and let it write a snapshot, then start this one from it"
    )]
    Semantics {
        /// The segment.
        file: String,
        /// The number in its header.
        found: u32,
        /// This version's.
        ours: u32,
    },
    /// A file that belongs to another journal.
    #[error("{file} belongs to another journal than the rest of its folder: take it out, or restore a whole backup")]
    Foreign {
        /// The file.
        file: String,
    },
    /// The blocks after this position are not there any more.
    #[error(
        "{folder} has no blocks from {wanted} on{}: older segments are gone. Start from a snapshot that covers them, \
         or restore a backup",
        .first.map(|first| format!(", its first is {first}")).unwrap_or_default()
    )]
    Missing {
        /// The journal's folder.
        folder: String,
        /// The block asked for.
        wanted: u64,
        /// The oldest one there is.
        first: Option<u64>,
    },
    /// Nothing is as old as what was asked for.
    #[error("{folder} holds nothing as old as that: name a later time, or a backup from before it")]
    TooOld {
        /// The journal's folder.
        folder: String,
    },
    /// The journal ends before the position to go on from.
    #[error(
        "{folder} ends at block {end}, but block {wanted} was already part of a snapshot: newer segments are missing. \
         Bring them back, or restore a backup"
    )]
    Ahead {
        /// The journal's folder.
        folder: String,
        /// The block of the position.
        wanted: u64,
        /// The last block there is.
        end: u64,
    },
    /// More than the format holds.
    #[error("{what} has {bytes} bytes, at most {bytes_max} are possible: send smaller batches")]
    TooLarge {
        /// A record, a block, a name.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// There is already something where a fresh folder is needed.
    #[error("{folder} is not empty ({file} is there): name an empty folder")]
    NotEmpty {
        /// The folder.
        folder: String,
        /// A file in it.
        file: String,
    },
    /// The journal was closed.
    #[error("the journal is closed: nothing more is written")]
    Closed,
}

/// This crate's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An operation that failed: `Full` where space lacked, else `Io`.
    pub(crate) fn io(what: &'static str, file: &str, source: io::Error) -> Self {
        let file = file.to_owned();
        if is_full(&source) {
            Self::Full {
                file,
                source: Arc::new(source),
            }
        } else {
            Self::Io {
                what,
                file,
                source: Arc::new(source),
            }
        }
    }

    /// A failed fsync, rename or remove: final, whatever the reason.
    pub(crate) fn fatal(what: &'static str, file: &str, source: io::Error) -> Self {
        Self::Io {
            what,
            file: file.to_owned(),
            source: Arc::new(source),
        }
    }
}

/// Whether space lacked, or a quota.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
