//! A tenant's events: a bounded ring, and who watches it.
//!
//! A watcher names sources or queues, or a session, or nothing (all events). For each name that is watched the ring
//! keeps one list of the sequences under it, however many watch it: an event costs a look-up, not a walk over the
//! watchers, and a thousand idle watchers cost nothing. Watchers hold a cursor and no events; the writer never waits for one.
//! One whose cursor the ring has passed is cut, and told the last sequence it saw.
//!
//! ```
//! use csroute_node::feed::{Feed, Interest};
//! let mut feed = Feed::new(1024, 0);
//! feed.open(7, Interest::all(), 0, 512, 0)?;                  // from now on
//! assert!(feed.read(7, 0)?.is_none());                        // nothing yet: park the call
//! # Ok::<(), csroute_engine::Rejection>(())
//! ```

use std::collections::VecDeque;

use csroute_engine::{Code, Event, Micros, Rejection};
use csroute_wire::finish_watch_reply;
use rustc_hash::FxHashMap;
use slab::Slab;
use smol_str::SmolStr;

use crate::parking::Place;
use crate::ring::Item;

/// A message ends after the event that brings it to this size.
const MESSAGE_BYTES: usize = 1 << 20;

/// What a name is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// A ticket's source.
    Source = 0,
    /// A ticket's queue.
    Queue = 1,
    /// An agent's session.
    Session = 2,
}

/// Which message a watcher's events go out in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// `WatchReply`: events are field 1, then the resume token.
    Watch,
    /// `WorkReply`: events are field 3.
    Work,
}

/// What a watcher wants to hear of, and how.
#[derive(Debug, Clone)]
pub struct Interest {
    /// Of any of these; empty: all events.
    pub names: Vec<(Axis, SmolStr)>,
    /// In which message.
    pub message: Message,
}

impl Interest {
    /// All events.
    pub fn all() -> Self {
        Self {
            names: Vec::new(),
            message: Message::Watch,
        }
    }

    /// What concerns a session's agents.
    pub fn session(session: SmolStr) -> Self {
        Self {
            names: vec![(Axis::Session, session)],
            message: Message::Work,
        }
    }
}

/// The sequences of the events under one name, and who watches it.
#[derive(Debug, Default)]
struct Posting {
    sequences: VecDeque<u64>,
    /// The list is whole for sequences past this one.
    whole_after: u64,
    watchers: Vec<u64>,
    /// Something came since the last `woken`.
    hot: bool,
}

#[derive(Debug)]
struct Watcher {
    /// Empty: all events.
    postings: Vec<(Axis, SmolStr, usize)>,
    message: Message,
    /// Everything up to here was seen.
    cursor: u64,
    batch_max: usize,
    parked: Option<Place>,
    asked_at: Micros,
}

/// The ring, its index, and the watchers.
#[derive(Debug)]
pub struct Feed {
    events: VecDeque<Item>,
    events_max: usize,
    /// The last event's sequence.
    last: u64,
    by_name: [FxHashMap<SmolStr, usize>; 3],
    postings: Slab<Posting>,
    /// Those who watch everything; its list stays empty.
    everything: Posting,
    hot: Vec<usize>,
    watchers: FxHashMap<u64, Watcher>,
}

impl Feed {
    /// An empty ring of an engine whose last event had this sequence.
    pub fn new(events_max: usize, last: u64) -> Self {
        Self {
            events: VecDeque::new(),
            events_max: events_max.max(1),
            last,
            by_name: Default::default(),
            postings: Slab::new(),
            everything: Posting::default(),
            hot: Vec::new(),
            watchers: FxHashMap::default(),
        }
    }

    /// The last event's sequence.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Takes the events out of the ring: for a replay that looks at each once, and has no watchers.
    pub fn take(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.events.drain(..).filter_map(|item| match item {
            Item::Live(event) => Some(event),
            Item::Kept { .. } => None,
        })
    }

    /// The newest, for a snapshot.
    pub fn newest(&self, events_max: usize) -> impl Iterator<Item = &Item> {
        self.events.range(self.events.len().saturating_sub(events_max)..)
    }

    /// Puts the events that a snapshot kept into the ring; they end with its last.
    pub fn restore(&mut self, kept: impl IntoIterator<Item = Item>) {
        self.events = kept.into_iter().collect();
        let surplus = self.events.len().saturating_sub(self.events_max);
        self.events.drain(..surplus);
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.watchers.len()
    }

    /// Adds an event: its sequence follows the last one's.
    pub fn push(&mut self, event: Event) {
        debug_assert_eq!(event.sequence, self.last + 1);
        self.last = event.sequence;
        let event = Item::from(event);
        if self.events.len() == self.events_max
            && let Some(old) = self.events.pop_front()
        {
            self.each_posting(&old, |posting, _| {
                if posting.sequences.front() == Some(&old.sequence()) {
                    posting.sequences.pop_front();
                    posting.whole_after = old.sequence();
                }
                false
            });
        }
        self.each_posting(&event, |posting, sequence| {
            if posting.sequences.back() != Some(&sequence) {
                posting.sequences.push_back(sequence);
            }
            !std::mem::replace(&mut posting.hot, true)
        });
        self.everything.hot = true;
        self.events.push_back(event);
    }

