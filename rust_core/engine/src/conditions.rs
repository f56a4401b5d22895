//! Queue conditions: what is so only while a queue is too full. They lay needs over a layer's, and open reserves.
//!
//! A condition is what it says: the queues measured (or the classes that name a reserve), the measure, both thresholds.
//! Equal ones are one, whichever classes and policy versions have them. It is read while a waiting ticket's class depends
//! on it; else it is off. Read when settling begins, and again when no pair is left, until nothing turns.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::board::{Requirement, SkillAt};
use crate::class::Class;
use crate::command::TicketState;
use crate::event::EventKind;
use crate::policy::{Measure, QueueCondition};
use crate::{Engine, Micros, round_up};

/// What makes a condition. The order is that in which several are read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key {
    /// The reserve that it opens; empty: an overlay's.
    pub(crate) reserve: SmolStr,
    /// Sorted, each once. None: the classes that name the reserve.
    pub(crate) queues: Vec<SmolStr>,
    pub(crate) measure: Measure,
    pub(crate) over: i64,
    pub(crate) until: i64,
}

impl Key {
    /// `own`: the queue of the class that has it.
    pub(crate) fn new(spec: &QueueCondition, reserve: &str, own: &SmolStr) -> Self {
        let mut queues = spec.of.clone();
        if queues.is_empty() && reserve.is_empty() {
            queues.push(own.clone());
        }
        queues.sort_unstable();
        queues.dedup();
        Self {
            reserve: reserve.into(),
            queues,
            measure: spec.measure,
            over: spec.over,
            until: spec.until,
        }
    }

    fn measures(&self, class: &Class) -> bool {
        if self.queues.is_empty() {
            class.surge.reserves.contains(&self.reserve)
        } else {
            self.queues.contains(&class.queue_name)
        }
    }
}

#[derive(Debug)]
struct Condition {
    key: Key,
    on: bool,
    /// Waiting tickets whose classes depend on it.
    users: u32,
    /// The waiting tickets that it measures: (queued at, sequence).
    waiting: BTreeSet<(Micros, u64)>,
}

impl Condition {
    /// When it turns on, if nothing else happens; not for one that counts tickets.
    fn full_at(&self) -> Option<Micros> {
        let (queued_at, _) = self.waiting.first()?;
        (self.key.measure == Measure::OldestWait).then(|| round_up(queued_at + self.key.over * 1000))
    }

    fn turns(&self, now: Micros) -> bool {
        let length = self.waiting.len() as i64;
        match (self.on, self.key.measure) {
            _ if self.users == 0 => self.on,
            (false, Measure::Length) => length >= self.key.over,
            (false, Measure::OldestWait) => self.full_at().is_some_and(|at| at <= now),
            (true, Measure::Length) => length <= self.key.until,
            (true, Measure::OldestWait) => {
                let oldest = self.waiting.first();
                oldest.is_none_or(|(queued_at, _)| now - queued_at <= self.key.until * 1000)
            }
        }
    }
}

/// All conditions, by number.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    items: Vec<Option<Condition>>,
    by_key: BTreeMap<Key, u32>,
}

impl Conditions {
    pub(crate) fn is_on(&self, number: u32) -> bool {
        self.items[number as usize].as_ref().is_some_and(|found| found.on)
    }

    /// How a condition stands, for readers: on, tickets measured, the earliest `queued_at`, when it turns on by itself.
    pub(crate) fn look(&self, key: &Key) -> Option<(bool, usize, Option<Micros>, Option<Micros>)> {
        let found = self.items[*self.by_key.get(key)? as usize].as_ref()?;
        let oldest = found.waiting.first().map(|first| first.0);
        Some((found.on, found.waiting.len(), oldest, found.full_at()))
    }

