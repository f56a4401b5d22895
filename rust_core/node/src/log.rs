//! The records of the block under way, and a hash of all events they raised: what the journal gets, and what a replay
//! is compared with.
//!
//! A record is noted when it was applied, not before: one that panics never comes to the journal, so that a node that
//! is started again does not die of it again.
//!
//! ```
//! use csroute_node::log::Log;
//! use csroute_node::record::Record;
//! let mut log = Log::default();
//! log.keep(true);
//! log.note(&Record::GiveBack { tenant: "shop" }, 0);
//! assert_eq!(log.records().collect::<Vec<_>>(), [b"\x05\x04shop"]);
//! ```

use std::ops::Range;

use crate::record::Record;

/// Records, one after another.
#[derive(Debug, Clone, Default)]
pub struct Log {
    kept: bool,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    hash: u64,
}

impl Log {
    /// Whether records are kept: not without a journal, and not in a replay, which has them already.
    pub fn keep(&mut self, kept: bool) {
        self.kept = kept;
    }

    /// Notes what was applied; `events_hash` is the running hash of its tenant's events, this record's among them.
    pub fn note(&mut self, record: &Record<'_>, events_hash: u64) {
        self.hash = mix(self.hash, events_hash);
        if self.kept {
            record.encode(&mut self.bytes);
            self.ends.push(self.bytes.len());
        }
    }

    /// The hash of the events of all records noted so far: over their order, and over each tenant's events.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Goes on from a snapshot's.
    pub fn resume_from(&mut self, hash: u64) {
        self.hash = hash;
    }

    /// The records kept since the last `clear`, in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|at| &self.bytes[self.range(at)])
    }

    fn range(&self, at: usize) -> Range<usize> {
        at.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[at]
    }

    /// Their bytes in all.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A new block begins.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// The finisher of splitmix64 over both: every bit of either reaches every bit of the result.
fn mix(hash: u64, value: u64) -> u64 {
    let mut mixed = (hash.rotate_left(23) ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_order_and_content_and_not_how_blocks_are_cut() {
        let record = Record::GiveBack { tenant: "a" };
        let hash = |values: &[u64], cut: usize| {
            let mut log = Log::default();
            log.keep(true);
            for (at, &value) in values.iter().enumerate() {
                log.note(&record, value);
                if at == cut {
                    log.clear();
                }
            }
            log.hash()
        };
        assert_eq!(hash(&[1, 2, 3], 0), hash(&[1, 2, 3], 1));
        assert_ne!(hash(&[1, 2, 3], 0), hash(&[2, 1, 3], 0));
        assert_ne!(hash(&[0], 0), hash(&[0, 0], 0));
    }
}
