//! The writer thread: takes blocks of calls, stamps the time, applies, hands the block to the journal, delivers what is
//! durable.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use std::{mem, vec};

use csroute_engine::{Code, Micros, Rejection};
use csroute_journal::Space;
use serde_json::json;

use crate::clock::{Clock, LOOK_EVERY, micros};
use crate::core::{Asker, Call, Limits, NodeCore, Taken};
use crate::histogram::Histogram;
use crate::keeper::Keeper;
use crate::keeping::{Keeping, Opened, Syncs};
use crate::metrics::{Outside, metrics};
use crate::node::{Completion, Job, Shared};
use crate::privacy::Privacy;
use crate::recovery;
use crate::snapshots::{self, Snapshots};
use crate::stage::Stage;
use crate::trouble::Trouble;

/// Timers that fire between two deliveries.
const TIMERS_MAX: u32 = 1024;
/// A block is ended at so many bytes.
const BLOCK_BYTES: usize = 1 << 20;
/// Answers are delivered when there are so many, or when the first is so old.
const ANSWERS_MAX: usize = 512;
const DELIVER_EVERY: Duration = Duration::from_millis(1);

/// The one who writes.
pub struct Writer {
    shared: Arc<Shared>,
    core: NodeCore,
    clock: Clock,
    /// The rest of the block under way.
    block: vec::IntoIter<Job>,
    limits: Limits,
    /// The call under way: a panic is its.
    current: Option<(u64, Option<Instant>)>,
    out: Vec<Completion>,
    /// When those in `out` were submitted.
    submitted: Vec<Instant>,
    delivered_at: Instant,
    ticked_at: Instant,
    end_to_end: Histogram,
    /// An install still classifies tickets again.
    sweeps: bool,
    /// With a journal.
    kept: Option<Kept>,
}

/// The journal and its snapshots.
struct Kept {
    keeping: Keeping,
    keeper: Keeper,
    snapshots: Snapshots,
    syncs: Syncs,
}

impl Writer {
    /// Without tenants, its clock at the wall's time.
    pub fn new(shared: Arc<Shared>, limits: Limits, privacy: Privacy) -> Self {
        let now = Instant::now();
        let mut core = NodeCore::new(limits);
        core.privacy = privacy;
        Self {
            shared,
            core,
            limits,
            clock: Clock::start(0),
            block: Vec::new().into_iter(),
            current: None,
            out: Vec::new(),
            submitted: Vec::new(),
            delivered_at: now,
            ticked_at: now,
            end_to_end: Histogram::default(),
            sweeps: false,
            kept: None,
        }
    }

    /// Until the queue is closed and empty, or something fails.
    pub fn live(mut self, journal: Option<Opened>) {
        let lived = catch_unwind(AssertUnwindSafe(|| {
            if let Some(opened) = journal {
                self.recover(opened)?;
            }
            self.run()?;
            self.end()
        }));
        match lived {
            Ok(Ok(())) => self.shared.life.enter(Stage::Stopped),
            Ok(Err(trouble)) => self.fail_journal(&trouble),
            Err(panic) if self.shared.recovering.load(Ordering::Relaxed) => {
                self.fail_journal(&Trouble::Panicked(text(panic.as_ref()).to_owned()));
            }
            Err(panic) => self.fail(panic.as_ref()),
        }
        self.publish_metrics();
    }

    /// Reads the journal, says to all tenants that the node is back, and takes calls.
    fn recover(&mut self, opened: Opened) -> Result<(), Trouble> {
        let Opened { keeping, folder, syncs } = opened;
        let options = recovery::options(keeping.segment_bytes, keeping.reserve_bytes);
        let shared = self.shared.clone();
        let (log, report) = recovery::recover(&mut self.core, folder, options, |progress| {
            shared.life.told(progress);
        })?;
        self.clock = Clock::start(report.last);
        let keeper = Keeper::start(self.shared.clone(), &keeping, log, self.core.log.hash())?;
        let newest = snapshots::Figures {
            block: report.snapshot,
            ..snapshots::Figures::default()
        };
        let snapshots = Snapshots::start(keeping.clone(), self.limits, keeper.committer().clone(), newest)?;
        self.core.log.keep(true);
        let now = self.now();
        self.core.resume(now, keeping.grace)?;
        self.kept = Some(Kept {
            keeping,
            keeper,
            snapshots,
            syncs,
        });
        self.deliver()?;
        self.shared.life.recovered(&report);
        self.shared.recovering.store(false, Ordering::Release);
        Ok(())
    }

