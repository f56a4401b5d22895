//! Classes: tickets equal in everything that routing reads. Interned as they are met, bounded.
//!
//! A class is kept when its last ticket leaves, until the table is full or another policy comes; then all that are
//! empty go at once. So numbers are stable while traffic goes on, and nothing is compiled twice for a quiet minute.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::board::{Head, Requirement, SkillAt};
use crate::compile::{Counts, picking};
use crate::conditions::{Conditions, Surge};
use crate::policy::{AgentOrder, OfferSpec};
use crate::tables::{Applied, RuleAt, Tables, Values};
use crate::{Code, Engine, Micros, Millis, Rejection};

/// What makes a class.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClassKey {
    /// The policy's version.
    pub(crate) policy: u64,
    pub(crate) channel: u8,
    pub(crate) applied: Applied,
    /// The values that pick members of families, by attribute; missing ones are not there.
    pub(crate) picks: SmallVec<[(SmolStr, SmolStr); 1]>,
    /// The ticket's own skills, by number.
    pub(crate) own: SmallVec<[SkillAt; 2]>,
    /// A transfer's requirement, in place of the first layer's needs.
    pub(crate) transfer: Option<Arc<Requirement>>,
}

/// A clock of a class.
#[derive(Debug, Clone)]
pub(crate) struct ClassClock {
    pub(crate) clock: u32,
    pub(crate) starts: u32,
    pub(crate) stops: u32,
    pub(crate) target_us: Micros,
    pub(crate) warnings_us: SmallVec<[Micros; 2]>,
}

/// When a step is due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    Age(Micros),
    /// So much of a clock run; by the clock's place in the class. None: the class has not got it, the step never comes.
    Run(Option<(u8, Micros)>),
}

/// A step of a class.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) part: u8,
    pub(crate) when: When,
    pub(crate) needs: Option<Requirement>,
    pub(crate) boost_us: Micros,
    pub(crate) alert: SmolStr,
    pub(crate) overflow_to: SmolStr,
    pub(crate) move_to: Option<RuleAt>,
}

/// What holds once certain steps are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stage {
    pub(crate) taken: u32,
    pub(crate) line: u32,
    pub(crate) requirement: u32,
    /// The last listed step taken, from 1; 0 is none.
    pub(crate) step: u32,
}

/// The policy's word on a preferred agent.
#[derive(Debug, Clone)]
pub(crate) struct Affinity {
    pub(crate) hold: Millis,
    pub(crate) transfer_hold: Millis,
    /// The requirement that the preferred agent may meet instead; and it without what reserves keep.
    pub(crate) requirement: Option<u32>,
    pub(crate) own: Option<Requirement>,
    /// How long the customer's first agent is remembered; 0: not at all.
    pub(crate) owner_keep: Millis,
}

/// A class, compiled.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) key: ClassKey,
    pub(crate) tables: Arc<Tables>,
    /// Tickets that have it.
    pub(crate) users: u32,
    pub(crate) queue: u32,
    pub(crate) queue_name: SmolStr,
    pub(crate) channel: u8,
    pub(crate) cost: u32,
    pub(crate) slope_milli: i64,
    pub(crate) head_start: Millis,
    pub(crate) clocks: Vec<ClassClock>,
    pub(crate) steps: Vec<Step>,
    pub(crate) parts: Vec<Requirement>,
    pub(crate) own: Requirement,
    pub(crate) stages: Vec<Stage>,
    pub(crate) order: SmallVec<[AgentOrder; 4]>,
    /// Least loaded, then longest idle: the default, for which there is a short way.
    pub(crate) usual_order: bool,
    /// The place of what of it differs within a profile, in `Board::orders`.
    pub(crate) heap: u32,
    pub(crate) affinity: Option<Affinity>,
    pub(crate) offer: OfferSpec,
    pub(crate) wrap_up: Millis,
    /// Within what its tickets are answered in time: the shortest clock from arrival to assignment or `first_reply`,
    /// else the policy's target; without one any answer is in time.
    pub(crate) answer_target_us: Micros,
    pub(crate) decline_exclude: Millis,
    pub(crate) skip_unstaffed: bool,
    pub(crate) fits: Vec<(SkillAt, Millis)>,
    pub(crate) surge: Surge,
    /// Tickets that first waited in it, and that were first answered, since it was made here.
    pub(crate) arrived: u64,
    pub(crate) answered: u64,
}

impl Class {
    fn taken_of(&self, taken: u32, part: usize) -> impl DoubleEndedIterator<Item = &Step> {
        let steps = self.steps.iter().enumerate();
        steps
            .filter(move |(at, step)| taken >> at & 1 == 1 && step.part as usize == part)
            .map(|(_, step)| step)
    }

