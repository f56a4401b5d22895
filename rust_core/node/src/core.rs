//! The node without a thread or a clock: tenants, calls, watchers, parked calls. The caller gives the time.
//!
//! ```
//! use csroute_node::core::{Call, Limits, NodeCore};
//! use csroute_wire::Method;
//!
//! let mut core = NodeCore::new(Limits::default());
//! let call = Call { method: Method::OpenSession.number(), tenant: "default", caller: "desk", request: b"\x0a\x04desk" };
//! let reply = core.call(&call, 1_700_000_000_000_000)?;
//! # Ok::<(), csroute_engine::Rejection>(())
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use csroute_engine::{Code, Micros, Rejection, limits};
use csroute_journal::Space;
use csroute_wire::{Method, Query, Request, Write, decode, drain_reply, encode_rejection_counts, route_reply};
use smol_str::SmolStr;

use crate::histogram::Histogram;
use crate::log::Log;
use crate::parking::{Parking, Place};
use crate::privacy::Privacy;
use crate::record::Record;
use crate::tenant::{Rejections, Tenant, Tenants, may_wait};

/// A parked `WatchNext` or `WorkNext` is answered after this, be it empty.
const NEXT_PARKED_US: Micros = 15_000_000;
/// A tenant that is empty is given back after this.
const TENANT_KEPT_US: Micros = 60_000_000;
/// Looks at the engine in one slice of a read: a few hundred µs at most.
const LOOKS_MAX: usize = 256;

/// The node's bounds.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Limits {
    pub tenants_max: usize,
    pub ring_events_max: usize,
    pub message_bytes_max: usize,
    pub watchers_max: usize,
    /// Calls not answered yet, parked ones left out.
    pub in_flight_max: usize,
    /// Their requests' bytes.
    pub in_flight_bytes_max: usize,
    /// Versions of a tenant's policy that stay; 0: all.
    pub versions_kept: u32,
    /// Routes that wait at a time; past it they are answered at once, as the ticket stands.
    pub waits_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tenants_max: 64,
            ring_events_max: 262_144,
            message_bytes_max: 4 << 20,
            watchers_max: 4096,
            in_flight_max: 8192,
            in_flight_bytes_max: 256 << 20,
            waits_max: 65_536,
            versions_kept: 0,
        }
    }
}

/// What a door hands in.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Call<'a> {
    pub method: u16,
    pub tenant: &'a str,
    pub caller: &'a str,
    pub request: &'a [u8],
}

/// Who is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The door's own.
    pub token: u64,
    /// When it asked; None once it was parked.
    pub asked_at: Option<Instant>,
    /// Past this nobody listens any more, in the node's time.
    pub gone_at: Micros,
}

/// A reply message, or a rejection.
pub type Reply = Result<Vec<u8>, Rejection>;

/// Where a call is that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Its answer is there.
    Answered,
    /// It is read in slices.
    Reading,
    /// It waits for something to happen.
    Parked,
}

/// What became of a call.
pub(crate) enum Outcome {
    /// Answered. Rejections herein are counted already.
    Reply(Reply),
    /// A Route whose ticket is not assigned yet.
    Wait {
        ticket: SmolStr,
        replayed: bool,
        wait_ms: u32,
    },
    /// A watcher without news.
    Next { handle: u64 },
    /// A long read.
    Reading(Query),
}

enum Parked {
    Wait { ticket: SmolStr, replayed: bool },
    Next { handle: u64 },
}

impl Outcome {
    pub(crate) fn done(message: Vec<u8>) -> Self {
        Outcome::Reply(Ok(message))
    }
}

struct ParkedCall {
    asker: Asker,
    tenant: SmolStr,
    what: Parked,
}

struct Reading {
    asker: Asker,
    tenant: SmolStr,
    query: Query,
}

/// All tenants of a node, and who waits for them.
pub struct NodeCore {
    pub(crate) limits: Limits,
    pub(crate) tenants: Tenants,
    parking: Parking<ParkedCall>,
    readings: VecDeque<Reading>,
    answers: Vec<(Asker, Reply)>,
    pub(crate) handles: u64,
    /// Rejections that belong to no tenant.
    rejections: Rejections,
    decisions: Histogram,
    /// No new tickets, for any tenant: the node stops.
    pub draining: bool,
    /// How the journal's disk stands: low, no new tickets, for any tenant; full, no command at all.
    pub space: Space,
    /// What is done to attributes before anything sees them.
    pub privacy: Privacy,
    /// What was applied.
    pub log: Log,
}

