//! What a decision costs: lifecycles per second on one thread, the latency of one decision, bytes a waiting ticket.
//!
//! A lifecycle is submit + match + complete with its clock and all events; auto-accept, no wrap-up. 10,000 agents in 300
//! profiles, 1,000 classes, each served by 15 % of the profiles (10,000 classes by 2 %), unless a row says otherwise. Not in
//! it: the wire, the node, the journal. Rates are by the thread's own CPU time, latencies by the clock on the wall. Beside
//! each round of the engine's stands one of a bare matcher's (`bare.rs`), so that their ratio is of one moment.
//!
//!     cargo bench -p csroute-engine --bench core                              # all rows
//!     cargo bench -p csroute-engine --bench core -- "100,000 waiting"         # that row
//!     cargo bench -p csroute-engine --bench core -- --world 1000,10,10,5000   # agents, profiles, classes, waiting
//!
//! `--test` runs each row briefly, to see that it works; `--json` prints a line of JSON a row; `--rounds` and `--each` say how
//! many rounds of how many lifecycles; `--slow 30` wastes so many percent of the engine's time, to see what notices.
//!
//! Not criterion: it measures by the wall, so that on a machine that others use it measures them too; and what it compares
//! it measures one after the other, so that a ratio is of two moments.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    missing_docs
)]

mod bare;
#[allow(dead_code)]
#[path = "../../tests/walk/rng.rs"]
mod rng;

use std::sync::Arc;
use std::time::Instant;

use bare::Bare;
use csroute_engine::command::{AgentSpec, Attribute, SkillLevel, Submit};
use csroute_engine::policy::{
    AttributeSpec, ChannelSpec, ClockMode, ClockSpec, ClockUse, Condition, Effects, LayerSpec, Need, Needs, Op,
    PolicyLimits, PolicySpec, RuleSpec,
};
use csroute_engine::{Command, Engine, Event, EventKind, Presence, WARM_MAX};
use rng::Rng;
use smol_str::SmolStr;

const START: i64 = 1_700_000_000_000_000;

/// What a row sets up.
#[derive(Clone, Copy)]
struct World {
    name: &'static str,
    agents: u64,
    profiles: u64,
    classes: u64,
    /// Percent of profiles that serve a class.
    served: u64,
    waiting: u64,
    targets: Targets,
    /// So many classes are urgent and served by one profile alone: they clog the front.
    scarce: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Targets {
    /// From a minute to three hours, by class.
    Spread,
    /// The same for all: first come, first served.
    Equal,
}

/// The matcher does more than the engine in a round, at least so much: CPU time is told by a clock of 4 ms.
const BARE_EACH_MIN: u64 = 400_000;

/// Commands come in batches; the engine is told of a slice of one before it applies it.
const BLOCK: usize = WARM_MAX;

const BASE: World = World {
    name: "0 waiting",
    agents: 10_000,
    profiles: 300,
    classes: 1_000,
    served: 15,
    waiting: 0,
    targets: Targets::Spread,
    scarce: 0,
};

const ROWS: [World; 7] = [
    BASE,
    World {
        name: "100,000 waiting",
        waiting: 100_000,
        ..BASE
    },
    World {
        name: "1,000,000 waiting",
        waiting: 1_000_000,
        ..BASE
    },
    World {
        name: "1,000,000 waiting, equal targets",
        waiting: 1_000_000,
        targets: Targets::Equal,
        ..BASE
    },
    World {
        name: "100,000 waiting, 200 scarce classes in front",
        waiting: 100_000,
        scarce: 200,
        ..BASE
    },
    World {
        name: "100,000 waiting, 10,000 profiles",
        waiting: 100_000,
        profiles: 10_000,
        ..BASE
    },
    World {
        name: "100,000 waiting, 10,000 profiles, 10,000 classes",
        waiting: 100_000,
        profiles: 10_000,
        classes: 10_000,
        ..BASE
    },
];

/// Skills of a profile, about: an agent may have 256.
const SKILLS_MAX: u64 = 200;

impl World {
    /// Percent of profiles that serve a class, such that no profile has more skills than it may.
    fn served(self) -> u64 {
        self.served.min((100 * SKILLS_MAX / self.classes).max(1))
    }
}

fn policy(world: World) -> PolicySpec {
    let rule = |class: u64| {
        let target = match world.targets {
            _ if class < world.scarce => 30_000,
            Targets::Spread => 60_000 + class * 10_740_000 / world.classes,
            Targets::Equal => 600_000,
        } as i64;
        let name = format!("k{class}");
        let groups = vec![vec![Need {
            skill: name.clone().into(),
            level: 1,
            attribute: "".into(),
        }]];
        RuleSpec {
            name: name.clone().into(),
            why: "".into(),
            when: Some(Condition::Test {
                attribute: "kind".into(),
                op: Op::In,
                values: vec![name.into()],
            }),
            effects: Effects {
                needs: Some(Needs {
                    groups,
                    none_of: vec![],
                }),
                by_deadline: Some(("answer".into(), 0)),
                clocks: vec![ClockUse {
                    clock: "answer".into(),
                    mode: ClockMode::Within,
                    target,
                    warnings: vec![target * 8 / 10],
                }],
                ..Effects::default()
            },
        }
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
            cost: 20,
            limit: 5,
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
            rules: (0..world.classes).map(rule).chain([otherwise]).collect(),
        }],
        limits: PolicyLimits {
            waiting_max: 5_000_000,
            classes_max: 20_000,
            closed_max: 100_000,
            ..PolicyLimits::default()
        },
        lost_grace: 60_000,
        suspend: 60_000,
        ..PolicySpec::default()
    }
}

