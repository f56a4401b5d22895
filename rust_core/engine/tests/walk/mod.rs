//! Random commands from a seed: the same seed, the same commands on every machine. Small spaces of ids and times, so
//! that everything collides: many tickets for few agents, due times hit to the microsecond.

#[allow(dead_code)]
mod rng;

use std::sync::Arc;

use csroute_engine::command::{AgentSpec, Attribute, CanaryTerms, RuleTuning, SkillLevel, Submit, TransferTo};
use csroute_engine::policy::{
    AffinitySpec, AgentOrder, AttributeSpec, ChannelSpec, ClockMode, ClockSpec, ClockUse, Condition, Effects, FitSpec,
    LayerSpec, Measure, Need, Needs, OfferSpec, Op, OverlaySpec, PolicyLimits, PolicySpec, QueueCondition, ReserveSpec,
    RuleSpec, StepMoment, StepSpec,
};
use csroute_engine::{Command, Engine, Event, Presence};
pub use rng::Rng;

fn need(skill: &str, level: u8) -> Need {
    Need {
        skill: skill.into(),
        level,
        attribute: "".into(),
    }
}

fn needs(groups: &[&[(&str, u8)]]) -> Needs {
    let group = |group: &&[(&str, u8)]| group.iter().map(|(skill, level)| need(skill, *level)).collect();
    Needs {
        groups: groups.iter().map(group).collect(),
        none_of: vec![],
    }
}

fn step(age: i64, boost: i64) -> StepSpec {
    StepSpec {
        when: StepMoment::Age(age),
        needs: None,
        boost,
        alert: "".into(),
        overflow_to: "".into(),
        move_to: "".into(),
    }
}

fn rule(name: &str, when: Option<(&str, &str)>, effects: Effects) -> RuleSpec {
    let when = when.map(|(attribute, value)| Condition::Test {
        attribute: attribute.into(),
        op: Op::In,
        values: vec![value.into()],
    });
    RuleSpec {
        name: name.into(),
        why: "".into(),
        when,
        effects,
    }
}

fn condition(measure: Measure, over: i64, until: i64) -> QueueCondition {
    QueueCondition {
        measure,
        over,
        until,
        of: vec![],
    }
}

