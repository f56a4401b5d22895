//! What operators and controllers read, and what tuning does: to those who wait, to snapshots, and for how long.
#![allow(missing_docs)]

mod walk;

use std::sync::Arc;

use csroute_engine::command::{AgentSpec, Attribute, CanaryTerms, RuleTuning, SkillLevel, Submit};
use csroute_engine::live::Live;
use csroute_engine::policy::{
    AttributeSpec, ChannelSpec, Condition, Effects, LayerSpec, Measure, Need, Needs, Op, PolicySpec, QueueCondition,
    ReserveSpec, RuleSpec,
};
use csroute_engine::survey::Survey;
use csroute_engine::view::QueueView;
use csroute_engine::{Code, Command, Engine, Event, EventKind, Presence, Rejection};
use proptest::prelude::*;
use walk::{Rng, later, peek, started, with_command};

const SECOND: i64 = 1_000_000;

fn need(skill: &str) -> Need {
    Need {
        skill: skill.into(),
        level: 1,
        attribute: "".into(),
    }
}

fn queue(name: &str, skill: &str) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        why: "".into(),
        when: Some(Condition::Test {
            attribute: "kind".into(),
            op: Op::In,
            values: vec![name.into()],
        }),
        effects: Effects {
            needs: Some(Needs {
                groups: vec![vec![need(skill)]],
                none_of: vec![],
            }),
            reserves: vec!["spare".into()],
            ..Effects::default()
        },
    }
}

fn policy(version: u64) -> PolicySpec {
    PolicySpec {
        version,
        attributes: vec![AttributeSpec {
            name: "kind".into(),
            threshold_milli: 0,
            required: false,
            values: vec![],
            sticky: false,
        }],
        channels: vec![ChannelSpec {
            name: "chat".into(),
            cost: 100,
            limit: 1,
        }],
        layers: vec![LayerSpec {
            name: "who".into(),
            every: false,
            rules: vec![
                queue("a", "work"),
                queue("b", "work"),
                RuleSpec {
                    when: None,
                    ..queue("rest", "rare")
                },
            ],
        }],
        reserves: vec![ReserveSpec {
            name: "spare".into(),
            skill: need("spare"),
            open: QueueCondition {
                measure: Measure::OldestWait,
                over: 60_000,
                until: 10_000,
                of: vec![],
            },
        }],
        ..PolicySpec::default()
    }
}

struct Desk {
    engine: Engine,
    events: Vec<Event>,
    now: i64,
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self {
            engine: Engine::new(),
            events: Vec::new(),
            now: 1_000_000 * SECOND,
        };
        desk.install(1);
        let session = Command::OpenSession {
            session: "desk",
            lease: 3_000_000,
        };
        desk.apply(&session).unwrap();
        desk
    }

    fn apply(&mut self, command: &Command<'_>) -> Result<(), Rejection> {
        self.engine.begin(self.now, &mut self.events)?;
        self.engine.apply(command, &mut self.events).map(|_| ())
    }

    fn install(&mut self, version: u64) {
        let policy = Arc::new(policy(version));
        let reclassify = true;
        self.apply(&Command::InstallPolicy { policy, reclassify }).unwrap();
    }

    fn agent(&mut self, agent: &str, skills: &[&str], presence: Presence) {
        let skills: Vec<SkillLevel<'_>> = skills.iter().map(|&skill| SkillLevel { skill, level: 3 }).collect();
        let spec = AgentSpec {
            id: agent,
            skills: &skills,
            capacity: 100,
            channels: &[],
        };
        self.apply(&Command::UpsertAgent(spec)).unwrap();
        let (session, reason) = ("desk", "");
        self.apply(&Command::Login {
            session,
            agent,
            presence,
            reason,
        })
        .unwrap();
    }

    fn ticket(&mut self, id: &str, kind: &str) {
        let attributes = [Attribute {
            name: "kind",
            value: kind,
            confidence_milli: 1000,
        }];
        let submit = Submit {
            id,
            channel: "chat",
            attributes: &attributes,
            ..Submit::default()
        };
        self.apply(&Command::Submit(submit)).unwrap();
    }

    fn complete(&mut self, ticket: &str) {
        let (outcome, context) = ("", &[][..]);
        self.apply(&Command::Complete {
            ticket,
            attempt: 1,
            outcome,
            context,
        })
        .unwrap();
    }

    fn tune(&mut self, rules: &[RuleTuning], lapse_ms: i64, policy_version: u64) -> Result<(), Rejection> {
        let rules = rules.into();
        self.apply(&Command::Tune {
            rules,
            lapse: lapse_ms,
            policy_version,
        })
    }

    fn assigned(&self) -> Vec<&str> {
        let assigned = self
            .events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::Assigned { .. }));
        assigned.map(|event| event.ticket.as_str()).collect()
    }

    fn survey(&self, queue: &str) -> QueueView {
        surveyed(&self.engine, queue, 3)
    }
}

