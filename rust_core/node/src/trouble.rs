//! Why a node cannot keep what it decides, or cannot go on from what is kept: each with what to do about it.

use csroute_engine::Rejection;

use crate::record::BadRecord;

/// Final for this process: nothing is acknowledged after it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    /// The journal's own.
    #[error(transparent)]
    Journal(#[from] csroute_journal::Error),
    /// A record that passes every checksum and still says nothing to this version.
    #[error(
        "block {block}, record {record} of {folder}: {what}. It was written whole, so this is a fault of csroute or \
         another version's work: start the version that wrote it"
    )]
    Record {
        /// The journal's folder.
        folder: String,
        /// The block.
        block: u64,
        /// The record in it, from 0.
        record: usize,
        /// What is wrong.
        what: String,
    },
    /// The same records raised other events than they did when they were written.
    #[error(
        "{folder}: replay went another way than the node that wrote it, at or just before block {block} (events hash \
         {found:016x}, written {written:016x}). Nothing was changed. Start the version that wrote it, and report this; \
         an older snapshot and a longer replay tell whether the snapshot is at fault"
    )]
    Diverged {
        /// The journal's folder.
        folder: String,
        /// The block whose header disagrees.
        block: u64,
        /// What the replay came to.
        found: u64,
        /// What the block says.
        written: u64,
    },
    /// A whole snapshot with a content that is not this version's.
    #[error(
        "snapshot {file}: {what}. Start the version that wrote it, or take the file out: an older one is used then"
    )]
    Image {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// The engine refused what it had taken before.
    #[error("resuming: {0}. This is a fault of csroute: report it")]
    Engine(#[from] Rejection),
    /// The node was to stop, and its disk stayed full.
    #[error(
        "the journal's disk is full, and the node was to stop: what was applied and could not be written is not kept; \
         nobody was told that it is. Free some space, start again, and let callers send again, with the same ids"
    )]
    NoSpace,
    /// No thread could be started.
    #[error("a thread could not be started: {0}")]
    Thread(String),
    /// A panic while the journal was read.
    #[error("reading the journal, the engine panicked: {0}. Report this; an older version may still read it")]
    Panicked(String),
}

impl Trouble {
    pub(crate) fn record(folder: &str, block: u64, record: usize, what: impl ToString) -> Self {
        Self::Record {
            folder: folder.to_owned(),
            block,
            record,
            what: what.to_string(),
        }
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Thread(error.to_string())
    }
}

impl From<BadRecord> for Rejection {
    fn from(wrong: BadRecord) -> Self {
        Rejection::about(
            csroute_engine::Code::Internal,
            "a record of the journal",
            wrong.to_string(),
        )
    }
}
