//! Where the door's calls wait for the node: one place a call, streams by their strand. No call waits inside the node.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use csroute_engine::{Code, Rejection};
use csroute_node::access::Who;
use csroute_node::{Asked, Completion, Node};
use csroute_wire::Method;
use prost::Message as _;
use slab::Slab;
use tokio::sync::{Notify, oneshot};

use crate::Settings;
use crate::mail::{Mail, NATIVE};
use crate::refusal::Log;
use crate::strand::Strand;
use crate::tls::Handshakes;

/// A token's place is its lower half; this one is nobody's.
const NOBODY: u64 = u32::MAX as u64;

/// Who gets an answer.
#[derive(Debug)]
enum Slot {
    One(oneshot::Sender<Completion>),
    /// Opens a watcher, which is closed again if nobody waits for it any more.
    Opens(oneshot::Sender<Completion>, Method, Who),
    Act(Arc<Strand>, u32),
    News(Arc<Strand>),
}

/// The door's calls.
pub(crate) struct Desk {
    pub node: Arc<Node>,
    pub settings: Settings,
    slots: Mutex<Slab<Slot>>,
    /// Calls that came in this turn of the runtime: the node is woken once for all of them.
    asked: Mutex<Vec<Asked>>,
    came: Notify,
    strands: Mutex<Slab<Arc<Strand>>>,
    /// Unary calls that are not answered.
    pub calls: AtomicUsize,
    pub connections: AtomicUsize,
    pub calls_max: AtomicUsize,
    pub streams_max: AtomicUsize,
    pub handshakes: Handshakes,
    /// Streams take no more messages.
    pub ending: AtomicBool,
    /// The node reported a fault of its own.
    pub failed: AtomicBool,
    tick: AtomicU64,
    pub log: Log,
}

impl Desk {
    pub fn new(node: Arc<Node>, settings: Settings) -> Self {
        Self {
            node,
            log: Log::new(settings.rejections_logged_per_s),
            calls_max: AtomicUsize::new(settings.calls_max),
            streams_max: AtomicUsize::new(settings.streams_max),
            handshakes: Handshakes::default(),
            settings,
            slots: Mutex::default(),
            asked: Mutex::default(),
            came: Notify::new(),
            strands: Mutex::default(),
            calls: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            ending: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            tick: AtomicU64::new(1),
        }
    }

    /// Hands calls to the node as they come, for ever: all that the tasks before this one asked, at a time.
    pub async fn forward(&self) {
        loop {
            self.came.notified().await;
            self.flush();
        }
    }

    /// Hands over what is still here.
    pub fn flush(&self) {
        let mut asked = mem::take(&mut *lock(&self.asked));
        self.node.submit_all(asked.drain(..));
        let mut spare = lock(&self.asked);
        if spare.capacity() == 0 {
            *spare = asked; // its room is used again
        }
    }

    /// Hands out answers as they come, for ever.
    pub async fn deliver(&self, mail: Arc<Mail>) {
        let mut block = Vec::new();
        loop {
            mail.take(&mut block).await;
            let tick = self.tick();
            for answer in block.drain(..) {
                let place = (answer.token & NOBODY) as usize;
                let slot = lock(&self.slots).try_remove(place);
                match slot {
                    // Whoever is gone does not get it.
                    Some(Slot::One(sender)) => drop(sender.send(answer)),
                    Some(Slot::Opens(sender, closes, who)) => {
                        if let Err(answer) = sender.send(answer)
                            && let Some(handle) = answer.bytes.get(..HANDLE).filter(|_| answer.grpc_code == 0)
                        {
                            self.post(closes, &who, Bytes::copy_from_slice(handle));
                        }
                    }
                    Some(Slot::Act(strand, number)) => strand.answer(number, answer, tick),
                    Some(Slot::News(strand)) => strand.news(answer, tick),
                    None => {}
                }
            }
        }
    }

    fn submit(&self, method: Method, who: &Who, request: Bytes, deadline: i64, slot: Slot) {
        let place = lock(&self.slots).insert(slot);
        self.hand_over(method, who, request, NATIVE | place as u64, deadline);
    }

