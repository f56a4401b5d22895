//! The bytes, as `FORMAT.md` describes them: names of files, headers, frames, checksums, the chain.
//!
//! Everything here is a pure function of bytes. All integers are little-endian.

use sha2::{Digest, Sha256};

use crate::error::Error;

/// The format that this version writes, and the highest that it reads.
pub const FORMAT: u32 = 1;
/// Longest record, bytes.
pub const RECORD_BYTES_MAX: usize = 64 << 20;
/// Longest block body, bytes.
pub const BLOCK_BYTES_MAX: usize = 128 << 20;

/// Block numbers stay below: no sum of two leaves 64 bits.
pub(crate) const BLOCKS_MAX: u64 = 1 << 63;

pub(crate) const SEGMENT_HEADER_BYTES: usize = 96;
pub(crate) const BLOCK_HEADER_BYTES: usize = 64;
pub(crate) const FRAME_BYTES: usize = 8;
pub(crate) const SNAPSHOT_HEADER_BYTES: usize = 96;

pub(crate) const LOCK: &str = "lock";
pub(crate) const RESERVE: &str = "reserve";
pub(crate) const PARTIAL: &str = ".partial";
pub(crate) const ASIDE: &str = ".aside";

const SEGMENT_MAGIC: &[u8; 8] = b"csrtjrnl";
const SNAPSHOT_MAGIC: &[u8; 8] = b"csrtsnap";
pub(crate) const BLOCK_MAGIC: &[u8; 4] = b"cblk";

/// A journal's name: 16 random bytes, given once.
pub type Id = [u8; 16];
/// What stands for all blocks up to one: the first 16 bytes of a SHA-256.
pub type Chain = [u8; 16];

/// A place between two blocks: after block `block`; 0 is the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Whose.
    pub journal: Id,
    /// The last block before it, from 1 on.
    pub block: u64,
    /// The chain value of that block.
    pub chain: Chain,
}

impl Position {
    /// Before the first block.
    pub fn beginning(journal: Id) -> Self {
        Self {
            journal,
            block: 0,
            chain: journal,
        }
    }
}

/// The head of a segment, or of a snapshot: the same layout under two magics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub semantics: u32,
    /// What comes before the first block; a snapshot's own position.
    pub position: Position,
    pub time_us: i64,
}

/// Why a head cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Magic,
    Format(u32),
    Checksum,
    Range,
}

impl BadHeader {
    /// What is wrong with the head of such a file. Another format is no damage: that is the error.
    pub fn what(self, magic: Magic, file: &str) -> Result<&'static str, Error> {
        Ok(match (self, magic) {
            (BadHeader::Format(found), _) => {
                return Err(Error::Format {
                    file: file.to_owned(),
                    found,
                    known: FORMAT,
                });
            }
            (BadHeader::Magic, Magic::Segment) => "it does not begin like a segment",
            (BadHeader::Magic, Magic::Snapshot) => "it does not begin like a snapshot",
            (BadHeader::Checksum, _) => "its head's checksum does not hold",
            (BadHeader::Range, _) => "its head names an impossible block",
        })
    }
}

impl FileHeader {
    pub fn encode(&self, magic: Magic) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(magic.bytes());
        put(&mut bytes, 8, FORMAT.to_le_bytes());
        put(&mut bytes, 12, self.semantics.to_le_bytes());
        put(&mut bytes, 16, self.position.journal);
        put(&mut bytes, 32, self.position.block.to_le_bytes());
        put(&mut bytes, 40, self.position.chain);
        put(&mut bytes, 56, self.time_us.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..92]);
        put(&mut bytes, 92, crc.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES], magic: Magic) -> Result<Self, BadHeader> {
        if &bytes[..8] != magic.bytes() {
            return Err(BadHeader::Magic);
        }
        if u32_at(bytes, 92) != crc32c::crc32c(&bytes[..92]) {
            return Err(BadHeader::Checksum);
        }
        let format = u32_at(bytes, 8);
        if format != FORMAT {
            return Err(BadHeader::Format(format));
        }
        if u64_at(bytes, 32) >= BLOCKS_MAX {
            return Err(BadHeader::Range);
        }
        Ok(Self {
            semantics: u32_at(bytes, 12),
            position: Position {
                journal: array_at(bytes, 16),
                block: u64_at(bytes, 32),
                chain: array_at(bytes, 40),
            },
            time_us: i64::from_le_bytes(array_at(bytes, 56)),
        })
    }
}

/// Which kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Magic {
    Segment,
    Snapshot,
}

impl Magic {
    fn bytes(self) -> &'static [u8; 8] {
        match self {
            Magic::Segment => SEGMENT_MAGIC,
            Magic::Snapshot => SNAPSHOT_MAGIC,
        }
    }
}