    /// The postings that an event stands under; those for which `visit` says so become hot.
    fn each_posting(&mut self, event: &Item, mut visit: impl FnMut(&mut Posting, u64) -> bool) {
        if self.postings.is_empty() {
            return;
        }
        for (axis, name) in event.names() {
            let Some(&at) = self.by_name[axis as usize].get(name) else {
                continue;
            };
            if visit(&mut self.postings[at], event.sequence()) {
                self.hot.push(at);
            }
        }
    }

    /// The parked calls of those for whom something came since the last time; they are parked no more.
    pub fn woken(&mut self, woken: &mut Vec<(u64, Place)>) {
        let Self {
            hot,
            postings,
            everything,
            watchers,
            last,
            ..
        } = self;
        let mut wake = |posting: &mut Posting, newest: u64| {
            posting.hot = false;
            for &handle in &posting.watchers {
                let watcher = watchers.get_mut(&handle).filter(|watcher| watcher.cursor < newest);
                woken.extend(
                    watcher
                        .and_then(|watcher| watcher.parked.take())
                        .map(|place| (handle, place)),
                );
            }
        };
        for at in hot.drain(..) {
            // Its last watcher may have gone meanwhile, and another posting may have its place.
            if let Some(posting) = postings.get_mut(at).filter(|posting| posting.hot) {
                let newest = posting.sequences.back().copied();
                wake(posting, newest.unwrap_or(posting.whole_after));
            }
        }
        if everything.hot {
            wake(everything, *last);
        }
    }

    /// A new watcher, from after a sequence (0: from now).
    pub fn open(
        &mut self,
        handle: u64,
        interest: Interest,
        after: u64,
        batch_max: usize,
        now: Micros,
    ) -> Result<(), Rejection> {
        let cursor = if after == 0 { self.last } else { after };
        self.check(cursor)?;
        let mut postings = Vec::with_capacity(interest.names.len());
        for (axis, name) in interest.names {
            let at = self.posting(axis, &name, cursor);
            if !self.postings[at].watchers.contains(&handle) {
                self.postings[at].watchers.push(handle);
                postings.push((axis, name, at));
            }
        }
        if postings.is_empty() {
            self.everything.watchers.push(handle);
        }
        let watcher = Watcher {
            postings,
            message: interest.message,
            cursor,
            batch_max: batch_max.max(1),
            parked: None,
            asked_at: now,
        };
        self.watchers.insert(handle, watcher);
        Ok(())
    }

    /// Whether the ring still has everything after this sequence.
    fn check(&self, cursor: u64) -> Result<(), Rejection> {
        let gone = self.last - self.events.len() as u64;
        if (gone..=self.last).contains(&cursor) {
            return Ok(());
        }
        let message = format!(
            "events after {cursor} are not to be had: the ring goes on from {gone} to {}; list, and go on from the sequence that the list names",
            self.last
        );
        Err(Rejection::about(Code::SequenceGone, "after_sequence", message))
    }

    /// The posting of a name, whole after the cursor.
    fn posting(&mut self, axis: Axis, name: &SmolStr, cursor: u64) -> usize {
        let by_name = &mut self.by_name[axis as usize];
        let at = by_name.get(name).copied().unwrap_or_else(|| {
            let at = self.postings.insert(Posting {
                whole_after: self.last,
                ..Posting::default()
            });
            by_name.insert(name.clone(), at);
            at
        });
        let posting = &mut self.postings[at];
        if posting.whole_after > cursor {
            let under = |event: &&Item| event.names().any(|pair| pair == (axis, name));
            posting.sequences = self.events.iter().filter(under).map(Item::sequence).collect();
            posting.whole_after = self.last - self.events.len() as u64;
        }
        at
    }

    /// A watcher goes; its parked call is to be answered.
    pub fn close(&mut self, handle: u64) -> Option<Place> {
        let watcher = self.watchers.remove(&handle)?;
        if watcher.postings.is_empty() {
            self.everything.watchers.retain(|&other| other != handle);
        }
        for (axis, name, at) in watcher.postings {
            let watchers = &mut self.postings[at].watchers;
            watchers.retain(|&other| other != handle);
            if watchers.is_empty() {
                self.postings.remove(at);
                self.by_name[axis as usize].remove(&name);
            }
        }
        watcher.parked
    }

    /// Closes the watchers that nobody asked for since `before`: their clients stopped reading.
    pub fn close_unread(&mut self, before: Micros) {
        let unread = |watcher: &Watcher| watcher.parked.is_none() && watcher.asked_at < before;
        let handles: Vec<u64> = self
            .watchers
            .iter()
            .filter(|(_, watcher)| unread(watcher))
            .map(|(&handle, _)| handle)
            .collect();
        for handle in handles {
            self.close(handle);
        }
    }

