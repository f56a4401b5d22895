//! Tables with scenes switched on and overrides made: bytes to bytes, a pure function.
//!
//! An override stands in the tables as one more scene, the last that is on: a scene's change replaces whole fields, so
//! what an override says is worked out on the tables as they are, and put down as the fields that it touched. A reserve's
//! condition is changed where it stands.

use std::collections::BTreeMap;

use csroute_engine::limits::WAITING_MAX;
use csroute_engine::{Code, Rejection};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::check::{Check, within};
use crate::pb::csroute::v1 as pb;
use crate::pb::csroute::v1::override_change::{Change, HeadStart, Reserve, Skill, Step};
use crate::scenes::{self, effects_of};

/// What an override's scene is called, before its number: no scene of a policy can have a space in its name.
pub(crate) const OVERRIDE: &str = "override ";
/// Names that a rejection lists.
const NAMES_SAID: usize = 20;

/// The version that compiled bytes have: the first 8 bytes (big-endian) of their SHA-256.
pub fn version_of(compiled: &[u8]) -> u64 {
    let hash = Sha256::digest(compiled);
    hash.iter()
        .take(8)
        .fold(0, |version, &byte| version << 8 | u64::from(byte))
}

/// The tables of compiled bytes.
pub fn tables(compiled: &[u8]) -> Check<pb::CompiledPolicy> {
    pb::CompiledPolicy::decode(compiled)
        .map_err(|error| Rejection::new(Code::Malformed, format!("no compiled policy: {error}")))
}

/// A policy with these scenes on, and no others; then these overrides (by number) made, in their order.
pub fn made(compiled: &[u8], scenes: &[String], overrides: &[(u64, &[pb::OverrideChange])]) -> Check<Vec<u8>> {
    let mut tables = tables(compiled)?;
    let known: Vec<String> = tables.scenes.iter().map(|scene| scene.name.clone()).collect();
    if let Some(name) = scenes.iter().find(|name| !known.contains(name)) {
        let has = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let message = format!("{} has no scene {name:?}: it has {has}", tables.name);
        return Err(Rejection::about(Code::SceneUnknown, "scenes", message));
    }
    let on: Vec<String> = known.into_iter().filter(|name| scenes.contains(name)).collect();
    if on == tables.active_scenes && overrides.is_empty() {
        return Ok(compiled.to_vec());
    }
    tables.active_scenes = on;
    for &(number, changes) in overrides {
        overridden(&mut tables, number, changes)?;
    }
    Ok(tables.encode_to_vec())
}

/// The place of a rule's effects; None: the defaults.
type Place = Option<(usize, usize)>;

/// The tables as they are now, and the fields that an override touched.
struct Work {
    now: pb::CompiledPolicy,
    touched: BTreeMap<Place, Vec<&'static str>>,
}

impl Work {
    fn effects(&mut self, place: Place, field: &'static str) -> &mut pb::Effects {
        let fields = self.touched.entry(place).or_default();
        if !fields.contains(&field) {
            fields.push(field);
        }
        effects_of(&mut self.now, place)
    }
}

fn overridden(tables: &mut pb::CompiledPolicy, number: u64, changes: &[pb::OverrideChange]) -> Check<()> {
    let mut work = Work {
        now: scenes::switched(tables.clone())?,
        touched: BTreeMap::new(),
    };
    for (place, change) in changes.iter().enumerate() {
        let result = match &change.change {
            Some(Change::HeadStart(change)) => head_start(&mut work, change),
            Some(Change::Step(change)) => step(&mut work, change),
            Some(Change::Reserve(change)) => reserve(tables, &mut work, change),
            Some(Change::Skill(change)) => skill(&mut work, change),
            None => Err(Rejection::about(
                Code::FieldMissing,
                "change",
                "give head_start, step, reserve or skill",
            )),
        };
        result.map_err(|no| within(&format!("changes[{place}]"), no))?;
    }
    let Work { mut now, touched } = work;
    let changes = touched.into_iter().map(|(place, fields)| {
        let (layer, rule) = place.map_or_else(Default::default, |(layer, rule)| {
            let layer = &tables.layers[layer];
            (layer.name.clone(), layer.rules[rule].name.clone())
        });
        pb::ChangeTable {
            layer,
            rule,
            effects: Some(scenes::only(effects_of(&mut now, place), &fields)),
            fields: fields.into_iter().map(str::to_owned).collect(),
            wake: false,
        }
    });
    let name = format!("{OVERRIDE}{number}");
    let scene = pb::SceneTable {
        name: name.clone(),
        why: String::new(),
        changes: changes.collect(),
        starts_us: 0,
        ends_us: 0,
    };
    tables.active_scenes.push(name);
    tables.scenes.push(scene);
    Ok(())
}

