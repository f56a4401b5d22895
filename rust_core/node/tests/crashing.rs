//! The whole node on a simulated disk that crashes, tears, fills and fails, by seed. A ledger outside it holds what was
//! acknowledged; after every crash all of it is there.
//!
//! `CSROUTE_SEEDS=20000 CSROUTE_SEED=7 cargo test -p csroute-node --test crashing` for more, or for one again.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::kept::{Running, keeping};
use common::load::Rng;
use csroute_engine::Code;
use csroute_journal::{Durability, Error, Faults, Folder, Op, SimDisk};
use csroute_node::recovery::{options, recover};
use csroute_node::{Completion, Keeping, Limits, NodeCore, Stage, Trouble};
use csroute_wire::pb::csroute::v1 as pb;
use csroute_wire::{Method, grpc_code};
use prost::Message;
use std::sync::Arc;

const SEEDS_DEFAULT: u64 = 120;

/// What the callers were told.
#[derive(Default)]
struct Ledger {
    /// Acknowledged: the ticket's agent and attempt, if it had one.
    routed: BTreeMap<String, (String, u32)>,
    /// Acknowledged completions: the attempt.
    completed: BTreeMap<String, u32>,
    tickets: u64,
}

fn route_request(id: &str) -> Vec<u8> {
    let ticket = Some(common::ticket(id, "gateway", "vip"));
    pb::RouteRequest { ticket, wait_ms: 0 }.encode_to_vec()
}

fn complete_request(id: &str, attempt: u32) -> Vec<u8> {
    pb::CompleteRequest {
        ticket: id.into(),
        attempt,
        ..pb::CompleteRequest::default()
    }
    .encode_to_vec()
}

fn sim_keeping(disk: &SimDisk, rng: &mut Rng) -> Keeping {
    Keeping {
        segment_bytes: 500 + rng.below(4000),
        ..keeping(Arc::new(disk.clone()))
    }
}

/// Opens the node, however often the disk crashes meanwhile.
fn opened(disk: &SimDisk, rng: &mut Rng) -> Running {
    loop {
        match Running::open(sim_keeping(disk, rng)) {
            Ok(running) => return running,
            Err(why) => {
                assert!(disk.crashed(), "it does not recover: {why}");
                disk.set_faults(Faults::default());
                disk.cut_power();
            }
        }
    }
}

/// The state that the disk holds, read without a node: state hashes by tenant, and the hash of all events.
fn read(disk: &SimDisk) -> (Vec<(String, u64)>, u64) {
    let mut core = NodeCore::new(Limits::default());
    let folder = Folder::lock(Arc::new(disk.clone())).expect("nobody has it");
    recover(&mut core, folder, options(1 << 20, 0), |_| ()).unwrap_or_else(|trouble| panic!("{trouble}"));
    let states = core
        .states()
        .map(|(name, tenant)| (name.to_string(), tenant.engine().state_hash()));
    (states.collect(), core.log.hash())
}

impl Ledger {
    /// Submits some work, all at once, and notes what is acknowledged until the node answered all or failed.
    fn work(&mut self, node: &mut Running, rng: &mut Rng, calls: u64) {
        let mut asked = BTreeMap::new();
        for _ in 0..calls {
            let open: Vec<_> = self
                .routed
                .iter()
                .filter(|(id, (agent, _))| !agent.is_empty() && !self.completed.contains_key(*id))
                .collect();
            if rng.chance(40) && !open.is_empty() {
                let (id, &(_, attempt)) = open[rng.below(open.len() as u64) as usize];
                let token = node.submit("t", Method::Complete, &complete_request(id, attempt));
                asked.insert(token, (id.clone(), Some(attempt)));
            } else {
                self.tickets += u64::from(!rng.chance(5)); // now and then one again
                let id = format!("t{}", self.tickets);
                let token = node.submit("t", Method::Route, &route_request(&id));
                asked.insert(token, (id, None));
            }
            if rng.chance(2) {
                node.node.snapshot();
            }
            if rng.chance(10) {
                self.note(node, &mut asked);
            }
        }
        let last = *asked.keys().last().unwrap_or(&0);
        if last > 0 {
            node.answers.wait_for_token(last);
        }
        self.note(node, &mut asked);
    }

