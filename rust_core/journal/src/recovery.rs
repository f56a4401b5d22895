//! From a folder to a journal that is written on: lock, read to the end, cut the torn tail, go on.
//!
//! Every step may be interrupted by another crash and done again: what is cut was never acknowledged, and nothing is
//! written before the cut is durable.
//!
//! ```
//! use std::sync::Arc;
//! use csroute_journal::{Folder, OsDisk, Options};
//!
//! let path = std::env::temp_dir().join(format!("csroute-recovery-{}", std::process::id()));
//! let folder = Folder::lock(Arc::new(OsDisk::open(&path)?))?;
//! let mut recovery = folder.recover(Options { reserve_bytes: 0, ..Options::default() }, None)?;
//! while let Some(block) = recovery.next_block()? {
//!     block.records().for_each(|_record| { /* apply it */ });
//! }
//! let (log, recovered) = recovery.finish()?;
//! assert_eq!((log.position().block, recovered.cut), (0, None));
//! std::fs::remove_dir_all(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;

use crate::disk::{Disk, holder, in_folder};
use crate::error::{Error, Result};
use crate::format::{LOCK, PARTIAL, Position};
use crate::log::{End, Guard, Log, Options, begin_segment};
use crate::reader::{Block, Reader, Start};
use crate::segment::Tail;

/// A folder that this process alone writes to.
pub struct Folder {
    disk: Arc<dyn Disk>,
    guard: Guard,
}

impl Folder {
    /// Takes the folder's lock, or says who has it.
    pub fn lock(disk: Arc<dyn Disk>) -> Result<Self> {
        let failed = |source| Error::fatal("locking", &in_folder(disk.as_ref(), LOCK), source);
        match disk.lock(LOCK).map_err(failed)? {
            Some(guard) => Ok(Self {
                guard: Arc::new(guard),
                disk,
            }),
            None => Err(Error::Locked {
                holder: holder(disk.as_ref(), LOCK),
                folder: disk.folder(),
            }),
        }
    }

    /// Its disk.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Begins the recovery: after the position of a snapshot, else at the first block.
    pub fn recover(self, options: Options, from: Option<Position>) -> Result<Recovery> {
        let start = from.map_or(Start::Beginning, Start::After);
        let reader = Reader::from_disk(self.disk.clone(), start)?;
        Ok(Recovery {
            folder: self,
            options,
            from,
            reader,
            blocks: 0,
        })
    }
}

/// What a recovery found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// After the last block.
    pub position: Position,
    /// How many blocks were read.
    pub blocks: u64,
    /// The torn tail that was cut.
    pub cut: Option<Tail>,
}

/// A recovery under way: the blocks after the position, to be applied, then `finish`.
pub struct Recovery {
    folder: Folder,
    options: Options,
    from: Option<Position>,
    reader: Reader,
    blocks: u64,
}

impl Recovery {
    /// The next block to apply; None at the end.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>> {
        let ours = self.options.semantics;
        let Some(block) = self.reader.next_block()? else {
            return Ok(None);
        };
        if block.semantics != ours {
            return Err(Error::Semantics {
                file: in_folder(self.folder.disk.as_ref(), &crate::format::segment_name(block.segment)),
                found: block.semantics,
                ours,
            });
        }
        self.blocks += 1;
        Ok(Some(block))
    }

    /// Bytes read, and those there are.
    pub fn progress(&self) -> Result<(u64, u64)> {
        self.reader.progress()
    }

    /// Cuts what is torn, makes durable what is there, and opens the journal for writing.
    pub fn finish(mut self) -> Result<(Log, Recovered)> {
        while self.next_block()?.is_some() {}
        let disk = self.folder.disk.clone();
        let mut last = self.reader.position();
        if let Some(from) = self.from.filter(|from| last.block < from.block) {
            return Err(Error::Ahead {
                folder: disk.folder(),
                wanted: from.block,
                end: last.block,
            });
        }
        sweep(disk.as_ref())?;
        let cut = self.reader.tail().cloned();
        let time_us = self.reader.time_us();
        let semantics = self.options.semantics;
        if let Some(headless) = cut.as_ref().filter(|cut| cut.headless) {
            remove(disk.as_ref(), &headless.file)?;
        }
        let begin = |last| begin_segment(disk.as_ref(), semantics, last, time_us);
        let end = match self.reader.into_end() {
            Some((end, theirs)) if cut.as_ref().is_none_or(|cut| !cut.headless) => {
                let end = settle(disk.as_ref(), end, cut.as_ref())?;
                if theirs == semantics {
                    end
                } else {
                    if end.last == end.opened {
                        remove(disk.as_ref(), &end.name)?; // the new one has its name
                    }
                    begin(last)?
                }
            }
            Some(_) => begin(last)?,
            None => {
                if self.from.is_none() {
                    let named = disk
                        .identity()
                        .map_err(|source| Error::fatal("naming", &disk.folder(), source))?;
                    last = Position::beginning(named);
                }
                begin(last)?
            }
        };
        let recovered = Recovered {
            position: end.last,
            blocks: self.blocks,
            cut,
        };
        let mut log = Log::resume(disk, self.options, self.folder.guard, end);
        log.take_reserve()?;
        Ok((log, recovered))
    }
}

/// Cuts the torn tail and makes the segment durable: what was read of it may have been in memory only.
fn settle(disk: &dyn Disk, mut end: End, cut: Option<&Tail>) -> Result<End> {
    let path = in_folder(disk, &end.name);
    if cut.is_some() {
        end.file
            .truncate(end.bytes)
            .map_err(|source| Error::fatal("cutting", &path, source))?;
    }
    end.file
        .sync()
        .map_err(|source| Error::fatal("fsync of", &path, source))?;
    disk.sync_folder()
        .map_err(|source| Error::fatal("fsync of", &disk.folder(), source))?;
    Ok(end)
}

/// Removes what was never finished: snapshots under way, copies under way.
fn sweep(disk: &dyn Disk) -> Result<()> {
    let names = disk
        .list()
        .map_err(|source| Error::fatal("listing", &disk.folder(), source))?;
    names
        .iter()
        .filter(|name| name.ends_with(PARTIAL))
        .try_for_each(|name| remove(disk, name))
}

fn remove(disk: &dyn Disk, name: &str) -> Result<()> {
    disk.remove(name)
        .map_err(|source| Error::fatal("removing", &in_folder(disk, name), source))
}
