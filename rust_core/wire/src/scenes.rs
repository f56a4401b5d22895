//! Scenes: changes to a policy's tables that are switched on and off as a set. A pure function of the tables.
//!
//! A change replaces whole fields of a rule, or wakes a dormant one; a dormant rule that is not woken holds for nobody.
//! Active scenes apply in the order in which the policy lists them, whatever order they are named in.

use csroute_engine::limits::{CLASS_STEPS_MAX, CLOCKS_MAX};
use csroute_engine::{Code, Rejection};

use crate::check::{self, Check, within};
use crate::pb::csroute::v1 as pb;

/// Scenes a policy.
const SCENES_MAX: usize = 64;
/// Changes a scene: rules are changed, not made.
const CHANGES_MAX: usize = 4096;

/// Replaces a field of one rule's effects by another's.
type Replace = fn(&mut pb::Effects, &pb::Effects);

/// The fields that a change may name.
const FIELDS: &[(&str, Replace)] = &[
    ("needs", |now, new| now.needs.clone_from(&new.needs)),
    ("head_start", |now, new| {
        now.head_start_ms = new.head_start_ms;
        now.by_deadline.clone_from(&new.by_deadline);
    }),
    ("slope", |now, new| now.slope_milli = new.slope_milli),
    ("steps", |now, new| now.steps.clone_from(&new.steps)),
    ("clocks", |now, new| now.clocks.clone_from(&new.clocks)),
    ("order", |now, new| now.order.clone_from(&new.order)),
    ("affinity", |now, new| now.affinity.clone_from(&new.affinity)),
    ("offer", |now, new| now.offer = new.offer),
    ("cost", |now, new| now.cost = new.cost),
    ("wrap_up", |now, new| now.wrap_up_ms = new.wrap_up_ms),
    ("decline_exclude", |now, new| {
        now.decline_exclude_ms = new.decline_exclude_ms;
    }),
    ("fits", |now, new| now.fits.clone_from(&new.fits)),
    ("skip_unstaffed", |now, new| now.skip_unstaffed = new.skip_unstaffed),
    ("overlays", |now, new| now.overlays.clone_from(&new.overlays)),
    ("reserves", |now, new| now.reserves.clone_from(&new.reserves)),
    ("waiting_max", |now, new| now.waiting_max = new.waiting_max),
];

/// A rule's effects, by the places of layer and rule; or the defaults.
pub(crate) fn effects_of(tables: &mut pb::CompiledPolicy, place: Option<(usize, usize)>) -> &mut pb::Effects {
    match place {
        Some((layer, rule)) => tables.layers[layer].rules[rule].effects.get_or_insert_default(),
        None => tables.defaults.get_or_insert_default(),
    }
}

/// These fields of some effects, alone.
pub(crate) fn only(effects: &pb::Effects, fields: &[&str]) -> pb::Effects {
    let mut found = pb::Effects::default();
    for (_, replace) in FIELDS.iter().filter(|(name, _)| fields.contains(name)) {
        replace(&mut found, effects);
    }
    found
}

/// The tables with their active scenes made, and without scenes or dormant rules.
pub(crate) fn switched(mut tables: pb::CompiledPolicy) -> Check<pb::CompiledPolicy> {
    let scenes = std::mem::take(&mut tables.scenes);
    let active = std::mem::take(&mut tables.active_scenes);
    check::at_most("scenes", scenes.len() > SCENES_MAX, SCENES_MAX)?;
    let names: Vec<&str> = scenes.iter().map(|scene| scene.name.as_str()).collect();
    check::once("scenes", &names, |name| name)?;
    for (place, name) in active.iter().enumerate() {
        if !scenes.iter().any(|scene| scene.name == *name) {
            let subject = format!("active_scenes[{place}]");
            return Err(Rejection::about(
                Code::UnknownValue,
                subject,
                format!("there is no scene {name:?}"),
            ));
        }
    }
    for (place, scene) in scenes.iter().enumerate() {
        let on = active.contains(&scene.name);
        made(&mut tables, scene, on).map_err(|no| within(&format!("scenes[{place}]"), no))?;
    }
    for rule in tables.layers.iter_mut().flat_map(|layer| &mut layer.rules) {
        if std::mem::take(&mut rule.dormant) {
            let nothing = pb::condition::Node::Any(pb::condition::List::default());
            rule.when = Some(pb::Condition { node: Some(nothing) });
        }
    }
    Ok(tables)
}

/// Checks a scene; if it is on, makes its changes.
fn made(tables: &mut pb::CompiledPolicy, scene: &pb::SceneTable, on: bool) -> Check<()> {
    check::name("name", &scene.name)?;
    check::at_most("changes", scene.changes.len() > CHANGES_MAX, CHANGES_MAX)?;
    for (place, change) in scene.changes.iter().enumerate() {
        changed(tables, change, on).map_err(|no| within(&format!("changes[{place}]"), no))?;
    }
    Ok(())
}

fn changed(tables: &mut pb::CompiledPolicy, change: &pb::ChangeTable, on: bool) -> Check<()> {
    let fields = fields(&change.fields)?;
    let none = pb::Effects::default();
    let new = change.effects.as_ref().unwrap_or(&none);
    check::at_most("effects.steps", new.steps.len() > CLASS_STEPS_MAX, CLASS_STEPS_MAX)?;
    check::at_most("effects.clocks", new.clocks.len() > CLOCKS_MAX, CLOCKS_MAX)?;
    let effects = if change.layer.is_empty() && change.rule.is_empty() {
        tables.defaults.get_or_insert_default()
    } else {
        let layer = tables.layers.iter_mut().find(|layer| layer.name == change.layer);
        let rule = layer.and_then(|layer| layer.rules.iter_mut().find(|rule| rule.name == change.rule));
        let Some(rule) = rule else {
            let message = format!("there is no rule {}.{}", change.layer, change.rule);
            return Err(Rejection::about(Code::UnknownValue, "rule", message));
        };
        rule.dormant &= !(on && change.wake);
        rule.effects.get_or_insert_default()
    };
    if on {
        for replace in fields {
            replace(effects, new);
        }
    }
    Ok(())
}

fn fields(names: &[String]) -> Check<Vec<Replace>> {
    let known = |name: &String| {
        FIELDS
            .iter()
            .find(|(known, _)| known == name)
            .map(|&(_, replace)| replace)
    };
    let read = |(place, name): (usize, &String)| {
        known(name).ok_or_else(|| {
            Rejection::about(
                Code::UnknownValue,
                format!("fields[{place}]"),
                format!("{name:?} is no field of a rule"),
            )
        })
    };
    check::at_most("fields", names.len() > FIELDS.len(), FIELDS.len())?;
    names.iter().enumerate().map(read).collect()
}