    /// Notes that a watcher's call is parked there.
    pub fn park(&mut self, handle: u64, place: Place) {
        if let Some(watcher) = self.watchers.get_mut(&handle) {
            watcher.parked = Some(place);
        }
    }

    /// Forgets that a watcher's call is parked.
    pub fn unpark(&mut self, handle: u64) {
        if let Some(watcher) = self.watchers.get_mut(&handle) {
            watcher.parked = None;
        }
    }

    /// The watcher's next message, if there is something. A watcher that the ring has passed is closed: `WATCHER_SLOW`.
    pub fn read(&mut self, handle: u64, now: Micros) -> Result<Option<Vec<u8>>, Rejection> {
        let sequences = self.pending(handle, now)?;
        if sequences.is_empty() {
            Ok(None)
        } else {
            Ok(Some(self.message(handle, &sequences)))
        }
    }

    /// The watcher's next message, be it empty.
    pub fn read_any(&mut self, handle: u64, now: Micros) -> Result<Vec<u8>, Rejection> {
        let sequences = self.pending(handle, now)?;
        Ok(self.message(handle, &sequences))
    }

    /// Events after a sequence, without a watcher.
    pub fn events(&self, after: u64, events_max: usize) -> Result<Vec<u8>, Rejection> {
        self.check(after)?;
        let mut out = Vec::new();
        let mut last = after;
        for event in self.events.iter().skip(self.at(after + 1)).take(events_max) {
            event.encode(1, &mut out);
            last = event.sequence();
        }
        finish_watch_reply(last, &mut out);
        Ok(out)
    }

    /// The place in the ring of a sequence that is not gone.
    fn at(&self, sequence: u64) -> usize {
        (sequence + self.events.len() as u64 - self.last - 1) as usize
    }

    /// The sequences that a watcher is to hear of next, at most its batch.
    fn pending(&mut self, handle: u64, now: Micros) -> Result<Vec<u64>, Rejection> {
        let watcher = self.watchers.get_mut(&handle).ok_or_else(|| unknown(handle))?;
        if watcher.parked.is_some() {
            let message = "a call of this handle is waiting already: wait for its answer";
            return Err(Rejection::about(Code::Busy, handle.to_string(), message));
        }
        watcher.asked_at = now;
        let (cursor, batch_max) = (watcher.cursor, watcher.batch_max);
        let slow = |whole_after: u64| whole_after > cursor;
        let (is_slow, mut sequences) = if watcher.postings.is_empty() {
            let last = self.last.min(cursor.saturating_add(batch_max as u64));
            (
                slow(self.last - self.events.len() as u64),
                (cursor + 1..=last).collect(),
            )
        } else {
            let mut sequences = Vec::new();
            let mut is_slow = false;
            for &(_, _, at) in &watcher.postings {
                let posting = &self.postings[at];
                is_slow |= slow(posting.whole_after);
                let from = posting.sequences.partition_point(|&sequence| sequence <= cursor);
                sequences.extend(posting.sequences.range(from..).take(batch_max));
            }
            if watcher.postings.len() > 1 {
                sequences.sort_unstable();
                sequences.dedup();
                sequences.truncate(batch_max);
            }
            (is_slow, sequences)
        };
        if is_slow {
            self.close(handle);
            let message = format!(
                "the watcher was too slow and was cut: it had seen everything up to {cursor}; list, and go on from the sequence that the list names"
            );
            return Err(Rejection::about(Code::WatcherSlow, cursor.to_string(), message));
        }
        if sequences.is_empty() {
            watcher.cursor = self.last; // nothing of its own came: it has seen this much
        }
        sequences.shrink_to(batch_max);
        Ok(sequences)
    }

    /// Encodes these events, as far as the message's size allows, and moves the cursor.
    fn message(&mut self, handle: u64, sequences: &[u64]) -> Vec<u8> {
        let Some(watcher) = self.watchers.get(&handle) else {
            return Vec::new();
        };
        let (message, batch_max) = (watcher.message, watcher.batch_max);
        let field = match message {
            Message::Watch => 1,
            Message::Work => 3,
        };
        let (mut out, mut sent) = (Vec::new(), 0);
        for &sequence in sequences {
            self.events[self.at(sequence)].encode(field, &mut out);
            sent += 1;
            if out.len() >= MESSAGE_BYTES {
                break;
            }
        }
        // Fewer than the batch: the filter left nothing more out, so that the token goes on to the end.
        let all = sent == sequences.len() && sent < batch_max;
        let cursor = if all { self.last } else { sequences[sent - 1] };
        if let Some(watcher) = self.watchers.get_mut(&handle) {
            watcher.cursor = cursor;
        }
        if message == Message::Watch {
            finish_watch_reply(cursor, &mut out);
        }
        out
    }
}

/// No such watcher.
pub fn unknown(handle: u64) -> Rejection {
    let message = "no watcher has this handle: it was closed, cut, or nobody read it; open a new one";
    Rejection::about(Code::SessionUnknown, handle.to_string(), message)
}