    fn run(&mut self) -> Result<(), Trouble> {
        let mut jobs = Vec::new();
        let mut wait = Duration::ZERO;
        while self.shared.queue.take(&mut jobs, wait) {
            self.core.draining = self.shared.draining.load(Ordering::Relaxed);
            self.fire()?;
            self.sweep();
            self.block = mem::take(&mut jobs).into_iter();
            while let Some(job) = self.block.next() {
                self.apply(&job);
                if self.core.answers_len() >= ANSWERS_MAX
                    || self.core.log.bytes() >= BLOCK_BYTES
                    || self.delivered_at.elapsed() >= DELIVER_EVERY
                {
                    self.deliver()?;
                    self.sweep();
                }
            }
            let goes_on = self.deliver()? || self.sweeps;
            wait = if goes_on { Duration::ZERO } else { self.idle() };
        }
        let now = self.now();
        self.core.finish(now);
        self.deliver()?;
        Ok(())
    }

    /// All is applied: what is held leaves when it is durable; then a last snapshot, from the state itself.
    fn end(&mut self) -> Result<(), Trouble> {
        if let Some(kept) = &self.kept {
            kept.keeper.settle()?;
        }
        self.deliver()?;
        let now = self.now();
        let Some(Kept {
            keeping,
            keeper,
            mut snapshots,
            ..
        }) = self.kept.take()
        else {
            return Ok(());
        };
        snapshots.stop();
        let position = keeper.close(now)?;
        if keeping.snapshot_at_stop {
            let core = mem::replace(&mut self.core, NodeCore::new(self.limits));
            // The journal has everything: one that fails costs time at the next start.
            if let Err(trouble) = snapshots::write(core, &keeping, position, now) {
                snapshots::log(&json!({
                    "level": "error", "event": "snapshot_failed", "message": trouble.to_string(),
                }));
            }
        }
        Ok(())
    }

    /// A slice of an install that goes on, between calls.
    fn sweep(&mut self) {
        let now = self.now();
        self.sweeps = self.core.sweep(now);
    }

    fn now(&mut self) -> Micros {
        self.clock.at(Instant::now())
    }

    /// How long there is nothing to do unless somebody asks.
    fn idle(&mut self) -> Duration {
        let now = self.now();
        let left_us = self
            .core
            .next_due()
            .map_or(u64::MAX, |due| u64::try_from(due - now).unwrap_or(0));
        Duration::from_micros(left_us).min(LOOK_EVERY)
    }

    /// Fires what is due, in slices; nothing later is stamped before it is done.
    fn fire(&mut self) -> Result<(), Trouble> {
        let now = self.now();
        while !self.core.advance_due(now, TIMERS_MAX) {
            self.deliver()?;
        }
        Ok(())
    }

    fn apply(&mut self, job: &Job) {
        self.shared.in_flight_bytes.give(job.request.len());
        let instant = Instant::now();
        let now = self.clock.at(instant);
        let left = job.deadline.map(|deadline| deadline.saturating_duration_since(instant));
        let gone_at = left.map_or(Micros::MAX, |left| now.saturating_add(micros(left)));
        let asker = Asker {
            token: job.token,
            asked_at: Some(job.submitted),
            gone_at,
        };
        if gone_at <= now {
            let message = "the caller's deadline passed before the call was begun: nothing was done";
            return self
                .core
                .refuse(&job.who.tenant, asker, Rejection::new(Code::DeadlinePassed, message));
        }
        let call = Call {
            method: job.method,
            tenant: &job.who.tenant,
            caller: &job.who.caller,
            request: &job.request,
        };
        self.current = Some((job.token, Some(job.submitted)));
        if self.core.take(&call, asker, now) == Taken::Parked {
            self.shared.in_flight.give(1);
        }
        self.current = None;
    }

