//! Snapshots without stopping the writer: a thread with a node of its own, for as long as one takes.
//!
//! It has the open segment closed, loads the newest snapshot, replays the closed segments up to there (comparing the
//! hash of the events of every block: each snapshot is a test of determinism), writes the next snapshot, reads it back
//! and compares the state's hashes; only then older snapshots and segments go. So the writer's pause is none, and a
//! journal's thread's is the closing of a segment. The price: while it runs there is a second state in memory, and at
//! most half a core goes to it (`SHARE`), and that after everybody else's.
//!
//! One that fails is said, counted and tried again in its time: the journal alone is enough to recover.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use csroute_engine::{Micros, SEMANTICS};
use csroute_journal::{Committer, Disk, Position, Reader, SnapshotReader, SnapshotWriter, Start, prune};
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use serde_json::json;

use crate::clock::wall;
use crate::core::{Limits, NodeCore};
use crate::image;
use crate::keeping::Keeping;
use crate::recovery::{load_newest, replay_block};
use crate::trouble::Trouble;

/// Work between two rests, and the rest as a share of the work: half a core.
const WORK: Duration = Duration::from_millis(5);
const SHARE: u32 = 1;
/// The system's least favour.
const NICE: i32 = 19;
/// After one that failed.
const RETRY: Duration = Duration::from_mins(1);

/// What snapshots there were since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub taken: u64,
    pub failed: u64,
    /// The newest.
    pub block: u64,
    pub time_us: Micros,
    pub bytes: u64,
    pub took_ms: u64,
}

#[derive(Default)]
struct Wants {
    now: bool,
    stop: bool,
    figures: Figures,
}

#[derive(Default)]
struct Shared {
    wants: Mutex<Wants>,
    changed: Condvar,
}