struct Bench {
    engine: Engine,
    events: Vec<Event>,
    rng: Rng,
    now: i64,
    kinds: Vec<String>,
    next: u64,
    /// Ids and attempts, as gateways hold them.
    active: Vec<(SmolStr, u32)>,
    assigned: u64,
}

impl Bench {
    fn new(world: World) -> Self {
        let mut rng = Rng(7);
        let mut engine = Engine::new();
        let mut events = Vec::new();
        engine.begin(START, &mut events).expect("time goes on");
        engine
            .apply(
                &Command::InstallPolicy {
                    policy: Arc::new(policy(world)),
                    reclassify: false,
                },
                &mut events,
            )
            .expect("sound");
        engine
            .apply(
                &Command::OpenSession {
                    session: "desk",
                    lease: 3_600_000,
                },
                &mut events,
            )
            .expect("opens");
        let kinds: Vec<String> = (0..world.classes).map(|class| format!("k{class}")).collect();
        let mut profiles: Vec<Vec<SkillLevel<'_>>> = vec![Vec::new(); world.profiles as usize];
        for (class, kind) in kinds.iter().enumerate() {
            let sole = (class as u64) < world.scarce;
            for (number, profile) in profiles.iter_mut().enumerate() {
                let serves = if sole {
                    number == class % world.profiles as usize
                } else {
                    rng.chance(world.served())
                };
                if serves && profile.len() < 250 {
                    profile.push(SkillLevel { skill: kind, level: 1 });
                }
            }
        }
        for agent in 0..world.agents {
            let id = format!("a{agent}");
            let skills = &profiles[(agent % world.profiles) as usize];
            let spec = AgentSpec {
                id: &id,
                skills,
                capacity: 100,
                channels: &[],
            };
            engine.apply(&Command::UpsertAgent(spec), &mut events).expect("fits");
            let login = Command::Login {
                session: "desk",
                agent: &id,
                presence: Presence::Available,
                reason: "",
            };
            engine.apply(&login, &mut events).expect("logs in");
        }
        events.clear();
        let mut bench = Self {
            engine,
            events,
            rng,
            now: START,
            kinds,
            next: 0,
            active: Vec::new(),
            assigned: 0,
        };
        // Half of the seats taken; or all of them, and so many waiting.
        let seats = world.agents as usize * 5;
        while bench.active.len() < seats / 2 {
            bench.submit();
        }
        if world.waiting > 0 {
            while bench.engine.stats().waiting == 0 {
                for _ in 0..1000 {
                    bench.submit();
                }
            }
            let before = bench.next;
            while bench.next - before < world.waiting + (seats - bench.active.len().min(seats)) as u64 {
                bench.submit();
            }
            while bench.engine.stats().waiting < world.waiting {
                for _ in 0..1000 {
                    bench.submit();
                }
            }
        }
        bench
    }

