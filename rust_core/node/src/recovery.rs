//! From a data folder to a node's state: the newest good snapshot, then every block after it, each compared with the
//! hash of the events that its writer saw.
//!
//! Nothing of the state is served before the whole is read. Recovering changes nothing but the torn tail, which was
//! never acknowledged: interrupted, it is done again, to the same end.

use std::panic::resume_unwind;
use std::sync::{Arc, mpsc};
use std::thread;

use csroute_engine::{Micros, SEMANTICS};
use csroute_journal as journal;
use csroute_journal::{Block, Disk, Folder, Position, Snapshot, SnapshotReader};

use crate::core::NodeCore;
use crate::image;
use crate::record::Record;
use crate::trouble::Trouble;

/// How far a recovery is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blocks replayed.
    pub blocks: u64,
    /// Records of those.
    pub records: u64,
    /// Bytes of the journal read, and those there are.
    pub bytes: u64,
    #[allow(missing_docs)]
    pub bytes_max: u64,
}

/// What a recovery came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How far it went.
    pub progress: Progress,
    /// The block of the snapshot that it began with; 0: there was none.
    pub snapshot: u64,
    /// Snapshots that are damaged, and why.
    pub bad_snapshots: Vec<String>,
    /// The torn tail that was cut, if there was one.
    pub cut: Option<String>,
    /// The time of the newest record.
    pub last: Micros,
}

/// Blocks read and not yet applied: a block is a MiB or so, and never more than the journal's bound.
const BLOCKS_AHEAD: usize = 4;
/// Blocks between two tellings of how far it is.
const TELL_EVERY: u64 = 256;

/// Reads all there is into a core without tenants, and opens the journal for writing.
pub fn recover(
    core: &mut NodeCore,
    folder: Folder,
    options: journal::Options,
    mut told: impl FnMut(Progress),
) -> Result<(journal::Log, Report), Trouble> {
    let disk = folder.disk().clone();
    let mut report = Report::default();
    let snapshot = load_newest(core, &disk, &mut report.bad_snapshots)?;
    report.snapshot = snapshot.as_ref().map_or(0, |snapshot| snapshot.position.block);
    report.last = snapshot.as_ref().map_or(0, |snapshot| snapshot.time_us);
    let recovery = folder.recover(options, snapshot.map(|snapshot| snapshot.position))?;
    let mut progress = Progress::default();
    let recovery = read_ahead(recovery, |block, there| {
        progress.blocks += 1;
        progress.records += u64::from(block.records);
        report.last = report.last.max(block.time_us);
        replay_block(core, block, &disk.folder())?;
        if let Some(there) = there {
            (progress.bytes, progress.bytes_max) = there;
            told(progress);
        }
        Ok(())
    })?;
    (progress.bytes, progress.bytes_max) = recovery.progress()?;
    told(progress);
    let (log, recovered) = recovery.finish()?;
    report.progress = progress;
    report.cut = recovered.cut.map(|cut| {
        format!(
            "{} bytes at the end of {} (block {}, from byte {}): {}; nobody was told that they are kept",
            cut.bytes, cut.file, cut.block, cut.offset, cut.what
        )
    });
    report.last = report.last.max(core.latest());
    Ok((log, report))
}

/// Gives each block to `apply`, now and then with the bytes read and those there are. Reading and verifying go ahead on
/// a thread of their own: together they cost a good part of what applying does.
fn read_ahead(
    mut recovery: journal::Recovery,
    mut apply: impl FnMut(&Block<'_>, Option<(u64, u64)>) -> Result<(), Trouble>,
) -> Result<journal::Recovery, Trouble> {
    let (ahead, blocks) = mpsc::sync_channel(BLOCKS_AHEAD);
    thread::scope(|scope| {
        let reading = scope.spawn(move || -> Result<_, Trouble> {
            for number in 1_u64.. {
                let Some(block) = recovery.next_block()? else { break };
                let block = block.into_owned();
                let tell = number.is_multiple_of(TELL_EVERY);
                let there = tell.then(|| recovery.progress()).transpose()?;
                if ahead.send((block, there)).is_err() {
                    break; // applying ended early: its trouble is what counts
                }
            }
            Ok(recovery)
        });
        let applied = blocks.into_iter().try_for_each(|(block, there)| apply(&block, there));
        let read = reading.join().unwrap_or_else(|panic| resume_unwind(panic));
        applied.and(read)
    })
}

/// Loads the newest snapshot that is whole; the files and reasons of those that are not.
pub fn load_newest(
    core: &mut NodeCore,
    disk: &Arc<dyn Disk>,
    bad: &mut Vec<String>,
) -> Result<Option<Snapshot>, Trouble> {
    for name in journal::snapshot_names(disk.as_ref())? {
        // It is verified as it is loaded: the last frame tells whether all was as written.
        let loaded = SnapshotReader::open(disk.as_ref(), &name)
            .map_err(Trouble::from)
            .and_then(|mut reader| {
                image::load(core, &mut reader)?;
                Ok(reader.snapshot().clone())
            });
        match loaded {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(Trouble::Journal(error @ journal::Error::Damaged { .. })) => {
                bad.push(error.to_string());
                core.forget();
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Applies a block's records, after comparing what those before it came to.
pub fn replay_block(core: &mut NodeCore, block: &Block<'_>, folder: &str) -> Result<(), Trouble> {
    agrees(core, block.position, block.events_hash, folder)?;
    for (at, bytes) in block.records().enumerate() {
        let wrong = |what: String| Trouble::record(folder, block.position.block, at, what);
        let record = Record::decode(bytes).map_err(|error| wrong(error.to_string()))?;
        core.replay(&record).map_err(|no| wrong(no.to_string()))?;
    }
    Ok(())
}

/// Whether the events so far are those that the writer saw.
pub(crate) fn agrees(core: &NodeCore, position: Position, written: u64, folder: &str) -> Result<(), Trouble> {
    let found = core.log.hash();
    if found == written {
        return Ok(());
    }
    Err(Trouble::Diverged {
        folder: folder.to_owned(),
        block: position.block,
        found,
        written,
    })
}

/// What the journal is told of who decides.
pub fn options(segment_bytes: u64, reserve_bytes: u64) -> journal::Options {
    journal::Options {
        semantics: SEMANTICS,
        segment_bytes,
        reserve_bytes,
    }
}
