//! The reading half: segments, blocks, records, from a position on; every checksum and the chain verified.
//!
//! Only bytes at the very end of the newest segment may be unfinished: a torn tail, which ends the reading. Each block
//! says up to which one all was durable when it was written; so what is wrong before a later block that knew it durable
//! is damage, and an error. Reading needs no lock; asked again later, it finds what was appended meanwhile.
//!
//! ```
//! use std::sync::Arc;
//! use csroute_journal::{BlockBuilder, Folder, OsDisk, Options, Reader, Start};
//!
//! let path = std::env::temp_dir().join(format!("csroute-reader-{}", std::process::id()));
//! let disk = Arc::new(OsDisk::open(&path)?);
//! let (mut log, _) = Folder::lock(disk.clone())?.recover(Options { reserve_bytes: 0, ..Options::default() }, None)?.finish()?;
//! let mut block = BlockBuilder::default();
//! block.push(&[b"first"])?;
//! log.write(&mut block.seal(0, 1_700_000_000_000_000))?;
//! log.sync()?;
//!
//! let mut reader = Reader::open(disk, Start::Beginning)?;
//! let block = reader.next_block()?.expect("one block");
//! assert_eq!(block.records().collect::<Vec<_>>(), [b"first"]);
//! assert!(reader.next_block()?.is_none() && reader.tail().is_none());
//! std::fs::remove_dir_all(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use crate::disk::{Disk, in_folder};
use crate::error::{Error, Result};
use crate::format::{
    BLOCK_HEADER_BYTES, BlockHeader, FileHeader, Id, Position, SEGMENT_HEADER_BYTES, segment_name, unframe,
};
use crate::log::End;
use crate::segment::{Open, Tail, Window, open_segment, segments};

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the very first block, which must be there.
    Beginning,
    /// At the oldest block there is.
    Oldest,
    /// At this block, taking the word of its segment's head for what comes before.
    At(u64),
    /// At the block after this position.
    After(Position),
}

/// One block, verified.
#[derive(Debug, Clone)]
pub struct Block<'a> {
    /// After this block.
    pub position: Position,
    /// The semantics version of its segment.
    pub semantics: u32,
    /// Of the events that the block before it produced, as its writer said.
    pub events_hash: u64,
    /// Of its newest record, as its writer said, Unix µs.
    pub time_us: i64,
    /// The last block that was durable when this one was written.
    pub synced: u64,
    /// How many records it has.
    pub records: u32,
    /// The first block of its segment.
    pub segment: u64,
    /// Where in that file it begins.
    pub offset: u64,
    body: Cow<'a, [u8]>,
}

impl Block<'_> {
    /// The same, on its own: the reader may go on.
    pub fn into_owned(self) -> Block<'static> {
        Block {
            body: Cow::Owned(self.body.into_owned()),
            ..self
        }
    }

    /// Its records, in order.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let (body, mut at) = (&*self.body, 0);
        std::iter::from_fn(move || {
            let (payload, next) = unframe(body, at).ok()?;
            at = next;
            Some(payload)
        })
    }

    /// What it takes in its file, bytes.
    pub fn bytes(&self) -> u64 {
        (BLOCK_HEADER_BYTES + self.body.len()) as u64
    }
}

/// Reads a journal. See the module.
pub struct Reader {
    disk: Arc<dyn Disk>,
    /// After the last block that was handed out.
    position: Position,
    /// Blocks up to this one are read but not handed out; its chain value is then compared.
    from: Option<Position>,
    /// Blocks before this one are read but not handed out.
    skip_to: u64,
    open: Option<Open>,
    tail: Option<Tail>,
    /// Bypass what the system holds in memory.
    from_disk: bool,
    done_bytes: u64,
    time_us: i64,
}

impl Reader {
    /// Finds the place. `Missing` if the blocks that should come next are gone.
    pub fn open(disk: Arc<dyn Disk>, start: Start) -> Result<Self> {
        Self::begin(disk, start, false)
    }

    /// As `open`; what is read comes from the disk itself.
    pub(crate) fn from_disk(disk: Arc<dyn Disk>, start: Start) -> Result<Self> {
        Self::begin(disk, start, true)
    }

    fn begin(disk: Arc<dyn Disk>, start: Start, from_disk: bool) -> Result<Self> {
        let mut reader = Self {
            disk,
            position: Position::beginning(Id::default()),
            from: None,
            skip_to: 0,
            open: None,
            tail: None,
            from_disk,
            done_bytes: 0,
            time_us: 0,
        };
        let firsts = reader.segments()?;
        match start {
            Start::After(from) => (reader.position, reader.from) = (from, Some(from)),
            Start::At(block) => reader.skip_to = block,
            Start::Beginning | Start::Oldest => {}
        }
        let wanted = match start {
            Start::Beginning => 1,
            Start::Oldest => firsts.first().copied().unwrap_or(1),
            Start::At(block) => block,
            Start::After(from) => from.block + 1,
        };
        let first = firsts.iter().rev().find(|&&first| first <= wanted).copied();
        let Some(first) = first else {
            return match firsts.first() {
                Some(&first) => Err(reader.missing(wanted, Some(first))),
                None => Ok(reader),
            };
        };
        if reader.enter(first, firsts.last() == Some(&first))? {
            reader.adopt()?;
        }
        Ok(reader)
    }