    fn hand_over(&self, method: Method, who: &Who, request: Bytes, token: u64, deadline: i64) {
        let mut asked = lock(&self.asked);
        asked.push(Asked {
            method: method.number(),
            who: who.clone(),
            request,
            token,
            deadline,
        });
        if asked.len() == 1 {
            self.came.notify_one();
        }
    }

    /// One call.
    pub async fn call(&self, method: Method, who: &Who, request: Bytes, deadline: i64) -> Completion {
        let (sender, receiver) = oneshot::channel();
        self.submit(method, who, request, deadline, Slot::One(sender));
        receiver.await.unwrap_or_else(|_| gone())
    }

    /// Opens a watcher.
    pub async fn open(&self, method: Method, closes: Method, who: &Who, request: Bytes, deadline: i64) -> Completion {
        let (sender, receiver) = oneshot::channel();
        let slot = Slot::Opens(sender, closes, who.clone());
        self.submit(method, who, request, deadline, slot);
        receiver.await.unwrap_or_else(|_| gone())
    }

    /// A stream's call, answered in the order asked.
    pub fn act(&self, strand: &Arc<Strand>, method: Method, who: &Who, request: Bytes, deadline: i64) {
        let number = strand.ask();
        self.submit(method, who, request, deadline, Slot::Act(strand.clone(), number));
    }

    /// What a stream's watcher hears next.
    pub fn follow(&self, strand: &Arc<Strand>, method: Method, who: &Who, handle: Bytes) {
        self.submit(method, who, handle, 0, Slot::News(strand.clone()));
    }

    /// A call whose answer nobody waits for.
    pub fn post(&self, method: Method, who: &Who, request: Bytes) {
        self.hand_over(method, who, request, NATIVE | NOBODY, 0);
    }

    /// Refuses a call that the node is not asked for.
    pub fn no(&self, rejection: Rejection) -> Completion {
        self.node.count_refused(rejection.code);
        said(&rejection)
    }

    /// A stream comes; None: there are too many.
    pub fn enter(&self) -> Option<(usize, Arc<Strand>)> {
        let mut strands = lock(&self.strands);
        if strands.len() >= self.streams_max.load(Ordering::Relaxed) {
            return None;
        }
        let strand = Arc::new(Strand::default());
        Some((strands.insert(strand.clone()), strand))
    }

    /// A stream goes; False: it was gone already.
    pub fn leave(&self, place: usize, strand: &Arc<Strand>) -> bool {
        let mut strands = lock(&self.strands);
        let ours = strands.get(place).is_some_and(|other| Arc::ptr_eq(other, strand));
        if ours {
            strands.remove(place);
        }
        ours
    }

    /// Open streams.
    pub fn streams(&self) -> usize {
        lock(&self.strands).len()
    }

    /// All streams look again.
    pub fn wake_streams(&self) {
        lock(&self.strands).iter().for_each(|(_, strand)| strand.wake());
    }

    /// The time, in looks for those who do not read.
    pub fn tick(&self) -> u64 {
        self.tick.load(Ordering::Relaxed)
    }

    /// Cuts the streams whose clients did not read for so many ticks, and begins the next tick.
    pub fn cut_unread(&self, ticks: u64) {
        let tick = self.tick.fetch_add(1, Ordering::Relaxed) + 1;
        lock(&self.strands).retain(|_, strand| !strand.cut_unread(tick.saturating_sub(ticks)));
    }
}

/// A watcher's handle.
pub(crate) const HANDLE: usize = 8;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The door ends before the node has answered.
fn gone() -> Completion {
    let message = "the door is closed: send the call again elsewhere, with the same ids";
    said(&Rejection::new(Code::Draining, message))
}

/// A rejection as the node would have answered it.
pub(crate) fn said(rejection: &Rejection) -> Completion {
    Completion {
        token: 0,
        grpc_code: csroute_wire::grpc_code(rejection.code),
        bytes: csroute_wire::status(rejection).encode_to_vec(),
    }
}