impl Shared {
    fn wants(&self) -> MutexGuard<'_, Wants> {
        self.wants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread, and what it is asked.
pub(crate) struct Snapshots {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// Begins to look after a journal; `figures`: of the snapshot that the recovery began with.
    pub fn start(
        keeping: Keeping,
        limits: Limits,
        committer: Arc<Committer>,
        figures: Figures,
    ) -> Result<Self, Trouble> {
        let shared = Arc::new(Shared {
            wants: Mutex::new(Wants {
                figures,
                ..Wants::default()
            }),
            ..Shared::default()
        });
        let keeper = Thread {
            shared: shared.clone(),
            keeping,
            limits,
            committer,
        };
        let thread = thread::Builder::new()
            .name("csroute-snapshot".into())
            .spawn(move || keeper.live())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Asks for one now.
    pub fn ask(&self) {
        self.shared.wants().now = true;
        self.shared.changed.notify_all();
    }

    /// What there was.
    pub fn figures(&self) -> Figures {
        self.shared.wants().figures.clone()
    }

    /// Ends the thread; one under way is left.
    pub fn stop(&mut self) {
        self.shared.wants().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its panic was printed, and harms nobody else
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Thread {
    shared: Arc<Shared>,
    keeping: Keeping,
    limits: Limits,
    committer: Arc<Committer>,
}

impl Thread {
    fn live(self) {
        // After everybody else. Where the system does not let it, the rests must do.
        let _ = setpriority_process(Some(gettid()), NICE);
        let mut since = Instant::now();
        let mut written = 0;
        while let Some(asked) = self.wait(since, written) {
            (since, written) = (Instant::now(), self.committer.progress().figures.bytes);
            if self.shared.wants().figures.block == self.committer.progress().submitted {
                continue; // nothing happened since the last
            }
            match self.take() {
                Ok(Some(figures)) => {
                    let taken = self.shared.wants().figures.taken + 1;
                    log(&json!({
                        "level": "info", "event": "snapshot", "block": figures.block, "bytes": figures.bytes,
                        "took_ms": figures.took_ms, "asked": asked,
                    }));
                    self.shared.wants().figures = Figures { taken, ..figures };
                }
                Ok(None) => return,
                Err(trouble) => {
                    self.shared.wants().figures.failed += 1;
                    log(&json!({
                        "level": "error", "event": "snapshot_failed", "message": trouble.to_string(),
                    }));
                    if self.shared.wants().stop || self.committer.progress().failed.is_some() {
                        return;
                    }
                    since = Instant::now() + RETRY.saturating_sub(self.keeping.snapshot_every);
                }
            }
        }
    }

    /// Until one is wanted: asked for (true), or due. None: the node stops.
    fn wait(&self, since: Instant, written: u64) -> Option<bool> {
        const LOOK_EVERY: Duration = Duration::from_millis(500);
        let mut wants = self.shared.wants();
        loop {
            if wants.stop {
                return None;
            }
            if std::mem::take(&mut wants.now) {
                return Some(true);
            }
            let (every, after) = (self.keeping.snapshot_every, self.keeping.snapshot_bytes);
            let progress = self.committer.progress();
            let by_time = !every.is_zero() && since.elapsed() >= every && progress.submitted > wants.figures.block;
            let by_size = after > 0 && progress.figures.bytes - written >= after;
            if by_time || by_size {
                return Some(false);
            }
            let waited = self.shared.changed.wait_timeout(wants, LOOK_EVERY);
            wants = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// One snapshot, of all that is applied by now. None: the node stops.
    fn take(&self) -> Result<Option<Figures>, Trouble> {
        let started = Instant::now();
        let disk = &self.keeping.disk;
        // Looked at, not waited for: a full disk must not keep the node from stopping.
        let Some(()) = self.until(Committer::has_room)? else {
            return Ok(None);
        };
        let next = self.committer.rotate(wall())?;
        let rotated = |committer: &Committer| committer.progress().segment_first >= next;
        let Some(()) = self.until(rotated)? else {
            return Ok(None);
        };
        let mut core = self.replica();
        let newest = load_newest(&mut core, disk, &mut Vec::new())?;
        let mut position = newest.as_ref().map(|snapshot| snapshot.position);
        let mut time_us = newest.as_ref().map_or(0, |snapshot| snapshot.time_us);
        let mut reader = Reader::open(disk.clone(), position.map_or(Start::Beginning, Start::After))?;
        let mut rested = Instant::now();
        while reader.position().block + 1 < next {
            let Some(block) = reader.next_block()? else { break };
            replay_block(&mut core, &block, &disk.folder())?;
            (position, time_us) = (Some(block.position), time_us.max(block.time_us));
            if rested.elapsed() >= WORK {
                if self.shared.wants().stop {
                    return Ok(None);
                }
                thread::sleep(rested.elapsed() * SHARE);
                rested = Instant::now();
            }
        }
        let Some(position) = position else {
            return Ok(Some(Figures::default()));
        };
        write(core, &self.keeping, position, time_us)?;
        let figures = self.verify(position, time_us, started)?;
        let pruned = prune(disk.as_ref(), self.keeping.retention, wall())?;
        if !pruned.files.is_empty() {
            log(&json!({
                "level": "info", "event": "journal_pruned", "files": pruned.files.len(), "bytes": pruned.bytes,
            }));
        }
        Ok(Some(figures))
    }

    /// None: the node stops.
    fn until(&self, done: impl Fn(&Committer) -> bool) -> Result<Option<()>, Trouble> {
        while !done(&self.committer) {
            if let Some(error) = self.committer.progress().failed {
                return Err(error.into());
            }
            if self.shared.wants().stop {
                return Ok(None);
            }
            thread::sleep(WORK);
        }
        Ok(Some(()))
    }

    fn replica(&self) -> NodeCore {
        NodeCore::new(Limits {
            ring_events_max: image::EVENTS_MAX.min(self.limits.ring_events_max),
            ..self.limits
        })
    }

    /// What was written comes back as the same state: its journal may go.
    fn verify(&self, position: Position, time_us: Micros, started: Instant) -> Result<Figures, Trouble> {
        let disk: &dyn Disk = self.keeping.disk.as_ref();
        let names = csroute_journal::snapshot_names(disk)?;
        let name = names.first().cloned().unwrap_or_default();
        let mut core = self.replica();
        let mut reader = SnapshotReader::open(disk, &name)?;
        for (tenant, written) in image::load(&mut core, &mut reader)? {
            let found = core
                .tenants
                .known(&tenant)
                .map_or(0, |tenant| tenant.engine.state_hash());
            if found != written {
                return Err(Trouble::Image {
                    file: name,
                    what: format!("tenant {tenant} comes back as another state ({found:016x}, not {written:016x})"),
                });
            }
        }
        Ok(Figures {
            block: position.block,
            time_us,
            bytes: reader.snapshot().bytes,
            took_ms: started.elapsed().as_millis() as u64,
            ..Figures::default()
        })
    }
}

/// Writes a state as a snapshot, durable and read back. The core is used up: two states at a time are enough.
pub(crate) fn write(core: NodeCore, keeping: &Keeping, position: Position, time_us: Micros) -> Result<(), Trouble> {
    let mut snapshot = SnapshotWriter::create(keeping.disk.clone(), position, SEMANTICS, time_us)?;
    image::save(&core, &mut snapshot)?;
    drop(core);
    snapshot.finish()?;
    Ok(())
}

/// One line on stderr, as all of the node's.
pub(crate) fn log(line: &serde_json::Value) {
    eprintln!("{line}");
}
