//! Between the writer and the journal's thread: blocks go out, answers wait until theirs is durable.
//!
//! Answers leave in the order they were given, each when all that was applied before it is durable: replies, reads and
//! the messages of watchers alike, so nobody hears of what a crash could undo. The writer goes on meanwhile; only past
//! a bound of bytes that are not durable it waits for the disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use csroute_engine::Micros;
use csroute_journal::{BlockBuilder, CommitOptions, Committer, Position, Space};

use crate::histogram::Histogram;
use crate::keeping::Keeping;
use crate::log::Log;
use crate::node::{Completion, Shared};
use crate::trouble::Trouble;

/// Blocks that are not durable yet, at most.
const PENDING_BLOCKS_MAX: usize = 4096;
/// How often the disk is looked at by a writer that waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// A node that is to stop waits so long for a full disk.
const FULL_PATIENCE: Duration = Duration::from_secs(5);

/// Answers, and the block that they wait for.
#[derive(Default)]
struct Held {
    block: u64,
    answers: Vec<Completion>,
    submitted: Vec<Instant>,
}

/// The writer's side of the journal.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    committer: Arc<Committer>,
    held: VecDeque<Held>,
    /// The last block handed over.
    block: u64,
    /// The hash of the events up to its end.
    events_hash: u64,
    /// The blocks that are not durable, and when they were handed over.
    pending: VecDeque<(u64, Instant)>,
    /// From handing over a block until it was durable.
    lag: Histogram,
}

impl Keeper {
    /// Goes on after what was recovered; the writer is woken when more is durable.
    pub fn start(
        shared: Arc<Shared>,
        keeping: &Keeping,
        log: csroute_journal::Log,
        events_hash: u64,
    ) -> Result<Self, Trouble> {
        let options = CommitOptions {
            durability: keeping.durability,
            queue_blocks_max: PENDING_BLOCKS_MAX,
            queue_bytes_max: keeping.pending_bytes_max,
        };
        let block = log.position().block;
        let woken = shared.clone();
        Ok(Self {
            shared,
            committer: Arc::new(Committer::start(log, options, move || woken.queue.wake())?),
            held: VecDeque::new(),
            block,
            events_hash,
            pending: VecDeque::new(),
            lag: Histogram::default(),
        })
    }

    /// For those who close segments and read them.
    pub fn committer(&self) -> &Arc<Committer> {
        &self.committer
    }

    /// Hands over what was applied since the last time, as a block. Waits only past the bound.
    pub fn seal(&mut self, log: &mut Log, now: Micros) -> Result<(), Trouble> {
        if log.is_empty() {
            return Ok(());
        }
        let mut block = BlockBuilder::with_buffer(self.committer.buffer());
        for record in log.records() {
            block.push(&[record])?;
        }
        self.until(|keeper| keeper.committer.has_room())?;
        self.block = self.committer.submit(block.seal(self.events_hash, now))?;
        self.pending.push_back((self.block, Instant::now()));
        self.events_hash = log.hash();
        log.clear();
        Ok(())
    }

    /// Answers that wait for all handed over so far; the vectors are left empty.
    pub fn hold(&mut self, answers: &mut Vec<Completion>, submitted: &mut Vec<Instant>) {
        if answers.is_empty() {
            return;
        }
        match self.held.back_mut().filter(|held| held.block == self.block) {
            Some(held) => {
                held.answers.append(answers);
                held.submitted.append(submitted);
            }
            None => self.held.push_back(Held {
                block: self.block,
                answers: std::mem::take(answers),
                submitted: std::mem::take(submitted),
            }),
        }
    }

    /// The answers that may leave now, in order. How the disk stands; an error is final.
    pub fn release(&mut self, answers: &mut Vec<Completion>, submitted: &mut Vec<Instant>) -> Result<Space, Trouble> {
        let progress = self.committer.progress();
        while let Some((_, since)) = self.pending.pop_front_if(|(block, _)| *block <= progress.durable) {
            self.lag.record(since.elapsed().as_nanos() as u64, 1);
        }
        while let Some(mut held) = self.held.pop_front_if(|held| held.block <= progress.durable) {
            answers.append(&mut held.answers);
            submitted.append(&mut held.submitted);
        }
        match progress.failed {
            None => Ok(progress.space),
            Some(error) => Err(error.into()),
        }
    }

    /// Waits until all that was handed over is durable.
    pub fn settle(&self) -> Result<(), Trouble> {
        self.until(|keeper| keeper.committer.progress().durable >= keeper.block)
    }

    /// Waits for the disk, until it fails, or is full while the node is to stop.
    fn until(&self, done: impl Fn(&Self) -> bool) -> Result<(), Trouble> {
        let started = Instant::now();
        while !done(self) {
            let progress = self.committer.progress();
            if let Some(error) = progress.failed {
                return Err(error.into());
            }
            let stopping = self.shared.stopping.load(Ordering::Relaxed);
            if stopping && progress.space == Space::Full && started.elapsed() >= FULL_PATIENCE {
                return Err(Trouble::NoSpace);
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// The calls whose fate is not known: the journal failed.
    pub fn abandon(&mut self, submitted: &mut Vec<Instant>) -> Vec<u64> {
        let mut tokens = Vec::new();
        for mut held in self.held.drain(..) {
            submitted.append(&mut held.submitted);
            tokens.extend(held.answers.iter().map(|answer| answer.token));
        }
        tokens
    }

    /// From handing over a block until it was durable.
    pub fn lag(&self) -> &Histogram {
        &self.lag
    }

    /// How long the oldest block that is not durable waits, µs.
    pub fn waiting_us(&self) -> u64 {
        self.pending
            .front()
            .map_or(0, |(_, since)| since.elapsed().as_micros() as u64)
    }

    /// Ends the journal; where it ended.
    pub fn close(self, now: Micros) -> Result<Position, Trouble> {
        let committer = Arc::into_inner(self.committer).ok_or(csroute_journal::Error::Closed)?;
        Ok(committer.close(self.events_hash, now)?)
    }
}
