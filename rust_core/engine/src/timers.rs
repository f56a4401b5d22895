//! Timers: which comes next for a ticket is a pure function of its record; the wheel only says when to look.
//!
//! A ticket stands in the wheel once, at a time not after its next timer; looking too early costs a look and
//! changes nothing. So most changes of a ticket touch no wheel, and nothing of timers needs to be saved. A place in the
//! wheel outlives its ticket: whoever gets the slot next most likely needs it no earlier.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::class::When;
use crate::command::TicketState;
use crate::ticket::Phase;
use crate::wheel::Wheel;
use crate::{Advanced, Engine, Micros, round_up};

/// Kinds of timer in their order at one due time.
pub(crate) mod kind {
    pub(crate) const LEASE: u8 = 0;
    pub(crate) const LOST: u8 = 1;
    pub(crate) const OFFER: u8 = 2;
    pub(crate) const WRAP_UP: u8 = 3;
    pub(crate) const ARRIVAL: u8 = 4;
    pub(crate) const SUSPENSION: u8 = 5;
    pub(crate) const EXCLUSION: u8 = 6;
    pub(crate) const HOLD: u8 = 7;
    pub(crate) const STEP: u8 = 8;
    pub(crate) const CONDITION: u8 = 9;
    pub(crate) const WARNING: u8 = 10;
    pub(crate) const BREACH: u8 = 11;
    /// After owners and forgetting, which raise no events and have no turn of their own here.
    pub(crate) const LATER: u8 = 14;
    pub(crate) const TUNING: u8 = 15;
}

/// A ticket's timer: (due ms, kind, index).
type Timer = (i64, u8, u32);

#[derive(Debug)]
pub(crate) struct Timers {
    wheel: Wheel,
    /// Tickets with a timer due at `current_ms`: (kind, sequence, index, ticket).
    current: BinaryHeap<Reverse<(u8, u64, u32, u32)>>,
    current_ms: i64,
    /// Sessions and agents: (due ms, kind, number, slot).
    others: BTreeSet<(i64, u8, u64, u32)>,
    /// Nothing is due before this: most commands need not look any further.
    quiet_until_ms: i64,
    /// While a node resumes: no offer ends before this.
    pub(crate) floor: Micros,
    /// A timer is firing: others due at the same time have not had their turn.
    pub(crate) firing: bool,
    /// Timers fire, one after the other: some due now may still have their turn.
    pub(crate) catching_up: bool,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self {
            wheel: Wheel::new(0),
            current: BinaryHeap::new(),
            current_ms: 0,
            others: BTreeSet::new(),
            quiet_until_ms: 0,
            floor: 0,
            firing: false,
            catching_up: false,
        }
    }

    pub(crate) fn set_other(&mut self, kind: u8, number: u64, slot: u32, before: Micros, after: Micros) {
        if before != 0 {
            self.others.remove(&(before / 1000, kind, number, slot));
        }
        if after != 0 {
            self.others.insert((after / 1000, kind, number, slot));
            self.due_at(after / 1000);
        }
    }

    /// Something is due then; or what is due when has changed altogether: at 0.
    pub(crate) fn due_at(&mut self, ms: i64) {
        self.quiet_until_ms = self.quiet_until_ms.min(ms);
    }
}

impl Engine {
    /// The next timer of a ticket.
    fn next_timer(&self, key: u32) -> Option<Timer> {
        use TicketState as S;
        let ticket = &self.tickets[key];
        // A due time already past means now: all such are due together, and go by kind.
        let now_ms = round_up(self.now) / 1000;
        let mut best: Option<Timer> = None;
        let mut earlier = |due_ms: i64, kind: u8, index: u32| {
            let timer = (due_ms.max(now_ms), kind, index);
            if best.is_none_or(|known| timer < known) {
                best = Some(timer);
            }
        };
        let at_end = match ticket.state {
            S::Scheduled => Some(kind::ARRIVAL),
            S::Suspended => Some(kind::SUSPENSION),
            S::Offered => Some(kind::OFFER),
            S::Wrapping => Some(kind::WRAP_UP),
            _ => None,
        };
        if let Some(kind) = at_end {
            earlier(ticket.due / 1000, kind, 0);
        }
        if ticket.in_line()
            && let Some(extra) = ticket.extra.as_deref()
        {
            if let Some(until) = extra.declined.iter().map(|declined| declined.1).min() {
                earlier(until / 1000, kind::EXCLUSION, 0);
            }
            if extra.hold_until > 0 {
                earlier(extra.hold_until / 1000, kind::HOLD, 0);
            }
        }
        let class = &self.classes[ticket.class];
        if ticket.state == S::Waiting {
            for at in 0..class.steps.len() {
                if let Some(due) = self.step_due(key, at) {
                    earlier(round_up(due) / 1000, kind::STEP, at as u32);
                }
            }
        }
        if ticket.clocks_live() {
            for (at, clock) in class.clocks.iter().enumerate() {
                let Some(run) = ticket.clocks.iter().find(|run| u32::from(run.clock) == clock.clock) else {
                    continue;
                };
                if run.phase != Phase::Running {
                    continue;
                }
                let mut due = |us: Micros, kind, index| earlier(round_up(run.when_run(us)) / 1000, kind, index);
                if let Some(point) = (0..clock.warnings_us.len()).find(|point| run.warned >> point & 1 == 0) {
                    due(clock.warnings_us[point], kind::WARNING, (at * 8 + point) as u32);
                }
                if !run.breached {
                    due(clock.target_us, kind::BREACH, at as u32);
                }
            }
        }
        best
    }

