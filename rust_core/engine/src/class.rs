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
use crate::policy::{AgentOrder, ClockMode, Effects, Need, Needs, OfferSpec, StepMoment, StepSpec};
use crate::tables::{Applied, RuleAt, Tables, Values};
use crate::{Code, Engine, Micros, Millis, Rejection, limits};

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
    needs: Option<Requirement>,
    boost_us: Micros,
    pub(crate) alert: SmolStr,
    pub(crate) overflow_to: SmolStr,
    pub(crate) move_to: Option<RuleAt>,
}

/// What holds once certain steps are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stage {
    taken: u32,
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
    /// The requirement that the preferred agent may meet instead.
    pub(crate) requirement: Option<u32>,
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
    parts: Vec<Requirement>,
    own: Requirement,
    stages: Vec<Stage>,
    pub(crate) order: SmallVec<[AgentOrder; 4]>,
    /// The place of what of it differs within a profile, in `Board::orders`.
    pub(crate) heap: u32,
    pub(crate) affinity: Option<Affinity>,
    pub(crate) offer: OfferSpec,
    pub(crate) wrap_up: Millis,
    pub(crate) decline_exclude: Millis,
    pub(crate) skip_unstaffed: bool,
    pub(crate) fits: Vec<(SkillAt, Millis)>,
}

impl Class {
    fn taken_of(&self, taken: u32, part: usize) -> impl DoubleEndedIterator<Item = &Step> {
        let steps = self.steps.iter().enumerate();
        steps
            .filter(move |(at, step)| taken >> at & 1 == 1 && step.part as usize == part)
            .map(|(_, step)| step)
    }

    /// The requirement in force once these steps are taken: for each layer the needs of the last listed step that states any.
    pub(crate) fn requirement_at(&self, taken: u32) -> Requirement {
        let mut requirement = self.own.clone();
        for (part, base) in self.parts.iter().enumerate() {
            let needs = self
                .taken_of(taken, part)
                .filter_map(|step| step.needs.as_ref())
                .next_back()
                .unwrap_or(base);
            requirement.groups.extend(needs.groups.iter().cloned());
            requirement.none_of.extend(needs.none_of.iter().copied());
        }
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
    memo: FxHashMap<(u8, Values), u32>,
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
        number > 0 && self.items.get(number as usize - 1).is_some_and(Option::is_some)
    }

    pub(crate) fn memo(&self, channel: u8, values: &Values) -> Option<u32> {
        // One look-up without building a key would need a borrowed form; the copy is inline and cheap.
        self.memo.get(&(channel, values.clone())).copied()
    }

    pub(crate) fn remember(&mut self, channel: u8, values: Values, class: u32) {
        if self.memo.len() >= 4 * self.by_key.len() + 1024 {
            self.memo.clear();
        }
        self.memo.insert((channel, values), class);
    }
}

/// The needs' skills by number; an entry whose attribute is missing is left out.
fn resolve(engine: &mut Engine, needs: &Needs, key: &ClassKey) -> Result<Requirement, Rejection> {
    let mut list = |needs: &[Need]| {
        let mut skills = Vec::with_capacity(needs.len());
        for need in needs {
            if let Some(name) = skill_name(need, key) {
                skills.push((engine.skill(&name)?, need.level));
            }
        }
        Ok::<_, Rejection>(skills)
    };
    let groups = needs.groups.iter().map(|group| list(group)).collect::<Result<_, _>>()?;
    Ok(Requirement {
        groups,
        none_of: list(&needs.none_of)?,
    })
}

fn skill_name(need: &Need, key: &ClassKey) -> Option<SmolStr> {
    if need.attribute.is_empty() {
        return Some(need.skill.clone());
    }
    let (_, value) = key.picks.iter().find(|(attribute, _)| *attribute == need.attribute)?;
    Some(SmolStr::from(format!("{}[{value}]", need.skill)))
}

