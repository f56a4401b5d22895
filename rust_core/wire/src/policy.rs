//! A compiled policy: bytes to tables, every number, list and name within its bound.
//!
//! Scenes are switched on before anything else is read (`scenes.rs`): the engine meets one policy, as it is now.
//!
//! Bytes that are no `CompiledPolicy` are `MALFORMED`; all else that is wrong is `POLICY_INVALID`, with the path of the
//! field: `layers[0].rules[3].when.all[1].test.op`. Whether the names that the tables use exist is the engine's to check.

use std::ops::RangeInclusive;

use csroute_engine::limits::{
    BOOST_MS_MAX, CHANNELS_MAX, CLASS_STEPS_MAX, CLOCKS_MAX, CONDITION_DEPTH_MAX, CONTEXT_BYTES_MAX, DURATION_MS_MAX,
    GROUP_SKILLS_MAX, GROUPS_MAX, HEAD_START_MS_MAX, LATER_MAX, LAYERS_MAX, NAME_BYTES_MAX, OFFER_TTL_MS_MAX,
    POLICY_ATTRIBUTES_MAX, RULES_MAX, SLOPE_MILLI_MAX, UNITS_MAX, VALUE_BYTES_MAX, WARNINGS_MAX,
};
use csroute_engine::policy::{
    AffinitySpec, AgentOrder, AttributeSpec, CapSpec, ChannelSpec, ClockMode, ClockSpec, ClockUse, Condition, Effects,
    FamilySpec, FitSpec, HourTableSpec, Later, LayerSpec, Measure, Need, Needs, OfferSpec, Op, OverlaySpec,
    PolicyLimits, PolicySpec, QueueCondition, ReserveSpec, RuleSpec, StepMoment, StepSpec,
};
use csroute_engine::{Code, Millis, Rejection};
use prost::Message;
use smol_str::SmolStr;

use crate::check::{self, Check, within};
use crate::making::version_of;
use crate::pb::csroute::v1 as pb;
use crate::scenes;

/// The tables' format that this version reads.
const FORMAT: u32 = 1;
/// Values a test or an attribute may list; conditions side by side.
const VALUES_MAX: usize = 4096;
/// Fits a rule.
const FITS_MAX: usize = 256;
/// Each agent order once.
const ORDERS_MAX: usize = 5;
/// Tickets that any bound may let wait.
const WAITING_MAX: u32 = 100_000_000;
/// Tables of the hour's facts a policy.
const TABLES_MAX: usize = 64;
/// Keys a table.
const TABLE_KEYS_MAX: u32 = 1_000_000;
/// Members an open family.
const FAMILY_KEYS_MAX: u32 = 60_000;
/// Open families a policy.
const FAMILIES_MAX: usize = 64;
/// Reserves a policy.
const RESERVES_MAX: usize = 32;
/// Overlays a class, all layers together.
const OVERLAYS_MAX: usize = 32;
/// Caps a policy.
const CAPS_MAX: usize = 16;
/// Goals a policy.
const GOALS_MAX: usize = 64;

const DURATION: RangeInclusive<Millis> = 0..=DURATION_MS_MAX;
const HEAD_START: RangeInclusive<Millis> = -HEAD_START_MS_MAX..=HEAD_START_MS_MAX;

/// Reads a `CompiledPolicy`. Its version is the first 8 bytes (big-endian) of the bytes' SHA-256.
pub fn policy(bytes: &[u8]) -> Result<PolicySpec, Rejection> {
    let tables = pb::CompiledPolicy::decode(bytes)
        .map_err(|error| Rejection::new(Code::Malformed, format!("no compiled policy: {error}")))?;
    let mut spec = scenes::switched(tables)
        .and_then(|now| whole(&now))
        .map_err(|no| Rejection {
            code: Code::PolicyInvalid,
            ..no
        })?;
    spec.version = version_of(bytes);
    Ok(spec)
}

fn invalid<T>(field: &str, message: impl Into<String>) -> Check<T> {
    Err(Rejection::about(Code::PolicyInvalid, field, message.into()))
}

fn name(field: &str, value: &str) -> Check<SmolStr> {
    check::required(field, value, NAME_BYTES_MAX).map(SmolStr::new)
}

/// A name that need not be there.
fn maybe(field: &str, value: &str) -> Check<SmolStr> {
    check::text(field, value, NAME_BYTES_MAX).map(SmolStr::new)
}

