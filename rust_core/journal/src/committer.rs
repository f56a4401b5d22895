//! The thread beside the writer that waits for the disk: blocks in, the durable position out.
//!
//! What is queued when an fsync ends shares the next one, up to 4 MiB. The queue is bounded: past it `submit` waits. When the disk is
//! full the reserve is given up first, and `Space::Low` asks the owner to take nothing new; then the block that does not
//! fit is tried again until it does. An error past that is final: nothing is acknowledged any more.
//!
//! ```
//! use std::sync::Arc;
//! use csroute_journal::{BlockBuilder, CommitOptions, Committer, Folder, OsDisk, Options};
//!
//! let path = std::env::temp_dir().join(format!("csroute-committer-{}", std::process::id()));
//! let folder = Folder::lock(Arc::new(OsDisk::open(&path)?))?;
//! let (log, _) = folder.recover(Options { reserve_bytes: 0, ..Options::default() }, None)?.finish()?;
//! let committer = Committer::start(log, CommitOptions::default(), || { /* wake the writer */ })?;
//! let mut block = BlockBuilder::default();
//! block.push(&[b"a command"])?;
//! let number = committer.submit(block.seal(0, 1_700_000_000_000_000))?;
//! committer.wait(number)?; // a node looks at `progress` when it is woken instead
//! assert!(committer.progress().durable >= number);
//! committer.close(0, 1_700_000_000_000_001)?;
//! std::fs::remove_dir_all(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::block::Sealed;
use crate::error::{Error, Result};
use crate::format::Position;
use crate::log::Log;

/// How often a full disk is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// So many bytes share an fsync at most: who is first does not wait for all who came after.
const GROUP_BYTES_MAX: u64 = 4 << 20;
/// Buffers of written blocks that are kept to be filled again.
const BUFFERS_MAX: usize = 8;
/// Larger ones are given back to the system.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// What "durable" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On the disk: survives a power cut.
    Fsync,
    /// With the system; on the disk after at most so many ms. A power cut loses that much, a crash of the process none.
    Interval(u64),
    /// With the system, which writes when it likes.
    None,
}

/// The committer's bounds.
#[derive(Debug, Clone, Copy)]
pub struct CommitOptions {
    /// When a block counts as durable.
    pub durability: Durability,
    /// Past so many blocks not yet written `submit` waits.
    pub queue_blocks_max: usize,
    /// Past so many bytes not yet written `submit` waits.
    pub queue_bytes_max: usize,
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            queue_blocks_max: 1024,
            queue_bytes_max: 64 << 20,
        }
    }
}

/// How the disk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// As it should be.
    Ample,
    /// The reserve was given up: take nothing new, finish what is under way.
    Low,
    /// A block waits for space.
    Full,
}

/// How far the journal is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The last block that is durable, as configured.
    pub durable: u64,
    /// The last block that an fsync covers.
    pub synced: u64,
    /// The last block submitted.
    pub submitted: u64,
    /// The first block of the open segment: every one before it is closed and fsynced.
    pub segment_first: u64,
    /// Bytes submitted and not yet written.
    pub queued_bytes: usize,
    /// How the disk stands.
    pub space: Space,
    /// Why nothing is durable any more. Final.
    pub failed: Option<Error>,
    /// Since the start.
    pub figures: Figures,
}

/// What the committer did since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Blocks written.
    pub blocks: u64,
    /// Bytes written.
    pub bytes: u64,
    /// fsyncs.
    pub syncs: u64,
    /// How long they took together, µs.
    pub syncs_us: u64,
    /// The longest, µs.
    pub sync_max_us: u64,
    /// The newest, µs.
    pub sync_last_us: u64,
    /// How often a block did not fit on the disk.
    pub full: u64,
}

enum Item {
    Block(Sealed),
    Rotate { time_us: i64 },
    Close { events_hash: u64, time_us: i64 },
}

struct State {
    queue: VecDeque<Item>,
    queued_blocks: usize,
    progress: Progress,
    closed: bool,
    ended: Option<Position>,
    buffers: Vec<Vec<u8>>,
}

struct Shared {
    state: Mutex<State>,
    /// Something to do, for the thread.
    work: Condvar,
    /// Something done, for those who wait.
    done: Condvar,
    options: CommitOptions,
}