/// The attributes that pick members of families, in those tables of a rule that count.
pub(crate) fn picking(effects: &Effects, counts: Counts) -> impl Iterator<Item = &SmolStr> {
    let needs = effects.needs.iter().filter(move |_| counts.needs);
    let steps = effects
        .steps
        .iter()
        .filter(move |_| counts.steps)
        .filter_map(|step| step.needs.as_ref());
    let affinity = effects
        .affinity
        .iter()
        .filter(move |_| counts.affinity)
        .filter_map(|affinity| affinity.needs.as_ref());
    let all = needs
        .chain(steps)
        .chain(affinity)
        .flat_map(|needs| needs.groups.iter().flatten().chain(&needs.none_of));
    let fits = effects.fits.iter().filter(move |_| counts.fits).map(|fit| &fit.skill);
    all.chain(fits)
        .map(|need| &need.attribute)
        .filter(|name| !name.is_empty())
}

/// Which tables of a rule count for a class.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Counts {
    pub(crate) needs: bool,
    pub(crate) steps: bool,
    pub(crate) affinity: bool,
    pub(crate) fits: bool,
}

impl Counts {
    pub(crate) const ALL: Self = Self {
        needs: true,
        steps: true,
        affinity: true,
        fits: true,
    };

    /// Which of the defaults' tables fill what no applied rule gave.
    pub(crate) fn of_defaults<'a>(applied: impl Iterator<Item = &'a Effects> + Clone) -> Self {
        Self {
            needs: !applied.clone().any(|effects| effects.needs.is_some()),
            steps: !applied.clone().any(|effects| !effects.steps.is_empty()),
            affinity: !applied.clone().any(|effects| effects.affinity.is_some()),
            fits: !applied.clone().any(|effects| !effects.fits.is_empty()),
        }
    }
}

/// The clocks that a class has: by name, `off` over `exactly` (the first) over the shortest `within` (the first).
fn clocks(tables: &Tables, all: &[&Effects], defaults: &Effects) -> Vec<(usize, Millis, Vec<Millis>)> {
    let any = all.iter().any(|effects| !effects.clocks.is_empty());
    let all: Vec<&Effects> = if any { all.to_vec() } else { vec![defaults] };
    let mut found = Vec::new();
    for (at, clock) in tables.spec.clocks.iter().enumerate() {
        let uses = || {
            all.iter()
                .flat_map(|effects| &effects.clocks)
                .filter(|used| used.clock == clock.name)
        };
        if uses().any(|used| used.mode == ClockMode::Off) {
            continue;
        }
        let exactly = uses().find(|used| used.mode == ClockMode::Exactly);
        // min_by_key keeps the first of equals.
        if let Some(used) = exactly.or_else(|| uses().min_by_key(|used| used.target)) {
            found.push((at, used.target, used.warnings.clone()));
        }
    }
    found
}