    fn hear(&mut self) {
        for event in self.events.drain(..) {
            if let EventKind::Assigned { .. } = event.kind {
                self.assigned += 1;
                self.active.push((event.ticket, event.attempt));
            }
        }
    }

    /// Submits, and as many completions, in turn; warmed first, as batches are.
    #[inline(never)]
    fn block(&mut self, ids: &[SmolStr]) {
        let picked: Vec<_> = (0..ids.len().min(self.active.len())).map(|_| self.pick()).collect();
        self.engine.warm(ids.iter().map(SmolStr::as_str));
        self.engine.warm(picked.iter().map(|(id, _)| id.as_str()));
        let mut picked = picked.iter();
        for id in ids {
            self.submit_as(id);
            if let Some((id, attempt)) = picked.next() {
                self.complete_as(id, *attempt);
            }
        }
    }

    /// So many new tickets' ids: the gateways' work, not the engine's.
    fn ids(&mut self, count: u64) -> Vec<SmolStr> {
        let from = self.next;
        self.next += count;
        (from..self.next)
            .map(|number| SmolStr::new(format!("t{number:011}")))
            .collect()
    }

    fn submit(&mut self) {
        let ids = self.ids(1);
        self.submit_as(&ids[0]);
    }

    fn submit_as(&mut self, id: &str) {
        self.now += 3;
        let kind = &self.kinds[self.rng.below(self.kinds.len() as u64) as usize];
        let attributes = [Attribute {
            name: "kind",
            value: kind,
            confidence_milli: 1000,
        }];
        let submit = Submit {
            id,
            channel: "chat",
            source: "gw",
            attributes: &attributes,
            ..Submit::default()
        };
        self.engine.begin(self.now, &mut self.events).expect("time goes on");
        self.engine
            .apply(&Command::Submit(submit), &mut self.events)
            .expect("room");
        self.hear();
    }

    fn pick(&mut self) -> (SmolStr, u32) {
        let at = self.rng.below(self.active.len() as u64) as usize;
        self.active.swap_remove(at)
    }

    fn complete(&mut self) {
        if !self.active.is_empty() {
            let (id, attempt) = self.pick();
            self.complete_as(&id, attempt);
        }
    }

    fn complete_as(&mut self, id: &str, attempt: u32) {
        let command = Command::Complete {
            ticket: id,
            attempt,
            outcome: "",
            context: &[],
        };
        self.engine.begin(self.now, &mut self.events).expect("time goes on");
        self.engine.apply(&command, &mut self.events).expect("it is active");
        self.hear();
    }
}

/// Seconds that this thread ran: other programs on the machine do not count, their cache misses do.
fn cpu_s() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    schedstat
        .split(' ')
        .next()
        .and_then(|nanos| nanos.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1e9
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages
        .and_then(|text| text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()))
        .unwrap_or(0)
        * 4096
}

fn spread(mut all: Vec<f64>) -> [f64; 3] {
    all.sort_by(f64::total_cmp);
    [all[0], all[all.len() / 2], all[all.len() - 1]]
}

/// What was asked for.
struct Options {
    smoke: bool,
    json: bool,
    rounds: usize,
    each: u64,
    slow_percent: u64,
    worlds: Vec<World>,
    memory: bool,
}

fn options() -> Options {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| one != "--bench").collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let smoke = has("--test");
    let mut options = Options {
        smoke,
        json: has("--json"),
        rounds: if smoke { 3 } else { 7 },
        each: if smoke { 2_000 } else { 200_000 },
        slow_percent: 0,
        worlds: Vec::new(),
        memory: has("memory"),
    };
    let mut given = arguments.iter();
    while let Some(argument) = given.next() {
        let mut number = || given.next().and_then(|text| text.parse().ok()).expect("a number");
        match argument.as_str() {
            "--rounds" => options.rounds = number() as usize,
            "--each" => options.each = number(),
            "--slow" => options.slow_percent = number(),
            "--world" => options.worlds.push(world(given.next().expect("four numbers"))),
            name => options.worlds.extend(ROWS.iter().filter(|world| world.name == name)),
        }
    }
    if options.worlds.is_empty() && !options.memory {
        options.worlds.extend(ROWS);
        options.memory = !options.json;
    }
    options
}