/// Owns the thread. Dropping it writes what is queued, without the closing block.
pub struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread. `notify` is called by it whenever `progress` changed: must not wait.
    pub fn start(log: Log, options: CommitOptions, notify: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let last = log.position().block;
        let state = State {
            queue: VecDeque::new(),
            queued_blocks: 0,
            progress: Progress {
                durable: last,
                synced: log.synced(),
                submitted: last,
                segment_first: log.segment_first(),
                queued_bytes: 0,
                space: if log.holds_reserve() { Space::Ample } else { Space::Low },
                failed: None,
                figures: Figures::default(),
            },
            closed: false,
            ended: None,
            buffers: Vec::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            options,
        });
        let thread = Thread {
            shared: shared.clone(),
            log,
            notify,
            synced_at: Instant::now(),
            looked_at: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name("csroute-journal".into())
            .spawn(move || thread.live())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Queues a block; waits while too much is queued. Returns its number.
    pub fn submit(&self, block: Sealed) -> Result<u64> {
        let mut state = self.shared.room()?;
        state.queued_blocks += 1;
        state.progress.queued_bytes += block.bytes();
        state.progress.submitted += 1;
        let number = state.progress.submitted;
        state.queue.push_back(Item::Block(block));
        self.shared.work.notify_one();
        Ok(number)
    }

    /// Whether `submit` would not wait.
    pub fn has_room(&self) -> bool {
        self.shared.state().has_room(&self.shared.options)
    }

    /// Closes the segment after all that was submitted. Returns the first block of the next one: when
    /// `progress().segment_first` is that, all before it is closed and fsynced.
    pub fn rotate(&self, time_us: i64) -> Result<u64> {
        let mut state = self.shared.room()?;
        let next = state.progress.submitted + 1;
        state.queued_blocks += 1;
        state.queue.push_back(Item::Rotate { time_us });
        self.shared.work.notify_one();
        Ok(next)
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.shared.state().progress.clone()
    }

    /// Waits until this block is durable.
    pub fn wait(&self, block: u64) -> Result<()> {
        let mut state = self.shared.state();
        while state.progress.durable < block {
            if let Some(error) = &state.progress.failed {
                return Err(error.clone());
            }
            state = wait(&self.shared.done, state);
        }
        Ok(())
    }

    /// Waits until the segment of this first block is open: what `rotate` returned.
    pub fn wait_rotated(&self, first: u64) -> Result<()> {
        let mut state = self.shared.state();
        while state.progress.segment_first < first {
            if let Some(error) = &state.progress.failed {
                return Err(error.clone());
            }
            state = wait(&self.shared.done, state);
        }
        Ok(())
    }

    /// An empty buffer for the next block, one that was used before if there is one.
    pub fn buffer(&self) -> Vec<u8> {
        self.shared.state().buffers.pop().unwrap_or_default()
    }

    /// Writes what is queued, ends the journal with its closing block and gives the lock back. `events_hash`: of the
    /// events of the last block. While the disk is full it fails, and what did not fit was never acknowledged.
    pub fn close(mut self, events_hash: u64, time_us: i64) -> Result<Position> {
        let mut state = self.shared.state();
        if let Some(error) = &state.progress.failed {
            return Err(error.clone());
        }
        state.closed = true;
        state.queue.push_back(Item::Close { events_hash, time_us });
        drop(state);
        self.end();
        let state = self.shared.state();
        match (&state.progress.failed, state.ended) {
            (None, Some(position)) => Ok(position),
            (Some(error), _) => Err(error.clone()),
            (None, None) => Err(Error::Closed),
        }
    }

    fn end(&mut self) {
        self.shared.state().closed = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of it has failed the journal already.
            let _ = thread.join();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.end();
    }
}