    /// Those that are on, in order: what a snapshot keeps.
    pub(crate) fn on(&self) -> Vec<Key> {
        let on = |number: &u32| self.is_on(*number);
        self.by_key
            .iter()
            .filter(|(_, number)| on(number))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Those that measure a class.
    pub(crate) fn measuring(&self, class: &Class) -> SmallVec<[u32; 2]> {
        let measuring = self.by_key.iter().filter(|(key, _)| key.measures(class));
        measuring.map(|(_, &number)| number).collect()
    }

    /// The next time at which one turns on by itself.
    pub(crate) fn due(&self) -> Option<Micros> {
        let off = self.items.iter().flatten().filter(|found| !found.on && found.users > 0);
        off.filter_map(Condition::full_at).min()
    }

    fn turning(&self, now: Micros) -> Vec<u32> {
        let turns = |&number: &u32| {
            self.items[number as usize]
                .as_ref()
                .is_some_and(|found| found.turns(now))
        };
        self.by_key.values().copied().filter(turns).collect()
    }
}

/// What of a class depends on queues.
#[derive(Debug, Default)]
pub(crate) struct Surge {
    /// Needs that lie over a part's while the condition is on.
    pub(crate) overlays: Vec<(u8, u32, Requirement)>,
    /// Each reserve's skill, the condition that opens it, and whether it opens it for this class.
    pub(crate) kept: Vec<(SkillAt, u32, bool)>,
    /// The reserves that it names.
    pub(crate) reserves: Vec<SmolStr>,
    /// The conditions that measure it.
    pub(crate) measured: SmallVec<[u32; 2]>,
}

impl Surge {
    fn depends_on(&self) -> impl Iterator<Item = u32> + '_ {
        let overlays = self.overlays.iter().map(|overlay| overlay.1);
        overlays.chain(self.kept.iter().map(|kept| kept.1))
    }

    /// The needs that lie over a part's now.
    pub(crate) fn over(&self, part: usize, conditions: &Conditions) -> Option<&Requirement> {
        let lies = |overlay: &&(u8, u32, Requirement)| overlay.0 as usize == part && conditions.is_on(overlay.1);
        self.overlays.iter().rfind(lies).map(|overlay| &overlay.2)
    }

    /// The skills whose agents reserves keep from the class now.
    pub(crate) fn kept_now<'a>(&'a self, conditions: &'a Conditions) -> impl Iterator<Item = SkillAt> + 'a {
        let closed = |kept: &&(SkillAt, u32, bool)| !(kept.2 && conditions.is_on(kept.1));
        self.kept.iter().filter(closed).map(|kept| kept.0)
    }
}

impl Engine {
    /// A condition's number, made if need be: then it measures who waits already.
    pub(crate) fn condition(&mut self, key: Key, on: bool) -> u32 {
        if let Some(&number) = self.conditions.by_key.get(&key) {
            return number;
        }
        let items = &mut self.conditions.items;
        let number = items.iter().position(Option::is_none).unwrap_or(items.len()) as u32;
        if number as usize == items.len() {
            items.push(None);
        }
        let measured: Vec<u32> = self
            .classes
            .iter()
            .filter(|(_, class)| key.measures(class))
            .map(|(at, _)| at)
            .collect();
        let mut waiting = BTreeSet::new();
        for &class in &measured {
            self.classes[class].surge.measured.push(number);
            let lines = self.classes[class].lines().map(|line| &self.board.lines[line as usize]);
            let standing = lines.flat_map(|line| line.main.iter().chain(line.odd.iter()).chain(line.held.iter()));
            let newcomer = self.dirty.newcomer.filter(|&key| self.tickets[key].class == class);
            for key in standing.map(|entry| entry.ticket).chain(newcomer) {
                let ticket = &self.tickets[key];
                if ticket.state == TicketState::Waiting {
                    waiting.insert((ticket.queued_at, ticket.sequence));
                }
            }
        }
        self.conditions.by_key.insert(key.clone(), number);
        let users = 0;
        self.conditions.items[number as usize] = Some(Condition {
            key,
            on,
            users,
            waiting,
        });
        number
    }

    /// Forgets conditions that no class depends on any more.
    pub(crate) fn drop_unused_conditions(&mut self) {
        let used: BTreeSet<u32> = self
            .classes
            .iter()
            .flat_map(|(_, class)| class.surge.depends_on())
            .collect();
        let unused: Vec<u32> = self
            .conditions
            .by_key
            .values()
            .copied()
            .filter(|at| !used.contains(at))
            .collect();
        for number in unused {
            if let Some(gone) = self.conditions.items[number as usize].take_if(|found| !found.on) {
                self.conditions.by_key.remove(&gone.key);
                let classes: Vec<u32> = self.classes.iter().map(|(class, _)| class).collect();
                for class in classes {
                    self.classes[class].surge.measured.retain(|other| *other != number);
                }
            }
        }
    }

