//! Simulated tickets a second on one core: arrivals, patience, offers or auto-accept, handling, rows.
//!
//! 1,000 agents in 50 profiles, 50 classes, each agent with five skills; load as the row says. Not in it: making the
//! arrivals, numpy, figures. By the thread's own CPU time. `cargo bench -p csroute-sim --bench sim -- --test` runs each row briefly.
#![allow(missing_docs)]

use std::sync::Arc;

use csroute_engine::policy::{
    AttributeSpec, ChannelSpec, ClockMode, ClockSpec, ClockUse, Condition, Effects, LayerSpec, Need, Needs, OfferSpec,
    Op, PolicyLimits, PolicySpec, RuleSpec,
};
use csroute_sim::draw::{Distribution, Purpose, uniform};
use csroute_sim::setup::{Agent, Conduct, Kind, Setup};
use csroute_sim::{Arrival, Outcome, Simulation};

const CLASSES: usize = 50;
const AGENTS: usize = 1_000;
const HANDLE_US: f64 = 300e6;

struct World {
    name: &'static str,
    load: f64,
    offers: bool,
}

const ROWS: [World; 3] = [
    World {
        name: "load 0.95, auto-accept",
        load: 0.95,
        offers: false,
    },
    World {
        name: "load 0.95, offers accepted after 2 s",
        load: 0.95,
        offers: true,
    },
    World {
        name: "load 1.5, auto-accept, patience 5 min",
        load: 1.5,
        offers: false,
    },
];

fn policy(offers: bool) -> PolicySpec {
    let rule = |class: usize| RuleSpec {
        name: format!("k{class}").into(),
        why: "".into(),
        when: Some(Condition::Test {
            attribute: "kind".into(),
            op: Op::In,
            values: vec![format!("k{class}").into()],
        }),
        effects: Effects {
            needs: Some(Needs {
                groups: vec![vec![Need {
                    skill: format!("k{class}").into(),
                    level: 1,
                    attribute: "".into(),
                }]],
                none_of: vec![],
            }),
            by_deadline: Some(("answer".into(), 0)),
            clocks: vec![ClockUse {
                clock: "answer".into(),
                mode: ClockMode::Within,
                target: 20_000 + 1_000 * class as i64,
                warnings: vec![],
            }],
            offer: offers.then_some(OfferSpec {
                ttl: 20_000,
                away_on_expiry: false,
            }),
            ..Effects::default()
        },
    };
    let otherwise = RuleSpec {
        name: "rest".into(),
        why: "".into(),
        when: None,
        effects: Effects::default(),
    };
    PolicySpec {
        version: 1,
        name: "bench".into(),
        attributes: vec![AttributeSpec {
            name: "kind".into(),
            threshold_milli: 0,
            required: true,
            values: vec![],
            sticky: false,
        }],
        channels: vec![ChannelSpec {
            name: "chat".into(),
            cost: 1,
            limit: 1,
        }],
        clocks: vec![ClockSpec {
            name: "answer".into(),
            starts: "arrival".into(),
            stops: "assignment".into(),
            hard: true,
        }],
        layers: vec![LayerSpec {
            name: "who".into(),
            every: false,
            rules: (0..CLASSES).map(rule).chain([otherwise]).collect(),
        }],
        limits: PolicyLimits {
            closed_max: 1024,
            closed_keep: 31_536_000_000,
            ..PolicyLimits::default()
        },
        ..PolicySpec::default()
    }
}

fn setup(hours: i64) -> Setup {
    let agent = |number: usize| Agent {
        id: format!("a{number}").into(),
        skills: (0..5)
            .map(|skill| (format!("k{}", (number + skill * 11) % CLASSES).into(), 1))
            .collect(),
        capacity: 1,
        shifts: vec![(0, hours * 3_600_000_000)],
        ..Agent::default()
    };
    let kind = |class: usize| Kind {
        channel: "chat".into(),
        attributes: vec![("kind".into(), format!("k{class}").into(), 1000)],
        work: 0,
        patience: 1,
        ..Kind::default()
    };
    Setup {
        seed: 7,
        start_us: 1_700_000_000_000_000,
        interval_us: 900_000_000,
        intervals: (hours * 4) as usize,
        distributions: vec![
            Distribution::LogNormal {
                mean_us: HANDLE_US,
                sigma: 0.8,
            },
            Distribution::Exponential { mean_us: 300e6 },
            Distribution::Fixed { value_us: 2e6 },
        ],
        kinds: (0..CLASSES).map(kind).collect(),
        groups: 1,
        conducts: vec![Conduct {
            answer: Some(2),
            ..Conduct::default()
        }],
        agents: (0..AGENTS).map(agent).collect(),
        pace: vec![vec![1.0]],
        trace: false,
    }
}

/// The thread's own CPU time.
fn cpu_s() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns: f64 = schedstat
        .split(' ')
        .next()
        .and_then(|ns| ns.parse().ok())
        .unwrap_or(f64::NAN);
    ns / 1e9
}

fn main() {
    let brief = std::env::args().any(|argument| argument == "--test");
    let tickets = if brief { 20_000 } else { 1_000_000 };
    for world in ROWS {
        let gap = HANDLE_US / (AGENTS as f64 * world.load);
        let mut at = 0.0;
        let arrivals: Vec<Arrival> = (0..tickets)
            .map(|key| {
                at -= gap * uniform(1, Purpose::Again, key, 0).ln();
                let kind = (uniform(1, Purpose::Transfer, key, 0) * CLASSES as f64) as u32;
                Arrival {
                    at: at as i64,
                    kind,
                    customer: 0,
                    patience: -1,
                    work: -1,
                }
            })
            .collect();
        let hours = (at / 3.6e9) as i64 + 1;
        let mut simulation = Simulation::new(Arc::new(policy(world.offers)), setup(hours)).expect("sound");
        simulation.feed(arrivals.into_iter()).expect("in order");
        let started = cpu_s();
        simulation.run(hours * 3_600_000_000).expect("plays");
        let seconds = cpu_s() - started;
        let mut rows = simulation.take();
        rows.extend(simulation.finish());
        let done = rows.iter().filter(|row| row.outcome == Outcome::Done).count();
        let waited = rows.iter().filter(|row| row.wait > 0).count() as f64 / rows.len() as f64;
        assert_eq!(rows.len() as u64, tickets, "one row a ticket");
        println!(
            "{}: {:.0} tickets/s ({} done of {tickets}, {:.0} % waited)",
            world.name,
            tickets as f64 / seconds,
            done,
            waited * 100.0
        );
    }
}