fn first<T>(all: &[&Effects], defaults: &Effects, get: impl Fn(&Effects) -> Option<T>) -> Option<T> {
    all.iter().find_map(|effects| get(effects)).or_else(|| get(defaults))
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
        let class = Box::new(self.compile(tables, key)?);
        let number = match self.classes.free.pop_first() {
            Some(number) => number,
            None => {
                self.classes.items.push(None);
                self.classes.items.len() as u32
            }
        };
        self.classes.by_key.insert(class.key.clone(), number);
        self.classes.items[number as usize - 1] = Some(class);
        Ok(number)
    }

    fn room_for_a_class(&mut self) -> bool {
        let max = self.bounds().classes_max as usize;
        if self.classes.len() >= max {
            self.drop_empty_classes();
        }
        self.classes.len() < max
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
    }

    /// Puts a class at its number, when a state is restored.
    pub(crate) fn place_class(&mut self, number: u32, tables: &Arc<Tables>, key: ClassKey) -> Result<(), Rejection> {
        let class = Box::new(self.compile(tables, key)?);
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

    fn compile(&mut self, tables: &Arc<Tables>, key: ClassKey) -> Result<Class, Rejection> {
        let spec = Arc::clone(&tables.spec);
        let defaults = &spec.defaults;
        let all: Vec<&Effects> = key.applied.iter().map(|&rule| tables.effects(rule)).collect();
        let default_needs = if all.iter().any(|effects| effects.needs.is_some()) {
            None
        } else {
            defaults.needs.as_ref()
        };

        // Requirement: a part a layer, and one for the defaults.
        let mut parts = vec![Requirement::default(); spec.layers.len() + 1];
        for (&(layer, _), effects) in key.applied.iter().zip(&all) {
            if let Some(needs) = &effects.needs {
                let more = resolve(self, needs, &key)?;
                parts[layer as usize].groups.extend(more.groups);
                parts[layer as usize].none_of.extend(more.none_of);
            }
        }
        if let Some(needs) = default_needs {
            parts[spec.layers.len()] = resolve(self, needs, &key)?;
        }
        if let Some(transfer) = &key.transfer {
            parts[0] = Requirement::clone(transfer);
        }
        let own = Requirement {
            groups: key.own.iter().map(|&skill| vec![skill]).collect(),
            none_of: vec![],
        };

        let clocks: Vec<ClassClock> = clocks(tables, &all, defaults)
            .into_iter()
            .map(|(at, target, warnings)| {
                let clock = &spec.clocks[at];
                ClassClock {
                    clock: self.clock_names.intern(&clock.name),
                    starts: self.moments.intern(&clock.starts),
                    stops: self.moments.intern(&clock.stops),
                    target_us: target * 1000,
                    warnings_us: warnings.into_iter().map(|warning| warning * 1000).collect(),
                }
            })
            .collect();

        let by_deadline = |effects: &Effects| {
            effects.by_deadline.as_ref().map_or(0, |(name, otherwise)| {
                let number = self.clock_names.get(name);
                let clock = clocks.iter().find(|clock| Some(clock.clock) == number);
                clock.map_or(0, |clock| otherwise - clock.target_us / 1000)
            })
        };
        let given: Millis = all.iter().map(|effects| effects.head_start).sum();
        let no_start = all.iter().all(|effects| effects.head_start == 0);
        let no_deadline = all.iter().all(|effects| effects.by_deadline.is_none());
        let deadlines: Millis = if no_deadline {
            by_deadline(defaults)
        } else {
            all.iter().map(|effects| by_deadline(effects)).sum()
        };
        let head_start = deadlines + if no_start { defaults.head_start } else { given };

        let mut steps = Vec::new();
        for (&(layer, _), effects) in key.applied.iter().zip(&all) {
            for step in &effects.steps {
                steps.push(self.compile_step(step, layer, tables, &clocks, &key)?);
            }
        }
        if steps.is_empty() {
            for step in &defaults.steps {
                steps.push(self.compile_step(step, spec.layers.len() as u8, tables, &clocks, &key)?);
            }
        }

        let own_fits = all.iter().any(|effects| !effects.fits.is_empty());
        let fit_sources: Vec<&Effects> = if own_fits { all.clone() } else { vec![defaults] };
        let mut fits = Vec::new();
        for fit in fit_sources.iter().flat_map(|effects| &effects.fits) {
            if let Some(name) = skill_name(&fit.skill, &key) {
                fits.push(((self.skill(&name)?, fit.skill.level), fit.fit));
            }
        }

        let affinity = match first(&all, defaults, |effects| effects.affinity.clone()) {
            None => None,
            Some(spec) => {
                let requirement = match &spec.needs {
                    None => None,
                    Some(needs) => {
                        let mut requirement = resolve(self, needs, &key)?;
                        requirement.groups.extend(own.groups.iter().cloned());
                        Some(self.board.requirement(requirement))
                    }
                };
                Some(Affinity {
                    hold: spec.hold,
                    transfer_hold: spec.transfer_hold,
                    requirement,
                })
            }
        };
        let some_order = |effects: &Effects| (!effects.order.is_empty()).then(|| effects.order.clone());
        let order: SmallVec<[AgentOrder; 4]> = first(&all, defaults, some_order)
            .unwrap_or_else(|| vec![AgentOrder::LeastLoaded, AgentOrder::LongestIdle])
            .into();
        let heap = self.order_within_profiles(&order);
        let channel_name = self.channel_names.name(key.channel.into());
        let channel = spec.channels.iter().find(|channel| channel.name == *channel_name);
        let queue_name = spec.layers[0].rules[key.applied[0].1 as usize].name.clone();
        Ok(Class {
            tables: Arc::clone(tables),
            users: 0,
            queue: self.queue_number(&queue_name),
            queue_name,
            channel: key.channel,
            cost: first(&all, defaults, |effects| effects.cost)
                .or(channel.map(|channel| channel.cost))
                .unwrap_or(1),
            slope_milli: first(&all, defaults, |effects| effects.slope_milli)
                .unwrap_or(1000)
                .into(),
            head_start,
            clocks,
            steps,
            parts,
            own,
            stages: Vec::new(),
            order,
            heap,
            affinity,
            offer: first(&all, defaults, |effects| effects.offer).unwrap_or(OfferSpec {
                ttl: 0,
                away_on_expiry: false,
            }),
            wrap_up: first(&all, defaults, |effects| effects.wrap_up).unwrap_or(0),
            decline_exclude: first(&all, defaults, |effects| effects.decline_exclude)
                .unwrap_or(limits::DECLINE_EXCLUDE_MS_DEFAULT),
            skip_unstaffed: first(&all, defaults, |effects| effects.skip_unstaffed).unwrap_or(false),
            fits,
            key,
        })
    }

    fn compile_step(
        &mut self,
        step: &StepSpec,
        part: u8,
        tables: &Tables,
        clocks: &[ClassClock],
        key: &ClassKey,
    ) -> Result<Step, Rejection> {
        let when = match &step.when {
            StepMoment::Age(age) => When::Age(age * 1000),
            StepMoment::Point { clock, share_milli } => {
                let number = self.clock_names.get(clock);
                let at = clocks.iter().position(|clock| Some(clock.clock) == number);
                // target (µs) × share ÷ 1000 is whole: targets are whole ms.
                When::Run(at.map(|at| (at as u8, clocks[at].target_us / 1000 * i64::from(*share_milli))))
            }
        };
        Ok(Step {
            part,
            when,
            needs: step.needs.as_ref().map(|needs| resolve(self, needs, key)).transpose()?,
            boost_us: step.boost * 1000,
            alert: step.alert.clone(),
            overflow_to: step.overflow_to.clone(),
            move_to: if step.move_to.is_empty() {
                None
            } else {
                tables.rule(part, &step.move_to)
            },
        })
    }

    /// What holds for a class once the steps in `taken` are taken; with its line, made if need be.
    pub(crate) fn stage(&mut self, class_number: u32, taken: u32) -> Stage {
        let class = &self.classes[class_number];
        if let Some(stage) = class.stages.iter().find(|stage| stage.taken == taken) {
            return *stage;
        }
        let (requirement, boost_us) = (class.requirement_at(taken), class.boost_at(taken));
        // Steps are bits in the order listed.
        let step = 32 - taken.leading_zeros();
        let head = Head {
            base: class.slope_milli * boost_us + 1_000_000 * class.head_start,
            boost_us,
            slope_milli: class.slope_milli,
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

    /// The place in `Board::orders` of what of an order differs between agents of one profile.
    fn order_within_profiles(&mut self, order: &[AgentOrder]) -> u32 {
        use AgentOrder::{LeastLoaded, LongestIdle, RoundRobin};
        let mut within: SmallVec<[AgentOrder; 3]> = SmallVec::new();
        for &component in order {
            if matches!(component, LeastLoaded | LongestIdle | RoundRobin) && !within.contains(&component) {
                within.push(component);
            }
        }
        if let Some(at) = self.board.orders.iter().position(|known| *known == within) {
            return at as u32;
        }
        self.board.orders.push(within);
        self.rebuild_heaps();
        self.board.orders.len() as u32 - 1
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
