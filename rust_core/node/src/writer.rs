//! The writer thread: takes blocks of calls, stamps the time, applies, delivers.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use std::{mem, vec};

use csroute_engine::{Code, Micros, Rejection};
use serde_json::json;

use crate::clock::{Clock, LOOK_EVERY, micros};
use crate::core::{Asker, Call, Limits, NodeCore, Taken};
use crate::histogram::Histogram;
use crate::metrics::{Outside, metrics};
use crate::node::{Completion, Job, Shared};

/// Timers that fire between two deliveries.
const TIMERS_MAX: u32 = 1024;
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
}

impl Writer {
    /// Without tenants, its clock at the wall's time.
    pub fn new(shared: Arc<Shared>, limits: Limits) -> Self {
        let now = Instant::now();
        Self {
            shared,
            core: NodeCore::new(limits),
            limits,
            clock: Clock::start(),
            block: Vec::new().into_iter(),
            current: None,
            out: Vec::new(),
            submitted: Vec::new(),
            delivered_at: now,
            ticked_at: now,
            end_to_end: Histogram::default(),
        }
    }

    /// Until the queue is closed and empty, or something panics.
    pub fn live(mut self) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.run())) {
            self.fail(panic.as_ref());
        }
        self.publish_metrics();
    }

    fn run(&mut self) {
        let mut jobs = Vec::new();
        let mut wait = Duration::ZERO;
        while self.shared.queue.take(&mut jobs, wait) {
            self.core.draining = self.shared.draining.load(Ordering::Relaxed);
            self.fire();
            self.block = mem::take(&mut jobs).into_iter();
            while let Some(job) = self.block.next() {
                self.apply(&job);
                if self.core.answers_len() >= ANSWERS_MAX || self.delivered_at.elapsed() >= DELIVER_EVERY {
                    self.deliver();
                }
            }
            wait = if self.deliver() { Duration::ZERO } else { self.idle() };
        }
        let now = self.now();
        self.core.finish(now);
        self.deliver();
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
    fn fire(&mut self) {
        let now = self.now();
        while !self.core.advance_due(now, TIMERS_MAX) {
            self.deliver();
        }
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
                .refuse(&job.tenant, asker, Rejection::new(Code::DeadlinePassed, message));
        }
        let call = Call {
            method: job.method,
            tenant: &job.tenant,
            caller: &job.caller,
            request: &job.request,
        };
        self.current = Some((job.token, Some(job.submitted)));
        if self.core.take(&call, asker, now) == Taken::Parked {
            self.shared.in_flight.give(1);
        }
        self.current = None;
    }

    /// Delivers what is answered. True while a read goes on.
    fn deliver(&mut self) -> bool {
        let now = self.now();
        let reading = self.core.settle(now);
        for (asker, reply) in self.core.answers() {
            self.submitted.extend(asker.asked_at);
            self.out.push(Completion::new(asker.token, reply));
        }
        self.delivered_at = Instant::now();
        if !self.out.is_empty() {
            self.shared.in_flight.give(self.submitted.len());
            for submitted in self.submitted.drain(..) {
                self.end_to_end
                    .record((self.delivered_at - submitted).as_nanos() as u64, 1);
            }
            self.shared.sink.deliver(&mut self.out);
        }
        if self.delivered_at - self.ticked_at >= LOOK_EVERY {
            self.ticked_at = self.delivered_at;
            self.core.give_back(now);
            self.publish_metrics();
        }
        reading
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
        };
        *self.shared.metrics.lock().unwrap_or_else(PoisonError::into_inner) = metrics(&self.core, &outside).into();
    }

    /// After a panic: everyone is answered, nothing is applied any more.
    fn fail(&mut self, panic: &(dyn Any + Send)) {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let log = json!({
            "level": "critical",
            "event": "node_failed",
            "panic": text.unwrap_or("no text"),
            "message": "the engine panicked: everyone is answered INTERNAL; start the node again and report this",
        });
        eprintln!("{log}");
        self.shared.failed.store(true, Ordering::Relaxed);
        self.shared.queue.close();
        let mut queued = Vec::new();
        self.shared.queue.take(&mut queued, Duration::ZERO);
        let jobs = mem::take(&mut self.block)
            .chain(queued)
            .map(|job| (job.token, Some(job.submitted)));
        let mut lost: Vec<_> = self.current.take().into_iter().chain(jobs).collect();
        // What is broken is neither looked at nor dropped.
        let mut broken = mem::replace(&mut self.core, NodeCore::new(self.limits));
        for (asker, reply) in broken.answers() {
            self.submitted.extend(asker.asked_at);
            self.out.push(Completion::new(asker.token, reply));
        }
        lost.extend(broken.abandon().into_iter().map(|asker| (asker.token, asker.asked_at)));
        mem::forget(broken);
        for (token, submitted) in lost {
            self.submitted.extend(submitted);
            self.out.push(Completion::new(token, Err(self.shared.closed())));
        }
        self.deliver();
    }
}
