//! The running node: one writer thread behind a bounded queue. No caller waits inside it.
//!
//! The writer takes all that is queued as a block. Before a block the timers due fire, in slices; then each call is
//! stamped with the clock and applied, in the order it came. Answers leave a block at a time, about every millisecond
//! while a block is long, and so do the messages of watchers and the slices of long reads.
//!
//! With a data folder ([`Keeping`]) the node first reads its journal: calls are refused `RECOVERING` until all is back.
//! Then every block goes to the journal's thread, and answers leave when it is durable. When the journal fails, nothing
//! is acknowledged any more: everyone who waits is answered `JOURNAL_FAILED`, and the node has ended.
//!
//! A panic inside the engine fails the node: everyone who waits is answered `INTERNAL`, everyone who comes later too,
//! and nothing is applied any more, since the state may be broken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use csroute_engine::{Code, Micros, Rejection};
use csroute_wire::{grpc_code, status};
use prost::Message as _;

use crate::access::{Access, Credential, Who};
use crate::clock::wall;
use crate::core::{Call, Limits, Reply, check_size};
use crate::gauge::Gauge;
use crate::keeping::{Keeping, Opened};
use crate::privacy::Privacy;
use crate::queue::Queue;
use crate::stage::{Life, Stage};
use crate::tenant::Rejections;
use crate::trouble::Trouble;
use crate::writer::Writer;

/// Where answers go. Called by the writer thread and, for refusals, by the submitting one: must not wait.
pub trait Sink: Send + Sync + 'static {
    /// Takes a block of answers; leaves the vector empty.
    fn deliver(&self, block: &mut Vec<Completion>);
}

/// The answer to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The call's.
    pub token: u64,
    /// 0 is OK.
    pub grpc_code: i32,
    /// The reply message; else a `google.rpc.Status`.
    pub bytes: Vec<u8>,
}

impl Completion {
    pub(crate) fn new(token: u64, reply: Reply) -> Self {
        match reply {
            Ok(bytes) => Self {
                token,
                grpc_code: 0,
                bytes,
            },
            Err(rejection) => Self {
                token,
                grpc_code: grpc_code(rejection.code),
                bytes: status(&rejection).encode_to_vec(),
            },
        }
    }
}

/// A call that owns what it brings.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its number in the wire's table.
    pub method: u16,
    /// As whom it goes on.
    pub who: Who,
    /// The message.
    pub request: Bytes,
    /// The caller's own, for the answer.
    pub token: u64,
    /// Unix µs, past which it is not begun; 0: none.
    pub deadline: Micros,
}

/// A call on its way to the writer.
pub(crate) struct Job {
    pub method: u16,
    pub who: Who,
    pub request: Bytes,
    pub token: u64,
    pub submitted: Instant,
    /// Past this it is not begun.
    pub deadline: Option<Instant>,
}

/// What callers and writer share.
pub(crate) struct Shared {
    pub queue: Queue<Job>,
    pub in_flight: Gauge,
    pub in_flight_bytes: Gauge,
    pub draining: AtomicBool,
    pub stopping: AtomicBool,
    pub failed: AtomicBool,
    pub refused: Mutex<Rejections>,
    pub metrics: Mutex<Arc<[u8]>>,
    pub life: Life,
    pub recovering: AtomicBool,
    /// The disk is full: whatever is taken would wait for room.
    pub full: AtomicBool,
    pub snapshot_wanted: AtomicBool,
    pub access: RwLock<Arc<Access>>,
    pub sink: Box<dyn Sink>,
}

/// What a node is told at its start.
#[derive(Debug, Default)]
pub struct Settings {
    /// Its bounds.
    pub limits: Limits,
    /// What is done to attributes before anything sees them.
    pub privacy: Privacy,
    /// Where and how the journal is kept; None: in memory alone.
    pub keeping: Option<Keeping>,
}

/// A running node. Dropping it stops it.
pub struct Node {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    message_bytes_max: usize,
}

impl Node {
    /// Starts the writer, in memory alone.
    pub fn start(limits: Limits, sink: impl Sink) -> Result<Self, Trouble> {
        let settings = Settings {
            limits,
            ..Settings::default()
        };
        Self::open(settings, sink)
    }