fn millis(field: &str, value: Millis, range: RangeInclusive<Millis>) -> Check<Millis> {
    if range.contains(&value) {
        Ok(value)
    } else {
        invalid(
            field,
            format!("{value} ms is outside of {}..{}", range.start(), range.end()),
        )
    }
}

/// Each of a bounded list.
fn list<T, U>(field: &str, items: &[T], max: usize, read: impl Fn(&T) -> Check<U>) -> Check<Vec<U>> {
    check::at_most(field, items.len() > max, max)?;
    let read = |(index, item)| read(item).map_err(|no| within(&format!("{field}[{index}]"), no));
    items.iter().enumerate().map(read).collect()
}

/// What is there, under its field's name.
fn under<T, U>(field: &str, item: Option<&T>, read: impl FnOnce(&T) -> Check<U>) -> Check<Option<U>> {
    item.map(|item| read(item).map_err(|no| within(field, no))).transpose()
}

fn whole(tables: &pb::CompiledPolicy) -> Check<PolicySpec> {
    if tables.format != FORMAT {
        return invalid(
            "format",
            format!(
                "{} is not the format read here, {FORMAT}: compile it anew",
                tables.format
            ),
        );
    }
    check::there("layers", !tables.layers.is_empty())?;
    list("goals", &tables.goals, GOALS_MAX, goal)?;
    let unpausable = tables.clocks.iter().filter(|clock| clock.unpausable);
    Ok(PolicySpec {
        version: 0,
        name: name("name", &tables.name)?,
        attributes: list("attributes", &tables.attributes, POLICY_ATTRIBUTES_MAX, attribute)?,
        channels: list("channels", &tables.channels, CHANNELS_MAX, channel)?,
        clocks: list("clocks", &tables.clocks, CLOCKS_MAX, clock)?,
        layers: list("layers", &tables.layers, LAYERS_MAX, layer)?,
        defaults: under("defaults", tables.defaults.as_ref(), effects)?.unwrap_or_default(),
        limits: under("limits", tables.limits.as_ref(), limits)?.unwrap_or_default(),
        lost_grace: millis("lost_grace_ms", tables.lost_grace_ms, DURATION)?,
        suspend: millis("suspend_ms", tables.suspend_ms, DURATION)?,
        short_abandon: millis("short_abandon_ms", tables.short_abandon_ms, DURATION)?,
        answer_target: millis("answer_target_ms", tables.answer_target_ms, DURATION)?,
        tables: list("tables", &tables.tables, TABLES_MAX, hour_table)?,
        families: list("families", &tables.families, FAMILIES_MAX, family)?,
        reserves: list("reserves", &tables.reserves, RESERVES_MAX, reserve)?,
        caps: list("caps", &tables.caps, CAPS_MAX, cap)?,
        unpausable: unpausable.map(|clock| SmolStr::new(&clock.name)).collect(),
        later: vec![],
        slice: 0,
    })
}

fn hour_table(table: &pb::HourTable) -> Check<HourTableSpec> {
    Ok(HourTableSpec {
        name: name("name", &table.name)?,
        attribute: name("attribute", &table.attribute)?,
        values: list("values", &table.values, VALUES_MAX, value)?,
        keys_max: check::range("keys_max", table.keys_max, 1..=TABLE_KEYS_MAX)?,
    })
}

fn family(table: &pb::OpenFamily) -> Check<FamilySpec> {
    Ok(FamilySpec {
        name: name("name", &table.name)?,
        keys_max: check::range("keys_max", table.keys_max, 1..=FAMILY_KEYS_MAX)?,
    })
}

/// A goal is for figures: it is checked, and goes no further.
fn goal(table: &pb::GoalTable) -> Check<()> {
    name("name", &table.name)?;
    name("clock", &table.clock)?;
    check::range("share_milli", table.share_milli, 0..=1000)?;
    millis("within_ms", table.within_ms, DURATION)?;
    millis("mean_ms", table.mean_ms, DURATION)?;
    Ok(())
}

fn queue_condition(table: &pb::QueueCondition) -> Check<QueueCondition> {
    use pb::queue_condition::Measure as Number;
    let (measure, most) = match Number::try_from(table.measure) {
        Ok(Number::Length) => (Measure::Length, i64::from(WAITING_MAX)),
        Ok(Number::OldestWait) => (Measure::OldestWait, DURATION_MS_MAX),
        _ => return invalid("measure", format!("{} is no measure", table.measure)),
    };
    if !(0..=most).contains(&table.until) || table.over > most {
        return invalid(
            "over",
            format!("from {} until {}: give 0..{most}", table.over, table.until),
        );
    }
    if table.over <= table.until {
        return invalid("until", "`over` is more than `until`, so that it can end");
    }
    Ok(QueueCondition {
        measure,
        over: table.over,
        until: table.until,
        of: list("of", &table.of, VALUES_MAX, |queue| name("", queue))?,
    })
}

