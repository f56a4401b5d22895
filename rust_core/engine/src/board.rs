//! Who can serve what: requirements, profiles of agents, lines of tickets, and the indexes between them.
//!
//! A requirement is compiled once for each profile, so that eligibility by skill costs one bit at decision time.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::backlog::Backlog;
use crate::bits::Bits;
use crate::heap::{Heap, Item};
use crate::policy::AgentOrder;

/// A skill's number and a level.
pub(crate) type SkillAt = (u32, u8);

/// And-ed groups, each to be met by one of its entries; and none-of. An empty group is never met.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Requirement {
    pub(crate) groups: Vec<Vec<SkillAt>>,
    pub(crate) none_of: Vec<SkillAt>,
}

impl Requirement {
    pub(crate) fn met_by(&self, profile: &ProfileKey) -> bool {
        let has = |&(skill, level): &SkillAt| profile.level(skill) >= level;
        self.groups.iter().all(|group| group.iter().any(has)) && !self.none_of.iter().any(has)
    }

    /// The sum over groups of the best level met.
    pub(crate) fn level_sum(&self, profile: &ProfileKey) -> u32 {
        let best = |group: &Vec<SkillAt>| {
            group
                .iter()
                .map(|&(skill, level)| (profile.level(skill), level))
                .filter(|(has, level)| has >= level)
                .map(|(has, _)| u32::from(has))
                .max()
        };
        self.groups.iter().filter_map(best).sum()
    }
}

/// What agents of a profile share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct ProfileKey {
    /// By skill number.
    pub(crate) skills: Vec<SkillAt>,
    pub(crate) capacity: u32,
    /// (channel number, limit), by channel.
    pub(crate) channels: Vec<(u8, u32)>,
}

impl ProfileKey {
    /// 0: has not got it.
    pub(crate) fn level(&self, skill: u32) -> u8 {
        self.skills
            .binary_search_by_key(&skill, |entry| entry.0)
            .map_or(0, |at| self.skills[at].1)
    }

    /// 0: closed.
    pub(crate) fn limit(&self, channel: u8) -> u32 {
        self.channels
            .iter()
            .find(|entry| entry.0 == channel)
            .map_or(0, |entry| entry.1)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub(crate) key: ProfileKey,
    pub(crate) agents: u32,
    pub(crate) logged_in: u32,
    /// For each order of choice: the agents who are available with a free unit.
    pub(crate) heaps: Vec<Heap>,
    /// Requirements met, and the lines that ask them.
    meets: Bits,
    lines: Bits,
}

#[derive(Debug, Default)]
pub(crate) struct ReqEntry {
    pub(crate) requirement: Requirement,
    users: u32,
    /// Profiles that meet it.
    pub(crate) profiles: Vec<u32>,
}

/// Which part of a line a ticket stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Pen {
    /// Nowhere yet: it has just come, and may be matched at once.
    Out,
    /// Anyone eligible may take it.
    #[default]
    Main,
    /// It excludes or prefers someone: looked at one by one.
    Odd,
    /// Held for its preferred agent alone.
    Held,
}

/// The waiting tickets of one class and stage.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) class: u32,
    pub(crate) requirement: u32,
    pub(crate) main: Backlog,
    pub(crate) odd: Backlog,
    pub(crate) held: Backlog,
}

impl Line {
    pub(crate) fn pen(&mut self, pen: Pen) -> &mut Backlog {
        match pen {
            Pen::Main | Pen::Out => &mut self.main,
            Pen::Odd => &mut self.odd,
            Pen::Held => &mut self.held,
        }
    }
}

/// What a decision reads of a line, side by side in memory, a cache line each.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
pub(crate) struct Head {
    /// `i64::MAX`: nobody stands in the main pen.
    pub(crate) arrival: i64,
    pub(crate) sequence: u64,
    /// slope × boost + 1000 × head start, µs × thousandths.
    pub(crate) base: i64,
    pub(crate) boost_us: i64,
    pub(crate) slope_milli: u32,
    pub(crate) ticket: u32,
    pub(crate) class: u32,
    pub(crate) cost: u32,
    pub(crate) channel: u8,
    pub(crate) odd: bool,
    pub(crate) fits: bool,
}

