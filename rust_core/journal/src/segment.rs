//! One segment: its head, the blocks in it, and where it ends. What `Reader` goes through.
//!
//! ```
//! # use csroute_journal::{Folder, OsDisk, Options, list_segments};
//! # let path = std::env::temp_dir().join(format!("csroute-segment-{}", std::process::id()));
//! # let disk = std::sync::Arc::new(OsDisk::open(&path)?);
//! # Folder::lock(disk.clone())?.recover(Options { reserve_bytes: 0, ..Options::default() }, None)?.finish()?;
//! let found = list_segments(disk.as_ref())?;
//! assert_eq!((found[0].first, &*found[0].name), (1, "segment-00000000000000000001.journal"));
//! # std::fs::remove_dir_all(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::disk::{Disk, DiskFile, in_folder, read_full};
use crate::error::{Error, Result};
use crate::format::{
    BLOCK_HEADER_BYTES, BLOCK_MAGIC, BlockHeader, FileHeader, Id, Magic, Position, SEGMENT_HEADER_BYTES, array_at,
    segment_name, segment_number, unframe,
};

/// Read from the disk at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// A segment's file and head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its file.
    pub name: String,
    /// Its first block.
    pub first: u64,
    /// The semantics version that its blocks were decided under.
    pub semantics: u32,
    /// Of the block that began it, Unix µs.
    pub time_us: i64,
    /// The file's length.
    pub bytes: u64,
}

/// The segments of a folder, oldest first. A newest one without a whole head is left out.
pub fn list_segments(disk: &dyn Disk) -> Result<Vec<Segment>> {
    let mut found = Vec::new();
    let firsts = segments(disk)?;
    for &first in &firsts {
        let newest = firsts.last() == Some(&first);
        if let (Some((file, header)), _) = open_segment(disk, first, newest, false)? {
            let name = segment_name(first);
            let bytes = file
                .len()
                .map_err(|source| Error::fatal("reading", &in_folder(disk, &name), source))?;
            found.push(Segment {
                name,
                first,
                semantics: header.semantics,
                time_us: header.time_us,
                bytes,
            });
        }
    }
    Ok(found)
}

/// Unfinished bytes at the end of the newest segment: never acknowledged, or the last that were written at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The segment's name.
    pub file: String,
    /// Where it stops making sense.
    pub offset: u64,
    /// How many bytes follow.
    pub bytes: u64,
    /// The block that should be there.
    pub block: u64,
    /// What is wrong with it.
    pub what: &'static str,
    /// Not even the segment's head is whole: the file holds nothing.
    pub headless: bool,
}

