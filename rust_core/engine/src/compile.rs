//! From the rules that apply to a class: how layers combine, defaults fill, and names become numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::board::{Requirement, SkillAt};
use crate::class::{Affinity, Class, ClassClock, ClassKey, Step, When};
use crate::clocks::{ARRIVAL, ASSIGNMENT, FIRST_REPLY};
use crate::conditions::{Key, Surge};
use crate::policy::{AgentOrder, ClockMode, Effects, Need, Needs, OfferSpec, StepMoment, StepSpec};
use crate::tables::{RuleAt, Tables};
use crate::{Engine, Micros, Millis, Rejection, limits};

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
    let overlays = effects
        .overlays
        .iter()
        .filter(move |_| counts.overlays)
        .map(|overlay| &overlay.needs);
    let all = needs
        .chain(steps)
        .chain(affinity)
        .flat_map(|needs| needs.groups.iter().flatten().chain(&needs.none_of));
    let fits = effects.fits.iter().filter(move |_| counts.fits).map(|fit| &fit.skill);
    let over = overlays.flat_map(|needs| needs.groups.iter().flatten().chain(&needs.none_of));
    all.chain(fits)
        .chain(over)
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
    pub(crate) overlays: bool,
}

impl Counts {
    pub(crate) const ALL: Self = Self {
        needs: true,
        steps: true,
        affinity: true,
        fits: true,
        overlays: true,
    };