fn condition_of(field: &str, table: Option<&pb::QueueCondition>) -> Check<QueueCondition> {
    under(field, table, queue_condition)?.map_or_else(|| invalid(field, "must be given"), Ok)
}

fn overlay(table: &pb::OverlayTable) -> Check<OverlaySpec> {
    Ok(OverlaySpec {
        when: condition_of("when", table.when.as_ref())?,
        needs: under("needs", table.needs.as_ref(), needs)?.map_or_else(|| invalid("needs", "must be given"), Ok)?,
    })
}

fn reserve(table: &pb::ReserveTable) -> Check<ReserveSpec> {
    let skill = under("skill", table.skill.as_ref(), need)?.map_or_else(|| invalid("skill", "must be given"), Ok)?;
    if !skill.attribute.is_empty() {
        return invalid("skill.attribute", "a reserve's skill is whole");
    }
    Ok(ReserveSpec {
        name: name("name", &table.name)?,
        skill,
        open: condition_of("open", table.open.as_ref())?,
    })
}

fn cap(table: &pb::CapTable) -> Check<CapSpec> {
    let own = |own: &pb::cap_table::Own| {
        let most = check::range("waiting_max", own.waiting_max, 1..=WAITING_MAX)?;
        Ok((value(&own.value).map_err(|no| within("value", no))?, most))
    };
    Ok(CapSpec {
        attribute: name("attribute", &table.attribute)?,
        waiting_max: check::range("waiting_max", table.waiting_max, 1..=WAITING_MAX)?,
        own: list("own", &table.own, VALUES_MAX, own)?,
    })
}

#[allow(clippy::ptr_arg)] // as `list` hands it
fn value(value: &String) -> Check<SmolStr> {
    check::text("", value, VALUE_BYTES_MAX).map(SmolStr::new)
}

fn attribute(table: &pb::AttributeTable) -> Check<AttributeSpec> {
    Ok(AttributeSpec {
        name: name("name", &table.name)?,
        threshold_milli: check::range("threshold_milli", table.threshold_milli, 0..=1000)? as u16,
        required: table.required,
        values: list("values", &table.values, VALUES_MAX, value)?,
        sticky: table.sticky,
    })
}

fn channel(table: &pb::ChannelTable) -> Check<ChannelSpec> {
    Ok(ChannelSpec {
        name: name("name", &table.name)?,
        cost: check::range("cost", table.cost, 1..=UNITS_MAX)?,
        limit: check::range("limit", table.limit, 1..=UNITS_MAX)?,
    })
}

fn clock(table: &pb::ClockTable) -> Check<ClockSpec> {
    Ok(ClockSpec {
        name: name("name", &table.name)?,
        starts: name("starts", &table.starts)?,
        stops: name("stops", &table.stops)?,
        hard: table.hard,
    })
}

fn layer(table: &pb::LayerTable) -> Check<LayerSpec> {
    check::there("rules", !table.rules.is_empty())?;
    Ok(LayerSpec {
        name: name("name", &table.name)?,
        every: table.every,
        rules: list("rules", &table.rules, RULES_MAX, rule)?,
    })
}

fn rule(table: &pb::RuleTable) -> Check<RuleSpec> {
    Ok(RuleSpec {
        name: name("name", &table.name)?,
        why: check::text("why", &table.why, CONTEXT_BYTES_MAX)?.into(),
        when: under("when", table.when.as_ref(), |when| condition(when, CONDITION_DEPTH_MAX))?,
        effects: under("effects", table.effects.as_ref(), effects)?.unwrap_or_default(),
    })
}

/// `depth_left` bounds the recursion.
fn condition(table: &pb::Condition, depth_left: usize) -> Check<Condition> {
    use pb::condition::{List, Node};
    if depth_left == 0 {
        return invalid("", format!("nested over {CONDITION_DEPTH_MAX} deep"));
    }
    let read = |field, nodes: &List| {
        list(field, &nodes.conditions, VALUES_MAX, |node| {
            condition(node, depth_left - 1)
        })
    };
    match &table.node {
        None => invalid("", "give test, all or any"),
        Some(Node::Test(table)) => test(table).map_err(|no| within("test", no)),
        Some(Node::All(nodes)) => read("all", nodes).map(Condition::All),
        Some(Node::Any(nodes)) => read("any", nodes).map(Condition::Any),
    }
}

