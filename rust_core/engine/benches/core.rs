//! What a decision costs: lifecycles per second on one thread, the latency of one decision, bytes a waiting ticket.
//!
//! A lifecycle is submit + match + complete with its clock and all events; auto-accept, no wrap-up. 10,000 agents in 300
//! profiles, 1,000 classes, each served by 15 % of the profiles, unless a row says otherwise. Not in it: the wire, the
//! node, the journal. Rates are by the thread's own CPU time, latencies by the clock on the wall. `cargo bench -p csroute-engine --bench core -- --test` runs each row briefly, to see that it works;
//! a row's name runs that row alone.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    missing_docs
)]

#[allow(dead_code)]
#[path = "../tests/walk/rng.rs"]
mod rng;

use std::sync::Arc;
use std::time::Instant;

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
                    rng.chance(world.served)
                };
                // Ten thousand profiles serve a class of ten thousand with 256 skills at most.
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

/// For scale: per-class heaps, idle seats counted by profile, the heads of a profile's classes scanned. No ids, clocks,
/// events, orders of choice, presence or limits: what matching alone costs on this machine, in this run.
struct Bare {
    rng: Rng,
    heaps: Vec<std::collections::BinaryHeap<std::cmp::Reverse<(u64, u64)>>>,
    serves: Vec<Vec<u32>>,
    served: Vec<Vec<u32>>,
    free: Vec<u32>,
    active: Vec<u32>,
    next: u64,
    done: u64,
}

impl Bare {
    fn new(world: World) -> Self {
        let mut rng = Rng(7);
        let (classes, profiles) = (world.classes as usize, world.profiles as usize);
        let mut bare = Self {
            heaps: vec![std::collections::BinaryHeap::new(); classes],
            serves: vec![Vec::new(); profiles],
            served: vec![Vec::new(); classes],
            free: vec![(world.agents * 5 / world.profiles) as u32; profiles],
            active: Vec::new(),
            next: 0,
            done: 0,
            rng: Rng(1),
        };
        for class in 0..classes {
            for profile in 0..profiles {
                if rng.chance(world.served) {
                    bare.serves[profile].push(class as u32);
                    bare.served[class].push(profile as u32);
                }
            }
        }
        let seats = world.agents as usize * 5;
        while bare.active.len() < seats / 2 {
            bare.submit();
        }
        let waiting = |bare: &Self| bare.heaps.iter().map(|heap| heap.len() as u64).sum::<u64>();
        while waiting(&bare) < world.waiting {
            for _ in 0..1000 {
                bare.submit();
            }
        }
        bare
    }

    fn submit(&mut self) {
        self.next += 1;
        let class = self.rng.below(self.heaps.len() as u64) as usize;
        let free = |profile: &&u32| self.free[**profile as usize];
        match self.served[class].iter().max_by_key(free) {
            Some(&profile) if self.free[profile as usize] > 0 => self.take(profile),
            _ => {
                let target = 60_000 + class as u64 * 10_740;
                self.heaps[class].push(std::cmp::Reverse((self.next / 300 + target, self.next)));
            }
        }
    }

    fn take(&mut self, profile: u32) {
        self.free[profile as usize] -= 1;
        self.active.push(profile);
        self.done += 1;
    }

    fn complete(&mut self) {
        if self.active.is_empty() {
            return;
        }
        let at = self.rng.below(self.active.len() as u64) as usize;
        let profile = self.active.swap_remove(at);
        self.free[profile as usize] += 1;
        let heads = self.serves[profile as usize]
            .iter()
            .filter_map(|&class| self.heaps[class as usize].peek().map(|head| (head.0, class)));
        if let Some((_, class)) = heads.min() {
            self.heaps[class as usize].pop();
            self.take(profile);
        }
    }
}

fn bare_rate(world: World, each: u64) -> f64 {
    let mut bare = Bare::new(world);
    let (began, before) = (cpu_s(), bare.done);
    for _ in 0..each {
        bare.submit();
        bare.complete();
    }
    (bare.done - before) as f64 / (cpu_s() - began) / 1e6
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

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let (rounds, each) = if smoke { (3, 2_000) } else { (7, 200_000) };
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    // First: later the allocator has room to reuse, and the resident set would not grow.
    if only.is_empty() || only.iter().any(|name| name == "memory") {
        memory(if smoke { 20_000 } else { 1_000_000 });
    }
    println!(
        "{:<52} {:>24} {:>28}",
        "core, one thread", "M lifecycles/s", "one decision, µs"
    );
    println!(
        "{:<52} {:>8}{:>8}{:>8} {:>8}{:>8} {:>9}{:>9}{:>9}",
        "", "min", "median", "max", "M/s", "ratio", "p50", "p99", "p99.9"
    );
    for mut world in ROWS {
        if !only.is_empty() && !only.iter().any(|name| name == world.name) {
            continue;
        }
        // Rows of ten thousand classes take long to set up; the warm-up round is theirs too.
        let each = if world.classes > 1_000 { each / 10 } else { each };
        if smoke {
            world.waiting = world.waiting.min(20_000);
            world.agents = 2_000;
            world.profiles = world.profiles.min(2_000);
        }
        let mut bench = Bench::new(world);
        let mut rates = Vec::new();
        for round in 0..=rounds {
            let ids = bench.ids(each);
            let (began, before) = (cpu_s(), bench.assigned);
            for ids in ids.chunks(BLOCK) {
                bench.block(ids);
            }
            // The first round warms up.
            if round > 0 {
                rates.push((bench.assigned - before) as f64 / (cpu_s() - began) / 1e6);
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
        let [min, median, max] = spread(rates);
        let bare = bare_rate(world, each * 4);
        println!(
            "{:<52} {min:>8.2}{median:>8.2}{max:>8.2} {bare:>8.2}{:>8.2} {:>9.2}{:>9.2}{:>9.2}",
            world.name,
            median / bare,
            at(0.5),
            at(0.99),
            at(0.999)
        );
    }
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
