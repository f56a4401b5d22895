//! Policies: what comes out is what went in; what is wrong is named by its path.

use csroute_engine::Code;
use csroute_engine::policy::{ClockMode, Condition, Measure, Op, StepMoment};
use csroute_wire::pb::csroute::v1 as pb;
use csroute_wire::pb::csroute::v1::condition::{List, Node};
use csroute_wire::policy;
use proptest::prelude::*;
use prost::Message;
use sha2::{Digest, Sha256};

fn need(skill: &str, level: u32) -> pb::Need {
    pb::Need {
        skill: skill.into(),
        level,
        attribute: String::new(),
    }
}

#[allow(clippy::unnecessary_wraps)] // as every place takes it
fn needs(skills: &[&str]) -> Option<pb::NeedsTable> {
    let any_of = skills.iter().map(|skill| need(skill, 0)).collect();
    Some(pb::NeedsTable {
        groups: vec![pb::NeedGroup { any_of }],
        none_of: vec![need("spare", 100)],
    })
}

fn test(attribute: &str, op: pb::test::Op, values: &[&str]) -> pb::Condition {
    let values = values.iter().map(|&value| value.into()).collect();
    pb::Condition {
        node: Some(Node::Test(pb::Test {
            attribute: attribute.into(),
            op: op.into(),
            values,
        })),
    }
}

fn all(conditions: Vec<pb::Condition>) -> pb::Condition {
    pb::Condition {
        node: Some(Node::All(List { conditions })),
    }
}

/// One that uses every field.
#[allow(clippy::too_many_lines)]
fn tables() -> pb::CompiledPolicy {
    let when = all(vec![
        test("tier", pb::test::Op::In, &["vip"]),
        pb::Condition {
            node: Some(Node::Any(List {
                conditions: vec![test("emotion", pb::test::Op::Missing, &[])],
            })),
        },
    ]);
    let effects = pb::Effects {
        needs: needs(&["logistics", "general"]),
        head_start_ms: -60_000,
        by_deadline: Some(pb::ByDeadline {
            clock: "legal".into(),
            otherwise_ms: 240_000,
        }),
        slope_milli: Some(1500),
        steps: vec![
            pb::StepTable {
                age_ms: 20_000,
                needs: needs(&["general"]),
                boost_ms: 5,
                ..pb::StepTable::default()
            },
            pb::StepTable {
                clock: "legal".into(),
                share_milli: 800,
                alert: "lead".into(),
                ..pb::StepTable::default()
            },
            pb::StepTable {
                age_ms: 90_000,
                overflow_to: "bot".into(),
                ..pb::StepTable::default()
            },
            pb::StepTable {
                age_ms: 60_000,
                move_to: "other".into(),
                ..pb::StepTable::default()
            },
        ],
        clocks: vec![pb::ClockUse {
            clock: "legal".into(),
            mode: pb::clock_use::Mode::Within.into(),
            target_ms: 180_000,
            warnings_ms: vec![60_000, 120_000],
        }],
        order: vec![pb::AgentOrder::BestLevel.into(), pb::AgentOrder::RoundRobin.into()],
        affinity: Some(pb::AffinityTable {
            hold_ms: 15_000,
            transfer_hold_ms: 60_000,
            needs: needs(&["general"]),
            owner_keep_ms: 86_400_000,
        }),
        offer: Some(pb::OfferTable {
            ttl_ms: 20_000,
            away_on_expiry: true,
        }),
        cost: Some(20),
        wrap_up_ms: Some(0),
        decline_exclude_ms: Some(30_000),
        fits: vec![pb::FitTable {
            skill: Some(need("logistics", 3)),
            fit_ms: -5,
        }],
        skip_unstaffed: Some(false),
        overlays: vec![pb::OverlayTable {
            when: Some(condition(pb::queue_condition::Measure::Length, 50, 10)),
            needs: needs(&["general"]),
        }],
        reserves: vec!["spare".into()],
        waiting_max: Some(5000),
    };
    let rule = |name: &str, when, effects| pb::RuleTable {
        name: name.into(),
        why: "R1".into(),
        when,
        effects,
        dormant: name == "asleep",
    };
    pb::CompiledPolicy {
        format: 1,
        name: "night".into(),
        attributes: vec![pb::AttributeTable {
            name: "tier".into(),
            threshold_milli: 600,
            required: true,
            values: vec!["vip".into(), "plain".into()],
            sticky: true,
        }],
        channels: vec![pb::ChannelTable {
            name: "chat".into(),
            cost: 20,
            limit: 5,
        }],
        clocks: vec![pb::ClockTable {
            name: "legal".into(),
            starts: "arrival".into(),
            stops: "first_reply".into(),
            hard: true,
            unpausable: true,
        }],
        layers: vec![pb::LayerTable {
            name: "who".into(),
            every: false,
            rules: vec![
                rule("logistics", Some(when.clone()), Some(effects)),
                rule("asleep", Some(when), None),
                rule("other", None, None),
            ],
        }],
        defaults: Some(pb::Effects {
            cost: Some(1),
            ..pb::Effects::default()
        }),
        limits: Some(pb::LimitsTable {
            waiting_max: 9,
            closed_keep_ms: 1000,
            ..pb::LimitsTable::default()
        }),
        lost_grace_ms: 30_000,
        suspend_ms: 60_000,
        short_abandon_ms: 5000,
        answer_target_ms: 20_000,
        skills: vec!["general".into()],
        tables: vec![pb::HourTable {
            name: "segment".into(),
            attribute: "tier".into(),
            values: vec!["gold".into()],
            keys_max: 1000,
        }],
        families: vec![pb::OpenFamily {
            name: "brand".into(),
            keys_max: 500,
        }],
        goals: vec![pb::GoalTable {
            name: "mean".into(),
            clock: "legal".into(),
            mean_ms: 90_000,
            ..pb::GoalTable::default()
        }],
        reserves: vec![pb::ReserveTable {
            name: "spare".into(),
            skill: Some(need("reserve", 2)),
            open: Some(condition(pb::queue_condition::Measure::OldestWait, 60_000, 20_000)),
        }],
        scenes: vec![
            scene("surge", &["cost", "steps"], Some(7)),
            scene("calm", &["cost", "needs"], None),
        ],
        caps: vec![pb::CapTable {
            attribute: "tier".into(),
            waiting_max: 100,
            own: vec![pb::cap_table::Own {
                value: "vip".into(),
                waiting_max: 200,
            }],
        }],
        cases: 3,
        ..pb::CompiledPolicy::default()
    }
}

