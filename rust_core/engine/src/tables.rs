//! A policy, checked and indexed: what its rules say of a ticket's attributes. No Python runs per ticket, and few rules
//! are looked at: each layer is entered by the value of the attribute that most of its rules test.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::limits::{
    BOOST_MS_MAX, CLASS_STEPS_MAX, DURATION_MS_MAX, HEAD_START_MS_MAX, LEVEL_MAX, OFFER_TTL_MS_MAX, SLOPE_MILLI_MAX,
    UNITS_MAX, WARNINGS_MAX,
};
use crate::policy::{Condition, Effects, LayerSpec, Needs, Op, PolicySpec, StepMoment, StepSpec};
use crate::{Code, Millis, Rejection};

/// An attribute's value in a ticket: 0 missing, 1 none that the policy names, else the named one + 2.
pub(crate) type Value = u32;
pub(crate) const MISSING: Value = 0;
const UNNAMED: Value = 1;

/// A ticket's values, by attribute number: channel, customer, then those declared.
pub(crate) type Values = SmallVec<[Value; 12]>;
const CHANNEL: u16 = 0;
const CUSTOMER: u16 = 1;

/// A rule that applies: layer and place in it.
pub(crate) type RuleAt = (u8, u16);
pub(crate) type Applied = SmallVec<[RuleAt; 6]>;

#[derive(Debug)]
enum Test {
    In(u16, Vec<Value>),
    NotIn(u16, Vec<Value>),
    Present(u16),
    Missing(u16),
    All(Vec<Test>),
    Any(Vec<Test>),
}

impl Test {
    fn holds(&self, values: &[Value]) -> bool {
        match self {
            Test::In(attribute, named) => named.contains(&values[*attribute as usize]),
            Test::NotIn(attribute, named) => {
                let value = values[*attribute as usize];
                value != MISSING && !named.contains(&value)
            }
            Test::Present(attribute) => values[*attribute as usize] != MISSING,
            Test::Missing(attribute) => values[*attribute as usize] == MISSING,
            Test::All(tests) => tests.iter().all(|test| test.holds(values)),
            Test::Any(tests) => tests.iter().any(|test| test.holds(values)),
        }
    }