fn test(table: &pb::Test) -> Check<Condition> {
    use pb::test::Op as Number;
    let op = match Number::try_from(table.op) {
        Ok(Number::In) => Op::In,
        Ok(Number::NotIn) => Op::NotIn,
        Ok(Number::Present) => Op::Present,
        Ok(Number::Missing) => Op::Missing,
        _ => return invalid("op", format!("{} is no test", table.op)),
    };
    let values = list("values", &table.values, VALUES_MAX, value)?;
    Ok(Condition::Test {
        attribute: name("attribute", &table.attribute)?,
        op,
        values,
    })
}

fn need(table: &pb::Need) -> Check<Need> {
    Ok(Need {
        skill: name("skill", &table.skill)?,
        level: check::level(table.level)?,
        attribute: maybe("attribute", &table.attribute)?,
    })
}

fn needs(table: &pb::NeedsTable) -> Check<Needs> {
    let group = |group: &pb::NeedGroup| {
        check::there("any_of", !group.any_of.is_empty())?;
        list("any_of", &group.any_of, GROUP_SKILLS_MAX, need)
    };
    Ok(Needs {
        groups: list("groups", &table.groups, GROUPS_MAX, group)?,
        none_of: list("none_of", &table.none_of, GROUP_SKILLS_MAX, need)?,
    })
}

fn step(table: &pb::StepTable) -> Check<StepSpec> {
    let when = if table.clock.is_empty() {
        if table.share_milli != 0 {
            return invalid("share_milli", "a share of which clock? Give clock, or age_ms alone");
        }
        StepMoment::Age(millis("age_ms", table.age_ms, DURATION)?)
    } else {
        if table.age_ms != 0 {
            return invalid("age_ms", "a step has one moment: give age_ms, or clock and share_milli");
        }
        let share_milli = check::range("share_milli", table.share_milli, 1..=1000)?;
        StepMoment::Point {
            clock: name("clock", &table.clock)?,
            share_milli,
        }
    };
    if !table.overflow_to.is_empty() && !table.move_to.is_empty() {
        return invalid("move_to", "a step overflows or moves, not both");
    }
    Ok(StepSpec {
        when,
        needs: under("needs", table.needs.as_ref(), needs)?,
        boost: millis("boost_ms", table.boost_ms, -BOOST_MS_MAX..=BOOST_MS_MAX)?,
        alert: maybe("alert", &table.alert)?,
        overflow_to: maybe("overflow_to", &table.overflow_to)?,
        move_to: maybe("move_to", &table.move_to)?,
    })
}

fn clock_use(table: &pb::ClockUse) -> Check<ClockUse> {
    use pb::clock_use::Mode;
    let mode = match Mode::try_from(table.mode) {
        Ok(Mode::Within) => ClockMode::Within,
        Ok(Mode::Exactly) => ClockMode::Exactly,
        Ok(Mode::Off) => ClockMode::Off,
        _ => return invalid("mode", format!("{} is no mode", table.mode)),
    };
    let shortest = Millis::from(mode != ClockMode::Off);
    let warnings = list("warnings_ms", &table.warnings_ms, WARNINGS_MAX, |&warning| {
        millis("", warning, DURATION)
    })?;
    if !warnings.is_sorted_by(|earlier, later| earlier < later) {
        return invalid("warnings_ms", "warnings rise: each later than the one before");
    }
    Ok(ClockUse {
        clock: name("clock", &table.clock)?,
        mode,
        target: millis("target_ms", table.target_ms, shortest..=DURATION_MS_MAX)?,
        warnings,
    })
}

fn order(number: i32) -> Check<AgentOrder> {
    match pb::AgentOrder::try_from(number) {
        Ok(pb::AgentOrder::LeastLoaded) => Ok(AgentOrder::LeastLoaded),
        Ok(pb::AgentOrder::LongestIdle) => Ok(AgentOrder::LongestIdle),
        Ok(pb::AgentOrder::BestLevel) => Ok(AgentOrder::BestLevel),
        Ok(pb::AgentOrder::SpareGeneralists) => Ok(AgentOrder::SpareGeneralists),
        Ok(pb::AgentOrder::RoundRobin) => Ok(AgentOrder::RoundRobin),
        _ => invalid("", format!("{number} is no agent order")),
    }
}