    /// The requirement in force once these steps are taken: for each layer the overlay's that lies there, else the needs
    /// of the last listed step that states any.
    pub(crate) fn requirement_at(&self, taken: u32, conditions: &Conditions) -> Requirement {
        let mut requirement = self.own.clone();
        for (part, base) in self.parts.iter().enumerate() {
            let stated = || {
                self.taken_of(taken, part)
                    .filter_map(|step| step.needs.as_ref())
                    .next_back()
            };
            let needs = self.surge.over(part, conditions).or_else(stated).unwrap_or(base);
            requirement.groups.extend(needs.groups.iter().cloned());
            requirement.none_of.extend(needs.none_of.iter().copied());
        }
        self.with_kept(requirement, conditions)
    }

    /// A requirement, and what reserves keep from the class.
    pub(crate) fn with_kept(&self, mut requirement: Requirement, conditions: &Conditions) -> Requirement {
        requirement.none_of.extend(self.surge.kept_now(conditions));
        requirement
    }

    /// The boost once these steps are taken: the sum over layers of the last listed one's.
    pub(crate) fn boost_at(&self, taken: u32) -> Micros {
        (0..self.parts.len())
            .filter_map(|part| self.taken_of(taken, part).next_back())
            .map(|step| step.boost_us)
            .sum()
    }

    /// The class's lines, one a stage met.
    pub(crate) fn lines(&self) -> impl Iterator<Item = u32> + '_ {
        self.stages.iter().map(|stage| stage.line)
    }
}

/// All classes.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    items: Vec<Option<Box<Class>>>,
    by_key: FxHashMap<ClassKey, u32>,
    free: BTreeSet<u32>,
    /// From a ticket's values straight to its class, where nothing else makes it.
    memo: Vec<FxHashMap<Values, u32>>,
}

impl std::ops::Index<u32> for Classes {
    type Output = Class;
    fn index(&self, number: u32) -> &Class {
        self.items[number as usize - 1]
            .as_ref()
            .expect("a ticket's class is there")
    }
}

impl std::ops::IndexMut<u32> for Classes {
    fn index_mut(&mut self, number: u32) -> &mut Class {
        self.items[number as usize - 1]
            .as_mut()
            .expect("a ticket's class is there")
    }
}

/// Values are numbered by their tables: the policy's and its canary's do not mix.
fn memo_place(channel: u8, canary: bool) -> usize {
    usize::from(channel) << 1 | usize::from(canary)
}

impl Classes {
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Number and class of each, rising.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Class)> {
        self.items
            .iter()
            .enumerate()
            .filter_map(|(at, class)| class.as_deref().map(|class| (at as u32 + 1, class)))
    }

    pub(crate) fn has(&self, number: u32) -> bool {
        self.get(number).is_some()
    }

    /// The class of this number, if there is one.
    pub(crate) fn get(&self, number: u32) -> Option<&Class> {
        self.items.get((number as usize).checked_sub(1)?)?.as_deref()
    }

    /// No number is above this: for readers that go on from where they were.
    pub(crate) fn bound(&self) -> u32 {
        self.items.len() as u32
    }

    pub(crate) fn memo(&self, channel: u8, canary: bool, values: &Values) -> Option<u32> {
        self.memo
            .get(memo_place(channel, canary))?
            .get(values.as_slice())
            .copied()
    }

    pub(crate) fn remember(&mut self, channel: u8, canary: bool, values: Values, class: u32) {
        let channel = memo_place(channel, canary);
        if self.memo.len() <= channel {
            self.memo.resize_with(channel + 1, FxHashMap::default);
        }
        if self.memo[channel].len() >= 4 * self.by_key.len() + 1024 {
            self.memo[channel].clear();
        }
        self.memo[channel].insert(values, class);
    }
}

impl Engine {
    /// The class of a key, made if need be. `ClassesFull` if there is no room; then nothing changed.
    pub(crate) fn intern_class(&mut self, tables: &Arc<Tables>, key: ClassKey) -> Result<u32, Rejection> {
        if let Some(&number) = self.classes.by_key.get(&key) {
            return Ok(number);
        }
        if !self.room_for_a_class() {
            return Err(Rejection::new(
                Code::ClassesFull,
                format!("{} classes have tickets, as many as may be", self.classes.len()),
            ));
        }
        let class = self.compiled(tables, key)?;
        let number = self.classes.free.pop_first().unwrap_or_else(|| {
            self.classes.items.push(None);
            self.classes.items.len() as u32
        });
        self.classes.by_key.insert(class.key.clone(), number);
        self.classes.items[number as usize - 1] = Some(class);
        Ok(number)
    }

    fn compiled(&mut self, tables: &Arc<Tables>, key: ClassKey) -> Result<Box<Class>, Rejection> {
        let mut class = Box::new(self.compile(tables, key)?);
        class.surge.measured = self.conditions.measuring(&class);
        Ok(class)
    }

