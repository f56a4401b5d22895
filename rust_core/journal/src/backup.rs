//! A consistent copy of a journal, while its node writes on; and a journal as it was at a time.
//!
//! Closed segments and snapshots never change, so they may be linked instead of copied where both folders are on one
//! file system. Of the newest segment the whole blocks are copied. What was copied is read and verified at the end.
//!
//! ```
//! use std::sync::Arc;
//! use csroute_journal::{BlockBuilder, Folder, OsDisk, Options, backup};
//!
//! let path = std::env::temp_dir().join(format!("csroute-backup-{}", std::process::id()));
//! let disk = Arc::new(OsDisk::open(path.join("node"))?);
//! let options = Options { reserve_bytes: 0, ..Options::default() };
//! let (mut log, _) = Folder::lock(disk.clone())?.recover(options, None)?.finish()?;
//! log.write(&mut BlockBuilder::default().seal(0, 7))?;
//!
//! let copy = Arc::new(OsDisk::open(path.join("copy"))?);
//! let copied = backup::backup(disk, copy, backup::How::Copy, None)?; // no lock is needed
//! assert_eq!(copied.position.block, 1);
//! std::fs::remove_dir_all(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs;
use std::io;
use std::sync::Arc;

use crate::disk::{Disk, OsDisk, copy_file, in_folder};
use crate::error::{Error, Result};
use crate::format::{Position, snapshot_number};
use crate::reader::{Reader, Start};
use crate::segment::{list_segments, segments};
use crate::snapshot::{snapshot_names, verify_snapshot};

/// How closed files are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Copied.
    Copy,
    /// Linked, and copied where that cannot be: damage to the original is damage to the backup.
    Link,
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// After its last block.
    pub position: Position,
    /// The time of that block, Unix µs.
    pub time_us: i64,
    /// Names of files.
    pub files: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
    /// Snapshots that are damaged, and were left out.
    pub bad: Vec<String>,
}

/// How often a set of files is tried that retention changes under way.
const TRIES: usize = 8;

/// Copies a journal into an empty folder. With `until_us` (Unix µs) only what was known then: blocks up to the first one
/// with a newer record.
pub fn backup(from: Arc<OsDisk>, to: Arc<OsDisk>, how: How, until_us: Option<i64>) -> Result<Copied> {
    if let Some(file) = list(to.as_ref())?.into_iter().next() {
        return Err(Error::NotEmpty {
            folder: to.folder(),
            file,
        });
    }
    let until_us = until_us.unwrap_or(i64::MAX);
    for _ in 1..TRIES {
        match copy(&from, &to, how, until_us) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                // Retention took a file away meanwhile: what is newer is still there.
                for name in list(to.as_ref())? {
                    to.remove(&name)
                        .map_err(|source| Error::fatal("removing", &in_folder(to.as_ref(), &name), source))?;
                }
            }
            done => return done,
        }
    }
    copy(&from, &to, how, until_us)
}

fn copy(from: &Arc<OsDisk>, to: &Arc<OsDisk>, how: How, until_us: i64) -> Result<Copied> {
    let mut bad = Vec::new();
    // Snapshots first: each is of blocks that are in closed segments by now.
    for name in snapshot_names(from.as_ref())? {
        match verify_snapshot(from.as_ref(), &name) {
            Ok(snapshot) if snapshot.time_us <= until_us => take(from, to, how, &name)?,
            Ok(_) => {}
            Err(Error::Damaged { .. }) => bad.push(name),
            Err(error) => return Err(error),
        }
    }
    let found = list_segments(from.as_ref())?;
    let wanted = found.iter().take_while(|segment| segment.time_us <= until_us).count();
    for (at, segment) in found[..wanted].iter().enumerate() {
        if at + 1 < wanted {
            take(from, to, how, &segment.name)?;
            continue;
        }
        let (mut reader, mut end) = (Reader::open(from.clone(), Start::At(segment.first))?, None);
        while let Some(block) = reader.next_block()? {
            if block.time_us > until_us || block.segment != segment.first {
                break;
            }
            end = Some(block.offset + block.bytes());
        }
        if let Some(bytes) = end {
            let copied = copy_file(from.as_ref(), &segment.name, to.as_ref(), &segment.name, bytes);
            copied.map_err(|source| Error::io("copying", &in_folder(from.as_ref(), &segment.name), source))?;
        }
    }
    if until_us < i64::MAX && list(to.as_ref())?.is_empty() {
        return Err(Error::TooOld { folder: from.folder() });
    }
    finished(to, bad)
}

/// Takes out what has nothing to go on from, verifies the rest, and tells what it is.
fn finished(to: &Arc<OsDisk>, bad: Vec<String>) -> Result<Copied> {
    let first = segments(to.as_ref())?.first().copied();
    let (mut end, mut time_us) = (None, 0);
    if first.is_some() {
        let mut reader = Reader::open(to.clone(), Start::Oldest)?;
        while reader.next_block()?.is_some() {}
        (end, time_us) = (Some(reader.position()), reader.time_us());
    }
    let mut bytes = 0;
    for name in snapshot_names(to.as_ref())? {
        let snapshot = verify_snapshot(to.as_ref(), &name)?;
        let block = snapshot_number(&name).unwrap_or(0);
        // Its next block was pruned before it could be taken; or a cut in time came before its last.
        if first.is_some_and(|first| block + 1 < first) || end.is_some_and(|end| end.block < block) {
            to.remove(&name)
                .map_err(|source| Error::fatal("removing", &in_folder(to.as_ref(), &name), source))?;
        } else if end.is_none() {
            (end, time_us) = (Some(snapshot.position), snapshot.time_us);
        }
    }
    to.sync_folder()
        .map_err(|source| Error::fatal("fsync of", &to.folder(), source))?;
    let files = list(to.as_ref())?;
    for name in &files {
        let length = to.open(name).and_then(|file| file.len());
        bytes += length.map_err(|source| Error::fatal("reading", &in_folder(to.as_ref(), name), source))?;
    }
    let nothing = || Error::Missing {
        folder: to.folder(),
        wanted: 1,
        first: None,
    };
    let position = end.ok_or_else(nothing)?;
    // A beginning without its first block, and without a snapshot before it, cannot be started from.
    let starts = first.is_none_or(|first| first == 1) || !snapshot_names(to.as_ref())?.is_empty();
    if !starts {
        return Err(Error::Missing {
            folder: to.folder(),
            wanted: 1,
            first,
        });
    }
    Ok(Copied {
        position,
        time_us,
        files,
        bytes,
        bad,
    })
}

/// A file that no longer changes.
fn take(from: &OsDisk, to: &OsDisk, how: How, name: &str) -> Result<()> {
    let failed = |source| Error::io("copying", &in_folder(from, name), source);
    if how == How::Link && fs::hard_link(from.path(name), to.path(name)).is_ok() {
        return Ok(());
    }
    let bytes = from.open(name).and_then(|file| file.len()).map_err(failed)?;
    copy_file(from, name, to, name, bytes).map_err(failed)
}

fn list(disk: &dyn Disk) -> Result<Vec<String>> {
    disk.list()
        .map_err(|source| Error::fatal("listing", &disk.folder(), source))
}