    /// Starts the writer. With a data folder it is recovered by the writer: `stage` says how far it is. What shows at
    /// once (the folder is in use, or cannot be opened) is an error here.
    pub fn open(settings: Settings, sink: impl Sink) -> Result<Self, Trouble> {
        let Settings {
            limits,
            privacy,
            keeping,
        } = settings;
        let journal = keeping.map(Opened::new).transpose()?;
        let stage = if journal.is_some() {
            Stage::Recovering
        } else {
            Stage::Serving
        };
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            in_flight: Gauge::new(limits.in_flight_max),
            in_flight_bytes: Gauge::new(limits.in_flight_bytes_max),
            draining: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            refused: Mutex::default(),
            metrics: Mutex::new(Arc::default()),
            recovering: AtomicBool::new(journal.is_some()),
            full: AtomicBool::new(false),
            snapshot_wanted: AtomicBool::new(false),
            access: RwLock::default(),
            life: Life::begin(stage),
            sink: Box::new(sink),
        });
        let mut writer = Writer::new(shared.clone(), limits, privacy);
        writer.publish_metrics();
        let writer = thread::Builder::new()
            .name("csroute-writer".into())
            .spawn(move || writer.live(journal))?;
        Ok(Self {
            shared,
            writer: Mutex::new(Some(writer)),
            message_bytes_max: limits.message_bytes_max,
        })
    }

    /// Where it is in its life.
    pub fn life(&self) -> &Life {
        &self.shared.life
    }

    /// Asks for a snapshot of all that is applied by now; it is made beside the writer. Without a journal: nothing.
    pub fn snapshot(&self) {
        self.shared.snapshot_wanted.store(true, Ordering::Relaxed);
        self.shared.queue.wake();
    }

    /// Which credentials are taken from now on. A node begins open: whoever calls may.
    pub fn set_access(&self, access: Access) {
        *self.shared.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    /// As whom a call of this path goes on, by its credential and by what its metadata says. A no is counted.
    pub fn admit(
        &self,
        credential: &Credential<'_>,
        path: &str,
        tenant: Option<&str>,
        caller: &str,
    ) -> Result<Who, Rejection> {
        let access = self
            .shared
            .access
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let now_s = u64::try_from(wall() / 1_000_000).unwrap_or(0);
        access
            .who(credential, path, tenant, caller, now_s)
            .inspect_err(|no| self.count_refused(no.code))
    }

    /// How many calls may be in flight from now on.
    pub fn set_in_flight_max(&self, calls: usize) {
        self.shared.in_flight.set_max(calls);
    }

    /// Queues a call. Its answer, a refusal too, comes to the sink. `deadline` in Unix µs; 0: none.
    pub fn submit(&self, call: &Call<'_>, token: u64, deadline: Micros) {
        self.submit_all([Asked {
            method: call.method,
            who: Who {
                tenant: call.tenant.into(),
                caller: call.caller.into(),
            },
            request: Bytes::copy_from_slice(call.request),
            token,
            deadline,
        }]);
    }

    /// Queues calls in their order, and wakes the writer once: a door hands over what came together.
    pub fn submit_all(&self, asked: impl IntoIterator<Item = Asked>) {
        let (mut asked, submitted) = (asked.into_iter(), Instant::now());
        let mut refused = Vec::new();
        let open = self.shared.queue.push(|jobs| {
            for one in asked.by_ref() {
                let token = one.token;
                match self.job(one, submitted) {
                    Ok(job) => jobs.push(job),
                    Err(rejection) => refused.push((token, rejection)),
                }
            }
        });
        if !open {
            refused.extend(asked.map(|one| (one.token, self.shared.closed())));
        }
        if refused.is_empty() {
            return;
        }
        let mut block = Vec::with_capacity(refused.len());
        for (token, rejection) in refused {
            self.count_refused(rejection.code);
            block.push(Completion::new(token, Err(rejection)));
        }
        self.shared.sink.deliver(&mut block);
    }

    /// What the writer is handed, once there is room for it.
    fn job(&self, asked: Asked, submitted: Instant) -> Result<Job, Rejection> {
        let (shared, bytes) = (&self.shared, asked.request.len());
        check_size(bytes, self.message_bytes_max)?;
        if shared.recovering.load(Ordering::Acquire) {
            let message = "the node reads its journal: nothing is taken before all is back";
            return Err(Rejection::new(Code::Recovering, message));
        }
        if shared.full.load(Ordering::Relaxed) {
            // Here, not behind what waits for room: this answer tells of nothing that could be lost.
            let message = "the journal's disk is full, its reserve too: nothing is taken until there is room";
            return Err(Rejection::new(Code::DiskFull, message));
        }
        if !shared.in_flight.take(1) {
            return Err(busy(shared.in_flight.max(), "calls"));
        }
        if !shared.in_flight_bytes.take(bytes) {
            shared.in_flight.give(1);
            return Err(busy(shared.in_flight_bytes.max(), "bytes of requests"));
        }
        // The caller's deadline is the wall's; from here on only the monotonic clock counts.
        let deadline = (asked.deadline != 0).then(|| {
            let left_us = u64::try_from(asked.deadline.saturating_sub(wall())).unwrap_or(0);
            submitted.checked_add(Duration::from_micros(left_us))
        });
        Ok(Job {
            method: asked.method,
            who: asked.who,
            request: asked.request,
            token: asked.token,
            submitted,
            deadline: deadline.flatten(),
        })
    }

    /// Counts a call that a door refused by itself.
    pub fn count_refused(&self, code: Code) {
        let mut refused = self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(code).or_default() += 1;
    }

    /// Takes no new tickets, or takes them again.
    pub fn drain(&self, on: bool) {
        self.shared.draining.store(on, Ordering::Relaxed);
    }

    /// Finishes what is queued, answers parked calls, joins the thread. Later calls are refused.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.queue.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // It catches its own panics; one past that has said so already.
            let _ = writer.join();
        }
    }

    /// Figures as JSON, at most about a second old.
    pub fn metrics(&self) -> Arc<[u8]> {
        self.shared
            .metrics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Calls that are not answered, parked ones left out.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.now()
    }
}