fn condition(measure: pb::queue_condition::Measure, over: i64, until: i64) -> pb::QueueCondition {
    pb::QueueCondition {
        measure: measure.into(),
        over,
        until,
        of: vec!["logistics".into()],
    }
}

/// Changes `who.logistics`, and wakes `who.asleep`.
fn scene(name: &str, fields: &[&str], cost: Option<u32>) -> pb::SceneTable {
    let of = |rule: &str| pb::ChangeTable {
        layer: "who".into(),
        rule: rule.into(),
        ..pb::ChangeTable::default()
    };
    let effects = pb::Effects {
        cost,
        ..pb::Effects::default()
    };
    let change = pb::ChangeTable {
        fields: fields.iter().map(|&field| field.into()).collect(),
        effects: Some(effects),
        ..of("logistics")
    };
    let wake = pb::ChangeTable {
        wake: true,
        ..of("asleep")
    };
    pb::SceneTable {
        name: name.into(),
        changes: vec![change, wake],
        ..pb::SceneTable::default()
    }
}

#[test]
fn every_field_arrives() {
    let bytes = tables().encode_to_vec();
    let spec = policy(&bytes).unwrap();
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    assert_eq!(spec.version.to_be_bytes(), hash[..8]);
    assert_eq!(
        (spec.name.as_str(), spec.layers.len(), spec.layers[0].rules.len()),
        ("night", 1, 3)
    );
    assert_eq!(
        (spec.lost_grace, spec.suspend, spec.short_abandon, spec.answer_target),
        (30_000, 60_000, 5000, 20_000)
    );
    assert_eq!(
        (spec.limits.waiting_max, spec.limits.closed_keep, spec.defaults.cost),
        (9, 1000, Some(1))
    );
    assert_eq!((spec.channels[0].cost, spec.channels[0].limit), (20, 5));
    assert_eq!(
        (
            spec.clocks[0].starts.as_str(),
            spec.clocks[0].stops.as_str(),
            spec.clocks[0].hard
        ),
        ("arrival", "first_reply", true)
    );
    let tier = &spec.attributes[0];
    assert_eq!(
        (tier.threshold_milli, tier.required, tier.values.len(), tier.sticky),
        (600, true, 2, true)
    );

    let rule = &spec.layers[0].rules[0];
    let Some(Condition::All(conditions)) = &rule.when else {
        panic!("{:?}", rule.when)
    };
    assert!(
        matches!(&conditions[0], Condition::Test { attribute, op: Op::In, values } if attribute == "tier" && values == &["vip"])
    );
    assert!(matches!(&conditions[1], Condition::Any(any) if matches!(any[0], Condition::Test { op: Op::Missing, .. })));
    let effects = &rule.effects;
    let needs = effects.needs.as_ref().unwrap();
    assert_eq!(
        (needs.groups[0].len(), needs.groups[0][0].level, needs.none_of[0].level),
        (2, 1, 100)
    );
    assert_eq!(
        (effects.head_start, effects.slope_milli, effects.cost),
        (-60_000, Some(1500), Some(20))
    );
    assert_eq!(effects.by_deadline, Some(("legal".into(), 240_000)));
    assert_eq!(
        (effects.wrap_up, effects.decline_exclude, effects.skip_unstaffed),
        (Some(0), Some(30_000), Some(false))
    );
    assert_eq!(effects.steps[0].when, StepMoment::Age(20_000));
    assert_eq!((effects.steps[0].boost, effects.steps[0].needs.is_some()), (5, true));
    assert_eq!(
        effects.steps[1].when,
        StepMoment::Point {
            clock: "legal".into(),
            share_milli: 800
        }
    );
    assert_eq!(
        (
            effects.steps[1].alert.as_str(),
            effects.steps[2].overflow_to.as_str(),
            effects.steps[3].move_to.as_str()
        ),
        ("lead", "bot", "other")
    );
    assert_eq!(
        (
            effects.clocks[0].mode,
            effects.clocks[0].target,
            &*effects.clocks[0].warnings
        ),
        (ClockMode::Within, 180_000, &[60_000, 120_000][..])
    );
    assert_eq!(effects.order.len(), 2);
    let affinity = effects.affinity.as_ref().unwrap();
    assert_eq!(
        (affinity.hold, affinity.transfer_hold, affinity.needs.is_some()),
        (15_000, 60_000, true)
    );
    let offer = effects.offer.unwrap();
    assert_eq!((offer.ttl, offer.away_on_expiry), (20_000, true));
    assert_eq!((effects.fits[0].skill.level, effects.fits[0].fit), (3, -5));
    assert_eq!(spec.layers[0].rules[2].when, None);
}

