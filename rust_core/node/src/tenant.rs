//! One tenant: an engine, the feed of its events, and what waits for them.

use std::collections::BTreeMap;
use std::time::Instant;

use csroute_engine::{
    Answer, Code, Command, Engine, Event, EventKind, Micros, Rejection, TicketState, WARM_MAX, limits,
};
use csroute_wire::{Method, Replies, Write};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use crate::core::Limits;
use crate::feed::Feed;
use crate::histogram::Histogram;
use crate::parking::Place;
use crate::versions::Versions;

/// Counts of rejections, by code.
pub type Rejections = BTreeMap<Code, u64>;

/// What a tenant has in the node.
pub struct Tenant {
    pub(crate) engine: Engine,
    pub(crate) feed: Feed,
    pub(crate) rejections: Rejections,
    /// No new tickets, by the tenant's own operator.
    pub(crate) draining: bool,
    pub(crate) used_at: Micros,
    /// Policies as they followed each other.
    pub(crate) versions: Versions,
    /// Tickets that an install that goes on looks at next time: as many as a few ms last.
    pub(crate) slice: u32,
    /// Scratch: raised, not yet in the feed.
    events: Vec<Event>,
    /// Parked Routes, by ticket.
    waits: FxHashMap<SmolStr, Vec<Place>>,
    /// Tickets among those that something happened to.
    stirred: Vec<SmolStr>,
}

impl Tenant {
    /// Around an engine.
    pub fn new(engine: Engine, ring_events_max: usize) -> Self {
        let feed = Feed::new(ring_events_max, engine.sequence());
        Self {
            engine,
            feed,
            rejections: Rejections::new(),
            draining: false,
            used_at: 0,
            versions: Versions::default(),
            slice: 0,
            events: Vec::new(),
            waits: FxHashMap::default(),
            stirred: Vec::new(),
        }
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// It takes no new tickets.
    pub fn draining(&self) -> bool {
        self.draining
    }

    /// A `WatchReply` with the events after a sequence.
    pub fn events(&self, after: u64, events_max: usize) -> Result<Vec<u8>, Rejection> {
        self.feed.events(after, events_max)
    }

    /// Nothing is held and nobody watches: it may be given back.
    pub fn is_empty(&self) -> bool {
        !self.draining && self.feed.watchers() == 0 && self.waits.is_empty() && self.engine.is_empty()
    }

    /// Counts a rejection.
    pub fn count(&mut self, rejection: &Rejection) {
        *self.rejections.entry(rejection.code).or_default() += 1;
    }

    /// Applies a request's commands at `now`. The answer says whether its (last) item was replayed, and the state it left.
    pub fn write(&mut self, write: &Write<'_>, now: Micros, decisions: &mut Histogram) -> Result<Written, Rejection> {
        let begun = self.engine.begin(now, &mut self.events);
        self.publish();
        begun?;
        let mut replies = Replies::new(write);
        let (mut replayed, mut state) = (false, None);
        let mut started = Instant::now();
        for item in 0..write.len() {
            if item % WARM_MAX == 0 && write.len() > 1 {
                self.engine.warm((item..write.len()).map(|item| write.ticket(item)));
            }
            let result = write
                .command(item)
                .and_then(|command| self.engine.apply(&command, &mut self.events));
            match &result {
                Ok(answer) => {
                    (replayed, state) = (answer.replayed, answer.state);
                    if write.method() == Method::Reclassify {
                        self.versions.moved(answer.reclassified);
                    }
                }
                Err(rejection) => self.count(rejection),
            }
            // One look at the clock an item: the end of one decision is the start of the next.
            let ended = Instant::now();
            decisions.record((ended - started).as_nanos() as u64, 1);
            started = ended;
            replies.push(write, &self.engine, result);
            self.publish();
        }
        Ok(Written {
            reply: replies.finish(),
            replayed,
            state,
        })
    }

    /// Applies a request's commands again, as `write` did, without replies.
    pub fn replay(&mut self, write: &Write<'_>, now: Micros) -> Result<(), Rejection> {
        let begun = self.engine.begin(now, &mut self.events);
        self.publish();
        begun?;
        for item in 0..write.len() {
            if item % WARM_MAX == 0 && write.len() > 1 {
                self.engine.warm((item..write.len()).map(|item| write.ticket(item)));
            }
            // What was rejected then is rejected now, and changes nothing.
            let result = write
                .command(item)
                .and_then(|command| self.engine.apply(&command, &mut self.events));
            if let (Ok(answer), Method::Reclassify) = (result, write.method()) {
                self.versions.moved(answer.reclassified);
            }
            self.publish();
        }
        Ok(())
    }

    /// Fires the timers due.
    pub(crate) fn begin(&mut self, now: Micros) -> Result<(), Rejection> {
        let begun = self.engine.begin(now, &mut self.events);
        self.publish();
        begun
    }

    /// Applies one command of the node's own making, at a time that was begun.
    pub(crate) fn one(&mut self, command: &Command<'_>) -> Result<Answer, Rejection> {
        let done = self.engine.apply(command, &mut self.events);
        self.publish();
        done
    }

    /// Fires at most so many timers. True when none is left.
    pub fn advance(&mut self, until: Micros, timers_max: u32) -> Result<(u32, bool), Rejection> {
        let advanced = self.engine.advance(until, timers_max, &mut self.events);
        self.publish();
        advanced.map(|advanced| (advanced.fired, advanced.done))
    }

    /// The node came back after a stop.
    pub fn resume(&mut self, now: Micros, grace_ms: i64) -> Result<(), Rejection> {
        let resumed = self.engine.resume(now, grace_ms, &mut self.events);
        self.publish();
        resumed
    }

    /// Moves what was raised into the feed.
    fn publish(&mut self) {
        for event in self.events.drain(..) {
            if let EventKind::PolicyInstalled { reclassified, .. } = event.kind {
                self.versions.came(event.policy_version, event.at, reclassified);
            }
            if !self.waits.is_empty() && self.waits.contains_key(&event.ticket) {
                self.stirred.push(event.ticket.clone());
            }
            self.feed.push(event);
        }
    }

    /// A Route waits for this ticket, in that place.
    pub fn wait(&mut self, ticket: SmolStr, place: Place) {
        self.waits.entry(ticket).or_default().push(place);
    }

    /// A Route waits no more.
    pub fn unwait(&mut self, ticket: &SmolStr, place: Place) {
        if let Some(places) = self.waits.get_mut(ticket) {
            places.retain(|&other| other != place);
            if places.is_empty() {
                self.waits.remove(ticket);
            }
        }
    }

    /// The parked Routes whose tickets are assigned, or ended.
    pub fn decided(&mut self, decided: &mut Vec<Place>) {
        for ticket in self.stirred.drain(..) {
            let waits = self.engine.route_view(&ticket).is_some_and(|view| may_wait(view.state));
            if !waits && let Some(places) = self.waits.remove(&ticket) {
                decided.extend(places);
            }
        }
    }
}

/// The tenants, by name.
#[derive(Default)]
pub struct Tenants {
    by_name: FxHashMap<SmolStr, Tenant>,
    /// Given back since the last `given_back`.
    given_back: Vec<SmolStr>,
}

impl Tenants {
    /// The tenant of this name, made at first use.
    pub fn get(&mut self, name: &str, bounds: &Limits, now: Micros) -> Result<&mut Tenant, Rejection> {
        if !self.by_name.contains_key(name) {
            if name.is_empty() || name.len() > limits::NAME_BYTES_MAX {
                let message = format!("a tenant's name has 1 to {} bytes", limits::NAME_BYTES_MAX);
                return Err(Rejection::about(Code::OutOfRange, "tenant", message));
            }
            if self.by_name.len() >= bounds.tenants_max {
                self.give_back(Micros::MAX);
            }
            if self.by_name.len() >= bounds.tenants_max {
                let message = format!("the node has {} tenants, as many as it may", bounds.tenants_max);
                return Err(Rejection::about(Code::TenantsFull, name, message));
            }
        }
        let tenant = self.made(name, bounds.ring_events_max);
        tenant.used_at = now;
        Ok(tenant)
    }

