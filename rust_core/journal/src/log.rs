//! The writing half, without a thread: blocks go to the end of the newest segment, in order.
//!
//! A write that fails for lack of space cuts the block back and may be tried again. Any other failure is final: every
//! later call repeats it. Nothing is fsynced twice after an fsync that failed, since the second could lie.

use std::any::Any;
use std::sync::Arc;

use crate::block::{BlockBuilder, Sealed};
use crate::disk::{Disk, DiskFile, append_all, in_folder};
use crate::error::{Error, Result};
use crate::format::{FileHeader, Magic, Position, RESERVE, SEGMENT_HEADER_BYTES, segment_name};

/// How a journal is written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The semantics version of what is decided from the blocks: only its own is replayed.
    pub semantics: u32,
    /// A segment that has so many bytes is closed, and the next one begins.
    pub segment_bytes: u64,
    /// Space kept in a file of its own, given up when the disk is full, so that what is under way can end. 0: none.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            semantics: 1,
            segment_bytes: 256 << 20,
            reserve_bytes: 64 << 20,
        }
    }
}

/// The lock on a folder, given back when the last owner is dropped.
pub(crate) type Guard = Arc<Box<dyn Any + Send + Sync>>;

/// The journal, to write on. Made by `Recovery::finish`.
pub struct Log {
    disk: Arc<dyn Disk>,
    options: Options,
    file: Box<dyn DiskFile>,
    name: String,
    /// What precedes the open segment.
    opened: Position,
    /// Length of what is whole.
    bytes: u64,
    last: Position,
    synced: u64,
    /// A cut that no fsync covers: it must not come back once the segment is closed.
    cut: bool,
    reserved: bool,
    failed: Option<Error>,
    _guard: Guard,
}

impl Log {
    /// Goes on at the end of this segment, whose content is durable.
    pub(crate) fn resume(disk: Arc<dyn Disk>, options: Options, guard: Guard, end: End) -> Self {
        Self {
            disk,
            options,
            file: end.file,
            name: end.name,
            opened: end.opened,
            bytes: end.bytes,
            last: end.last,
            synced: end.last.block,
            cut: false,
            reserved: false,
            failed: None,
            _guard: guard,
        }
    }

    /// After the last block written.
    pub fn position(&self) -> Position {
        self.last
    }

    /// The last block that an fsync covers.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// The first block of the open segment.
    pub fn segment_first(&self) -> u64 {
        self.opened.block + 1
    }

    /// Writes a block; a new segment first if the open one is long enough. Not durable before `sync`.
    ///
    /// After `Full` nothing of it is there, and it may be written again.
    pub fn write(&mut self, block: &mut Sealed) -> Result<()> {
        self.sound()?;
        if self.bytes >= self.options.segment_bytes {
            self.rotate(block.time_us)?;
        }
        let number = self.last.block + 1;
        let chain = block.place(&self.last.journal, number, self.synced, &self.last.chain);
        if let Err(source) = append_all(self.file.as_mut(), &block.bytes) {
            let error = Error::io("writing", &in_folder(self.disk.as_ref(), &self.name), source);
            return Err(self.cut_back(error));
        }
        self.bytes += block.bytes.len() as u64;
        self.last = Position {
            block: number,
            chain,
            ..self.last
        };
        Ok(())
    }

    /// Takes away what a write left behind. Any failure but a lack of space is final, and so is one of the cut.
    fn cut_back(&mut self, error: Error) -> Error {
        let cut = self.file.truncate(self.bytes);
        self.cut = true;
        match (&error, cut) {
            (Error::Full { .. }, Ok(())) => error,
            (Error::Full { .. }, Err(source)) => {
                let file = in_folder(self.disk.as_ref(), &self.name);
                self.fail(Error::fatal("cutting back", &file, source))
            }
            _ => self.fail(error),
        }
    }

    /// Makes all that was written durable.
    pub fn sync(&mut self) -> Result<()> {
        self.sound()?;
        if self.synced < self.last.block || self.cut {
            if let Err(source) = self.file.sync() {
                let file = in_folder(self.disk.as_ref(), &self.name);
                return Err(self.fail(Error::fatal("fsync of", &file, source)));
            }
            self.synced = self.last.block;
            self.cut = false;
        }
        Ok(())
    }

    /// Closes the open segment, durable whatever the setting, and begins the next. One without blocks stays open.
    pub fn rotate(&mut self, time_us: i64) -> Result<()> {
        self.sound()?;
        if self.opened.block == self.last.block {
            return Ok(());
        }
        self.sync()?;
        self.begin(time_us)
    }