    /// After the last block read.
    pub fn position(&self) -> Position {
        self.position
    }

    /// What stands unfinished at the end, once `next_block` gave None.
    pub fn tail(&self) -> Option<&Tail> {
        self.tail.as_ref()
    }

    /// The time of the last block read, Unix µs; that of its segment where there was none.
    pub fn time_us(&self) -> i64 {
        self.time_us
    }

    /// Where the journal must be cut to be rid of what was wrong: a segment's first block, and the byte in it.
    pub(crate) fn place(&self) -> (u64, u64) {
        let next = self.position.block + 1;
        self.open
            .as_ref()
            .map_or((next, 0), |open| (open.header.position.block + 1, open.offset))
    }

    /// Where to write on, and the semantics of that segment. None: no segment is open.
    pub(crate) fn into_end(self) -> Option<(End, u32)> {
        let last = self.position;
        self.open.map(|open| {
            let end = End {
                file: open.window.file,
                name: open.name,
                opened: open.header.position,
                bytes: open.offset,
                last,
            };
            (end, open.header.semantics)
        })
    }

    /// Bytes read, and those there are from the beginning of the reading on.
    pub fn progress(&self) -> Result<(u64, u64)> {
        let from = self.open.as_ref().map_or(0, |open| open.header.position.block + 1);
        let mut left = 0;
        for first in self.segments()?.into_iter().filter(|&first| first >= from) {
            left += self.length(first)?;
        }
        let offset = self.open.as_ref().map_or(0, |open| open.offset);
        Ok((self.done_bytes + offset, self.done_bytes + left))
    }