fn world(text: &str) -> World {
    let numbers: Vec<u64> = text.split(',').map(|one| one.parse().expect("a number")).collect();
    let [agents, profiles, classes, waiting] = numbers[..] else {
        panic!("agents,profiles,classes,waiting, not {text}");
    };
    World {
        name: Box::leak(text.to_owned().into_boxed_str()),
        agents,
        profiles,
        classes,
        waiting,
        ..BASE
    }
}

/// So much of what was just used, once more.
fn waste(used_s: f64, percent: u64) {
    let until = cpu_s() + used_s * percent as f64 / 100.0;
    while percent > 0 && cpu_s() < until {
        std::hint::spin_loop();
    }
}

fn main() {
    let options = options();
    // First: later the allocator has room to reuse, and the resident set would not grow.
    if options.memory {
        memory(if options.smoke { 20_000 } else { 1_000_000 });
    }
    if !options.json {
        println!(
            "{:<52} {:>24} {:>28}",
            "core, one thread", "M lifecycles/s", "one decision, µs"
        );
        println!(
            "{:<52} {:>8}{:>8}{:>8} {:>8}{:>8} {:>9}{:>9}{:>9}",
            "", "min", "median", "max", "bare", "ratio", "p50", "p99", "p99.9"
        );
    }
    for &world in &options.worlds {
        row(&options, world);
    }
}

fn row(options: &Options, mut world: World) {
    // Rows of ten thousand classes take long to set up; the warm-up round is theirs too.
    let each = if world.classes > 1_000 {
        options.each / 10
    } else {
        options.each
    };
    if options.smoke {
        world.waiting = world.waiting.min(20_000);
        world.agents = world.agents.min(2_000);
        world.profiles = world.profiles.min(2_000);
    }
    let mut bench = Bench::new(world);
    let mut bare = Bare::new(world);
    let (mut rates, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=options.rounds {
        let ids = bench.ids(each);
        let (began, before) = (cpu_s(), bench.assigned);
        for ids in ids.chunks(BLOCK) {
            bench.block(ids);
        }
        waste(cpu_s() - began, options.slow_percent);
        let rate = (bench.assigned - before) as f64 / (cpu_s() - began) / 1e6;
        let began = cpu_s();
        let matched = bare.run((2 * each).max(BARE_EACH_MIN.min(10 * each)));
        let beside = matched as f64 / (cpu_s() - began) / 1e6;
        // The first round warms up.
        if round > 0 {
            rates.push(rate);
            bares.push(beside);
            ratios.push(rate / beside);
        }
    }
    let mut latencies: Vec<f64> = (0..2 * each.min(100_000))
        .map(|number| {
            let began = Instant::now();
            if number % 2 == 0 {
                bench.submit();
            } else {
                bench.complete();
            }
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
    if options.json {
        return println!(
            r#"{{"row": {:?}, "rates": {rates:?}, "bare": {bares:?}, "ratios": {ratios:?}, "p50_us": {}, "p99_us": {}, "p999_us": {}}}"#,
            world.name,
            at(0.5),
            at(0.99),
            at(0.999)
        );
    }
    let [min, median, max] = spread(rates);
    println!(
        "{:<52} {min:>8.2}{median:>8.2}{max:>8.2} {:>8.2}{:>8.2} {:>9.2}{:>9.2}{:>9.2}",
        world.name,
        spread(bares)[1],
        spread(ratios)[1],
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

/// Bytes a waiting ticket, by the process's resident set: all that a million tickets in line took, less ids and attributes.
fn memory(tickets: u64) {
    let mut bench = Bench::new(World { agents: 0, ..BASE });
    bench.submit();
    let before = resident_bytes();
    for _ in 0..tickets {
        bench.submit();
    }
    let all = (resident_bytes() - before) as f64 / tickets as f64;
    // Ids of 12 bytes stand inline in 24; the attributes' packed bytes in a block of 32 behind a pointer and a length.
    println!(
        "a waiting ticket: {all:.0} bytes in all, {:.0} beyond its id and attributes",
        all - 24.0 - 48.0
    );
}