type Break = fn(&mut pb::CompiledPolicy);

macro_rules! breaks {
    ($($path:literal: $policy:ident => $change:expr;)*) => {
        [$(($path, { let change: Break = |$policy| { $change; }; change })),*]
    };
}

fn effects(policy: &mut pb::CompiledPolicy) -> &mut pb::Effects {
    policy.layers[0].rules[0].effects.get_or_insert_default()
}

fn needs_of(policy: &mut pb::CompiledPolicy) -> &mut pb::NeedsTable {
    effects(policy).needs.get_or_insert_default()
}

fn when(policy: &mut pb::CompiledPolicy) -> &mut pb::Condition {
    policy.layers[0].rules[0].when.get_or_insert_default()
}

#[test]
fn what_is_wrong_is_named() {
    use pb::test::Op::{In, Unspecified};
    let cases = breaks! {
        "format": p => p.format = 2;
        "name": p => p.name.clear();
        "layers": p => p.layers.clear();
        "layers": p => p.layers = vec![p.layers[0].clone(); 17];
        "layers[0].rules": p => p.layers[0].rules.clear();
        "layers[0].rules[1].name": p => p.layers[0].rules[1].name = "x".repeat(65);
        "attributes[0].threshold_milli": p => p.attributes[0].threshold_milli = 1001;
        "attributes[0].values[1]": p => p.attributes[0].values[1] = "x".repeat(257);
        "channels[0].cost": p => p.channels[0].cost = 0;
        "channels[0].limit": p => p.channels[0].limit = 0;
        "clocks[0].stops": p => p.clocks[0].stops.clear();
        "suspend_ms": p => p.suspend_ms = -1;
        "tables[0].keys_max": p => p.tables[0].keys_max = 0;
        "families[0].name": p => p.families[0].name.clear();
        "goals[0].clock": p => p.goals[0].clock.clear();
        "reserves[0].skill": p => p.reserves[0].skill = None;
        "reserves[0].skill.attribute": p => p.reserves[0].skill.get_or_insert_default().attribute = "tier".into();
        "reserves[0].open": p => p.reserves[0].open = None;
        "reserves[0].open.until": p => p.reserves[0].open.get_or_insert_default().until = 60_000;
        "reserves[0].open.over": p => p.reserves[0].open.get_or_insert_default().until = -1;
        "reserves[0].open.measure": p => p.reserves[0].open.get_or_insert_default().measure = 9;
        "layers[0].rules[0].effects.overlays[0].needs": p => effects(p).overlays[0].needs = None;
        "layers[0].rules[0].effects.waiting_max": p => effects(p).waiting_max = Some(0);
        "layers[0].rules[0].effects.affinity.owner_keep_ms": p => effects(p).affinity.get_or_insert_default().owner_keep_ms = -1;
        "caps[0].own[0].waiting_max": p => p.caps[0].own[0].waiting_max = 0;
        "active_scenes[0]": p => p.active_scenes = vec!["gone".into()];
        "scenes": p => p.scenes[1].name = "surge".into();
        "scenes[0].name": p => p.scenes[0].name.clear();
        "scenes[0].changes[0].rule": p => p.scenes[0].changes[0].rule = "gone".into();
        "scenes[0].changes[0].fields[1]": p => p.scenes[0].changes[0].fields[1] = "colour".into();
        "limits.closed_keep_ms": p => p.limits.get_or_insert_default().closed_keep_ms = i64::MAX;
        "defaults.cost": p => p.defaults.get_or_insert_default().cost = Some(0);
        "layers[0].rules[0].when": p => *when(p) = pb::Condition { node: None };
        "layers[0].rules[0].when.all[1]": p => *when(p) = all(vec![test("tier", In, &[]), pb::Condition { node: None }]);
        "layers[0].rules[0].when.test.op": p => *when(p) = test("tier", Unspecified, &[]);
        "layers[0].rules[0].when.test.attribute": p => *when(p) = test("", In, &[]);
        "layers[0].rules[0].effects.needs.groups[0].any_of": p => needs_of(p).groups[0].any_of.clear();
        "layers[0].rules[0].effects.needs.none_of[0].level": p => needs_of(p).none_of[0].level = 101;
        "layers[0].rules[0].effects.head_start_ms": p => effects(p).head_start_ms = i64::MIN;
        "layers[0].rules[0].effects.slope_milli": p => effects(p).slope_milli = Some(100_001);
        "layers[0].rules[0].effects.steps": p => effects(p).steps = vec![pb::StepTable::default(); 33];
        "layers[0].rules[0].effects.steps[0].age_ms": p => effects(p).steps[0].age_ms = -1;
        "layers[0].rules[0].effects.steps[0].share_milli": p => effects(p).steps[0].share_milli = 1;
        "layers[0].rules[0].effects.steps[1].age_ms": p => effects(p).steps[1].age_ms = 1;
        "layers[0].rules[0].effects.steps[1].share_milli": p => effects(p).steps[1].share_milli = 1001;
        "layers[0].rules[0].effects.steps[2].move_to": p => effects(p).steps[2].move_to = "other".into();
        "layers[0].rules[0].effects.clocks[0].mode": p => effects(p).clocks[0].mode = 9;
        "layers[0].rules[0].effects.clocks[0].target_ms": p => effects(p).clocks[0].target_ms = 0;
        "layers[0].rules[0].effects.clocks[0].warnings_ms": p => effects(p).clocks[0].warnings_ms = vec![2, 2];
        "layers[0].rules[0].effects.clocks[0].warnings_ms": p => effects(p).clocks[0].warnings_ms = (0..9).collect();
        "layers[0].rules[0].effects.order[0]": p => effects(p).order[0] = 0;
        "layers[0].rules[0].effects.affinity.hold_ms": p => effects(p).affinity.get_or_insert_default().hold_ms = -1;
        "layers[0].rules[0].effects.offer.ttl_ms": p => effects(p).offer.get_or_insert_default().ttl_ms = 3_600_001;
        "layers[0].rules[0].effects.fits[0].skill": p => effects(p).fits[0].skill = None;
        "layers[0].rules[0].effects.wrap_up_ms": p => effects(p).wrap_up_ms = Some(-1);
    };
    for (path, broken) in cases {
        let mut tables = tables();
        if !path.contains("scenes") {
            tables.scenes.clear(); // they name rules that some of these take away
        }
        broken(&mut tables);
        let no = policy(&tables.encode_to_vec()).unwrap_err();
        assert_eq!((no.code, no.subject.as_str()), (Code::PolicyInvalid, path), "{no}");
    }
}