    /// The next block; None at the end of what is there now. After an error the reader stays where it is.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>> {
        loop {
            if self.open.is_none() && !self.enter_next()? {
                return Ok(None);
            }
            let Some(header) = self.step()? else {
                if self.tail.is_some() || !self.leave()? {
                    return Ok(None);
                }
                continue;
            };
            if let Some(from) = self.from {
                if header.block == from.block {
                    let segment = self.header().position.block + 1;
                    self.follows(header.chain == from.chain, segment)?;
                    self.from = None;
                }
                continue;
            }
            if header.block >= self.skip_to {
                return Ok(Some(self.block(&header)));
            }
        }
    }

    /// The block that `step` went past.
    fn block(&mut self, header: &BlockHeader) -> Block<'_> {
        let position = self.position;
        let open = self.open.as_ref();
        let (semantics, segment, end) = open.map_or((0, 0, 0), |open| {
            (open.header.semantics, open.header.position.block + 1, open.offset)
        });
        let bytes = u64::from(header.body_bytes);
        let body = open.map_or(&[][..], |open| open.window.there(end - bytes, bytes as usize));
        Block {
            position,
            semantics,
            events_hash: header.events_hash,
            time_us: header.time_us,
            synced: header.synced,
            records: header.records,
            segment,
            offset: end - bytes - BLOCK_HEADER_BYTES as u64,
            body: Cow::Borrowed(body),
        }
    }

    /// Reads and verifies the block at the offset and goes past it. None: there is none, or it is unfinished.
    fn step(&mut self) -> Result<Option<BlockHeader>> {
        self.tail = None;
        let before = self.position;
        let Some(open) = self.open.as_mut() else {
            return Ok(None);
        };
        let path = in_folder(self.disk.as_ref(), &open.name);
        let read = |source| Error::fatal("reading", &path, source);
        let there = open.window.get(open.offset, BLOCK_HEADER_BYTES).map_err(read)?.len();
        if there == 0 {
            return Ok(None);
        }
        let wrong = match open.check(&before).map_err(read)? {
            Ok(header) => return Ok(Some(self.pass(header))),
            Err(wrong) => wrong,
        };
        let number = open.header.position.block + 1;
        let length = open.window.file.len().map_err(read)?;
        let (name, offset, block) = (open.name.clone(), open.offset, before.block + 1);
        let newest = self.segments()?.last() == Some(&number);
        let Some(open) = self.open.as_mut() else {
            return Ok(None);
        };
        if !newest || open.knows_durable(block, &before.journal).map_err(read)? {
            // Its writer may have been at it while we looked; what later blocks vouch for is whole by now.
            open.window.forget();
            return match open.check(&before).map_err(read)? {
                Ok(header) => Ok(Some(self.pass(header))),
                Err(wrong) => Err(Error::Damaged {
                    file: path,
                    offset,
                    block: Some(block),
                    record: wrong.record,
                    what: wrong.what.to_owned(),
                }),
            };
        }
        open.window.forget();
        self.tail = Some(Tail {
            file: name,
            offset,
            bytes: length.saturating_sub(offset),
            block,
            what: wrong.what,
            headless: false,
        });
        Ok(None)
    }

    /// Goes past a block that is right.
    fn pass(&mut self, header: BlockHeader) -> BlockHeader {
        self.time_us = header.time_us;
        self.position = Position {
            block: header.block,
            chain: header.chain,
            ..self.position
        };
        if let Some(open) = self.open.as_mut() {
            open.offset += BLOCK_HEADER_BYTES as u64 + u64::from(header.body_bytes);
        }
        header
    }

    /// From the end of one segment to the next. False: it is the newest.
    fn leave(&mut self) -> Result<bool> {
        let Some(open) = self.open.as_ref() else {
            return Ok(false);
        };
        let (here, end) = (open.header.position.block + 1, open.offset);
        let name = open.name.clone();
        let firsts = self.segments()?;
        let Some(&next) = firsts.iter().find(|&&first| first > here) else {
            return Ok(false);
        };
        let wanted = self.position.block + 1;
        if next != wanted {
            // What was appended between our two looks is read first.
            if self.length(here)? > end {
                return Ok(true);
            }
            return Err(Error::Damaged {
                file: in_folder(self.disk.as_ref(), &name),
                offset: end,
                block: Some(wanted),
                record: None,
                what: format!("it ends here, though the next segment begins with block {next}"),
            });
        }
        if !self.enter(next, firsts.last() == Some(&next))? {
            return Ok(false);
        }
        self.done_bytes += end;
        let before = self.header().position;
        if before.journal != self.position.journal {
            return Err(Error::Foreign { file: self.path(next) });
        }
        self.follows(before.chain == self.position.chain, next)?;
        Ok(true)
    }

    /// The first segment, where there was none before.
    fn enter_next(&mut self) -> Result<bool> {
        let firsts = self.segments()?;
        let wanted = self.position.block + 1;
        let Some(&first) = firsts.iter().find(|&&first| first == wanted) else {
            return match firsts.first() {
                Some(&first) if first > wanted => Err(self.missing(wanted, Some(first))),
                _ => Ok(false),
            };
        };
        if !self.enter(first, firsts.last() == Some(&first))? {
            return Ok(false);
        }
        self.adopt()?;
        Ok(true)
    }

    /// Goes on where the segment just entered begins, which is the position asked for, or before it.
    fn adopt(&mut self) -> Result<()> {
        let before = self.header().position;
        if let Some(from) = self.from {
            let first = before.block + 1;
            if from.journal != before.journal {
                return Err(Error::Foreign { file: self.path(first) });
            }
            if from.block == before.block {
                self.follows(before.chain == from.chain, first)?;
                self.from = None;
            }
        }
        self.position = before;
        Ok(())
    }

    /// Opens a segment. False: it is the newest and its head was never finished.
    fn enter(&mut self, first: u64, newest: bool) -> Result<bool> {
        let (opened, tail) = open_segment(self.disk.as_ref(), first, newest, self.from_disk)?;
        self.tail = tail;
        let Some((file, header)) = opened else {
            return Ok(false);
        };
        self.time_us = self.time_us.max(header.time_us);
        self.open = Some(Open {
            name: segment_name(first),
            header,
            window: Window::new(file),
            offset: SEGMENT_HEADER_BYTES as u64,
        });
        Ok(true)
    }

    fn follows(&self, yes: bool, segment: u64) -> Result<()> {
        if yes {
            return Ok(());
        }
        Err(Error::Damaged {
            file: self.path(segment),
            offset: 0,
            block: Some(self.from.map_or(segment, |from| from.block)),
            record: None,
            what: "it does not follow from the block before it: the chain is broken".to_owned(),
        })
    }

    fn header(&self) -> FileHeader {
        let none = FileHeader {
            semantics: 0,
            position: self.position,
            time_us: 0,
        };
        self.open.as_ref().map_or(none, |open| open.header)
    }

    fn missing(&self, wanted: u64, first: Option<u64>) -> Error {
        Error::Missing {
            folder: self.disk.folder(),
            wanted,
            first,
        }
    }

    /// The first blocks of all segments, ascending.
    fn segments(&self) -> Result<Vec<u64>> {
        segments(self.disk.as_ref())
    }

    fn length(&self, first: u64) -> Result<u64> {
        let length = self.disk.open(&segment_name(first)).and_then(|file| file.len());
        length.map_err(|source| Error::fatal("reading", &self.path(first), source))
    }

    fn path(&self, first: u64) -> String {
        in_folder(self.disk.as_ref(), &segment_name(first))
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