    /// The values of `attribute` without which this cannot hold, if it says so.
    fn guard(&self, attribute: u16) -> Option<Vec<Value>> {
        match self {
            Test::In(tested, named) if *tested == attribute => Some(named.clone()),
            Test::All(tests) => tests.iter().find_map(|test| test.guard(attribute)),
            Test::Any(tests) => {
                let all: Option<Vec<_>> = tests.iter().map(|test| test.guard(attribute)).collect();
                all.map(|guards| guards.concat())
            }
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Layer {
    every: bool,
    /// A test a rule; None always holds.
    rules: Vec<Option<Test>>,
    /// The attribute by whose value the layer is entered, and the rules to look at for each value.
    entry: Option<(u16, Vec<Vec<u16>>)>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) spec: Arc<PolicySpec>,
    attributes: FxHashMap<SmolStr, u16>,
    values: Vec<FxHashMap<SmolStr, Value>>,
    layers: Vec<Layer>,
}

fn invalid(what: impl Into<String>, message: impl Into<String>) -> Rejection {
    Rejection::about(Code::PolicyInvalid, what, message.into())
}

impl Tables {
    /// Checks a policy whole and indexes it.
    pub(crate) fn new(spec: Arc<PolicySpec>) -> Result<Self, Rejection> {
        check(&spec)?;
        let mut attributes = FxHashMap::default();
        let mut values = Vec::new();
        let builtin = [
            (
                "channel",
                spec.channels.iter().map(|channel| &channel.name).collect::<Vec<_>>(),
            ),
            ("customer", vec![]),
        ];
        let declared = spec
            .attributes
            .iter()
            .map(|attribute| (attribute.name.as_str(), attribute.values.iter().collect()));
        for (name, named) in builtin.into_iter().chain(declared) {
            if attributes.insert(SmolStr::new(name), values.len() as u16).is_some() {
                return Err(invalid(name, "the attribute is declared twice"));
            }
            values.push(
                named
                    .into_iter()
                    .enumerate()
                    .map(|(at, value)| (value.clone(), at as Value + 2))
                    .collect(),
            );
        }
        let mut tables = Self {
            attributes,
            values,
            layers: Vec::new(),
            spec: Arc::clone(&spec),
        };
        for layer in &spec.layers {
            let rules = layer
                .rules
                .iter()
                .map(|rule| {
                    let place = format!("{}.{}", layer.name, rule.name);
                    rule.when.as_ref().map(|when| tables.test(&place, when)).transpose()
                })
                .collect::<Result<Vec<_>, _>>()?;
            tables.layers.push(Layer {
                every: layer.every,
                rules,
                entry: None,
            });
        }
        for at in 0..tables.layers.len() {
            tables.layers[at].entry = tables.entry(&tables.layers[at]);
        }
        Ok(tables)
    }

    fn test(&mut self, place: &str, condition: &Condition) -> Result<Test, Rejection> {
        let list = |tables: &mut Self, conditions: &[Condition]| {
            conditions
                .iter()
                .map(|condition| tables.test(place, condition))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match condition {
            Condition::All(conditions) => Test::All(list(self, conditions)?),
            Condition::Any(conditions) => Test::Any(list(self, conditions)?),
            Condition::Test { attribute, op, values } => {
                let Some(&number) = self.attributes.get(attribute) else {
                    return Err(invalid(
                        place,
                        format!("tests the attribute {attribute:?}, which is not declared"),
                    ));
                };
                let named = &mut self.values[number as usize];
                let closed = number >= 2 && !self.spec.attributes[number as usize - 2].values.is_empty();
                let mut codes = Vec::with_capacity(values.len());
                for value in values {
                    let next = named.len() as Value + 2;
                    match named.get(value) {
                        Some(&code) => codes.push(code),
                        None if closed || number == CHANNEL => {
                            return Err(invalid(
                                place,
                                format!("{attribute} is never {value:?}: it is not among its values"),
                            ));
                        }
                        None => {
                            named.insert(value.clone(), next);
                            codes.push(next);
                        }
                    }
                }
                match op {
                    Op::In => Test::In(number, codes),
                    Op::NotIn => Test::NotIn(number, codes),
                    Op::Present => Test::Present(number),
                    Op::Missing => Test::Missing(number),
                }
            }
        })
    }

    fn entry(&self, layer: &Layer) -> Option<(u16, Vec<Vec<u16>>)> {
        if layer.rules.len() < 8 {
            return None;
        }
        let guards = |attribute: u16| -> Vec<Option<Vec<Value>>> {
            layer
                .rules
                .iter()
                .map(|test| test.as_ref().and_then(|test| test.guard(attribute)))
                .collect()
        };
        let (_, attribute) = (0..self.values.len() as u16)
            .map(|attribute| (guards(attribute).iter().flatten().count(), attribute))
            .max_by_key(|&(count, attribute)| (count, std::cmp::Reverse(attribute)))?;
        let guards = guards(attribute);
        let codes = self.values[attribute as usize].len() + 2;
        let mut by_value: Vec<Vec<u16>> = vec![Vec::new(); codes];
        for (rule, guard) in guards.iter().enumerate() {
            match guard {
                None => by_value.iter_mut().for_each(|rules| rules.push(rule as u16)),
                Some(named) => {
                    for &code in named {
                        if by_value[code as usize].last() != Some(&(rule as u16)) {
                            by_value[code as usize].push(rule as u16);
                        }
                    }
                }
            }
        }
        Some((attribute, by_value))
    }

    /// What the policy sees of a ticket. `strict`: required attributes and closed values are checked.
    pub(crate) fn read<'a>(
        &self,
        channel: &str,
        customer: &str,
        attributes: impl Iterator<Item = (&'a str, &'a str, u16)>,
        strict: bool,
    ) -> Result<Values, Rejection> {
        let mut values: Values = SmallVec::from_elem(MISSING, self.values.len());
        let code = |attribute: u16, value: &str| self.values[attribute as usize].get(value).copied().unwrap_or(UNNAMED);
        values[CHANNEL as usize] = code(CHANNEL, channel);
        if !customer.is_empty() {
            values[CUSTOMER as usize] = code(CUSTOMER, customer);
        }
        let mut seen: u128 = 0;
        for (name, value, confidence_milli) in attributes {
            let Some(&number) = self.attributes.get(name) else {
                continue;
            };
            // "channel" and "customer" are fields; as attributes they say nothing.
            let Some(declared) = (number as usize).checked_sub(2).map(|at| &self.spec.attributes[at]) else {
                continue;
            };
            let code = code(number, value);
            if strict && code == UNNAMED && !declared.values.is_empty() {
                let allowed = declared.values.join(", ");
                return Err(Rejection::about(
                    Code::UnknownValue,
                    name,
                    format!("{name} is {value:?}; the policy knows {allowed}"),
                ));
            }
            seen |= 1 << number;
            if confidence_milli >= declared.threshold_milli {
                values[number as usize] = code;
            }
        }
        if strict {
            for (at, declared) in self.spec.attributes.iter().enumerate() {
                if declared.required && seen >> (at + 2) & 1 == 0 {
                    let name = declared.name.clone();
                    return Err(Rejection::about(
                        Code::FieldMissing,
                        name.clone(),
                        format!("the policy requires the attribute {name}"),
                    ));
                }
            }
        }
        Ok(values)
    }

    /// The rules that apply. `moved` replaces its layer's.
    pub(crate) fn classify(&self, values: &[Value], moved: Option<RuleAt>) -> Applied {
        let mut applied = Applied::new();
        for (at, layer) in self.layers.iter().enumerate() {
            if let Some((moved_layer, rule)) = moved
                && moved_layer as usize == at
            {
                applied.push((moved_layer, rule));
                continue;
            }
            let before = applied.len();
            let otherwise = layer.rules.len() as u16 - 1;
            let mut look = |rule: u16| {
                let holds = layer.rules[rule as usize]
                    .as_ref()
                    .is_none_or(|test| test.holds(values));
                let counts = holds && (!layer.every || rule != otherwise || applied.len() == before);
                if counts {
                    applied.push((at as u8, rule));
                }
                counts && !layer.every
            };
            match &layer.entry {
                Some((attribute, by_value)) => by_value[values[*attribute as usize] as usize]
                    .iter()
                    .any(|&rule| look(rule)),
                None => (0..=otherwise).any(look),
            };
        }
        applied
    }

    /// What a rule gives.
    pub(crate) fn effects(&self, (layer, rule): RuleAt) -> &Effects {
        &self.spec.layers[layer as usize].rules[rule as usize].effects
    }

    /// The first layer's rule of this name: a queue.
    pub(crate) fn queue(&self, name: &str) -> Option<RuleAt> {
        self.rule(0, name)
    }

    pub(crate) fn rule(&self, layer: u8, name: &str) -> Option<RuleAt> {
        let rules = &self.spec.layers[layer as usize].rules;
        rules
            .iter()
            .position(|rule| rule.name == name)
            .map(|rule| (layer, rule as u16))
    }

    /// A channel of the policy.
    pub(crate) fn channel(&self, name: &str) -> Option<&crate::policy::ChannelSpec> {
        self.spec.channels.iter().find(|channel| channel.name == name)
    }

    /// Whether a guess of this confidence counts for a declared attribute.
    pub(crate) fn counts(&self, name: &str, confidence_milli: u16) -> bool {
        let declared = self.spec.attributes.iter().find(|attribute| attribute.name == name);
        declared.is_none_or(|attribute| confidence_milli >= attribute.threshold_milli)
    }

    /// Whether an update keeps this attribute's old value when its new guess is below the threshold.
    pub(crate) fn sticky(&self, name: &str, confidence_milli: u16) -> bool {
        self.attributes
            .get(name)
            .and_then(|&number| (number as usize).checked_sub(2))
            .is_some_and(|at| {
                let declared = &self.spec.attributes[at];
                declared.sticky && confidence_milli < declared.threshold_milli
            })
    }
}

fn within(place: &str, what: &str, value: Millis, low: Millis, high: Millis) -> Result<(), Rejection> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(invalid(place, format!("{what} is {value}; it must be {low}..{high}")))
}