fn busy(max: usize, what: &str) -> Rejection {
    let message = format!("{max} {what} are in flight, as many as may be: wait for answers");
    Rejection::new(Code::Busy, message)
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Why nothing is taken any more.
    pub(crate) fn closed(&self) -> Rejection {
        if let Stage::Failed(_) = self.life.stage() {
            Rejection::new(
                Code::JournalFailed,
                "the journal failed, so whether this call is kept is not known: send it again, with the same ids, when \
                 the node is back",
            )
        } else if self.failed.load(Ordering::Relaxed) {
            Rejection::new(Code::Internal, "the node failed and must be started again: see its log")
        } else {
            Rejection::new(
                Code::Draining,
                "the node is stopping: go to another one, or come back later",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Condvar;

    const UNKNOWN: u16 = 9999;
    const PANIC: u16 = u16::MAX;

    /// The codes that each token was answered with.
    type Answered = BTreeMap<u64, Vec<i32>>;

    #[derive(Clone, Default)]
    struct Book(Arc<(Mutex<Answered>, Condvar)>);

    impl Sink for Book {
        fn deliver(&self, block: &mut Vec<Completion>) {
            let mut book = self.0.0.lock().unwrap();
            block
                .drain(..)
                .for_each(|answer| book.entry(answer.token).or_default().push(answer.grpc_code));
            self.0.1.notify_all();
        }
    }

    impl Book {
        fn wait_for(&self, tokens: usize) -> Answered {
            let book = self.0.0.lock().unwrap();
            let (book, waited) = self
                .0
                .1
                .wait_timeout_while(book, Duration::from_secs(20), |book| book.len() < tokens)
                .unwrap();
            assert!(!waited.timed_out(), "{} of {tokens} answered", book.len());
            book.clone()
        }
    }

    fn start(in_flight_max: usize) -> (Node, Book) {
        let limits = Limits {
            in_flight_max,
            in_flight_bytes_max: 1 << 20,
            ..Limits::default()
        };
        let book = Book::default();
        (Node::start(limits, book.clone()).unwrap(), book)
    }

    fn call(method: u16) -> Call<'static> {
        Call {
            method,
            tenant: "t",
            caller: "c",
            request: b"",
        }
    }

    #[test]
    fn every_token_is_answered_once_though_the_node_stops_meanwhile() {
        const CALLERS: u64 = 8;
        const CALLS: u64 = 5000;
        let (node, book) = start(64);
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                let node = &node;
                scope.spawn(move || {
                    for item in 0..CALLS {
                        node.submit(&call(UNKNOWN), caller * CALLS + item, 0);
                    }
                });
            }
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                node.stop();
            });
        });
        let book = book.wait_for((CALLERS * CALLS) as usize);
        assert_eq!(book.len(), (CALLERS * CALLS) as usize);
        assert!(
            book.values().all(|codes| codes.len() == 1 && codes[0] != 0),
            "each once, each a refusal"
        );
        assert_eq!(node.in_flight(), 0);
    }

    #[test]
    fn a_panic_answers_everyone_internal_and_ends_the_node() {
        let (node, book) = start(8192);
        for token in 0..100 {
            node.submit(&call(if token == 50 { PANIC } else { UNKNOWN }), token, 0);
        }
        let answered = book.wait_for(100);
        let internal = grpc_code(Code::Internal);
        assert_eq!(answered[&50], [internal]);
        node.submit(&call(UNKNOWN), 100, 0);
        assert_eq!(book.wait_for(101)[&100], [internal]);
        assert_eq!(node.in_flight(), 0);
        node.stop();
        let metrics: serde_json::Value = serde_json::from_slice(&node.metrics()).unwrap();
        assert_eq!(metrics["failed"], true);
    }

    #[test]
    fn a_command_that_panics_is_not_kept_and_what_was_before_it_is() {
        use csroute_journal::SimDisk;
        use csroute_wire::Method;
        let disk = SimDisk::new(1);
        let open = || {
            let keeping = Keeping {
                reserve_bytes: 0,
                ..Keeping::on(Arc::new(disk.clone()))
            };
            let settings = Settings {
                keeping: Some(keeping),
                ..Settings::default()
            };
            let book = Book::default();
            let node = Node::open(settings, book.clone()).unwrap();
            while node.life().stage() == Stage::Recovering {
                thread::sleep(Duration::from_millis(1));
            }
            (node, book)
        };
        let opens = |node: &Node, token: u64| {
            let request = [b"\x0a\x02s", [b'0' + token as u8].as_slice()].concat();
            let call = Call {
                request: &request,
                ..call(Method::OpenSession.number())
            };
            node.submit(&call, token, 0);
        };
        let (node, book) = open();
        (0..5).for_each(|token| opens(&node, token));
        node.submit(&call(PANIC), 5, 0);
        (6..10).for_each(|token| opens(&node, token));
        let answered = book.wait_for(10);
        let kept = answered.values().take_while(|codes| codes[0] == 0).count();
        assert!(kept <= 5 && answered[&5] == [grpc_code(Code::Internal)], "{answered:?}");
        drop(node);
        disk.restart();
        let (node, book) = open();
        for token in 0..kept as u64 {
            let request = [b"\x0a\x02s", [b'0' + token as u8].as_slice()].concat();
            let call = Call {
                request: &request,
                ..call(Method::RenewLease.number())
            };
            node.submit(&call, token, 0);
            assert_eq!(book.wait_for(token as usize + 1)[&token], [0]);
        }
    }

    #[test]
    fn a_deadline_counts_before_the_call_is_taken() {
        let (node, book) = start(8192);
        node.submit(&call(UNKNOWN), 1, wall() - 1);
        node.submit(&call(UNKNOWN), 2, wall() + 60_000_000);
        node.submit(&call(UNKNOWN), 3, Micros::MIN);
        node.submit(&call(UNKNOWN), 4, Micros::MAX);
        let answered = book.wait_for(4);
        assert_eq!(answered[&1], [grpc_code(Code::DeadlinePassed)]);
        assert_eq!(answered[&3], [grpc_code(Code::DeadlinePassed)]);
        assert_eq!(answered[&4], [grpc_code(Code::UnknownMethod)]);
        assert_eq!(answered[&2], [grpc_code(Code::UnknownMethod)]);
    }

    #[test]
    fn bytes_in_flight_are_bounded_too() {
        let (node, book) = start(8192);
        let [fits, does_not] = [600 << 10, 2 << 20].map(|bytes| vec![0; bytes]);
        for token in 0..10 {
            let (request, code) = match token {
                5 => (&does_not, Code::Busy),
                _ => (&fits, Code::UnknownMethod), // the bytes of those before were given back
            };
            let call = Call {
                request,
                ..call(UNKNOWN)
            };
            node.submit(&call, token, 0);
            assert_eq!(book.wait_for(token as usize + 1)[&token], [grpc_code(code)]);
        }
    }

    #[test]
    fn a_large_message_is_refused_before_it_is_copied() {
        let (node, book) = start(8192);
        let request = vec![0; Limits::default().message_bytes_max + 1];
        node.submit(
            &Call {
                request: &request,
                ..call(1)
            },
            1,
            0,
        );
        assert_eq!(book.wait_for(1)[&1], [grpc_code(Code::MessageTooLarge)]);
    }
}