    /// Which of the defaults' tables fill what no applied rule gave.
    pub(crate) fn of_defaults<'a>(applied: impl Iterator<Item = &'a Effects> + Clone) -> Self {
        Self {
            needs: !applied.clone().any(|effects| effects.needs.is_some()),
            steps: !applied.clone().any(|effects| !effects.steps.is_empty()),
            affinity: !applied.clone().any(|effects| effects.affinity.is_some()),
            fits: !applied.clone().any(|effects| !effects.fits.is_empty()),
            overlays: !applied.clone().any(|effects| !effects.overlays.is_empty()),
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

/// What the rules of a class give for its urgency, as they are tuned now.
fn urgent<'a>(tables: &'a Tables, key: &ClassKey, tuned: Option<&'a BTreeMap<RuleAt, Effects>>) -> Vec<&'a Effects> {
    let give = |&rule: &RuleAt| {
        let tuned = tuned.and_then(|tuned| tuned.get(&rule));
        tuned.unwrap_or_else(|| tables.effects(rule))
    };
    key.applied.iter().map(give).collect()
}

impl Engine {
    /// The class of a key.
    pub(crate) fn compile(&mut self, tables: &Arc<Tables>, key: ClassKey) -> Result<Class, Rejection> {
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

        let reply = self.moments.get(FIRST_REPLY);
        let own_target = clocks
            .iter()
            .filter(|clock| clock.starts == ARRIVAL && (clock.stops == ASSIGNMENT || Some(clock.stops) == reply))
            .map(|clock| clock.target_us)
            .min();
        let policy_target = Some(spec.answer_target * 1000).filter(|target| *target > 0);

        let (slope_milli, head_start) = self.urgency_of(tables, &key, &clocks);

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

        let fits = self.fits_of(tables, &key)?;

        let queue_name = spec.layers[0].rules[key.applied[0].1 as usize].name.clone();
        let surge = self.surge(tables, &all, &key, &queue_name)?;
        let keep = |effects: &Effects| effects.affinity.clone().map(|affinity| (affinity, effects.owner_keep));
        let affinity = match first(&all, defaults, keep) {
            None => None,
            Some((spec, owner_keep)) => {
                let mut own_needs = match &spec.needs {
                    None => None,
                    Some(needs) => Some(resolve(self, needs, &key)?),
                };
                let requirement = own_needs.as_mut().map(|needs| {
                    needs.groups.extend(own.groups.iter().cloned());
                    let mut asked = needs.clone();
                    asked.none_of.extend(surge.kept_now(&self.conditions));
                    self.board.requirement(asked)
                });
                Some(Affinity {
                    hold: spec.hold,
                    transfer_hold: spec.transfer_hold,
                    requirement,
                    own: own_needs,
                    owner_keep,
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
        Ok(Class {
            tables: Arc::clone(tables),
            users: 0,
            queue: self.queue_number(&queue_name),
            queue_name,
            channel: key.channel,
            cost: first(&all, defaults, |effects| effects.cost)
                .or(channel.map(|channel| channel.cost))
                .unwrap_or(1),
            slope_milli,
            head_start,
            clocks,
            steps,
            parts,
            own,
            stages: Vec::new(),
            usual_order: *order == [AgentOrder::LeastLoaded, AgentOrder::LongestIdle],
            order,
            heap,
            affinity,
            offer: first(&all, defaults, |effects| effects.offer).unwrap_or(OfferSpec {
                ttl: 0,
                away_on_expiry: false,
            }),
            wrap_up: first(&all, defaults, |effects| effects.wrap_up).unwrap_or(0),
            answer_target_us: own_target.or(policy_target).unwrap_or(Micros::MAX),
            decline_exclude: first(&all, defaults, |effects| effects.decline_exclude)
                .unwrap_or(limits::DECLINE_EXCLUDE_MS_DEFAULT),
            skip_unstaffed: first(&all, defaults, |effects| effects.skip_unstaffed).unwrap_or(false),
            fits,
            surge,
            arrived: 0,
            answered: 0,
            key,
        })
    }

    /// A class's slope (thousandths) and head start.
    pub(crate) fn urgency_of(&self, tables: &Tables, key: &ClassKey, clocks: &[ClassClock]) -> (i64, Millis) {
        let tuned = self.tuning.of(tables.spec.version);
        let (all, defaults) = (urgent(tables, key, tuned.as_deref()), &tables.spec.defaults);
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
        let slope_milli = first(&all, defaults, |effects| effects.slope_milli).unwrap_or(1000);
        (slope_milli.into(), head_start)
    }

    /// A class's fits.
    pub(crate) fn fits_of(&mut self, tables: &Tables, key: &ClassKey) -> Result<Vec<(SkillAt, Millis)>, Rejection> {
        let tuned = self.tuning.of(tables.spec.version);
        let mut all = urgent(tables, key, tuned.as_deref());
        if all.iter().all(|effects| effects.fits.is_empty()) {
            all = vec![&tables.spec.defaults];
        }
        let mut fits = Vec::new();
        for fit in all.iter().flat_map(|effects| &effects.fits) {
            if let Some(name) = skill_name(&fit.skill, key) {
                fits.push(((self.skill(&name)?, fit.skill.level), fit.fit));
            }
        }
        Ok(fits)
    }

    /// What of a class depends on queues.
    fn surge(
        &mut self,
        tables: &Tables,
        all: &[&Effects],
        key: &ClassKey,
        queue: &SmolStr,
    ) -> Result<Surge, Rejection> {
        let (spec, defaults) = (&tables.spec, &tables.spec.defaults);
        let mut surge = Surge::default();
        let given = all.iter().any(|effects| !effects.overlays.is_empty());
        let of_layers = key.applied.iter().map(|rule| rule.0).zip(all.iter().copied());
        let of_defaults = (!given).then_some((spec.layers.len() as u8, defaults));
        for (part, effects) in of_layers.chain(of_defaults) {
            for overlay in &effects.overlays {
                let condition = self.condition(Key::new(&overlay.when, "", queue), false);
                surge
                    .overlays
                    .push((part, condition, resolve(self, &overlay.needs, key)?));
            }
        }
        let named = all.iter().any(|effects| !effects.reserves.is_empty());
        let naming: Vec<&Effects> = if named { all.to_vec() } else { vec![defaults] };
        surge.reserves = naming.iter().flat_map(|effects| &effects.reserves).cloned().collect();
        for reserve in &spec.reserves {
            let condition = self.condition(Key::new(&reserve.open, &reserve.name, queue), false);
            let skill = (self.skill(&reserve.skill.skill)?, reserve.skill.level);
            surge
                .kept
                .push((skill, condition, surge.reserves.contains(&reserve.name)));
        }
        Ok(surge)
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
}