fn surveyed(engine: &Engine, queue: &str, looks: usize) -> QueueView {
    let mut survey = Survey::new(queue);
    while !engine.survey(&mut survey, looks) {}
    engine.surveyed(survey)
}

fn gathered(engine: &Engine, looks: usize) -> Live {
    let mut live = Live::default();
    while !engine.gather(&mut live, looks) {}
    live
}

fn head_start(rule: &str, seconds: i64) -> RuleTuning {
    RuleTuning {
        layer: "who".into(),
        rule: rule.into(),
        head_start: Some(seconds * 1000),
        slope_milli: None,
        fit_milli: None,
    }
}

/// One agent busy with a ticket, three that wait: two of `a`, then one of `b`, a second between them.
fn crowded() -> Desk {
    let mut desk = Desk::new();
    desk.agent("ann", &["work"], Presence::Available);
    for (id, kind) in [("now", "a"), ("a1", "a"), ("a2", "a"), ("b1", "b")] {
        desk.ticket(id, kind);
        desk.now += SECOND;
    }
    desk
}

#[test]
fn who_waits_is_ordered_by_a_tuning_until_it_lapses() {
    let mut desk = crowded();
    desk.tune(&[head_start("b", 10)], 5000, 1).unwrap();
    desk.complete("now");
    desk.ticket("b2", "b");
    desk.now += 6 * SECOND; // it has lapsed: b2 is the last again
    desk.complete("b1");
    assert_eq!(desk.assigned(), ["now", "b1", "a1"]);
    assert_eq!(desk.engine.tuned_until(), 0);
}

#[test]
fn a_tuning_ends_by_an_empty_one_or_by_another_policy() {
    let mut desk = crowded();
    desk.tune(&[head_start("b", 10)], 60_000, 0).unwrap();
    desk.tune(&[], 60_000, 0).unwrap();
    desk.complete("now");
    desk.tune(&[head_start("b", 10)], 60_000, 0).unwrap();
    desk.install(2);
    desk.complete("a1");
    assert_eq!(desk.assigned(), ["now", "a1", "a2"]);
}

#[test]
fn a_tuning_that_does_not_fit_changes_nothing() {
    let mut desk = crowded();
    desk.tune(&[head_start("b", 10)], 60_000, 1).unwrap();
    let hash = desk.engine.state_hash();
    let steep = RuleTuning {
        slope_milli: Some(100_001),
        ..head_start("a", 0)
    };
    for (rules, version, code) in [
        (vec![head_start("nobody", 1)], 0, Code::UnknownValue),
        (vec![head_start("a", 700_000)], 0, Code::OutOfRange),
        (vec![steep], 0, Code::OutOfRange),
        (vec![head_start("a", 1), head_start("a", 2)], 0, Code::OutOfRange),
        (vec![head_start("a", 1)], 2, Code::Conflict),
    ] {
        assert_eq!(desk.tune(&rules, 1000, version).unwrap_err().code, code);
    }
    assert_eq!(desk.engine.state_hash(), hash);
}

#[test]
fn a_snapshot_keeps_what_is_tuned() {
    let mut desk = crowded();
    let plain = desk.engine.state_hash();
    desk.tune(&[head_start("b", 10)], 60_000, 0).unwrap();
    assert_ne!(desk.engine.state_hash(), plain);
    let hash = desk.engine.state_hash();
    desk.engine = Engine::restore(&desk.engine.snapshot()).unwrap();
    assert_eq!(desk.engine.state_hash(), hash);
    desk.complete("now");
    assert_eq!(desk.assigned(), ["now", "b1"]);
    desk.tune(&[], 60_000, 0).unwrap();
    assert_eq!(gathered(&desk.engine, 1).lines[0].head_start, 0);
}