    fn room_for_a_class(&mut self) -> bool {
        let max = self.bounds().classes_max as usize;
        if self.classes.len() >= max {
            self.drop_empty_classes();
        }
        self.classes.len() < max
    }

    /// What was remembered of a canary's tables is another's next time.
    pub(crate) fn forget_values(&mut self) {
        self.classes.memo.clear();
    }

    /// Drops every class without tickets.
    pub(crate) fn drop_empty_classes(&mut self) {
        self.classes.memo.clear();
        for at in 0..self.classes.items.len() {
            let Some(class) = self.classes.items[at].take_if(|class| class.users == 0) else {
                continue;
            };
            self.classes.by_key.remove(&class.key);
            self.classes.free.insert(at as u32 + 1);
            for stage in &class.stages {
                self.board.drop_line(stage.line);
                self.board.release_requirement(stage.requirement);
            }
            if let Some(requirement) = class.affinity.as_ref().and_then(|affinity| affinity.requirement) {
                self.board.release_requirement(requirement);
            }
        }
        self.drop_unused_conditions();
    }

    /// Puts a class at its number, when a state is restored.
    pub(crate) fn place_class(&mut self, number: u32, tables: &Arc<Tables>, key: ClassKey) -> Result<(), Rejection> {
        let class = self.compiled(tables, key)?;
        while self.classes.items.len() < number as usize {
            self.classes.items.push(None);
            let vacant = self.classes.items.len() as u32;
            self.classes.free.insert(vacant);
        }
        self.classes.free.remove(&number);
        self.classes.by_key.insert(class.key.clone(), number);
        self.classes.items[number as usize - 1] = Some(class);
        Ok(())
    }

    /// What holds for a class once the steps in `taken` are taken; with its line, made if need be.
    pub(crate) fn stage(&mut self, class_number: u32, taken: u32) -> Stage {
        let class = &self.classes[class_number];
        if let Some(stage) = class.stages.iter().find(|stage| stage.taken == taken) {
            return *stage;
        }
        let (requirement, boost_us) = (class.requirement_at(taken, &self.conditions), class.boost_at(taken));
        // Steps are bits in the order listed.
        let step = 32 - taken.leading_zeros();
        let head = Head {
            base: class.slope_milli * boost_us + 1_000_000 * class.head_start,
            boost_us,
            slope_milli: class.slope_milli as u32,
            class: class_number,
            cost: class.cost,
            channel: class.channel,
            fits: !class.fits.is_empty(),
            ..Head::default()
        };
        let requirement = self.board.requirement(requirement);
        let line = self.board.new_line(head, requirement);
        let stage = Stage {
            taken,
            line,
            requirement,
            step,
        };
        self.classes[class_number].stages.push(stage);
        stage
    }

    /// The stage of a class if it was met already: for readers.
    pub(crate) fn known_stage(&self, class: u32, taken: u32) -> Option<&Stage> {
        self.classes[class].stages.iter().find(|stage| stage.taken == taken)
    }

    /// The fit of a class's tickets with agents of a profile, ms.
    pub(crate) fn fit(&self, class: &Class, profile: u32) -> Millis {
        let key = &self.board.profiles[profile as usize].key;
        class
            .fits
            .iter()
            .filter(|((skill, level), _)| key.level(*skill) >= *level)
            .map(|(_, fit)| fit)
            .sum()
    }

    /// The class's path, for people: queue/rule+rule@channel.
    pub(crate) fn class_path(&self, class: &Class) -> String {
        let spec = &class.tables.spec;
        let mut layers: Vec<String> = Vec::new();
        for (at, layer) in spec.layers.iter().enumerate() {
            let rules: Vec<u16> = class
                .key
                .applied
                .iter()
                .filter(|rule| rule.0 as usize == at)
                .map(|rule| rule.1)
                .collect();
            if at > 0 && rules == [layer.rules.len() as u16 - 1] {
                continue;
            }
            let name = |&rule: &u16| {
                let rule = &layer.rules[rule as usize];
                let mut picked: Vec<&str> = Vec::new();
                for attribute in picking(&rule.effects, Counts::ALL) {
                    let value = class
                        .key
                        .picks
                        .iter()
                        .find(|(name, _)| name == attribute)
                        .map(|(_, value)| value.as_str());
                    picked.extend(value.filter(|value| !picked.contains(value)));
                }
                if picked.is_empty() {
                    rule.name.to_string()
                } else {
                    format!("{}[{}]", rule.name, picked.join(","))
                }
            };
            layers.push(rules.iter().map(name).collect::<Vec<_>>().join("+"));
        }
        let mut path = format!("{}@{}", layers.join("/"), self.channel_names.name(class.channel.into()));
        if !class.key.own.is_empty() {
            path.push_str("+own");
        }
        if class.key.transfer.is_some() {
            path.push_str("→requirement");
        }
        path
    }
}