    fn note(&mut self, node: &Running, asked: &mut BTreeMap<u64, (String, Option<u32>)>) {
        for Completion {
            token,
            grpc_code,
            bytes,
        } in node.answers.all()
        {
            let Some((id, completed)) = asked.remove(&token) else {
                continue;
            };
            if grpc_code != 0 {
                continue; // not acknowledged: it may be there, or not
            }
            if let Some(attempt) = completed {
                self.completed.insert(id, attempt);
            } else {
                let reply = pb::RouteReply::decode(&*bytes).expect("a reply");
                self.routed.insert(id, (reply.agent, reply.attempt));
            }
        }
    }

    /// Everything acknowledged gets the first answer again.
    fn audit(&self, node: &mut Running) {
        for (id, (agent, attempt)) in &self.routed {
            let reply = node.route(id);
            assert!(reply.replayed, "{id} was acknowledged and is lost");
            assert!(reply.attempt >= *attempt, "{id}: {} < {attempt}", reply.attempt);
            assert!(
                agent.is_empty() || reply.agent == *agent,
                "{id} was given to {agent} and to {}",
                reply.agent
            );
        }
        for (id, &attempt) in &self.completed {
            assert!(
                node.complete(id, attempt).replayed,
                "{id}: its completion was acknowledged and is lost"
            );
        }
    }
}

/// How many tickets and completions were acknowledged, and are there.
fn lives(seed: u64) -> (usize, usize) {
    let mut rng = Rng(seed);
    let disk = SimDisk::new(seed);
    let mut ledger = Ledger::default();
    let mut first = opened(&disk, &mut rng);
    first.staff("ana", 1000);
    drop(first);
    for _ in 0..3 {
        disk.set_faults(Faults {
            crash_after: Some(20 + rng.below(250)),
            short_per_mille: 100,
            ..Faults::default()
        });
        let mut node = opened(&disk, &mut rng);
        for _ in 0..8 {
            let calls = 1 + rng.below(15);
            ledger.work(&mut node, &mut rng, calls);
            if disk.crashed() {
                break;
            }
        }
        drop(node);
        disk.set_faults(Faults::default());
        disk.cut_power();
        let once = read(&disk);
        disk.restart();
        assert_eq!(read(&disk), once, "recovering twice is recovering once");
        disk.restart();
        ledger.audit(&mut opened(&disk, &mut rng));
        disk.restart();
    }
    // What lives and what is read back are the same.
    let mut node = opened(&disk, &mut rng);
    ledger.work(&mut node, &mut rng, 20);
    let live = node.stats().state_hash;
    drop(node);
    disk.restart();
    assert_eq!(read(&disk).0, [("t".to_owned(), live)]);
    (ledger.routed.len(), ledger.completed.len())
}

