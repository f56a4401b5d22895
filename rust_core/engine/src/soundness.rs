//! The checks that keep the engine sound, whoever compiled the policy. Friendlier ones come before, in Python.

use smol_str::SmolStr;

use crate::limits::{
    BOOST_MS_MAX, CLASS_STEPS_MAX, DURATION_MS_MAX, HEAD_START_MS_MAX, LEVEL_MAX, OFFER_TTL_MS_MAX, SLOPE_MILLI_MAX,
    UNITS_MAX, WAITING_MAX, WARNINGS_MAX,
};
use crate::policy::{Effects, LayerSpec, Measure, Needs, PolicySpec, QueueCondition, StepMoment, StepSpec};
use crate::{Code, Millis, Rejection};

pub(crate) fn invalid(what: impl Into<String>, message: impl Into<String>) -> Rejection {
    Rejection::about(Code::PolicyInvalid, what, message.into())
}

fn within(place: &str, what: &str, value: Millis, low: Millis, high: Millis) -> Result<(), Rejection> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(invalid(place, format!("{what} is {value}; it must be {low}..{high}")))
}

/// Whether the engine can take a policy.
pub(crate) fn check(spec: &PolicySpec) -> Result<(), Rejection> {
    if spec.layers.is_empty() {
        return Err(invalid("layers", "a policy needs at least one layer"));
    }
    if spec.channels.is_empty() {
        return Err(invalid("channels", "a policy needs at least one channel"));
    }
    unique("channels", spec.channels.iter().map(|channel| &channel.name))?;
    unique("clocks", spec.clocks.iter().map(|clock| &clock.name))?;
    unique("layers", spec.layers.iter().map(|layer| &layer.name))?;
    unique("reserves", spec.reserves.iter().map(|reserve| &reserve.name))?;
    for reserve in &spec.reserves {
        check_condition(spec, &reserve.name, &reserve.open)?;
    }
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
                of_layer.add(&of_rule);
            } else {
                of_layer.widen(&of_rule);
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
    for overlay in &effects.overlays {
        check_condition(spec, place, &overlay.when)?;
        check_needs(spec, place, &overlay.needs)?;
    }
    for name in &effects.reserves {
        if !spec.reserves.iter().any(|reserve| reserve.name == *name) {
            return Err(invalid(
                place,
                format!("names the reserve {name:?}, which is not declared"),
            ));
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

/// A condition can end, and measures queues that there are.
fn check_condition(spec: &PolicySpec, place: &str, condition: &QueueCondition) -> Result<(), Rejection> {
    let most = match condition.measure {
        Measure::Length => WAITING_MAX,
        Measure::OldestWait => DURATION_MS_MAX,
    };
    within(place, "a condition's until", condition.until, 0, most - 1)?;
    within(place, "a condition's over", condition.over, condition.until + 1, most)?;
    let queues = spec.layers.first().map_or(&[][..], |layer| &layer.rules);
    match condition
        .of
        .iter()
        .find(|name| !queues.iter().any(|queue| queue.name == **name))
    {
        None => Ok(()),
        Some(name) => Err(invalid(place, format!("measures {name:?}, which is no queue"))),
    }
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
                .filter(|step| !step.move_to.is_empty())
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