/// The agents of one profile, for tickets of one channel at its own cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Front {
    /// The beginning of the first's key, open to the channel or not: nobody who is open stands before it.
    pub(crate) first: u128,
    /// How many are open.
    pub(crate) open: u32,
}

impl Front {
    pub(crate) const NOBODY: Self = Self {
        first: u128::MAX,
        open: 0,
    };

    /// The heap's first may be another, and an agent was and is open to the channel or not.
    pub(crate) fn renew(&mut self, top: &Item, before: bool, after: bool) {
        self.first = top.first();
        self.open = self.open - u32::from(before) + u32::from(after);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) reqs: Vec<ReqEntry>,
    req_numbers: FxHashMap<Requirement, u32>,
    free_reqs: Vec<u32>,
    pub(crate) profiles: Vec<Profile>,
    profile_numbers: FxHashMap<ProfileKey, u32>,
    free_profiles: BTreeSet<u32>,
    pub(crate) lines: Vec<Line>,
    pub(crate) heads: Vec<Head>,
    free_lines: Vec<u32>,
    /// Lines with somebody in the main or odd pen.
    pub(crate) busy: Bits,
    /// The orders of choice among agents of one profile: what of a class's order differs between them.
    pub(crate) orders: Vec<SmallVec<[AgentOrder; 3]>>,
    /// The first of each heap, by order and profile.
    pub(crate) tops: Vec<Vec<Item>>,
    /// What a decision looks at for every profile that may serve, by order, channel and profile: side by side in memory.
    pub(crate) fronts: Vec<Vec<Vec<Front>>>,
    /// Where each agent stands in its heap, by order and slot; `u32::MAX`: in none.
    pub(crate) places: Vec<Vec<u32>>,
    /// Each channel's own cost under the current policy; 0: it has none.
    pub(crate) channel_costs: Vec<u32>,
}

impl Board {
    pub(crate) fn requirement(&mut self, requirement: Requirement) -> u32 {
        if let Some(&number) = self.req_numbers.get(&requirement) {
            self.reqs[number as usize].users += 1;
            return number;
        }
        let number = self.free_reqs.pop().unwrap_or_else(|| {
            self.reqs.push(ReqEntry::default());
            self.reqs.len() as u32 - 1
        });
        let mut profiles = Vec::new();
        for (at, profile) in self.profiles.iter_mut().enumerate() {
            if profile.agents > 0 && requirement.met_by(&profile.key) {
                profile.meets.set(number);
                profiles.push(at as u32);
            }
        }
        self.req_numbers.insert(requirement.clone(), number);
        self.reqs[number as usize] = ReqEntry {
            requirement,
            users: 1,
            profiles,
        };
        number
    }

    /// A requirement's number, while anybody asks it.
    pub(crate) fn number_of(&self, requirement: &Requirement) -> Option<u32> {
        self.req_numbers.get(requirement).copied()
    }

    pub(crate) fn release_requirement(&mut self, number: u32) {
        let entry = &mut self.reqs[number as usize];
        entry.users -= 1;
        if entry.users == 0 {
            for &profile in &entry.profiles {
                self.profiles[profile as usize].meets.clear(number);
            }
            let entry = std::mem::take(entry);
            self.req_numbers.remove(&entry.requirement);
            self.free_reqs.push(number);
        }
    }

    pub(crate) fn meets(&self, profile: u32, requirement: u32) -> bool {
        self.profiles[profile as usize].meets.has(requirement)
    }