fn unknown(field: &str, what: &str, name: &str, known: Vec<String>) -> Rejection {
    let more = if known.len() > NAMES_SAID { ", …" } else { "" };
    let some: Vec<String> = known.into_iter().take(NAMES_SAID).collect();
    let message = format!("there is no {what} {name:?}: there is {}{more}", some.join(", "));
    Rejection::about(Code::UnknownValue, field, message)
}

/// A rule by `Layer.rule`, or by its own name where one alone has it, or one alone of those already gives what is to be
/// changed (`gives`); a layer's rules by the layer's.
fn rules(tables: &pb::CompiledPolicy, name: &str, gives: fn(&pb::Effects) -> bool) -> Check<Vec<Place>> {
    let all = || {
        tables.layers.iter().enumerate().flat_map(|(at, layer)| {
            let rules = layer.rules.iter().enumerate();
            rules.map(move |(place, rule)| (at, place, layer, rule))
        })
    };
    if let Some(at) = tables.layers.iter().position(|layer| layer.name == name) {
        return Ok((0..tables.layers[at].rules.len())
            .map(|rule| Some((at, rule)))
            .collect());
    }
    let found: Vec<_> = all()
        .filter(|(_, _, layer, rule)| rule.name == name || format!("{}.{}", layer.name, rule.name) == name)
        .collect();
    let whole = |found: &[(usize, usize, &pb::LayerTable, &pb::RuleTable)]| -> Vec<String> {
        found
            .iter()
            .map(|(_, _, layer, rule)| format!("{}.{}", layer.name, rule.name))
            .collect()
    };
    let given = |rule: &pb::RuleTable| rule.effects.as_ref().is_some_and(gives);
    let giving: Vec<_> = found.iter().copied().filter(|(.., rule)| given(rule)).collect();
    match if giving.len() == 1 {
        giving.as_slice()
    } else {
        found.as_slice()
    } {
        [(layer, rule, ..)] => Ok(vec![Some((*layer, *rule))]),
        [] => Err(unknown(
            "rule",
            "rule or layer",
            name,
            whole(&all().collect::<Vec<_>>()),
        )),
        several => {
            let message = format!("{name:?} is several rules: say which of {}", whole(several).join(", "));
            Err(Rejection::about(Code::UnknownValue, "rule", message))
        }
    }
}

fn head_start(work: &mut Work, change: &HeadStart) -> Check<()> {
    let gives = |effects: &pb::Effects| effects.head_start_ms != 0 || effects.by_deadline.is_some();
    for place in rules(&work.now, &change.rule, gives).map_err(|no| within("head_start", no))? {
        let effects = work.effects(place, "head_start");
        if change.relative {
            effects.head_start_ms = effects.head_start_ms.saturating_add(change.head_start_ms);
        } else {
            effects.by_deadline = None;
            effects.head_start_ms = change.head_start_ms;
        }
    }
    Ok(())
}