    /// Delivers what is answered, and durable. True while a read goes on.
    fn deliver(&mut self) -> Result<bool, Trouble> {
        let now = self.now();
        let reading = self.core.settle(now);
        for (asker, reply) in self.core.answers() {
            self.submitted.extend(asker.asked_at);
            self.out.push(Completion::new(asker.token, reply));
        }
        let kept = self.keep(now);
        self.delivered_at = Instant::now();
        kept?;
        self.send();
        if self.delivered_at - self.ticked_at >= LOOK_EVERY {
            self.ticked_at = self.delivered_at;
            self.core.give_back(now);
            self.publish_metrics();
        }
        Ok(reading)
    }

    /// Hands over the block, holds its answers, and takes those back that may leave.
    fn keep(&mut self, now: Micros) -> Result<(), Trouble> {
        let Some(Kept { keeper, snapshots, .. }) = &mut self.kept else {
            return Ok(());
        };
        keeper.seal(&mut self.core.log, now)?;
        keeper.hold(&mut self.out, &mut self.submitted);
        let space = keeper.release(&mut self.out, &mut self.submitted)?;
        if space != self.core.space {
            self.core.space = space;
            self.shared.life.space(space);
            self.shared.full.store(space == Space::Full, Ordering::Relaxed);
            snapshots::log(&json!({
                "level": if space == Space::Ample { "info" } else { "error" },
                "event": "disk_space",
                "space": match space {
                    Space::Ample => "ample",
                    Space::Low => "low",
                    Space::Full => "full",
                },
                "message": match space {
                    Space::Ample => "there is room again: new tickets are taken",
                    Space::Low => "the journal's disk is full, its reserve is in use: no new tickets until there is room",
                    Space::Full => "the journal's disk is full: nothing is taken or answered until there is room",
                },
            }));
        }
        if self.shared.snapshot_wanted.swap(false, Ordering::Relaxed) {
            snapshots.ask();
        }
        Ok(())
    }

    /// Sends what may leave.
    fn send(&mut self) {
        if self.out.is_empty() {
            return;
        }
        self.shared.in_flight.give(self.submitted.len());
        for submitted in self.submitted.drain(..) {
            self.end_to_end
                .record((self.delivered_at - submitted).as_nanos() as u64, 1);
        }
        self.shared.sink.deliver(&mut self.out);
    }

    /// Makes the figures of this moment those that are handed out.
    pub fn publish_metrics(&mut self) {
        let refused = self
            .shared
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let outside = Outside {
            in_flight: self.shared.in_flight.now(),
            draining: self.shared.draining.load(Ordering::Relaxed),
            failed: self.shared.failed.load(Ordering::Relaxed),
            clock_jumps: self.clock.jumps(),
            refused: &refused,
            end_to_end: &self.end_to_end,
            journal: self.kept.as_ref().map(Kept::figures),
        };
        *self.shared.metrics.lock().unwrap_or_else(PoisonError::into_inner) = metrics(&self.core, &outside).into();
    }