    /// The tenant of this name, made if it is not there.
    pub fn made(&mut self, name: &str, ring_events_max: usize) -> &mut Tenant {
        self.by_name
            .entry(name.into())
            .or_insert_with(|| Tenant::new(Engine::new(), ring_events_max))
    }

    /// Puts a tenant in the place of this name.
    pub fn put(&mut self, name: SmolStr, tenant: Tenant) {
        self.by_name.insert(name, tenant);
    }

    /// All go.
    pub fn clear(&mut self) {
        self.by_name.clear();
    }

    /// The tenant of this name goes.
    pub fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// The tenant of this name, if it is there.
    pub fn known(&mut self, name: &str) -> Option<&mut Tenant> {
        self.by_name.get_mut(name)
    }

    /// All, in no order.
    pub fn all_mut(&mut self) -> impl Iterator<Item = (&SmolStr, &mut Tenant)> {
        self.by_name.iter_mut()
    }

    /// How many watch, of all tenants.
    pub fn watchers(&self) -> usize {
        self.by_name.values().map(|tenant| tenant.feed.watchers()).sum()
    }

    /// All, in no order.
    pub fn all(&self) -> impl Iterator<Item = (&SmolStr, &Tenant)> {
        self.by_name.iter()
    }

    /// Gives back the tenants that are empty and that nobody used since `before`.
    pub fn give_back(&mut self, before: Micros) {
        let given_back = &mut self.given_back;
        self.by_name.retain(|name, tenant| {
            let kept = tenant.used_at > before || !tenant.is_empty();
            if !kept {
                given_back.push(name.clone());
            }
            kept
        });
    }

    /// Those given back since the last time, by name: the map's order must not reach the journal's.
    pub fn given_back(&mut self) -> Vec<SmolStr> {
        self.given_back.sort_unstable();
        std::mem::take(&mut self.given_back)
    }
}

/// A Route's reply may be held while its ticket is in this state: until an assignment, for an offer may come to nothing.
pub fn may_wait(state: TicketState) -> bool {
    use TicketState::{Offered, Scheduled, Suspended, Waiting};
    matches!(state, Scheduled | Waiting | Suspended | Offered)
}

/// What became of a write.
pub struct Written {
    /// The message; for a single item its rejection.
    pub reply: Result<Vec<u8>, Rejection>,
    /// The last item's.
    pub replayed: bool,
    /// The last item's; None if it was rejected.
    pub state: Option<TicketState>,
}
