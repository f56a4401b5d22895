//! The block under way: records appended by the writer, sealed when it hands them over.
//!
//! ```
//! use csroute_journal::BlockBuilder;
//!
//! let mut block = BlockBuilder::default();
//! block.push(&[b"route:", b"ticket-1"])?; // one record, of parts
//! let sealed = block.seal(0x5eed, 1_700_000_000_000_000);
//! assert_eq!((sealed.records(), block.records()), (1, 0)); // the builder is empty again
//! # Ok::<(), csroute_journal::Error>(())
//! ```

use std::mem;

use crate::error::{Error, Result};
use crate::format::{
    BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, BlockHeader, Chain, FRAME_BYTES, Id, RECORD_BYTES_MAX, frame,
};

/// Records that become one block. Room for the block's head stands before them, so nothing is copied later.
#[derive(Debug, Default)]
pub struct BlockBuilder {
    bytes: Vec<u8>,
    records: u32,
}

impl BlockBuilder {
    /// One that uses again what a written block gave back.
    pub fn with_buffer(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self {
            bytes: buffer,
            records: 0,
        }
    }

    /// Appends one record, made of these parts. Fails, and appends nothing, past `RECORD_BYTES_MAX` or
    /// `BLOCK_BYTES_MAX`.
    pub fn push(&mut self, parts: &[&[u8]]) -> Result<()> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let too_large = |what, bytes, bytes_max| Error::TooLarge { what, bytes, bytes_max };
        if bytes > RECORD_BYTES_MAX {
            return Err(too_large("a record", bytes, RECORD_BYTES_MAX));
        }
        let body = self.bytes() + FRAME_BYTES + bytes;
        if body > BLOCK_BYTES_MAX {
            return Err(too_large("a block", body, BLOCK_BYTES_MAX));
        }
        if self.bytes.is_empty() {
            self.bytes.resize(BLOCK_HEADER_BYTES, 0);
        }
        self.bytes.extend_from_slice(&frame(parts));
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.records += 1;
        Ok(())
    }

    /// Bytes of records so far, their frames included.
    pub fn bytes(&self) -> usize {
        self.bytes.len().saturating_sub(BLOCK_HEADER_BYTES)
    }

    /// Records so far.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Whether there is nothing to seal.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Ends the block. `events_hash`: of the events that the block before it produced; `time_us`: Unix µs, of its
    /// newest record. The builder is empty again.
    pub fn seal(&mut self, events_hash: u64, time_us: i64) -> Sealed {
        let mut bytes = mem::take(&mut self.bytes);
        if bytes.is_empty() {
            bytes.resize(BLOCK_HEADER_BYTES, 0);
        }
        Sealed {
            bytes,
            records: mem::take(&mut self.records),
            events_hash,
            time_us,
        }
    }
}

/// A block that only lacks its place in the journal.
#[derive(Debug)]
pub struct Sealed {
    pub(crate) bytes: Vec<u8>,
    records: u32,
    events_hash: u64,
    pub(crate) time_us: i64,
}

impl Sealed {
    /// How many records it has.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// What it takes in the journal, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes its head, now that its place is known; returns its chain value.
    pub(crate) fn place(&mut self, journal: &Id, block: u64, synced: u64, before: &Chain) -> Chain {
        let body = self.bytes.get(BLOCK_HEADER_BYTES..).unwrap_or_default();
        let header = BlockHeader {
            body_bytes: body.len() as u32,
            block,
            synced,
            events_hash: self.events_hash,
            time_us: self.time_us,
            chain: [0; 16],
            records: self.records,
        }
        .chained(before, body);
        self.bytes[..BLOCK_HEADER_BYTES].copy_from_slice(&header.encode(journal));
        header.chain
    }
}