/// The first blocks of all segments of a folder, ascending.
pub(crate) fn segments(disk: &dyn Disk) -> Result<Vec<u64>> {
    let names = disk
        .list()
        .map_err(|source| Error::fatal("listing", &disk.folder(), source))?;
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// A segment and its head; or, of the newest, that its head was never finished.
pub(crate) type Opened = (Option<(Box<dyn DiskFile>, FileHeader)>, Option<Tail>);

pub(crate) fn open_segment(disk: &dyn Disk, first: u64, newest: bool, from_disk: bool) -> Result<Opened> {
    let name = segment_name(first);
    let path = in_folder(disk, &name);
    let read = |source| Error::fatal("reading", &path, source);
    let file = disk.open(&name).map_err(read)?;
    if from_disk {
        file.forget_cache();
    }
    let mut head = [0; SEGMENT_HEADER_BYTES];
    let there = read_full(file.as_ref(), 0, &mut head).map_err(read)?;
    let length = file.len().map_err(read)?;
    let what = match FileHeader::decode(&head, Magic::Segment) {
        Ok(header) if header.position.block + 1 == first => return Ok((Some((file, header)), None)),
        Ok(_) => "its head names another block than its file name",
        Err(bad) => bad.what(Magic::Segment, &path)?,
    };
    // The head is durable before the first block is written.
    if newest && length <= SEGMENT_HEADER_BYTES as u64 {
        let tail = Tail {
            file: name,
            offset: 0,
            bytes: there as u64,
            block: first,
            what,
            headless: true,
        };
        return Ok((None, Some(tail)));
    }
    Err(Error::Damaged {
        file: path,
        offset: 0,
        block: Some(first),
        record: None,
        what: what.to_owned(),
    })
}

/// What is wrong with a block.
pub(crate) struct Wrong {
    pub record: Option<u32>,
    pub what: &'static str,
}

impl Open {
    /// The block at the offset, if it is whole and follows from `before`.
    pub fn check(&mut self, before: &Position) -> std::io::Result<std::result::Result<BlockHeader, Wrong>> {
        let wrong = |what| Ok(Err(Wrong { record: None, what }));
        let head = self.window.get(self.offset, BLOCK_HEADER_BYTES)?;
        if head.len() < BLOCK_HEADER_BYTES {
            return wrong("its head is cut off");
        }
        let Some(header) = BlockHeader::decode(&array_at(head, 0), &before.journal) else {
            return wrong("its head's checksum does not hold");
        };
        if header.block != before.block + 1 {
            return wrong("another block stands in its place");
        }
        let body = self
            .window
            .get(self.offset + BLOCK_HEADER_BYTES as u64, header.body_bytes as usize)?;
        let mut at = 0;
        for record in 0..header.records {
            match unframe(body, at) {
                Ok((_, next)) => at = next,
                Err(what) => {
                    return Ok(Err(Wrong {
                        record: Some(record),
                        what,
                    }));
                }
            }
        }
        if at != header.body_bytes as usize {
            return wrong("it has more bytes than its records");
        }
        if header.chain != header.chain_after(&before.chain, body) {
            return wrong("it does not follow from the block before it: the chain is broken");
        }
        Ok(Ok(header))
    }

    /// Whether a later block of this segment was written when this one was known durable.
    pub fn knows_durable(&mut self, block: u64, journal: &Id) -> std::io::Result<bool> {
        let mut at = self.offset;
        loop {
            let bytes = self.window.get(at, CHUNK_BYTES)?;
            for place in 0..bytes.len().saturating_sub(BLOCK_HEADER_BYTES - 1) {
                if bytes[place..].starts_with(BLOCK_MAGIC)
                    && BlockHeader::decode(&array_at(bytes, place), journal)
                        .is_some_and(|header| header.block > block && header.synced >= block)
                {
                    return Ok(true);
                }
            }
            if bytes.len() < CHUNK_BYTES {
                return Ok(false);
            }
            at += (CHUNK_BYTES - BLOCK_HEADER_BYTES + 1) as u64;
        }
    }
}

/// A part of a file in memory.
pub(crate) struct Window {
    pub file: Box<dyn DiskFile>,
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    pub fn new(file: Box<dyn DiskFile>) -> Self {
        Self {
            file,
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// So many bytes from there on; fewer where the file ends.
    pub fn get(&mut self, offset: u64, length: usize) -> std::io::Result<&[u8]> {
        let end = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + length as u64 > end {
            if (self.start..end).contains(&offset) {
                self.bytes.drain(..(offset - self.start) as usize);
            } else {
                self.bytes.clear();
            }
            self.start = offset;
            let kept = self.bytes.len();
            let left = self.file.len()?.saturating_sub(offset + kept as u64);
            let wanted = CHUNK_BYTES
                .max(length - kept)
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            self.bytes.resize(kept + wanted, 0);
            let read = read_full(self.file.as_ref(), offset + kept as u64, &mut self.bytes[kept..])?;
            self.bytes.truncate(kept + read);
        }
        Ok(self.there(offset, length))
    }

    /// Reads anew next time: a writer that ran out of space takes bytes back.
    pub fn forget(&mut self) {
        self.bytes.clear();
    }

    /// What of it is in memory.
    pub fn there(&self, offset: u64, length: usize) -> &[u8] {
        let from = offset.saturating_sub(self.start) as usize;
        let to = (from + length).min(self.bytes.len());
        self.bytes.get(from..to).unwrap_or_default()
    }
}

/// A segment that is read.
pub(crate) struct Open {
    pub name: String,
    pub header: FileHeader,
    pub window: Window,
    /// Of the next block.
    pub offset: u64,
}
