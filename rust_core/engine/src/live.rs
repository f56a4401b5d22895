//! The live state as tables, for whoever steers: lines, what they ask, and profiles of agents. In slices.
//!
//! ```
//! # fn f(engine: &csroute_engine::Engine) {
//! let mut live = csroute_engine::live::Live::default();
//! while !engine.gather(&mut live, 256) {}
//! for line in &live.lines {
//!     println!("{} at {}: {} wait", line.queue, line.step, line.waiting);
//! }
//! # }
//! ```

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::command::Presence;
use crate::tables::RuleAt;
use crate::{Engine, Micros, Millis};

/// The waiting tickets of one class at one step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct LiveLine {
    pub class: u32,
    pub queue: SmolStr,
    pub channel: SmolStr,
    pub step: u32,
    pub waiting: u64,
    /// Suspended, or held for one agent.
    pub held: u64,
    pub oldest_wait: Millis,
    /// Of the class, since it was made here: first waited, first answered.
    pub arrived: u64,
    pub answered: u64,
    pub head_start: Millis,
    pub slope_milli: u32,
    pub boost: Millis,
    pub cost: u32,
    /// Places in `Live::rules`.
    pub rules: Vec<u32>,
    /// The key in `Live::requirements`.
    pub requirement: u32,
}

/// Logged-in agents of one profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct LiveProfile {
    pub agents: u32,
    pub available: u32,
    /// Available, and with a free unit.
    pub free: u32,
    pub units_used: u64,
    pub units_total: u64,
}

/// The tables, and how far they are.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Live {
    next: u32,
    classes_done: bool,
    numbers: BTreeMap<RuleAt, u32>,
    /// (layer, rule), as lines name them by place.
    pub rules: Vec<(SmolStr, SmolStr)>,
    pub lines: Vec<LiveLine>,
    /// By number: the numbers of the profiles that meet it.
    pub requirements: BTreeMap<u32, Vec<u32>>,
    /// By number.
    pub profiles: BTreeMap<u32, LiveProfile>,
}

impl Engine {
    /// Does a slice of about so many looks at the current policy's classes with tickets, then at the agents. True when
    /// the tables are whole.
    pub fn gather(&self, live: &mut Live, looks: usize) -> bool {
        let mut left = looks.max(1);
        while !live.classes_done && live.next < self.classes.bound() {
            if left == 0 {
                return false;
            }
            live.next += 1;
            left -= 1;
            self.live_class(live, live.next);
        }
        if !live.classes_done {
            (live.classes_done, live.next) = (true, 0);
        }
        while live.next < self.agents.bound() {
            if left == 0 {
                return false;
            }
            left -= 1;
            let Some(agent) = self.agents.get(live.next).filter(|agent| agent.logged_in()) else {
                live.next += 1;
                continue;
            };
            live.next += 1;
            let capacity = self.board.profiles[agent.profile as usize].key.capacity;
            let of = live.profiles.entry(agent.profile).or_default();
            let available = agent.presence == Presence::Available;
            of.agents += 1;
            of.available += u32::from(available);
            of.free += u32::from(available && agent.used < capacity);
            of.units_used += u64::from(agent.used);
            of.units_total += u64::from(capacity);
        }
        true
    }

    fn live_class(&self, live: &mut Live, number: u32) {
        let current = self.policy.as_ref().map_or(0, |policy| policy.spec.version);
        let Some(class) = self.classes.get(number) else { return };
        if class.users == 0 || class.key.policy != current {
            return;
        }
        let spec = &class.tables.spec;
        let rules = class.key.applied.iter().map(|&at| {
            *live.numbers.entry(at).or_insert_with(|| {
                let layer = &spec.layers[at.0 as usize];
                live.rules
                    .push((layer.name.clone(), layer.rules[at.1 as usize].name.clone()));
                live.rules.len() as u32 - 1
            })
        });
        let rules: Vec<u32> = rules.collect();
        for stage in &class.stages {
            let line = &self.board.lines[stage.line as usize];
            let oldest = [line.main.first(), line.odd.first(), line.held.first()]
                .into_iter()
                .flatten()
                .map(|entry| self.tickets[entry.ticket].queued_at)
                .min();
            let profiles = || self.board.reqs[line.requirement as usize].profiles.clone();
            live.requirements.entry(line.requirement).or_insert_with(profiles);
            live.lines.push(LiveLine {
                class: number,
                queue: class.queue_name.clone(),
                channel: self.channel_names.name(class.channel.into()).clone(),
                step: stage.step,
                waiting: (line.main.len() + line.odd.len()) as u64,
                held: line.held.len() as u64,
                oldest_wait: oldest.map_or(0, |oldest| (self.now - oldest).max(0) / 1000),
                arrived: class.arrived,
                answered: class.answered,
                head_start: class.head_start,
                slope_milli: class.slope_milli as u32,
                boost: class.boost_at(stage.taken) / 1000,
                cost: class.cost,
                rules: rules.clone(),
                requirement: line.requirement,
            });
        }
    }

    /// The current policy's version; 0: there is none.
    pub fn policy_version(&self) -> u64 {
        self.policy.as_ref().map_or(0, |policy| policy.spec.version)
    }

    /// When what is tuned lapses, Unix µs; 0: nothing is.
    pub fn tuned_until(&self) -> Micros {
        self.tuning.until().unwrap_or(0)
    }
}