impl NodeCore {
    /// Without tenants.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            tenants: Tenants::default(),
            parking: Parking::new(limits.watchers_max + limits.waits_max),
            readings: VecDeque::new(),
            answers: Vec::new(),
            handles: 0,
            rejections: Rejections::new(),
            decisions: Histogram::default(),
            draining: false,
            space: Space::Ample,
            privacy: Privacy::default(),
            log: Log::default(),
        }
    }

    /// Answers a call at once: nothing is parked.
    pub fn call(&mut self, call: &Call<'_>, now: Micros) -> Reply {
        match self.handle(call, now) {
            Outcome::Reply(reply) => reply,
            Outcome::Wait { ticket, replayed, .. } => self.wait_reply(call.tenant, &ticket, replayed),
            Outcome::Next { handle } => self.tenant(call.tenant, now)?.feed.read_any(handle, now),
            Outcome::Reading(query) => query.run(&self.tenant(call.tenant, now)?.engine),
        }
    }

    /// Takes a call; its answer comes out of `answers`, now or later.
    pub fn take(&mut self, call: &Call<'_>, asker: Asker, now: Micros) -> Taken {
        let (wait_us, what) = match self.handle(call, now) {
            Outcome::Reply(reply) => {
                self.answers.push((asker, reply));
                return Taken::Answered;
            }
            Outcome::Reading(query) => {
                self.readings.push_back(Reading {
                    asker,
                    tenant: call.tenant.into(),
                    query,
                });
                return Taken::Reading;
            }
            Outcome::Next { handle } => (NEXT_PARKED_US, Parked::Next { handle }),
            Outcome::Wait {
                ticket,
                replayed,
                wait_ms,
            } => (Micros::from(wait_ms) * 1000, Parked::Wait { ticket, replayed }),
        };
        let parked = Asker {
            asked_at: None,
            ..asker
        };
        match self.parking.park(
            asker.gone_at.min(now + wait_us),
            ParkedCall {
                asker: parked,
                tenant: call.tenant.into(),
                what,
            },
        ) {
            Ok(place) => {
                self.parked(place);
                Taken::Parked
            }
            Err(call) => {
                self.unpark(ParkedCall { asker, ..call }, now);
                Taken::Answered
            }
        }
    }

    /// Answers a call by a rejection of the caller's own.
    pub fn refuse(&mut self, tenant: &str, asker: Asker, rejection: Rejection) {
        self.count(tenant, &rejection);
        self.answers.push((asker, Err(rejection)));
    }

    /// Lets a tenant know of the call parked there.
    fn parked(&mut self, place: Place) {
        let Some(call) = self.parking.get(place) else { return };
        let Some(tenant) = self.tenants.known(&call.tenant) else {
            return;
        };
        match &call.what {
            Parked::Wait { ticket, .. } => tenant.wait(ticket.clone(), place),
            Parked::Next { handle } => tenant.feed.park(*handle, place),
        }
    }

    /// Answers a parked call as things stand. Its tenant has forgotten it.
    fn unpark(&mut self, call: ParkedCall, now: Micros) {
        let reply = match call.what {
            Parked::Wait { ticket, replayed } => self.wait_reply(&call.tenant, &ticket, replayed),
            Parked::Next { handle } => self
                .tenant(&call.tenant, now)
                .and_then(|tenant| tenant.feed.read_any(handle, now)),
        };
        if let Err(rejection) = &reply {
            self.count(&call.tenant, rejection);
        }
        self.answers.push((call.asker, reply));
    }

    fn wait_reply(&mut self, tenant: &str, ticket: &str, replayed: bool) -> Reply {
        let gone = || {
            Rejection::about(
                Code::TicketUnknown,
                ticket,
                "its tenant was given back while its Route waited",
            )
        };
        route_reply(&self.tenants.known(tenant).ok_or_else(gone)?.engine, ticket, replayed)
    }

    /// Answers what became answerable since the last time, and does a slice of a long read. True if a read goes on.
    pub fn settle(&mut self, now: Micros) -> bool {
        let (mut places, mut woken) = (Vec::new(), Vec::new());
        for (_, tenant) in self.tenants.all_mut() {
            tenant.decided(&mut places);
            tenant.feed.woken(&mut woken);
        }
        places.sort_unstable(); // the map's order must not reach the answers'
        woken.sort_unstable();
        places.extend(woken.into_iter().map(|(_, place)| place));
        for place in places {
            if let Some(call) = self.parking.take(place) {
                self.unpark(call, now);
            }
        }
        while let Some((place, call)) = self.parking.ended(now) {
            if let Some(tenant) = self.tenants.known(&call.tenant) {
                match &call.what {
                    Parked::Wait { ticket, .. } => tenant.unwait(ticket, place),
                    Parked::Next { handle } => tenant.feed.unpark(*handle),
                }
            }
            self.unpark(call, now);
        }
        self.read_on(now);
        !self.readings.is_empty()
    }

    fn read_on(&mut self, now: Micros) {
        let Some(mut reading) = self.readings.pop_front() else {
            return;
        };
        let step = self
            .tenant(&reading.tenant, now)
            .and_then(|tenant| reading.query.step(&tenant.engine, LOOKS_MAX));
        match step {
            Ok(false) => self.readings.push_back(reading), // in turn with the other reads
            Ok(true) => self.answers.push((reading.asker, Ok(reading.query.finish()))),
            Err(rejection) => {
                self.count(&reading.tenant, &rejection);
                self.answers.push((reading.asker, Err(rejection)));
            }
        }
    }

    /// Answers every parked call as things stand, and finishes every read: the node stops.
    pub fn finish(&mut self, now: Micros) {
        while self.settle(now.max(self.parking.last_end().unwrap_or(now))) {}
    }

    /// Those who would never be answered: after a panic.
    pub fn abandon(&mut self) -> Vec<Asker> {
        let parked = std::mem::replace(&mut self.parking, Parking::new(0)).into_calls();
        let readings = std::mem::take(&mut self.readings)
            .into_iter()
            .map(|reading| reading.asker);
        parked.map(|call| call.asker).chain(readings).collect()
    }

    /// The answers since the last time.
    pub fn answers(&mut self) -> std::vec::Drain<'_, (Asker, Reply)> {
        self.answers.drain(..)
    }

    /// How many answers wait.
    pub fn answers_len(&self) -> usize {
        self.answers.len()
    }

    /// When something is to be done though nobody asks: a timer, or the end of a parked call.
    pub fn next_due(&self) -> Option<Micros> {
        self.tenants
            .all()
            .filter_map(|(_, tenant)| tenant.engine.next_due())
            .chain(self.parking.next_end())
            .min()
    }

    /// Gives back the tenants that were empty and idle for a while.
    pub fn give_back(&mut self, now: Micros) {
        self.tenants.give_back(now.saturating_sub(TENANT_KEPT_US));
    }

    /// The tenant of this name, made at first use.
    pub fn tenant(&mut self, name: &str, now: Micros) -> Result<&mut Tenant, Rejection> {
        self.tenants.get(name, &self.limits, now)
    }

    /// A tenant's state is replaced by this snapshot's. Its watchers are cut.
    pub fn restore(&mut self, name: &str, snapshot: &[u8]) -> Result<(), Rejection> {
        let restored = Tenant::restore(snapshot, self.limits.ring_events_max)?;
        let tenant = self.tenants.get(name, &self.limits, restored.engine.now())?;
        *tenant = restored;
        Ok(())
    }

    /// Counts a rejection where it belongs.
    pub fn count(&mut self, tenant: &str, rejection: &Rejection) {
        match self.tenants.known(tenant) {
            Some(tenant) => tenant.count(rejection),
            None => *self.rejections.entry(rejection.code).or_default() += 1,
        }
    }

    fn handle(&mut self, call: &Call<'_>, now: Micros) -> Outcome {
        self.try_handle(call, now).unwrap_or_else(|rejection| {
            self.count(call.tenant, &rejection);
            Outcome::Reply(Err(rejection))
        })
    }

    fn try_handle(&mut self, call: &Call<'_>, now: Micros) -> Result<Outcome, Rejection> {
        #[cfg(test)]
        assert_ne!(call.method, u16::MAX, "a test's own panic");
        let method = Method::from_number(call.method).ok_or_else(|| {
            Rejection::about(
                Code::UnknownMethod,
                call.method.to_string(),
                "there is no method of this number",
            )
        })?;
        check_size(call.request.len(), self.limits.message_bytes_max)?;
        if call.caller.len() > limits::ID_BYTES_MAX {
            let message = format!("a caller's name has at most {} bytes", limits::ID_BYTES_MAX);
            return Err(Rejection::about(Code::FieldTooLong, "caller", message));
        }
        let seen = self.privacy.apply(method, call.request);
        let call = &Call {
            request: &seen,
            ..*call
        };
        match decode(method, &seen)? {
            Request::Write(write) => self.write(call, &write, now),
            Request::Read(query) => self.read(method, call.tenant, query, now),
            Request::Drain { on } => {
                let tenant = self.tenants.get(call.tenant, &self.limits, now)?;
                tenant.draining = on;
                let record = Record::Drain {
                    tenant: call.tenant,
                    now,
                    caller: call.caller,
                    on,
                };
                let events_hash = tenant.engine.events_hash();
                let stats = tenant.engine.stats();
                let open = [
                    stats.scheduled,
                    stats.waiting,
                    stats.suspended,
                    stats.offered,
                    stats.active,
                    stats.wrapping,
                ];
                self.note_given_back();
                self.log.note(&record, events_hash);
                Ok(Outcome::done(drain_reply(open.iter().sum())))
            }
            Request::Policies(asked) => self.policies(call, asked, now),
            Request::WatchOpen(watch) => self.watch_open(call.tenant, watch, now).map(Outcome::done),
            Request::WorkOpen(session) => self.work_open(call.tenant, session, now).map(Outcome::done),
            Request::WatchNext(handle) | Request::WorkNext(handle) => {
                let next = self.watched(call.tenant, handle)?.feed.read(handle, now)?;
                Ok(next.map_or(Outcome::Next { handle }, |message| Outcome::Reply(Ok(message))))
            }
            Request::WatchClose(handle) | Request::WorkClose(handle) => {
                let place = self.watched(call.tenant, handle)?.feed.close(handle);
                if let Some(parked) = place.and_then(|place| self.parking.take(place)) {
                    self.unpark(parked, now); // it hears that its handle is unknown now
                }
                Ok(Outcome::done(Vec::new()))
            }
        }
    }

    fn write(&mut self, call: &Call<'_>, write: &Write<'_>, now: Micros) -> Result<Outcome, Rejection> {
        let tenant = self.tenants.get(call.tenant, &self.limits, now)?;
        let submits = matches!(write.method(), Method::Route | Method::RouteBatch);
        // A call repeated because its answer was lost is no new ticket: elsewhere it would become a second one.
        let known = |item| tenant.engine.route_view(write.ticket(item)).is_some();
        let shedding = self.space == Space::Low;
        if submits && (self.draining || shedding || tenant.draining) && !(0..write.len()).all(known) {
            return Err(if shedding {
                Rejection::new(
                    Code::DiskFull,
                    "the journal's disk is full: no new tickets are taken until there is room, agents can still finish",
                )
            } else {
                Rejection::new(
                    Code::Draining,
                    "no new tickets are taken: submit to another node, or later",
                )
            });
        }
        if self.space == Space::Full {
            return Err(disk_full());
        }
        if write.method() == Method::InstallPolicy {
            tenant.installs(call.request, call.caller, now)?;
        }
        let written = tenant.write(write, now, &mut self.decisions);
        tenant.versions.unstage();
        let written = written?;
        let record = Record::Write {
            tenant: call.tenant,
            now,
            caller: call.caller,
            method: call.method,
            request: call.request,
        };
        let events_hash = tenant.engine.events_hash();
        self.note_given_back();
        self.log.note(&record, events_hash);
        let wait_ms = write.wait_ms();
        if wait_ms > 0 && written.state.is_some_and(may_wait) {
            return Ok(Outcome::Wait {
                ticket: write.ticket(0).into(),
                replayed: written.replayed,
                wait_ms,
            });
        }
        Ok(Outcome::Reply(written.reply))
    }

    /// Reads are true at `now`: timers due come first.
    fn read(&mut self, method: Method, name: &str, mut query: Query, now: Micros) -> Result<Outcome, Rejection> {
        let tenant = self.at(name, now)?;
        if !query.step(&tenant.engine, LOOKS_MAX)? {
            return Ok(Outcome::Reading(query));
        }
        let mut reply = query.finish();
        if method == Method::GetStats {
            let counts = tenant.rejections.iter().map(|(code, &count)| (code.number(), count));
            encode_rejection_counts(counts, &mut reply);
        }
        Ok(Outcome::done(reply))
    }

    /// The tenants by name, to look at.
    pub fn states(&self) -> impl Iterator<Item = (&SmolStr, &Tenant)> {
        let mut all: Vec<_> = self.tenants.all().collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all.into_iter()
    }

    pub(crate) fn tenants(&self) -> impl Iterator<Item = (&SmolStr, &Tenant)> {
        self.tenants.all()
    }

    pub(crate) fn rejections(&self) -> &Rejections {
        &self.rejections
    }

    pub(crate) fn decisions(&self) -> &Histogram {
        &self.decisions
    }

    pub(crate) fn parked_len(&self) -> usize {
        self.parking.len()
    }
}

pub(crate) fn disk_full() -> Rejection {
    let message = "the journal's disk is full, its reserve too: nothing is taken until there is room";
    Rejection::new(Code::DiskFull, message)
}

/// A message larger than the node takes is refused before it is read.
pub fn check_size(bytes: usize, bytes_max: usize) -> Result<(), Rejection> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!("the message has {bytes} bytes, the node takes {bytes_max}: send smaller batches");
    Err(Rejection::new(Code::MessageTooLarge, message))
}