    /// When an untaken step of a waiting ticket is due, not rounded; None: it never is, as things stand.
    pub(crate) fn step_due(&self, key: u32, step: usize) -> Option<Micros> {
        let ticket = &self.tickets[key];
        if ticket.taken >> step & 1 == 1 {
            return None;
        }
        let class = &self.classes[ticket.class];
        match class.steps[step].when {
            When::Age(age) => Some(ticket.queued_at + age),
            When::Run(None) => None,
            When::Run(Some((clock, us))) => {
                let clock = u16::try_from(class.clocks[clock as usize].clock).ok()?;
                let run = ticket
                    .clocks
                    .iter()
                    .find(|run| run.clock == clock && run.phase == Phase::Running)?;
                Some(run.when_run(us))
            }
        }
    }

    /// Sees to it that a ticket's next timer is looked at in time. After every change of its record.
    pub(crate) fn arm(&mut self, key: u32) {
        let Some((due_ms, kind, index)) = self.next_timer(key) else {
            return;
        };
        if due_ms <= self.timers.current_ms && !self.timers.current.is_empty() {
            self.timers.wheel.remove(key);
            self.timers
                .current
                .push(Reverse((kind, self.tickets[key].sequence, index, key)));
        } else if self.timers.wheel.due_ms(key).is_none_or(|known| known > due_ms) {
            self.timers.wheel.put(key, due_ms);
        }
        self.timers.due_at(due_ms);
    }

    /// When something is due next: exact within 64 ms, else not after it.
    pub fn next_due(&self) -> Option<Micros> {
        let timers = &self.timers;
        let current = (!timers.current.is_empty()).then_some(timers.current_ms);
        let forgetting = self.forget_next().map(|due| due / 1000);
        let all = [
            current,
            timers.wheel.next_ms(),
            timers.others.first().map(|other| other.0),
            forgetting,
            self.conditions.due().map(|due| due / 1000),
            self.later.front().map(|later| later.at / 1000),
            self.owners.due().map(|due| due / 1000),
            self.tuning.until().map(|until| until / 1000),
        ];
        // The wheel stands still while all is quiet: what it says may be past, and nothing fires before `quiet_until_ms`.
        let next = all.into_iter().flatten().min()?.max(timers.quiet_until_ms);
        Some(next.saturating_mul(1000).max(self.now))
    }

    /// When the next ended ticket is forgotten.
    pub(crate) fn forget_next(&self) -> Option<Micros> {
        let oldest = self.ended.ahead(0)?;
        Some(round_up(oldest.over_at + self.bounds().closed_keep * 1000))
    }