/// The checks that keep the engine sound, whoever compiled the policy. Friendlier ones come before, in Python.
fn check(spec: &PolicySpec) -> Result<(), Rejection> {
    if spec.layers.is_empty() {
        return Err(invalid("layers", "a policy needs at least one layer"));
    }
    if spec.channels.is_empty() {
        return Err(invalid("channels", "a policy needs at least one channel"));
    }
    unique("channels", spec.channels.iter().map(|channel| &channel.name))?;
    unique("clocks", spec.clocks.iter().map(|clock| &clock.name))?;
    unique("layers", spec.layers.iter().map(|layer| &layer.name))?;
    for channel in &spec.channels {
        within(&channel.name, "cost", channel.cost.into(), 1, UNITS_MAX.into())?;
        within(&channel.name, "limit", channel.limit.into(), 1, UNITS_MAX.into())?;
    }
    for (what, value) in [
        ("lost_grace_ms", spec.lost_grace),
        ("suspend_ms", spec.suspend),
        ("short_abandon_ms", spec.short_abandon),
    ] {
        within("policy", what, value, 0, DURATION_MS_MAX)?;
    }
    within("policy", "answer_target_ms", spec.answer_target, 0, DURATION_MS_MAX)?;
    within("limits", "closed_keep_ms", spec.limits.closed_keep, 0, DURATION_MS_MAX)?;
    let mut sums = Sums::default();
    for layer in &spec.layers {
        let Some(last) = layer.rules.last() else {
            return Err(invalid(layer.name.clone(), "a layer needs a rule"));
        };
        if last.when.is_some() {
            return Err(invalid(
                format!("{}.{}", layer.name, last.name),
                "the last rule of a layer must be an Otherwise",
            ));
        }
        unique(&layer.name, layer.rules.iter().map(|rule| &rule.name))?;
        let mut of_layer = Sums::default();
        for rule in &layer.rules {
            let place = format!("{}.{}", layer.name, rule.name);
            let of_rule = check_effects(spec, &place, &rule.effects, Some(layer))?;
            if layer.every {
                of_layer.add(&of_rule)
            } else {
                of_layer.widen(&of_rule)
            }
        }
        check_moves(layer)?;
        sums.add(&of_layer);
    }
    sums.add(&check_effects(spec, "defaults", &spec.defaults, None)?);
    within(
        "policy",
        "the steps of one ticket, all layers together,",
        sums.steps as Millis,
        0,
        CLASS_STEPS_MAX as Millis,
    )?;
    within(
        "policy",
        "the head starts of one ticket, summed,",
        sums.head_start,
        0,
        HEAD_START_MS_MAX,
    )?;
    within(
        "policy",
        "the fits of one ticket, summed,",
        sums.fit,
        0,
        HEAD_START_MS_MAX,
    )?;
    within(
        "policy",
        "the boosts of one ticket, summed,",
        sums.boost,
        0,
        BOOST_MS_MAX,
    )
}