fn step(work: &mut Work, change: &Step) -> Check<()> {
    let gives = |effects: &pb::Effects| !effects.steps.is_empty();
    let places = rules(&work.now, &change.rule, gives).map_err(|no| within("step", no))?;
    let [place] = places[..] else {
        let message = format!("{:?} is a layer: a step is one rule's", change.rule);
        return Err(Rejection::about(Code::UnknownValue, "step.rule", message));
    };
    if change.age_ms.is_none() && change.boost_ms.is_none() {
        return Err(Rejection::about(Code::FieldMissing, "step", "give age_ms or boost_ms"));
    }
    let effects = work.effects(place, "steps");
    let steps = effects.steps.len();
    let Some(step) = (change.step as usize)
        .checked_sub(1)
        .and_then(|at| effects.steps.get_mut(at))
    else {
        let message = format!("{} has {steps} steps, from 1", change.rule);
        return Err(Rejection::about(Code::OutOfRange, "step.step", message));
    };
    if let Some(age_ms) = change.age_ms {
        (step.age_ms, step.clock, step.share_milli) = (age_ms, String::new(), 0);
    }
    step.boost_ms = change.boost_ms.unwrap_or(step.boost_ms);
    Ok(())
}

fn reserve(tables: &mut pb::CompiledPolicy, work: &mut Work, change: &Reserve) -> Check<()> {
    let known = || tables.reserves.iter().map(|reserve| reserve.name.clone()).collect();
    let Some(at) = tables
        .reserves
        .iter()
        .position(|reserve| reserve.name == change.reserve)
    else {
        return Err(unknown("reserve.reserve", "reserve", &change.reserve, known()));
    };
    let (over, until) = if change.released {
        (1, 0)
    } else {
        (WAITING_MAX, WAITING_MAX - 1)
    };
    let of = tables.reserves[at].open.take().unwrap_or_default().of;
    let measure = pb::queue_condition::Measure::Length.into();
    tables.reserves[at].open = Some(pb::QueueCondition {
        measure,
        over,
        until,
        of,
    });
    work.now.reserves.clone_from(&tables.reserves);
    Ok(())
}

/// Whoever needs `may` is served by the group too.
fn skill(work: &mut Work, change: &Skill) -> Check<()> {
    let known = |name: &str| {
        let family = name.split_once('[').map(|(family, _)| format!("{family}[*]"));
        work.now
            .skills
            .iter()
            .any(|skill| skill == name || Some(skill) == family.as_ref())
    };
    for (field, name) in [("skill.group", &change.group), ("skill.may", &change.may)] {
        if !known(name) {
            return Err(unknown(field, "skill", name, work.now.skills.clone()));
        }
    }
    let more = pb::Need {
        skill: change.group.clone(),
        level: change.level.max(1),
        attribute: String::new(),
    };
    let widen = |needs: &mut pb::NeedsTable| {
        let mut widened = false;
        for group in &mut needs.groups {
            let asked = group
                .any_of
                .iter()
                .any(|need| need.attribute.is_empty() && need.skill == change.may);
            if asked && !group.any_of.contains(&more) {
                group.any_of.push(more.clone());
                widened = true;
            }
        }
        widened
    };
    let places: Vec<Place> = (work.now.layers.iter().enumerate())
        .flat_map(|(at, layer)| (0..layer.rules.len()).map(move |rule| Some((at, rule))))
        .chain([None])
        .collect();
    let mut asked = false;
    for place in places {
        let mut effects = effects_of(&mut work.now, place).clone();
        let mut fields: Vec<&'static str> = Vec::new();
        if effects.needs.as_mut().is_some_and(&widen) {
            fields.push("needs");
        }
        // Each, not the first alone.
        let widened = |all: &mut dyn Iterator<Item = &mut pb::NeedsTable>| {
            all.filter_map(|needs| widen(needs).then_some(())).count() > 0
        };
        if widened(&mut effects.steps.iter_mut().filter_map(|step| step.needs.as_mut())) {
            fields.push("steps");
        }
        if widened(&mut effects.overlays.iter_mut().filter_map(|overlay| overlay.needs.as_mut())) {
            fields.push("overlays");
        }
        if widened(
            &mut effects
                .affinity
                .iter_mut()
                .filter_map(|affinity| affinity.needs.as_mut()),
        ) {
            fields.push("affinity");
        }
        for field in fields {
            asked = true;
            *work.effects(place, field) = effects.clone();
        }
    }
    if asked {
        return Ok(());
    }
    let message = format!(
        "nothing asks for {} that {} does not serve already",
        change.may, change.group
    );
    Err(Rejection::about(Code::UnknownValue, "skill.may", message))
}