    /// The profile's number, made if need be; one more agent has it.
    pub(crate) fn join_profile(&mut self, key: ProfileKey) -> u32 {
        if let Some(&number) = self.profile_numbers.get(&key) {
            self.profiles[number as usize].agents += 1;
            return number;
        }
        let number = self.free_profiles.pop_first().unwrap_or_else(|| {
            self.profiles.push(Profile::default());
            for tops in &mut self.tops {
                tops.push(Item::NOBODY);
            }
            for fronts in self.fronts.iter_mut().flatten() {
                fronts.push(Front::NOBODY);
            }
            self.profiles.len() as u32 - 1
        });
        let mut profile = Profile {
            agents: 1,
            heaps: vec![Heap::default(); self.orders.len()],
            ..Profile::default()
        };
        for (at, entry) in self.reqs.iter_mut().enumerate() {
            if entry.users > 0 && entry.requirement.met_by(&key) {
                profile.meets.set(at as u32);
                entry.profiles.push(number);
            }
        }
        for (at, line) in self.lines.iter().enumerate() {
            if line.class != u32::MAX && profile.meets.has(line.requirement) {
                profile.lines.set(at as u32);
            }
        }
        self.profile_numbers.insert(key.clone(), number);
        profile.key = key;
        self.profiles[number as usize] = profile;
        number
    }

    pub(crate) fn leave_profile(&mut self, number: u32) {
        let profile = &mut self.profiles[number as usize];
        profile.agents -= 1;
        if profile.agents == 0 {
            let profile = std::mem::take(profile);
            self.profile_numbers.remove(&profile.key);
            for entry in &mut self.reqs {
                entry.profiles.retain(|&other| other != number);
            }
            self.free_profiles.insert(number);
        }
    }

    pub(crate) fn profile_count(&self) -> usize {
        self.profile_numbers.len()
    }

    /// A new, empty line.
    pub(crate) fn new_line(&mut self, head: Head, requirement: u32) -> u32 {
        let number = self.free_lines.pop().unwrap_or_else(|| {
            self.lines.push(Line::default());
            self.heads.push(Head::default());
            self.lines.len() as u32 - 1
        });
        self.lines[number as usize] = Line {
            class: head.class,
            requirement,
            ..Line::default()
        };
        self.heads[number as usize] = Head {
            arrival: i64::MAX,
            ..head
        };
        for &profile in &self.reqs[requirement as usize].profiles {
            self.profiles[profile as usize].lines.set(number);
        }
        number
    }

    /// A line asks for another requirement; returns the profiles that meet this one, and did not meet the one before.
    pub(crate) fn ask(&mut self, line: u32, requirement: u32) -> Vec<u32> {
        let before = std::mem::replace(&mut self.lines[line as usize].requirement, requirement);
        for &profile in &self.reqs[before as usize].profiles {
            self.profiles[profile as usize].lines.clear(line);
        }
        for &profile in &self.reqs[requirement as usize].profiles {
            self.profiles[profile as usize].lines.set(line);
        }
        let mut new = self.reqs[requirement as usize].profiles.clone();
        new.retain(|&profile| !self.meets(profile, before));
        new
    }

    pub(crate) fn drop_line(&mut self, number: u32) {
        let line = &mut self.lines[number as usize];
        for &profile in &self.reqs[line.requirement as usize].profiles {
            self.profiles[profile as usize].lines.clear(number);
        }
        *line = Line {
            class: u32::MAX,
            ..Line::default()
        };
        self.busy.clear(number);
        self.free_lines.push(number);
    }

    /// Brings a line's head up to date after a change of its pens.
    pub(crate) fn refresh_head(&mut self, number: u32) {
        let line = &self.lines[number as usize];
        let head = &mut self.heads[number as usize];
        match line.main.first() {
            Some(first) => (head.arrival, head.sequence, head.ticket) = (first.arrival, first.sequence, first.ticket),
            None => head.arrival = i64::MAX,
        }
        head.odd = !line.odd.is_empty();
        if head.odd || head.arrival != i64::MAX {
            self.busy.set(number);
        } else {
            self.busy.clear(number);
        }
    }

    /// The busy lines whose requirement a profile meets.
    pub(crate) fn lines_for(&self, profile: u32) -> impl Iterator<Item = u32> + '_ {
        self.profiles[profile as usize].lines.both(&self.busy)
    }

    /// How many logged-in agents meet a requirement.
    pub(crate) fn staffed(&self, requirement: u32) -> bool {
        self.reqs[requirement as usize]
            .profiles
            .iter()
            .any(|&profile| self.profiles[profile as usize].logged_in > 0)
    }
}