    /// After a panic: everyone is answered, nothing is applied any more.
    fn fail(&mut self, panic: &(dyn Any + Send)) {
        let log = json!({
            "level": "critical",
            "event": "node_failed",
            "panic": text(panic),
            "message": "the engine panicked: everyone is answered INTERNAL; start the node again and report this",
        });
        eprintln!("{log}");
        self.shared.failed.store(true, Ordering::Relaxed);
        let lost = self.close();
        // What is broken is neither looked at nor dropped.
        let mut broken = mem::replace(&mut self.core, NodeCore::new(self.limits));
        for (asker, reply) in broken.answers() {
            self.submitted.extend(asker.asked_at);
            self.out.push(Completion::new(asker.token, reply));
        }
        // What was applied before is whole, and answered when it is durable.
        let kept = self.kept.as_mut().map_or(Ok(()), |Kept { keeper, .. }| {
            keeper.seal(&mut broken.log, self.clock.at(Instant::now()))?;
            keeper.hold(&mut self.out, &mut self.submitted);
            keeper.settle()?;
            keeper.release(&mut self.out, &mut self.submitted).map(|_| ())
        });
        let parked: Vec<_> = broken
            .abandon()
            .into_iter()
            .map(|asker| (asker.token, asker.asked_at))
            .collect();
        mem::forget(broken);
        if let Err(trouble) = kept {
            self.fail_journal(&trouble);
        }
        self.refuse(lost.into_iter().chain(parked));
        self.kept = None;
    }

    /// The journal failed, or cannot be read: nothing is acknowledged any more.
    fn fail_journal(&mut self, trouble: &Trouble) {
        let log = json!({
            "level": "critical", "event": "journal_failed", "message": trouble.to_string(),
        });
        eprintln!("{log}");
        self.shared.life.enter(Stage::Failed(trouble.to_string()));
        self.shared.failed.store(true, Ordering::Relaxed);
        self.shared.recovering.store(false, Ordering::Release);
        let mut lost = self.close();
        let answered: Vec<_> = self
            .core
            .answers()
            .map(|(asker, _)| (asker.token, asker.asked_at))
            .collect();
        lost.extend(answered);
        lost.extend(
            self.core
                .abandon()
                .into_iter()
                .map(|asker| (asker.token, asker.asked_at)),
        );
        lost.extend(self.out.drain(..).map(|answer| (answer.token, None)));
        if let Some(mut kept) = self.kept.take() {
            let held = kept.keeper.abandon(&mut self.submitted);
            lost.extend(held.into_iter().map(|token| (token, None)));
        }
        self.publish_metrics(); // before anybody hears of it
        self.refuse(lost);
    }

    /// Takes no more; the calls that were not begun, or not ended.
    fn close(&mut self) -> Vec<(u64, Option<Instant>)> {
        self.shared.queue.close();
        let mut queued = Vec::new();
        self.shared.queue.take(&mut queued, Duration::ZERO);
        let jobs = mem::take(&mut self.block)
            .chain(queued)
            .map(|job| (job.token, Some(job.submitted)));
        self.current.take().into_iter().chain(jobs).collect()
    }

    /// Answers these: the node has ended.
    fn refuse(&mut self, lost: impl IntoIterator<Item = (u64, Option<Instant>)>) {
        for (token, submitted) in lost {
            self.submitted.extend(submitted);
            self.out.push(Completion::new(token, Err(self.shared.closed())));
        }
        self.delivered_at = Instant::now();
        self.send();
    }
}

/// A panic's own words.
fn text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

impl Kept {
    fn figures(&self) -> serde_json::Value {
        let progress = self.keeper.committer().progress();
        let snapshots = self.snapshots.figures();
        json!({
            "blocks": progress.figures.blocks,
            "bytes": progress.figures.bytes,
            "durable": progress.durable,
            "submitted": progress.submitted,
            "pending_bytes": progress.queued_bytes,
            "pending_us": self.keeper.waiting_us(),
            "full": progress.figures.full,
            "space": progress.space as u8,
            "durable_us": self.keeper.lag().json(),
            "fsync_us": self.syncs.lock().unwrap_or_else(PoisonError::into_inner).json(),
            "snapshots": snapshots.taken,
            "snapshots_failed": snapshots.failed,
            "snapshot_block": snapshots.block,
            "snapshot_time_us": snapshots.time_us,
            "snapshot_bytes": snapshots.bytes,
            "snapshot_took_ms": snapshots.took_ms,
        })
    }
}