fn unique<'a>(place: &str, names: impl Iterator<Item = &'a SmolStr>) -> Result<(), Rejection> {
    let mut seen = rustc_hash::FxHashSet::default();
    for name in names {
        if name.is_empty() || !seen.insert(name) {
            return Err(invalid(place, format!("the name {name:?} is empty or there twice")));
        }
    }
    Ok(())
}

/// The most that a ticket can get of what is summed.
#[derive(Default)]
struct Sums {
    steps: usize,
    head_start: Millis,
    fit: Millis,
    boost: Millis,
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        self.steps += other.steps;
        self.head_start = self.head_start.saturating_add(other.head_start);
        self.fit = self.fit.saturating_add(other.fit);
        self.boost = self.boost.saturating_add(other.boost);
    }

    fn widen(&mut self, other: &Sums) {
        self.steps = self.steps.max(other.steps);
        self.head_start = self.head_start.max(other.head_start);
        self.fit = self.fit.max(other.fit);
        self.boost = self.boost.max(other.boost);
    }
}

fn check_effects(
    spec: &PolicySpec,
    place: &str,
    effects: &Effects,
    layer: Option<&LayerSpec>,
) -> Result<Sums, Rejection> {
    let clock = |name: &SmolStr| {
        if spec.clocks.iter().any(|clock| clock.name == *name) {
            Ok(())
        } else {
            Err(invalid(
                place,
                format!("names the clock {name:?}, which is not declared"),
            ))
        }
    };
    within(
        place,
        "head_start_ms",
        effects.head_start,
        -HEAD_START_MS_MAX,
        HEAD_START_MS_MAX,
    )?;
    if let Some(slope_milli) = effects.slope_milli {
        within(place, "slope_milli", slope_milli.into(), 0, SLOPE_MILLI_MAX.into())?;
    }
    if let Some(cost) = effects.cost {
        within(place, "cost", cost.into(), 1, UNITS_MAX.into())?;
    }
    for (what, value, low) in [
        ("wrap_up_ms", effects.wrap_up, 0),
        ("decline_exclude_ms", effects.decline_exclude, 1),
    ] {
        within(place, what, value.unwrap_or(1), low, DURATION_MS_MAX)?;
    }
    if let Some(offer) = effects.offer {
        within(place, "the offer's ttl_ms", offer.ttl, 0, OFFER_TTL_MS_MAX)?;
    }
    let mut sums = Sums {
        steps: effects.steps.len(),
        head_start: effects.head_start.abs(),
        ..Sums::default()
    };
    if let Some((name, otherwise)) = &effects.by_deadline {
        clock(name)?;
        within(
            place,
            "by_deadline's otherwise_ms",
            *otherwise,
            0,
            HEAD_START_MS_MAX / 2,
        )?;
        sums.head_start = sums.head_start.saturating_add((*otherwise).max(DURATION_MS_MAX));
    }
    if let Some(needs) = &effects.needs {
        check_needs(spec, place, needs)?;
    }
    if let Some(affinity) = &effects.affinity {
        within(place, "the affinity's hold_ms", affinity.hold, 0, DURATION_MS_MAX)?;
        within(
            place,
            "the affinity's transfer_hold_ms",
            affinity.transfer_hold,
            0,
            DURATION_MS_MAX,
        )?;
        affinity
            .needs
            .as_ref()
            .map_or(Ok(()), |needs| check_needs(spec, place, needs))?;
    }
    for fit in &effects.fits {
        within(place, "fit_ms", fit.fit, -HEAD_START_MS_MAX, HEAD_START_MS_MAX)?;
        sums.fit = sums.fit.saturating_add(fit.fit.abs());
        check_needs(
            spec,
            place,
            &Needs {
                groups: vec![vec![fit.skill.clone()]],
                none_of: vec![],
            },
        )?;
    }
    for used in &effects.clocks {
        clock(&used.clock)?;
        if used.mode != crate::policy::ClockMode::Off {
            within(place, "target_ms", used.target, 1, DURATION_MS_MAX)?;
        }
        within(
            place,
            "the number of warnings",
            used.warnings.len() as Millis,
            0,
            WARNINGS_MAX as Millis,
        )?;
        for pair in used.warnings.windows(2) {
            within(
                place,
                "warnings must rise: a warning",
                pair[1],
                pair[0] + 1,
                DURATION_MS_MAX,
            )?;
        }
        for &warning in &used.warnings {
            within(place, "a warning", warning, 0, DURATION_MS_MAX)?;
        }
    }
    for step in &effects.steps {
        check_step(spec, place, step, layer)?;
        sums.boost = sums.boost.max(step.boost.abs());
        if let StepMoment::Point { clock: name, .. } = &step.when {
            clock(name)?;
        }
    }
    Ok(sums)
}