#[test]
fn a_survey_counts_each_agent_by_what_keeps_them() {
    let mut desk = crowded();
    desk.agent("ben", &["work"], Presence::Away);
    desk.agent("eve", &["work", "spare"], Presence::Available);
    desk.agent("tom", &["other"], Presence::Available);
    let view = desk.survey("a");
    let counts = view.agents;
    assert_eq!(
        (
            counts.capacity + counts.channel_limit,
            counts.presence,
            counts.reserve,
            counts.skill,
            counts.free
        ),
        (1, 1, 1, 1, 0)
    );
    assert_eq!((view.waiting, view.held, view.lines.len()), (2, 0, 1));
    let reserve = &view.reserves[0];
    assert_eq!((reserve.agents, reserve.open, reserve.for_queue), (1, false, true));
    assert_eq!(
        reserve.opens_at,
        desk.engine.now() - reserve.measured * 1000 + 60 * SECOND
    );
    assert!(
        view.text.contains("releasing the 1 agents of the reserve spare"),
        "{}",
        view.text
    );
    desk.now += 61 * SECOND;
    desk.ticket("late", "b");
    assert_eq!(desk.assigned(), ["now", "a1"], "the reserve opened");
    assert!(desk.survey("a").reserves[0].open);
}

#[test]
fn a_queue_that_nobody_serves_says_so() {
    let mut desk = Desk::new();
    assert!(desk.survey("rest").text.starts_with("Nobody waits in rest"));
    desk.ticket("t", "rare one");
    assert!(desk.survey("rest").text.contains("nobody is logged in"));
    desk.agent("ann", &["work"], Presence::Available);
    let text = desk.survey("rest").text;
    assert!(
        text.contains("none of the 1 agents logged in has what the largest line asks (rare)"),
        "{text}"
    );
    assert!(desk.engine.knows_queue("rest") && !desk.engine.knows_queue("b2"));
}

#[test]
fn what_came_and_went_is_told_by_interval() {
    let mut desk = crowded();
    desk.now += 10 * SECOND;
    desk.complete("now");
    desk.now += 10 * SECOND;
    desk.ticket("b2", "b");
    let flow = desk.survey("a").flow;
    let sums = flow.iter().fold((0, 0, 0), |sums, it| {
        (sums.0 + it.arrived, sums.1 + it.answered, sums.2 + it.completed)
    });
    assert_eq!(sums, (3, 2, 1));
    assert!(flow.len() >= 2 && flow.windows(2).all(|pair| pair[0].ends == pair[1].begins));
}

fn canary(version: u64, share_milli: u32) -> Command<'static> {
    let mut policy = policy(version);
    policy.layers[0].rules[1].effects.head_start = 30_000;
    let terms = CanaryTerms {
        share_milli,
        ..CanaryTerms::default()
    };
    Command::StartCanary {
        policy: Arc::new(policy),
        terms,
    }
}

/// How many of a thousand customers' tickets are under each version; then customer by customer.
fn versions(desk: &mut Desk, round: &str) -> (usize, Vec<bool>) {
    let of = |at: i32| {
        let (id, customer) = (format!("{round}-{at}"), format!("customer {at}"));
        let submit = Submit {
            id: &id,
            channel: "chat",
            customer: &customer,
            ..Submit::default()
        };
        desk.apply(&Command::Submit(submit)).unwrap();
        desk.engine.ticket(&id).unwrap().policy_version == 2
    };
    let all: Vec<bool> = (0..1000).map(of).collect();
    (all.iter().filter(|new| **new).count(), all)
}

#[test]
fn a_canary_is_the_same_tenth_of_customers_every_time_and_after_a_restart() {
    let mut desk = Desk::new();
    desk.apply(&canary(2, 100)).unwrap();
    let (count, first) = versions(&mut desk, "first");
    assert!((70..=130).contains(&count), "{count} of 1000");
    let hash = desk.engine.state_hash();
    desk.engine = Engine::restore(&desk.engine.snapshot()).unwrap();
    assert_eq!(desk.engine.state_hash(), hash);
    assert_eq!(versions(&mut desk, "second").1, first);
    let seen = desk.engine.canary().unwrap();
    assert_eq!(
        (seen.canary.arrived, seen.stable.arrived),
        (2 * count as u64, 2000 - 2 * count as u64)
    );
}

#[test]
fn a_stopped_canary_takes_no_more_and_gives_back_who_waits() {
    let mut desk = Desk::new();
    desk.apply(&canary(2, 500)).unwrap();
    let (count, _) = versions(&mut desk, "first");
    assert!(count > 400);
    desk.apply(&Command::StopCanary { reclassify: true }).unwrap();
    assert!(desk.engine.canary().is_none());
    let left = (0..1000).filter(|at| desk.engine.ticket(&format!("first-{at}")).unwrap().policy_version == 2);
    assert_eq!(left.count(), 0);
    assert_eq!(versions(&mut desk, "second").0, 0);
    assert_eq!(desk.engine.stats().waiting, 2000);
}

