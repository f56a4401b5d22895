//! After damage that recovery refuses: cut the journal there, and keep a copy of all that is changed.
//!
//! Copies first, whole and durable (`*.aside`), then the cut; so a repair that is interrupted can be done again. Blocks
//! after the cut are lost to the journal: the report says how many bytes, and where they are kept.

use std::sync::Arc;

use crate::disk::{Disk, copy_file, in_folder};
use crate::error::{Error, Result};
use crate::format::{ASIDE, Position, segment_name, snapshot_number};
use crate::reader::{Reader, Start};
use crate::recovery::Folder;
use crate::segment::segments;
use crate::snapshot::{newest_good, snapshot_names};

/// What a repair did.
#[derive(Debug, Clone, Default)]
pub struct Repaired {
    /// What was wrong, in order. Empty: nothing was changed.
    pub damage: Vec<Error>,
    /// The journal ends after this block now. None: there was nothing to cut.
    pub ends: Option<Position>,
    /// Copies of what was changed or taken out.
    pub kept: Vec<String>,
    /// Bytes that the journal lost, all of them in `kept`.
    pub lost_bytes: u64,
}

/// Makes a journal readable again from its newest good snapshot on, or from its first block.
pub fn repair(folder: &Folder) -> Result<Repaired> {
    let disk = folder.disk();
    let mut repaired = Repaired::default();
    let (snapshot, bad) = newest_good(disk.as_ref())?;
    let newest = snapshot.as_ref().map(|snapshot| snapshot.position.block);
    let start = snapshot.map_or(Start::Beginning, |snapshot| Start::After(snapshot.position));
    // Nothing is changed before it is known that there is something to go on from.
    let found = read(disk, start)?;
    for name in snapshot_names(disk.as_ref())? {
        if snapshot_number(&name) > newest {
            set_aside(disk.as_ref(), &name, &mut repaired)?;
        }
    }
    repaired.damage.extend(bad);
    let Some((error, mut end, (mut cut, offset))) = found else {
        return Ok(repaired);
    };
    if let Start::After(position) = start
        && end.block < position.block
    {
        (end, cut) = (position, 0); // damage before the snapshot, in its own segment: go on from the snapshot alone
    }
    repaired.damage.push(error);
    repaired.ends = Some(end);
    for first in segments(disk.as_ref())?.into_iter().rev().filter(|&first| first >= cut) {
        let name = segment_name(first);
        if first > cut || offset == 0 {
            set_aside(disk.as_ref(), &name, &mut repaired)?;
            continue;
        }
        let failed = |source| Error::fatal("cutting", &in_folder(disk.as_ref(), &name), source);
        let before = disk.open(&name).and_then(|file| file.len()).map_err(failed)?;
        if before > offset {
            let kept = free_name(disk.as_ref(), &name)?;
            let copy = |to: &str, bytes| copy_file(disk.as_ref(), &name, disk.as_ref(), to, bytes).map_err(failed);
            copy(&kept, before)?;
            repaired.kept.push(kept);
            // In its place, not within it: a backup may share the file.
            copy(&name, offset)?;
            repaired.lost_bytes += before - offset;
        }
    }
    Ok(repaired)
}

/// The damage that reading meets, after which position, and where: the segment's first block, and the byte in it.
type Found = (Error, Position, (u64, u64));

fn read(disk: &Arc<dyn Disk>, start: Start) -> Result<Option<Found>> {
    let beginning = match start {
        Start::After(position) => position,
        _ => Position::beginning([0; 16]),
    };
    let mut reader = match Reader::open(disk.clone(), start) {
        Ok(reader) => reader,
        Err(error @ Error::Damaged { .. }) => {
            // A segment that begins before the snapshot's end takes those before it along: they would end too early.
            let wanted = beginning.block + 1;
            let own = segments(disk.as_ref())?.contains(&wanted);
            return Ok(Some((error, beginning, (if own { wanted } else { 0 }, 0))));
        }
        Err(error) => return Err(error),
    };
    loop {
        match reader.next_block().map(|block| block.is_some()) {
            Ok(true) => {}
            Ok(false) if reader.position().block < beginning.block => {
                // Its newest segments are gone, but the snapshot knows more: go on from it alone.
                let error = Error::Ahead {
                    folder: disk.folder(),
                    wanted: beginning.block,
                    end: reader.position().block,
                };
                return Ok(Some((error, beginning, (0, 0))));
            }
            Ok(false) => return Ok(None),
            Err(error @ Error::Damaged { .. }) => {
                let (position, place) = (reader.position(), reader.place());
                return Ok(Some((error, position, place)));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Takes a file out of the journal.
fn set_aside(disk: &dyn Disk, name: &str, repaired: &mut Repaired) -> Result<()> {
    let failed = |source| Error::fatal("setting aside", &in_folder(disk, name), source);
    repaired.lost_bytes += disk.open(name).and_then(|file| file.len()).map_err(failed)?;
    let kept = free_name(disk, name)?;
    disk.rename(name, &kept)
        .and_then(|()| disk.sync_folder())
        .map_err(failed)?;
    repaired.kept.push(kept);
    Ok(())
}

/// A name that no earlier repair used.
fn free_name(disk: &dyn Disk, name: &str) -> Result<String> {
    let names = disk
        .list()
        .map_err(|source| Error::fatal("listing", &disk.folder(), source))?;
    let mut number = 1;
    while names.contains(&format!("{name}.{number}{ASIDE}")) {
        number += 1;
    }
    Ok(format!("{name}.{number}{ASIDE}"))
}