fn check_step(spec: &PolicySpec, place: &str, step: &StepSpec, layer: Option<&LayerSpec>) -> Result<(), Rejection> {
    match &step.when {
        StepMoment::Age(age) => within(place, "a step's age_ms", *age, 0, DURATION_MS_MAX)?,
        StepMoment::Point { share_milli, .. } => within(place, "a step's share_milli", (*share_milli).into(), 1, 1000)?,
    }
    within(place, "a step's boost_ms", step.boost, -BOOST_MS_MAX, BOOST_MS_MAX)?;
    if !step.overflow_to.is_empty() && !step.move_to.is_empty() {
        return Err(invalid(place, "a step cannot both overflow and move"));
    }
    if !step.move_to.is_empty() && !layer.is_some_and(|layer| layer.rules.iter().any(|rule| rule.name == step.move_to))
    {
        return Err(invalid(
            place,
            format!("a step moves to {:?}, which is no rule of its layer", step.move_to),
        ));
    }
    step.needs
        .as_ref()
        .map_or(Ok(()), |needs| check_needs(spec, place, needs))
}

fn check_needs(spec: &PolicySpec, place: &str, needs: &Needs) -> Result<(), Rejection> {
    for need in needs.groups.iter().flatten().chain(&needs.none_of) {
        within(place, "a level", need.level.into(), 1, LEVEL_MAX.into())?;
        let known = need.attribute.is_empty()
            || ["channel", "customer"].contains(&need.attribute.as_str())
            || spec.attributes.iter().any(|attribute| attribute.name == need.attribute);
        if need.skill.is_empty() || !known {
            return Err(invalid(
                place,
                format!(
                    "needs {:?} by the attribute {:?}, which is not declared",
                    need.skill, need.attribute
                ),
            ));
        }
    }
    Ok(())
}

/// Moves between the rules of a layer must not come round.
fn check_moves(layer: &LayerSpec) -> Result<(), Rejection> {
    let targets: Vec<Vec<usize>> = layer
        .rules
        .iter()
        .map(|rule| {
            rule.effects
                .steps
                .iter()
                .filter_map(|step| layer.rules.iter().position(|to| to.name == step.move_to))
                .collect()
        })
        .collect();
    // Take away rules that move nowhere (any more) until none is left; what stays goes round.
    let mut left: Vec<usize> = (0..targets.len()).filter(|&rule| !targets[rule].is_empty()).collect();
    loop {
        let before = left.len();
        let moving = left.clone();
        left.retain(|&rule| targets[rule].iter().any(|to| moving.contains(to)));
        if left.len() == before {
            break;
        }
    }
    match left.first() {
        None => Ok(()),
        Some(&rule) => Err(invalid(
            format!("{}.{}", layer.name, layer.rules[rule].name),
            "its steps' moves come round to it",
        )),
    }
}