/// The head of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    pub body_bytes: u32,
    pub block: u64,
    /// The last block known durable when this one was written.
    pub synced: u64,
    pub events_hash: u64,
    pub time_us: i64,
    pub chain: Chain,
    pub records: u32,
}

impl BlockHeader {
    /// With the chain value that follows from the one before and the body.
    pub fn chained(mut self, before: &Chain, body: &[u8]) -> Self {
        self.chain = self.chain_after(before, body);
        self
    }

    pub fn chain_after(&self, before: &Chain, body: &[u8]) -> Chain {
        let mut head = [0; BLOCK_HEADER_BYTES];
        self.fill(&mut head);
        let mut hash = Sha256::new();
        hash.update(before);
        hash.update(&head[..40]);
        hash.update(&head[56..60]);
        hash.update(body);
        array_at(&hash.finalize(), 0)
    }

    fn fill(&self, bytes: &mut [u8; BLOCK_HEADER_BYTES]) {
        put(bytes, 0, *BLOCK_MAGIC);
        put(bytes, 4, self.body_bytes.to_le_bytes());
        put(bytes, 8, self.block.to_le_bytes());
        put(bytes, 16, self.synced.to_le_bytes());
        put(bytes, 24, self.events_hash.to_le_bytes());
        put(bytes, 32, self.time_us.to_le_bytes());
        put(bytes, 40, self.chain);
        put(bytes, 56, self.records.to_le_bytes());
    }

    pub fn encode(&self, journal: &Id) -> [u8; BLOCK_HEADER_BYTES] {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        self.fill(&mut bytes);
        let crc = head_crc(journal, &bytes);
        put(&mut bytes, 60, crc.to_le_bytes());
        bytes
    }

    /// None if the magic, the checksum or a bound does not hold.
    pub fn decode(bytes: &[u8; BLOCK_HEADER_BYTES], journal: &Id) -> Option<Self> {
        if &bytes[..4] != BLOCK_MAGIC || u32_at(bytes, 60) != head_crc(journal, bytes) {
            return None;
        }
        let header = Self {
            body_bytes: u32_at(bytes, 4),
            block: u64_at(bytes, 8),
            synced: u64_at(bytes, 16),
            events_hash: u64_at(bytes, 24),
            time_us: i64::from_le_bytes(array_at(bytes, 32)),
            chain: array_at(bytes, 40),
            records: u32_at(bytes, 56),
        };
        let possible = header.body_bytes as usize <= BLOCK_BYTES_MAX && header.block < BLOCKS_MAX;
        (possible && header.synced < header.block).then_some(header)
    }
}

/// The journal's name goes in: bytes of a record cannot pass for a block's head, nor can another journal's block.
fn head_crc(journal: &Id, bytes: &[u8; BLOCK_HEADER_BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(journal), &bytes[..60])
}

/// A frame's head: the payload's length and the checksum of that length and the payload.
pub(crate) fn frame(parts: &[&[u8]]) -> [u8; FRAME_BYTES] {
    let length = (parts.iter().map(|part| part.len()).sum::<usize>() as u32).to_le_bytes();
    let crc = parts
        .iter()
        .fold(crc32c::crc32c(&length), |crc, part| crc32c::crc32c_append(crc, part));
    let mut bytes = [0; FRAME_BYTES];
    put(&mut bytes, 0, length);
    put(&mut bytes, 4, crc.to_le_bytes());
    bytes
}

/// The payload of the frame at `at`, and where the next one is; else what is wrong.
pub(crate) fn unframe(bytes: &[u8], at: usize) -> Result<(&[u8], usize), &'static str> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some((head, rest)) = rest.split_at_checked(FRAME_BYTES) else {
        return Err("a record's head is cut off");
    };
    let length = u32_at(head, 0) as usize;
    let payload = rest.get(..length).ok_or("a record is longer than what is left")?;
    if u32_at(head, 4) != crc32c::crc32c_append(crc32c::crc32c(&head[..4]), payload) {
        return Err("a record's checksum does not hold");
    }
    Ok((payload, at + FRAME_BYTES + length))
}

pub(crate) fn segment_name(first: u64) -> String {
    format!("segment-{first:020}.journal")
}

pub(crate) fn snapshot_name(block: u64) -> String {
    format!("snapshot-{block:020}.snapshot")
}

/// The first block of a segment of that name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    number(name, "segment-", ".journal")
}

/// The block of a snapshot of that name.
pub(crate) fn snapshot_number(name: &str) -> Option<u64> {
    number(name, "snapshot-", ".snapshot")
}

fn number(name: &str, before: &str, after: &str) -> Option<u64> {
    let digits = name.strip_prefix(before)?.strip_suffix(after)?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

/// Bytes at a place that the caller knows to be there; zeros past the end.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut value = [0; N];
    if let Some(there) = bytes.get(at..at + N) {
        value.copy_from_slice(there);
    }
    value
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}
