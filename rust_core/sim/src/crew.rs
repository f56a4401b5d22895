//! The people at work: who should be there, who holds how much, and hours by group and interval.

use csroute_engine::{Micros, Presence};

use crate::setup::{Agent, Setup};

/// What is told of a group in an interval, seconds each, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Hours {
    /// Logged in.
    Paid,
    /// Of these: taking work, or with work in hand.
    There,
    /// Of these: at least one ticket in hand, wrap-up included.
    Busy,
    /// Weighted by units held ÷ capacity.
    Load,
}

/// How many of `Hours` there are.
pub const HOURS: usize = 4;

#[derive(Debug, Clone)]
struct Hand {
    presence: Presence,
    held: u32,
    units: u32,
    since: Micros,
    /// Sent away until then, for a missed offer.
    away_until: Micros,
}

/// All of them.
#[derive(Debug)]
pub struct Crew {
    hands: Vec<Hand>,
    interval: Micros,
    intervals: usize,
    /// µs, by kind of hours, group, interval.
    hours: Vec<f64>,
    groups: usize,
}

impl Crew {
    /// Everyone offline.
    pub fn new(setup: &Setup) -> Self {
        let hand = Hand {
            presence: Presence::Offline,
            held: 0,
            units: 0,
            since: 0,
            away_until: 0,
        };
        let groups = usize::from(setup.groups);
        Self {
            hands: vec![hand; setup.agents.len()],
            interval: setup.interval_us,
            intervals: setup.intervals,
            hours: vec![0.0; HOURS * groups * setup.intervals],
            groups,
        }
    }

    /// What the agent's presence is.
    pub fn presence(&self, agent: u32) -> Presence {
        self.hands[agent as usize].presence
    }

    /// What the roster says that it should be now.
    pub fn wanted(&self, agent: u32, plan: &Agent, now: Micros) -> Presence {
        let within = |spans: &[(Micros, Micros)]| {
            let place = spans.partition_point(|(from, _)| *from <= now);
            place > 0 && now < spans[place - 1].1
        };
        let hand = &self.hands[agent as usize];
        if !within(&plan.shifts) {
            if hand.held > 0 {
                Presence::Draining
            } else {
                Presence::Offline
            }
        } else if within(&plan.breaks) || now < hand.away_until {
            Presence::Away
        } else {
            Presence::Available
        }
    }

    /// The engine sent the agent away.
    pub fn sent_away(&mut self, agent: u32, plan: &Agent, now: Micros, until: Micros) {
        self.hands[agent as usize].away_until = until;
        self.turn(agent, plan, now, Presence::Away);
    }

    /// The presence is another.
    pub fn turn(&mut self, agent: u32, plan: &Agent, now: Micros, presence: Presence) {
        self.count(agent, plan, now);
        self.hands[agent as usize].presence = presence;
    }

    /// A ticket more in hand.
    pub fn take(&mut self, agent: u32, plan: &Agent, now: Micros, units: u32) {
        self.count(agent, plan, now);
        let hand = &mut self.hands[agent as usize];
        hand.held += 1;
        hand.units += units;
    }

    /// One less. True: it was the last, and the shift is over.
    pub fn give(&mut self, agent: u32, plan: &Agent, now: Micros, units: u32) -> bool {
        self.count(agent, plan, now);
        let hand = &mut self.hands[agent as usize];
        hand.held -= 1;
        hand.units -= units;
        hand.held == 0 && hand.presence == Presence::Draining
    }

    /// Adds the time since the last change.
    pub fn count(&mut self, agent: u32, plan: &Agent, now: Micros) {
        let hand = &mut self.hands[agent as usize];
        let (mut from, busy) = (hand.since, hand.held > 0);
        hand.since = now;
        if hand.presence == Presence::Offline {
            return;
        }
        let there = busy || hand.presence != Presence::Away;
        let load = f64::from(hand.units) / f64::from(plan.capacity.max(1));
        let weights = [1.0, f64::from(u8::from(there)), f64::from(u8::from(busy)), load];
        let (group, stride) = (usize::from(plan.group), self.groups * self.intervals);
        while from < now {
            let interval = ((from / self.interval) as usize).min(self.intervals - 1);
            let to = if interval + 1 == self.intervals {
                now
            } else {
                now.min((interval as Micros + 1) * self.interval)
            };
            let cell = group * self.intervals + interval;
            for (kind, weight) in weights.iter().enumerate() {
                self.hours[kind * stride + cell] += weight * (to - from) as f64;
            }
            from = to;
        }
    }

    /// Seconds, by kind of hours, group, interval.
    pub fn seconds(&self) -> impl Iterator<Item = f64> {
        self.hours.iter().map(|us| us / 1e6)
    }
}