/// Three policies that together use everything; `which` picks one.
pub fn policy(which: u64) -> PolicySpec {
    let clock = |name: &str, target: i64| ClockUse {
        clock: name.into(),
        mode: ClockMode::Within,
        target,
        warnings: vec![target / 2],
    };
    let hard = Effects {
        needs: Some(needs(&[&[("a", 2)], &[("b", 1), ("c", 1)]])),
        steps: vec![
            StepSpec {
                needs: Some(needs(&[&[("a", 1), ("b", 1)]])),
                ..step(20, 15)
            },
            StepSpec {
                when: StepMoment::Point {
                    clock: "answer".into(),
                    share_milli: 500,
                },
                alert: "lead".into(),
                ..step(0, 40)
            },
            StepSpec {
                needs: Some(Needs::default()),
                ..step(60, 0)
            },
            StepSpec {
                overflow_to: if which == 1 { "elsewhere".into() } else { "".into() },
                ..step(150, 5)
            },
        ],
        clocks: vec![clock("answer", 50), clock("solve", 200)],
        offer: Some(OfferSpec {
            ttl: if which == 2 { 0 } else { 25 },
            away_on_expiry: which == 1,
        }),
        wrap_up: Some(if which == 0 { 0 } else { 12 }),
        affinity: Some(AffinitySpec {
            hold: 30,
            transfer_hold: 10,
            needs: (which == 1).then(|| needs(&[&[("b", 1)]])),
        }),
        decline_exclude: Some(35),
        order: [
            vec![],
            vec![AgentOrder::BestLevel, AgentOrder::RoundRobin],
            vec![AgentOrder::SpareGeneralists, AgentOrder::LongestIdle],
        ][which as usize]
            .clone(),
        skip_unstaffed: Some(which == 2),
        overlays: vec![OverlaySpec {
            when: condition(Measure::Length, 3, 1),
            needs: needs(&[&[("b", 1), ("c", 1)]]),
        }],
        reserves: vec!["spare".into()],
        owner_keep: 150,
        waiting_max: Some(20),
        slope_milli: Some(if which == 1 { 2500 } else { 1000 }),
        ..Effects::default()
    };
    let soft = Effects {
        needs: (which != 2).then(|| Needs {
            none_of: vec![need("d", 1)],
            ..needs(&[])
        }),
        steps: vec![StepSpec {
            move_to: "hard".into(),
            ..step(80, 0)
        }],
        clocks: vec![clock("answer", 90)],
        cost: Some(30),
        ..Effects::default()
    };
    let language = Effects {
        needs: Some(Needs {
            groups: vec![vec![Need {
                skill: "lang".into(),
                level: 1,
                attribute: "language".into(),
            }]],
            none_of: vec![],
        }),
        fits: vec![FitSpec {
            skill: need("a", 3),
            fit: 25,
        }],
        ..Effects::default()
    };
    PolicySpec {
        version: 100 + which,
        name: "walk".into(),
        attributes: vec![
            AttributeSpec {
                name: "kind".into(),
                threshold_milli: 0,
                required: false,
                values: vec!["hard".into(), "soft".into()],
                sticky: false,
            },
            AttributeSpec {
                name: "mood".into(),
                threshold_milli: 600,
                required: false,
                values: vec![],
                sticky: true,
            },
            AttributeSpec {
                name: "language".into(),
                threshold_milli: 0,
                required: false,
                values: vec![],
                sticky: false,
            },
        ],
        channels: vec![
            ChannelSpec {
                name: "chat".into(),
                cost: 20,
                limit: 3,
            },
            ChannelSpec {
                name: "phone".into(),
                cost: 100,
                limit: 1,
            },
        ],
        clocks: vec![
            ClockSpec {
                name: "answer".into(),
                starts: "arrival".into(),
                stops: "assignment".into(),
                hard: true,
            },
            ClockSpec {
                name: "solve".into(),
                starts: "first_reply".into(),
                stops: "completion".into(),
                hard: false,
            },
        ],
        layers: vec![
            LayerSpec {
                name: "who".into(),
                every: false,
                rules: vec![
                    rule("hard", Some(("kind", "hard")), hard),
                    rule("soft", Some(("kind", "soft")), soft),
                    rule("rest", None, Effects::default()),
                ],
            },
            LayerSpec {
                name: "speak".into(),
                every: false,
                rules: vec![
                    rule("foreign", Some(("language", "en")), language),
                    rule("native", None, Effects::default()),
                ],
            },
            LayerSpec {
                name: "rank".into(),
                every: true,
                rules: vec![
                    rule(
                        "angry",
                        Some(("mood", "angry")),
                        Effects {
                            head_start: 90,
                            ..Effects::default()
                        },
                    ),
                    rule(
                        "regular",
                        Some(("customer", "vip")),
                        Effects {
                            head_start: 60,
                            ..Effects::default()
                        },
                    ),
                    rule("plain", None, Effects::default()),
                ],
            },
        ],
        defaults: Effects {
            needs: Some(needs(&[&[("c", 1), ("a", 1)]])),
            clocks: vec![clock("answer", 120)],
            ..Effects::default()
        },
        limits: PolicyLimits {
            closed_keep: 400,
            closed_max: 40,
            waiting_max: 30,
            classes_max: 60,
            ..PolicyLimits::default()
        },
        lost_grace: 45,
        suspend: 70,
        short_abandon: 10,
        answer_target: 60,
        reserves: vec![ReserveSpec {
            name: "spare".into(),
            skill: need("d", 1),
            open: condition(Measure::OldestWait, 40, 10),
        }],
        ..PolicySpec::default()
    }
}