    /// Begins the next segment though the open one may be empty: under another semantics.
    pub(crate) fn begin(&mut self, time_us: i64) -> Result<()> {
        match begin_segment(self.disk.as_ref(), self.options.semantics, self.last, time_us) {
            Ok(end) => {
                self.file = end.file;
                self.name = end.name;
                self.opened = end.opened;
                self.bytes = end.bytes;
                Ok(())
            }
            Err(full @ Error::Full { .. }) => Err(full),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Ends the journal with an empty block that says that all before it is durable: damage after a clean stop is told
    /// from a torn tail to the last byte. `events_hash`: of the events of the last block.
    pub fn close(&mut self, events_hash: u64, time_us: i64) -> Result<Position> {
        self.sync()?;
        self.write(&mut BlockBuilder::default().seal(events_hash, time_us))?;
        self.sync()?;
        Ok(self.last)
    }

    /// Whether the reserve is held, or none is asked for.
    pub fn holds_reserve(&self) -> bool {
        self.reserved || self.options.reserve_bytes == 0
    }

    /// Takes the reserve if there is space for it and as much again. True when it is held.
    pub fn take_reserve(&mut self) -> Result<bool> {
        let bytes = self.options.reserve_bytes;
        if self.holds_reserve() {
            return Ok(true);
        }
        let file = in_folder(self.disk.as_ref(), RESERVE);
        let failed = |source| Error::io("reserving", &file, source);
        let there = self.disk.open(RESERVE).and_then(|file| file.len());
        if there.is_ok_and(|there| there >= bytes) {
            self.reserved = true;
            return Ok(true);
        }
        if self.disk.free_bytes().map_err(failed)? / 2 < bytes {
            return Ok(false);
        }
        // One of another size goes first.
        if self.disk.list().map_err(failed)?.iter().any(|name| name == RESERVE) {
            self.disk.remove(RESERVE).map_err(failed)?;
        }
        let reserved = self.disk.create(RESERVE).and_then(|mut file| {
            file.reserve(bytes)?;
            file.sync()
        });
        match reserved.map_err(failed) {
            Ok(()) => self.reserved = true,
            Err(Error::Full { .. }) => self.disk.remove(RESERVE).map_err(failed)?,
            Err(error) => return Err(error),
        }
        Ok(self.reserved)
    }

    /// Gives the reserve's space back to the disk. False: there was none.
    pub fn give_up_reserve(&mut self) -> Result<bool> {
        if !std::mem::take(&mut self.reserved) || self.options.reserve_bytes == 0 {
            return Ok(false);
        }
        let freed = self.disk.remove(RESERVE).and_then(|()| self.disk.sync_folder());
        freed.map_err(|source| Error::fatal("removing", &in_folder(self.disk.as_ref(), RESERVE), source))?;
        Ok(true)
    }

    fn sound(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error.clone());
        error
    }
}

/// Where a segment goes on.
pub(crate) struct End {
    pub file: Box<dyn DiskFile>,
    pub name: String,
    pub opened: Position,
    pub bytes: u64,
    pub last: Position,
}

/// Makes a segment that goes on after `last`, its name and head durable. After `Full` nothing of it is there.
pub(crate) fn begin_segment(disk: &dyn Disk, semantics: u32, last: Position, time_us: i64) -> Result<End> {
    let name = segment_name(last.block + 1);
    let path = in_folder(disk, &name);
    let mut file = disk
        .create(&name)
        .map_err(|source| Error::io("creating", &path, source))?;
    let header = FileHeader {
        semantics,
        position: last,
        time_us,
    };
    if let Err(source) = append_all(file.as_mut(), &header.encode(Magic::Segment)) {
        // It must not come back among the blocks that follow.
        let removed = disk.remove(&name).and_then(|()| disk.sync_folder());
        return Err(match removed {
            Ok(()) => Error::io("writing", &path, source),
            Err(source) => Error::fatal("removing", &path, source),
        });
    }
    file.sync().map_err(|source| Error::fatal("fsync of", &path, source))?;
    disk.sync_folder()
        .map_err(|source| Error::fatal("fsync of", &disk.folder(), source))?;
    Ok(End {
        file,
        name,
        opened: last,
        bytes: SEGMENT_HEADER_BYTES as u64,
        last,
    })
}