    /// Fires timers due until `until`, at most so many.
    pub(crate) fn fire_timers(&mut self, until: Micros, timers_max: u32) -> Advanced {
        let until_ms = until.div_euclid(1000);
        if self.timers.quiet_until_ms > until_ms {
            self.now = self.now.max(until);
            return Advanced { fired: 0, done: true };
        }
        let mut fired = 0;
        let mut keys = Vec::new();
        self.timers.catching_up = true;
        loop {
            let other = self.timers.others.first().copied().filter(|other| other.0 <= until_ms);
            // Neither a ticket's, an agent's nor a session's: a condition that fills, a policy that follows, a tuning.
            let condition = self.conditions.due().map(|due| (due / 1000, kind::CONDITION));
            let later = self.later.front().map(|later| (later.at / 1000, kind::LATER));
            let tuning = self.tuning.until().map(|until| (until / 1000, kind::TUNING));
            let own = condition
                .into_iter()
                .chain(later)
                .chain(tuning)
                .min()
                .filter(|own| own.0 <= until_ms);
            // Tickets looked at too early go back into the wheel: then the next in it is looked at.
            while self.timers.current.is_empty() {
                let limit = other
                    .map_or(until_ms, |other| other.0)
                    .min(own.map_or(until_ms, |own| own.0));
                let Some(ms) = self.timers.wheel.take_next(limit, &mut keys) else {
                    break;
                };
                self.timers.current_ms = ms;
                for key in keys.drain(..) {
                    self.look(key);
                }
            }
            let from_others = other.filter(|other| self.timers.current.is_empty() || other.0 <= self.timers.current_ms);
            let next = match from_others {
                Some(other) => Some((other.0, other.1)),
                None => (self.timers.current.peek()).map(|Reverse(timer)| (self.timers.current_ms, timer.0)),
            };
            let own = own.filter(|&own| next.is_none_or(|next| own < next));
            if next.is_none() && own.is_none() {
                break;
            }
            if fired == timers_max {
                self.timers.catching_up = false;
                return Advanced { fired, done: false };
            }
            self.timers.firing = true;
            if let Some((ms, kind)) = own {
                self.now = self.now.max(ms * 1000);
                match kind {
                    kind::LATER => self.install_later(),
                    kind::TUNING => self.end_tuning(),
                    _ => {} // settling reads it
                }
            } else if let Some(other) = from_others {
                self.timers.others.remove(&other);
                self.now = self.now.max(other.0 * 1000);
                self.fire_other(other.1, other.3);
            } else {
                let Some(Reverse((kind, sequence, index, key))) = self.timers.current.pop() else {
                    break;
                };
                let due = self
                    .tickets
                    .get(key)
                    .filter(|ticket| ticket.sequence == sequence)
                    .and_then(|_| self.next_timer(key));
                match due {
                    Some((ms, next_kind, next_index))
                        if ms <= self.timers.current_ms && (next_kind, next_index) == (kind, index) =>
                    {
                        self.now = self.now.max(self.timers.current_ms * 1000);
                        self.fire(key, kind, index);
                    }
                    // Something else is its next timer now.
                    Some(_) => {
                        self.timers.firing = false;
                        self.look(key);
                        continue;
                    }
                    None => {
                        self.timers.firing = false;
                        continue;
                    }
                }
            }
            self.timers.firing = false;
            fired += 1;
            self.settle();
        }
        self.timers.catching_up = false;
        self.now = self.now.max(until);
        self.forget_owners();
        while self.forget_next().is_some_and(|due| due <= self.now) {
            self.forget_oldest();
        }
        self.timers.quiet_until_ms = self.next_due().map_or(i64::MAX, |due| due / 1000);
        Advanced { fired, done: true }
    }

    /// A ticket's turn at `current_ms`: its timer is due, or it goes back into the wheel.
    fn look(&mut self, key: u32) {
        if self.tickets.get(key).is_none() {
            return;
        }
        match self.next_timer(key) {
            Some((ms, kind, index)) if ms <= self.timers.current_ms => {
                self.timers
                    .current
                    .push(Reverse((kind, self.tickets[key].sequence, index, key)));
            }
            Some((ms, _, _)) => self.timers.wheel.put(key, ms),
            None => {}
        }
    }

    fn fire_other(&mut self, kind: u8, slot: u32) {
        if kind == kind::LEASE {
            self.end_session(slot, true);
        } else {
            self.agents[slot].lost_until = 0;
            self.requeue_active(slot);
        }
    }

    fn fire(&mut self, key: u32, kind: u8, index: u32) {
        match kind {
            kind::OFFER => self.offer_expired(key),
            kind::WRAP_UP => self.close(key),
            kind::ARRIVAL => self.arrive(key, self.tickets[key].due),
            kind::SUSPENSION => self.cancel_waiting(key, "suspended"),
            kind::EXCLUSION => self.exclusion_ended(key),
            kind::HOLD => self.hold_ended(key),
            kind::STEP => self.step_came(key, index as usize),
            kind::WARNING => self.clock_warned(key, index),
            _ => self.clock_breached(key, index as usize),
        }
        if self.tickets.get(key).is_some() {
            self.arm(key);
        }
    }
}