#[test]
fn every_acknowledged_command_survives() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (from, seeds) = match number("CSROUTE_SEED", 0) {
        0 => (1, number("CSROUTE_SEEDS", SEEDS_DEFAULT)),
        seed => (seed, 1),
    };
    let (mut routed, mut completed) = (0, 0);
    for seed in from..from + seeds {
        match std::panic::catch_unwind(|| lives(seed)) {
            Ok((tickets, completions)) => (routed, completed) = (routed + tickets, completed + completions),
            Err(panic) => {
                eprintln!("again with CSROUTE_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{seeds} seeds: {routed} tickets and {completed} completions acknowledged, all there");
    assert!(
        routed as u64 > 20 * seeds && completed as u64 > 5 * seeds,
        "the load is worth its name"
    );
}

#[test]
fn a_failed_fsync_is_final() {
    let disk = SimDisk::new(3);
    let mut rng = Rng(3);
    let mut node = opened(&disk, &mut rng);
    node.staff("ana", 2);
    node.route("kept");
    disk.set_faults(Faults {
        eio_per_mille: [(Op::Sync, 1000)].into(),
        ..Faults::default()
    });
    let token = node.submit("t", Method::Route, &route_request("unsure"));
    let read = node.submit("t", Method::GetStats, b"");
    let codes = [token, read].map(|token| node.answers.wait_for_token(token).grpc_code);
    assert_eq!(
        codes,
        [grpc_code(Code::JournalFailed); 2],
        "a read, too: it would tell of what may be lost"
    );
    let Stage::Failed(why) = node.node.life().stage() else {
        panic!("it failed")
    };
    assert!(why.contains("fsync") && why.contains("start again"), "{why}");
    let later = node.submit("t", Method::GetStats, b"");
    assert_eq!(
        node.answers.wait_for_token(later).grpc_code,
        grpc_code(Code::JournalFailed)
    );
    let metrics: serde_json::Value = serde_json::from_slice(&node.node.metrics()).expect("figures");
    assert_eq!(metrics["failed"], true);
    drop(node);
    disk.set_faults(Faults::default());
    disk.cut_power();
    assert!(opened(&disk, &mut rng).route("kept").replayed);
}

#[test]
fn a_full_disk_sheds_new_tickets_and_heals() {
    let disk = SimDisk::new(4);
    let keeping = || Keeping {
        reserve_bytes: 64 << 10,
        ..keeping(Arc::new(disk.clone()))
    };
    let mut node = Running::open(keeping()).expect("it is opened");
    node.staff("ana", 2000);
    disk.set_faults(Faults {
        capacity: Some(128 << 10),
        ..Faults::default()
    });
    let mut routed = Vec::new();
    let until = Instant::now() + Duration::from_mins(1);
    let refused = loop {
        assert!(Instant::now() < until, "the disk never gets full");
        let id = format!("t{}", routed.len());
        let token = node.submit("t", Method::Route, &route_request(&id));
        let answer = node.answers.wait_for_token(token);
        if answer.grpc_code != 0 {
            break answer;
        }
        routed.push(id);
    };
    assert_eq!(
        refused.grpc_code,
        grpc_code(Code::DiskFull),
        "{}",
        String::from_utf8_lossy(&refused.bytes)
    );
    assert_eq!(node.node.life().json()["space"], "low");
    for id in &routed[..20] {
        assert!(!node.complete(id, 1).replayed, "agents finish");
    }
    assert!(node.route(&routed[0]).replayed, "who asks again is answered");
    disk.set_faults(Faults::default());
    while node.node.life().json()["space"] != "ample" {
        assert!(Instant::now() < until, "it never heals");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!node.route("after").replayed);
    drop(node);
    disk.cut_power();
    let mut again = Running::open(keeping()).expect("it is opened");
    for id in &routed {
        assert!(again.route(id).replayed);
    }
    assert!(again.complete(&routed[0], 1).replayed);
}

#[test]
fn a_node_stops_though_its_disk_stays_full() {
    let disk = SimDisk::new(8);
    let keeping = || keeping(Arc::new(disk.clone()));
    let mut node = Running::open(keeping()).expect("it is opened");
    node.staff("ana", 2);
    node.route("kept");
    disk.set_faults(Faults {
        capacity: Some(1),
        ..Faults::default()
    });
    let token = node.submit("t", Method::Route, &route_request("unsure"));
    node.node.snapshot();
    while node.node.life().json()["space"] != "full" {
        std::thread::sleep(Duration::from_millis(1));
    }
    node.node.stop();
    let answer = node.answers.wait_for_token(token);
    assert_eq!(answer.grpc_code, grpc_code(Code::JournalFailed));
    let Stage::Failed(why) = node.node.life().stage() else {
        panic!("it could not keep all")
    };
    assert!(why.contains("disk is full"), "{why}");
    disk.set_faults(Faults::default());
    disk.restart();
    let mut again = Running::open(keeping()).expect("it is opened");
    assert!(again.route("kept").replayed && !again.route("unsure").replayed);
}

#[test]
fn without_fsync_a_crash_of_the_process_loses_nothing() {
    for durability in [Durability::Interval(50), Durability::None] {
        let disk = SimDisk::new(5);
        let keeping = || Keeping {
            durability,
            ..keeping(Arc::new(disk.clone()))
        };
        let mut node = Running::open(keeping()).expect("it is opened");
        node.staff("ana", 2);
        node.route("t1");
        disk.restart(); // the process is gone, the system lives
        drop(node);
        assert!(Running::open(keeping()).expect("it is opened").route("t1").replayed);
    }
}

#[test]
fn a_second_node_waits_for_no_lock() {
    let disk = SimDisk::new(6);
    let node = Running::open(keeping(Arc::new(disk.clone()))).expect("it is opened");
    let second = Running::begin(keeping(Arc::new(disk.clone())));
    assert!(matches!(second.err(), Some(Trouble::Journal(Error::Locked { .. }))));
    drop(node);
}