    /// A waiting ticket came into its line, or leaves it.
    pub(crate) fn count_waiting(&mut self, key: u32, comes: bool) {
        if self.conditions.by_key.is_empty() {
            return;
        }
        let ticket = &self.tickets[key];
        let (place, surge) = ((ticket.queued_at, ticket.sequence), &self.classes[ticket.class].surge);
        for &number in &surge.measured {
            if let Some(condition) = &mut self.conditions.items[number as usize] {
                if comes {
                    condition.waiting.insert(place);
                } else {
                    condition.waiting.remove(&place);
                }
            }
        }
        for number in surge.depends_on() {
            if let Some(condition) = &mut self.conditions.items[number as usize] {
                condition.users = if comes {
                    condition.users + 1
                } else {
                    condition.users - 1
                };
            }
        }
    }

    /// Whether a condition is not as it should be.
    pub(crate) fn conditions_turn(&self) -> bool {
        !self.conditions.turning(self.now).is_empty()
    }

    /// Turns what is to be turned, and what depends on it.
    pub(crate) fn read_conditions(&mut self) {
        if self.conditions.by_key.is_empty() {
            return;
        }
        let turning = self.conditions.turning(self.now);
        for &number in &turning {
            let Some(condition) = &mut self.conditions.items[number as usize] else {
                continue;
            };
            condition.on = !condition.on;
            let Key {
                reserve,
                queues,
                measure,
                over,
                until,
            } = condition.key.clone();
            let on = condition.on;
            self.emit(
                None,
                None,
                0,
                EventKind::ConditionTurned {
                    reserve,
                    queues,
                    measure,
                    over,
                    until,
                    on,
                },
            );
        }
        if !turning.is_empty() {
            let depends = |class: &Class| class.surge.depends_on().any(|number| turning.contains(&number));
            let classes: Vec<u32> = self
                .classes
                .iter()
                .filter(|(_, class)| depends(class))
                .map(|(at, _)| at)
                .collect();
            for class in classes {
                self.requirements_changed(class);
            }
        }
        if let Some(due) = self.conditions.due() {
            self.timers.due_at(due / 1000);
        }
    }

    /// A class asks for something else now: its lines, who stands in them, and who may be free for them.
    fn requirements_changed(&mut self, number: u32) {
        let lines: Vec<u32> = self.classes[number].lines().collect();
        // Where these stand depends on whether their preferred agents are able; declines may lift.
        let line = |at: &u32| &self.board.lines[*at as usize];
        let special = lines
            .iter()
            .flat_map(|at| line(at).odd.iter().chain(line(at).held.iter()));
        let special: Vec<u32> = special.map(|entry| entry.ticket).collect();
        for &key in &special {
            self.leave_line(key);
        }
        let class = &self.classes[number];
        if let Some(own) = class.affinity.as_ref().and_then(|affinity| affinity.own.clone()) {
            let asked = self.board.requirement(class.with_kept(own, &self.conditions));
            if let Some(affinity) = &mut self.classes[number].affinity
                && let Some(before) = affinity.requirement.replace(asked)
            {
                self.board.release_requirement(before);
            }
        }
        for at in 0..self.classes[number].stages.len() {
            let class = &self.classes[number];
            let stage = class.stages[at];
            let asked = self
                .board
                .requirement(class.requirement_at(stage.taken, &self.conditions));
            self.classes[number].stages[at].requirement = asked;
            for profile in self.board.ask(stage.line, asked) {
                self.look_at_free(profile);
            }
            self.board.release_requirement(stage.requirement);
        }
        for key in special {
            self.place_in_line(key);
        }
    }

    /// Agents of a profile who are free: there is a line that they may serve now.
    fn look_at_free(&mut self, profile: u32) {
        let heap = self.board.profiles[profile as usize].heaps.first();
        let free: Vec<u32> = heap
            .into_iter()
            .flat_map(crate::heap::Heap::items)
            .map(|item| item.agent)
            .collect();
        for agent in free {
            self.dirty.agent(agent);
        }
    }
}