#[test]
fn conditions_nest_only_so_deep() {
    let nested = |depth| {
        let mut tables = tables();
        tables.layers[0].rules[0].when =
            Some((1..depth).fold(test("tier", pb::test::Op::Present, &[]), |inner, _| all(vec![inner])));
        policy(&tables.encode_to_vec()).map_err(|no| no.code)
    };
    assert!(nested(8).is_ok());
    assert_eq!(nested(9), Err(Code::PolicyInvalid));
    assert_eq!(nested(200), Err(Code::Malformed));
    assert_eq!(nested(2_000), Err(Code::Malformed));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        if let Err(no) = policy(&bytes) {
            prop_assert!(matches!(no.code, Code::Malformed | Code::PolicyInvalid), "{}", no);
        }
    }

    #[test]
    fn no_damage_makes_it_panic(damage in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8), cut in any::<u16>()) {
        let mut bytes = tables().encode_to_vec();
        for (at, byte) in damage {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(usize::from(cut) % (2 * bytes.len()));
        if let Err(no) = policy(&bytes) {
            prop_assert!(matches!(no.code, Code::Malformed | Code::PolicyInvalid), "{}", no);
        }
    }
}

#[test]
fn what_a_queue_or_an_hour_decides_arrives() {
    let spec = policy(&tables().encode_to_vec()).unwrap();
    let effects = &spec.layers[0].rules[0].effects;
    assert_eq!((effects.owner_keep, effects.waiting_max), (86_400_000, Some(5000)));
    assert_eq!(effects.reserves, ["spare"]);
    let overlay = &effects.overlays[0];
    assert_eq!(
        (overlay.when.measure, overlay.when.over, overlay.when.until),
        (Measure::Length, 50, 10)
    );
    assert_eq!(
        (&*overlay.when.of, overlay.needs.groups.len()),
        (&["logistics".into()][..], 1)
    );
    let reserve = &spec.reserves[0];
    assert_eq!(
        (reserve.skill.skill.as_str(), reserve.skill.level, reserve.open.over),
        ("reserve", 2, 60_000)
    );
    assert_eq!(
        (spec.tables[0].attribute.as_str(), spec.tables[0].keys_max),
        ("tier", 1000)
    );
    assert_eq!((spec.families[0].keys_max, spec.caps[0].own[0].1), (500, 200));
    assert_eq!(spec.unpausable, ["legal"]);
}

/// The cost of `who.logistics`, whether it steps and needs something, and whether `who.asleep` can hold.
fn under(active: &[&str]) -> (Option<u32>, bool, bool, bool) {
    let mut now = tables();
    now.active_scenes = active.iter().map(|&name| name.into()).collect();
    let spec = policy(&now.encode_to_vec()).unwrap();
    let rules = &spec.layers[0].rules;
    let effects = &rules[0].effects;
    let awake = !matches!(&rules[1].when, Some(Condition::Any(any)) if any.is_empty());
    (effects.cost, !effects.steps.is_empty(), effects.needs.is_some(), awake)
}

#[test]
fn scenes_are_a_set_and_the_later_listed_wins() {
    assert_eq!(under(&[]), (Some(20), true, true, false));
    assert_eq!(under(&["surge"]), (Some(7), false, true, true));
    assert_eq!(under(&["calm"]), (None, true, false, true));
    assert_eq!(under(&["surge", "calm"]), (None, false, false, true));
    assert_eq!(under(&["calm", "surge"]), under(&["surge", "calm"]));
}