#[test]
fn an_install_ends_a_canary_and_who_waits_keeps_their_class() {
    let mut desk = Desk::new();
    desk.apply(&canary(2, 500)).unwrap();
    let (count, _) = versions(&mut desk, "first");
    let (policy, reclassify) = (Arc::new(policy(3)), false);
    desk.apply(&Command::InstallPolicy { policy, reclassify }).unwrap();
    assert!(desk.engine.canary().is_none());
    let kept = (0..1000).filter(|at| desk.engine.ticket(&format!("first-{at}")).unwrap().policy_version == 2);
    assert_eq!(kept.count(), count);
}

#[test]
fn both_sides_share_the_agents_and_are_counted_apart() {
    let mut desk = Desk::new();
    desk.apply(&canary(2, 500)).unwrap();
    for (at, name) in ["ann", "ben", "eve", "tom"].into_iter().enumerate() {
        desk.agent(name, &["rare"], Presence::Available);
        desk.ticket(&format!("t{at}"), "any");
    }
    let (_, new) = versions(&mut desk, "more");
    let seen = desk.engine.canary().unwrap();
    assert_eq!(seen.stable.answered + seen.canary.answered, 4);
    let gone = new.iter().position(|new| *new).unwrap();
    let (id, reason) = (format!("more-{gone}"), "");
    desk.apply(&Command::Cancel { id: &id, reason }).unwrap();
    assert_eq!(desk.engine.canary().unwrap().canary.abandoned, 1);
    assert_eq!(desk.engine.canary().unwrap().stable.abandoned, 0);
}

#[test]
fn a_canary_that_does_not_fit_changes_nothing() {
    let mut desk = Desk::new();
    let hash = desk.engine.state_hash();
    let mut other = policy(2);
    other.channels[0].cost = 50;
    let terms = CanaryTerms {
        share_milli: 100,
        ..CanaryTerms::default()
    };
    let policy = Arc::new(other);
    for (command, code) in [
        (canary(1, 100), Code::PolicyInvalid),
        (canary(2, 0), Code::OutOfRange),
        (canary(2, 501), Code::OutOfRange),
        (Command::StartCanary { policy, terms }, Code::PolicyInvalid),
    ] {
        assert_eq!(desk.apply(&command).unwrap_err().code, code);
    }
    assert_eq!(desk.engine.state_hash(), hash);
    desk.apply(&canary(2, 100)).unwrap();
    assert_eq!(desk.apply(&canary(3, 100)).unwrap_err().code, Code::Conflict);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// However it is cut up; and reading changes nothing.
    #[test]
    fn the_live_state_adds_up_in_any_slices(seed in any::<u64>(), looks in 1usize..40) {
        let (mut rng, mut events) = (Rng(seed), Vec::new());
        let mut engine = started(seed % 3, &mut events);
        for _ in 0..400 {
            let now = later(&mut rng, &engine);
            let looked = peek(&mut rng, &engine);
            with_command(&mut rng, looked, |command| {
                engine.begin(now, &mut events).expect("time goes on");
                let _ = engine.apply(command, &mut events);
            });
        }
        let (hash, stats) = (engine.state_hash(), engine.stats());
        let (mut standing, logged_in) = (0, (stats.agents_available + stats.agents_away + stats.agents_draining) as u32);
        for queue in &stats.queues {
            let view = surveyed(&engine, &queue.queue, looks);
            prop_assert_eq!(&view, &surveyed(&engine, &queue.queue, usize::MAX));
            prop_assert!(view.waiting <= queue.waiting && queue.waiting <= view.waiting + view.held);
            standing += view.waiting + view.held;
            let all = view.agents;
            let sum = all.skill + all.reserve + all.presence + all.channel + all.wrap_up + all.channel_limit
                + all.capacity + all.free;
            prop_assert_eq!(sum, logged_in, "each agent once");
        }
        prop_assert_eq!(standing, stats.waiting + stats.suspended);
        let live = gathered(&engine, looks);
        prop_assert_eq!(live.profiles.values().map(|profile| profile.agents).sum::<u32>(), logged_in);
        prop_assert_eq!(live.profiles.values().map(|profile| profile.units_used).sum::<u64>(), stats.units_used);
        prop_assert_eq!(engine.state_hash(), hash);
    }
}