const TICKETS: [&str; 14] = [
    "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "ta", "tb", "tc", "td",
];
const AGENTS: [&str; 6] = ["ana", "bo", "cy", "di", "ed", "nobody"];
const SESSIONS: [&str; 3] = ["s1", "s2", "s3"];
const QUEUES: [&str; 4] = ["hard", "soft", "rest", "none"];

/// What a random command needs to know of the engine.
#[derive(Clone, Copy)]
pub struct Peek {
    now: i64,
    ticket: &'static str,
    newest: u32,
}

/// Picks the ticket that the next command is about.
pub fn peek(rng: &mut Rng, engine: &Engine) -> Peek {
    let ticket = rng.of(&TICKETS);
    Peek {
        now: engine.now(),
        ticket,
        newest: engine.route_view(ticket).map_or(0, |view| view.attempt),
    }
}

/// One random command.
pub fn with_command<R>(rng: &mut Rng, peek: Peek, then: impl FnOnce(&Command<'_>) -> R) -> R {
    let Peek { now, ticket, newest } = peek;
    let agent = rng.of(&AGENTS);
    let session = rng.of(&SESSIONS);
    // Mostly the newest attempt, sometimes another.
    let attempt = if rng.chance(90) { newest } else { rng.below(4) as u32 };
    let attributes = [
        Attribute {
            name: "kind",
            value: rng.of(&["hard", "soft", "hard", "odd"]),
            confidence_milli: 1000,
        },
        Attribute {
            name: "mood",
            value: rng.of(&["angry", "calm"]),
            confidence_milli: rng.of(&[400, 700]),
        },
        Attribute {
            name: "language",
            value: rng.of(&["en", "zh", "fr"]),
            confidence_milli: 1000,
        },
    ];
    let attributes = &attributes[(rng.below(2) as usize)..=(rng.below(3) as usize)];
    let skills = [
        SkillLevel {
            skill: rng.of(&["a", "b", "c", "lang[en]"]),
            level: 1 + rng.below(3) as u8,
        },
        SkillLevel { skill: "e", level: 1 },
    ];
    let presence = rng.of(&[
        Presence::Available,
        Presence::Available,
        Presence::Available,
        Presence::Away,
        Presence::Draining,
        Presence::Offline,
    ]);
    let excluded = [rng.of(&AGENTS)];
    let channels: [(&str, u32); 1] = [(rng.of(&["chat", "phone"]), rng.below(3) as u32)];
    let ahead = rng.of(&[0, 0, 0, 0, 20_000, 35_500]);
    let command = match rng.below(100) {
        0..25 => Command::Submit(Submit {
            id: ticket,
            channel: rng.of(&["chat", "chat", "chat", "phone", "fax"]),
            customer: rng.of(&["", "vip"]),
            source: rng.of(&["g1", "g2"]),
            attributes,
            skills: &skills[..usize::from(rng.chance(10))],
            preferred_agent: if rng.chance(25) { agent } else { "" },
            excluded_agents: &excluded[..usize::from(rng.chance(10))],
            not_before: if ahead == 0 { 0 } else { now + ahead },
            context: b"",
        }),
        25..30 => Command::Update {
            id: ticket,
            revision: rng.below(6),
            attributes,
        },
        30..34 => Command::Cancel {
            id: ticket,
            reason: "left",
        },
        34..37 => Command::Suspend { id: ticket },
        37..40 => Command::Resume { id: ticket },
        40..45 => Command::UpsertAgent(AgentSpec {
            id: agent,
            skills: &[
                SkillLevel {
                    skill: rng.of(&["a", "b"]),
                    level: 1 + rng.below(3) as u8,
                },
                SkillLevel {
                    skill: rng.of(&["c", "d", "lang[en]"]),
                    level: 1,
                },
            ],
            capacity: rng.of(&[40, 100, 100]),
            channels: if rng.chance(70) { &[] } else { &channels },
        }),
        45 => Command::RemoveAgent { agent },
        46..48 => Command::OpenSession {
            session,
            lease: rng.of(&[100, 400]),
        },
        48 => Command::CloseSession { session },
        49..52 => Command::RenewLease { session },
        52..58 => Command::Login {
            session,
            agent,
            presence,
            reason: "",
        },
        58..62 => Command::SetPresence {
            session,
            agent,
            presence,
            reason: rng.of(&["", "lunch"]),
        },
        62..71 => Command::Accept {
            ticket,
            attempt,
            context: b"",
        },
        71..75 => Command::Decline {
            ticket,
            attempt,
            reason: "busy",
        },
        75..83 => Command::Complete {
            ticket,
            attempt,
            outcome: rng.of(&["", "sold"]),
            context: b"",
        },
        83..87 => Command::Transfer {
            ticket,
            attempt,
            to: match rng.below(3) {
                0 => TransferTo::Agent(agent),
                1 => TransferTo::Queue(rng.of(&QUEUES)),
                _ => TransferTo::Requirement {
                    needs: vec![vec![skills[0]]],
                    none_of: vec![],
                },
            },
        },
        87..90 => Command::Mark {
            ticket,
            attempt,
            moment: rng.of(&["first_reply", "first_reply", "arrival", "never"]),
        },
        90 => Command::PauseClock {
            ticket,
            clock: rng.of(&["answer", "solve"]),
        },
        91 => Command::ResumeClock {
            ticket,
            clock: rng.of(&["answer", "solve"]),
        },
        92..95 => Command::EndWrapUp { ticket, attempt },
        95..97 => Command::Assign { ticket, agent },
        97..99 => Command::Move {
            ticket,
            queue: rng.of(&QUEUES),
        },
        _ if rng.chance(10) => Command::InstallPolicy {
            policy: Arc::new(policy(rng.below(3))),
            reclassify: rng.chance(50),
        },
        _ if rng.chance(5) => Command::StartCanary {
            policy: Arc::new(policy(rng.below(3))),
            terms: CanaryTerms {
                share_milli: rng.of(&[100, 500]),
                ..CanaryTerms::default()
            },
        },
        _ if rng.chance(5) => Command::StopCanary {
            reclassify: rng.chance(50),
        },
        _ if rng.chance(15) => Command::Tune {
            rules: tunings(rng),
            lapse: rng.of(&[0, 1000, 60_000]),
            policy_version: 0,
        },
        _ => Command::RenewLease { session },
    };
    then(&command)
}

/// New figures of some rules; at times of one that is not there.
fn tunings(rng: &mut Rng) -> Arc<[RuleTuning]> {
    let rules = [
        ("who", "hard"),
        ("who", "soft"),
        ("rank", "plain"),
        ("speak", "native"),
        ("rank", "none"),
    ];
    let mut tunings = Vec::new();
    for (layer, rule) in rules {
        if rng.chance(if rule == "none" { 5 } else { 40 }) {
            tunings.push(RuleTuning {
                layer: layer.into(),
                rule: rule.into(),
                head_start: rng.chance(60).then(|| rng.below(120_000) as i64 - 60_000),
                slope_milli: rng.chance(40).then(|| rng.below(5) as u32 * 700),
                fit_milli: rng.chance(40).then(|| rng.below(3) as u32 * 1000),
            });
        }
    }
    tunings.into()
}

/// Time passes: often not at all, often to the due time of something.
pub fn later(rng: &mut Rng, engine: &Engine) -> i64 {
    let now = engine.now();
    match rng.below(10) {
        0..4 => now,
        4..7 => engine.next_due().map_or(now + 1000, |due| due.max(now)),
        7 => now + 1,
        8 => now + rng.below(3000) as i64,
        _ => now + rng.below(40) as i64 * 1000,
    }
}

/// A started engine with a policy, agents and a session.
pub fn started(which: u64, events: &mut Vec<Event>) -> Engine {
    let mut engine = Engine::new();
    engine.begin(1_000_000_000_000, events).expect("time goes on");
    engine
        .apply(
            &Command::InstallPolicy {
                policy: Arc::new(policy(which)),
                reclassify: false,
            },
            events,
        )
        .expect("the policy is sound");
    engine
}