impl State {
    fn has_room(&self, options: &CommitOptions) -> bool {
        self.queued_blocks < options.queue_blocks_max && self.progress.queued_bytes < options.queue_bytes_max
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room in the queue.
    fn room(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        loop {
            if let Some(error) = &state.progress.failed {
                return Err(error.clone());
            }
            if state.closed {
                return Err(Error::Closed);
            }
            if state.has_room(&self.options) {
                return Ok(state);
            }
            state = wait(&self.done, state);
        }
    }
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

struct Thread<F> {
    shared: Arc<Shared>,
    log: Log,
    notify: F,
    synced_at: Instant,
    looked_at: Instant,
}

impl<F: FnMut()> Thread<F> {
    fn live(mut self) {
        let panicked = Ending(self.shared.clone());
        let mut items = VecDeque::new();
        let mut done = Ok(());
        while done.is_ok() && self.take(&mut items) {
            done = self.commit(&mut items);
        }
        if let Err(error) = done.and_then(|()| self.sync()) {
            self.publish(|state| state.progress.failed = Some(error));
        }
        // The folder's lock is free before anybody hears that this has ended.
        let Self { log, mut notify, .. } = self;
        drop(log);
        drop(panicked);
        notify();
    }

    /// Takes what is queued. False: closed, and nothing is left.
    fn take(&mut self, items: &mut VecDeque<Item>) -> bool {
        let shared = self.shared.clone();
        let mut state = shared.state();
        while state.queue.is_empty() && !state.closed && !self.is_due() {
            let patience = self.patience();
            state = match patience {
                None => wait(&shared.work, state),
                Some(patience) => {
                    let waited = shared.work.wait_timeout(state, patience);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        mem::swap(&mut state.queue, items);
        !items.is_empty() || !state.closed
    }

    /// How long there is nothing to do unless somebody submits.
    fn patience(&self) -> Option<Duration> {
        let heal = (!self.log.holds_reserve()).then(|| LOOK_EVERY.saturating_sub(self.looked_at.elapsed()));
        let sync = match self.shared.options.durability {
            Durability::Interval(ms) if self.log.synced() < self.log.position().block => {
                Some(Duration::from_millis(ms).saturating_sub(self.synced_at.elapsed()))
            }
            _ => None,
        };
        heal.into_iter().chain(sync).min()
    }

    fn is_due(&self) -> bool {
        self.patience() == Some(Duration::ZERO)
    }

    fn commit(&mut self, items: &mut VecDeque<Item>) -> Result<()> {
        let mut group = 0;
        for item in items.drain(..) {
            match item {
                Item::Block(mut block) => {
                    self.persist(|log| log.write(&mut block))?;
                    group += block.bytes() as u64;
                    self.written(block);
                    if self.shared.options.durability == Durability::Fsync && group >= GROUP_BYTES_MAX {
                        group = 0;
                        self.sync()?;
                        self.publish(|_| {});
                    }
                }
                Item::Rotate { time_us } => {
                    self.persist(|log| log.rotate(time_us))?;
                    self.shared.state().queued_blocks -= 1;
                }
                Item::Close { events_hash, time_us } => {
                    let position = self.persist(|log| log.close(events_hash, time_us))?;
                    self.shared.state().ended = Some(position);
                }
            }
        }
        let due = match self.shared.options.durability {
            Durability::Fsync => true,
            Durability::Interval(ms) => self.synced_at.elapsed() >= Duration::from_millis(ms),
            Durability::None => false,
        };
        if due || self.shared.state().closed {
            self.sync()?;
        }
        self.heal()?;
        self.publish(|_| {});
        Ok(())
    }

    /// Until it fits. Meanwhile what was written before it is made durable, so that its callers are answered.
    fn persist<T>(&mut self, mut step: impl FnMut(&mut Log) -> Result<T>) -> Result<T> {
        loop {
            let error = match step(&mut self.log) {
                Ok(done) => return Ok(done),
                Err(error @ Error::Full { .. }) => error,
                Err(error) => return Err(error),
            };
            self.shared.state().progress.figures.full += 1;
            if self.log.give_up_reserve()? {
                self.publish(|state| state.progress.space = Space::Low);
                continue;
            }
            if self.shared.options.durability == Durability::Fsync {
                self.sync()?;
            }
            self.publish(|state| state.progress.space = Space::Full);
            if self.shared.state().closed {
                return Err(error);
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Takes the reserve again once there is space for it.
    fn heal(&mut self) -> Result<()> {
        let mut space = self.shared.state().progress.space;
        if space == Space::Full {
            space = Space::Low; // all that was queued is written
        }
        if self.log.holds_reserve() {
            space = Space::Ample; // there is none to take again
        } else if self.looked_at.elapsed() >= LOOK_EVERY {
            self.looked_at = Instant::now();
            if self.log.take_reserve()? {
                space = Space::Ample;
            }
        }
        self.shared.state().progress.space = space;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.synced_at = Instant::now();
        if self.log.synced() == self.log.position().block {
            return Ok(());
        }
        self.log.sync()?;
        let took_us = self.synced_at.elapsed().as_micros() as u64;
        let figures = &mut self.shared.state().progress.figures;
        figures.syncs += 1;
        figures.syncs_us += took_us;
        figures.sync_last_us = took_us;
        figures.sync_max_us = figures.sync_max_us.max(took_us);
        Ok(())
    }

    fn written(&mut self, block: Sealed) {
        let mut state = self.shared.state();
        state.queued_blocks -= 1;
        state.progress.queued_bytes -= block.bytes();
        state.progress.figures.blocks += 1;
        state.progress.figures.bytes += block.bytes() as u64;
        if state.buffers.len() < BUFFERS_MAX && block.bytes.capacity() <= BUFFER_BYTES_MAX {
            state.buffers.push(block.bytes);
        }
    }

    fn publish(&mut self, change: impl FnOnce(&mut State)) {
        let mut state = self.shared.state();
        let progress = &mut state.progress;
        progress.synced = self.log.synced();
        progress.durable = match self.shared.options.durability {
            Durability::Fsync => progress.synced,
            _ => self.log.position().block,
        };
        progress.segment_first = self.log.segment_first();
        change(&mut state);
        drop(state);
        self.shared.done.notify_all();
        (self.notify)();
    }
}

/// Ends the waiting of everybody, also when the thread panics.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if thread::panicking() && state.progress.failed.is_none() {
            state.progress.failed = Some(Error::Closed);
        }
        state.closed = true;
        drop(state);
        self.0.done.notify_all();
    }
}