fn affinity(table: &pb::AffinityTable) -> Check<AffinitySpec> {
    Ok(AffinitySpec {
        hold: millis("hold_ms", table.hold_ms, DURATION)?,
        transfer_hold: millis("transfer_hold_ms", table.transfer_hold_ms, DURATION)?,
        needs: under("needs", table.needs.as_ref(), needs)?,
    })
}

fn offer(table: &pb::OfferTable) -> Check<OfferSpec> {
    let ttl = millis("ttl_ms", table.ttl_ms, 0..=OFFER_TTL_MS_MAX)?;
    Ok(OfferSpec {
        ttl,
        away_on_expiry: table.away_on_expiry,
    })
}

fn fit(table: &pb::FitTable) -> Check<FitSpec> {
    match under("skill", table.skill.as_ref(), need)? {
        Some(skill) => Ok(FitSpec {
            skill,
            fit: millis("fit_ms", table.fit_ms, HEAD_START)?,
        }),
        None => invalid("skill", "must be given"),
    }
}

fn by_deadline(table: &pb::ByDeadline) -> Check<(SmolStr, Millis)> {
    Ok((
        name("clock", &table.clock)?,
        millis("otherwise_ms", table.otherwise_ms, HEAD_START)?,
    ))
}

fn effects(table: &pb::Effects) -> Check<Effects> {
    let number = |field, value: Option<u32>, range| value.map(|value| check::range(field, value, range)).transpose();
    let duration = |field, value: Option<i64>| value.map(|value| millis(field, value, DURATION)).transpose();
    Ok(Effects {
        needs: under("needs", table.needs.as_ref(), needs)?,
        head_start: millis("head_start_ms", table.head_start_ms, HEAD_START)?,
        by_deadline: under("by_deadline", table.by_deadline.as_ref(), by_deadline)?,
        slope_milli: number("slope_milli", table.slope_milli, 0..=SLOPE_MILLI_MAX)?,
        steps: list("steps", &table.steps, CLASS_STEPS_MAX, step)?,
        clocks: list("clocks", &table.clocks, CLOCKS_MAX, clock_use)?,
        order: list("order", &table.order, ORDERS_MAX, |&number| order(number))?,
        affinity: under("affinity", table.affinity.as_ref(), affinity)?,
        owner_keep: table.affinity.as_ref().map_or(Ok(0), |affinity| {
            millis("affinity.owner_keep_ms", affinity.owner_keep_ms, DURATION)
        })?,
        offer: under("offer", table.offer.as_ref(), offer)?,
        cost: number("cost", table.cost, 1..=UNITS_MAX)?,
        wrap_up: duration("wrap_up_ms", table.wrap_up_ms)?,
        decline_exclude: duration("decline_exclude_ms", table.decline_exclude_ms)?,
        fits: list("fits", &table.fits, FITS_MAX, fit)?,
        skip_unstaffed: table.skip_unstaffed,
        overlays: list("overlays", &table.overlays, OVERLAYS_MAX, overlay)?,
        reserves: list("reserves", &table.reserves, RESERVES_MAX, |reserve| name("", reserve))?,
        waiting_max: number("waiting_max", table.waiting_max, 1..=WAITING_MAX)?,
    })
}

fn limits(table: &pb::LimitsTable) -> Check<PolicyLimits> {
    Ok(PolicyLimits {
        waiting_max: table.waiting_max,
        classes_max: table.classes_max,
        agents_max: table.agents_max,
        sessions_max: table.sessions_max,
        closed_max: table.closed_max,
        closed_keep: millis("closed_keep_ms", table.closed_keep_ms, DURATION)?,
        owner_max: table.owner_max,
    })
}

/// A compiled policy as a request's field.
pub(crate) fn readable(bytes: &[u8]) -> Check<PolicySpec> {
    policy(bytes).map_err(|no| within("policy", no))
}

/// A policy to install, and those that follow it by themselves: each with its time, and whether waiting tickets are
/// classified again.
pub fn install(bytes: &[u8], later: &[(i64, &[u8], bool)]) -> Result<PolicySpec, Rejection> {
    let mut spec = readable(bytes)?;
    check::at_most("later", later.len() > LATER_MAX, LATER_MAX)?;
    for &(at, bytes, reclassify) in later {
        spec.later.push(Later {
            at,
            policy: readable(bytes)?,
            reclassify,
        });
    }
    Ok(spec)
}
