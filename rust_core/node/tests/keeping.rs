//! A node on a folder: what was answered is there again, whatever happened between.
#![allow(missing_docs)]

mod common;

use common::kept::{Folder, Running, keeping};
use csroute_engine::Code;
use csroute_node::recovery::{options, recover};
use csroute_node::{Limits, NodeCore, Stage};
use csroute_wire::pb::csroute::v1 as pb;
use csroute_wire::{Method, grpc_code};
use prost::Message;

fn open(folder: &Folder) -> Running {
    Running::open(keeping(folder.disk())).unwrap_or_else(|why| panic!("{why}"))
}

#[test]
fn what_was_answered_is_there_again() {
    let folder = Folder::new();
    let mut first = open(&folder);
    first.staff("ana", 1);
    let assigned = first.route("t1");
    let waiting = first.route("t2");
    assert_eq!((assigned.agent.as_str(), waiting.agent.as_str()), ("ana", ""));
    let before = first.stats();
    first.node.stop();
    assert_eq!(first.node.life().stage(), Stage::Stopped);

    let mut second = open(&folder);
    let after = second.stats();
    assert_eq!((after.waiting, after.active, after.submitted), (1, 1, 2));
    assert!(after.sequence > before.sequence, "sequences go on: NodeResumed follows");
    // The first answers, again.
    let again = second.route("t1");
    assert_eq!((again.replayed, again.agent.as_str(), again.attempt), (true, "ana", 1));
    assert!(!second.complete("t1", 1).replayed);
    second.node.stop();
    let mut third = open(&folder);
    assert!(third.complete("t1", 1).replayed);
    assert_eq!(third.route("t2").agent, "ana", "the freed agent got the next");
}

#[test]
fn recovering_twice_is_recovering_once() {
    let folder = Folder::new();
    let mut node = open(&folder);
    node.staff("ana", 3);
    for ticket in 0..50 {
        node.route(&format!("t{ticket}"));
    }
    node.node.stop();
    drop(node);
    let recovered = || {
        let mut core = NodeCore::new(Limits::default());
        let alone = csroute_journal::Folder::lock(folder.disk()).expect("nobody has it");
        let (_, report) = recover(&mut core, alone, options(1 << 20, 0), |_| ()).expect("it is recovered");
        let hash = core.states().next().map(|(_, tenant)| tenant.engine().state_hash());
        (hash, core.log.hash(), report.progress.blocks)
    };
    assert_eq!(recovered(), recovered());
}

#[test]
fn a_snapshot_and_the_rest_are_the_whole() {
    let folder = Folder::new();
    let mut node = open(&folder);
    node.staff("ana", 5);
    for ticket in 0..400 {
        node.route(&format!("t{ticket}"));
        if ticket % 100 == 99 {
            node.snapshot(&folder);
        }
    }
    for ticket in 0..3 {
        node.complete(&format!("t{ticket}"), 1);
    }
    let before = node.stats();
    node.node.stop();
    assert_eq!(folder.files(".snapshot").len(), 3, "the oldest of four went");
    let first = folder.files(".journal").remove(0);
    assert!(
        !first.to_string_lossy().contains("-00000000000000000001."),
        "and its journal: {first:?}"
    );
    let mut again = open(&folder);
    let after = again.stats();
    assert_eq!(
        (after.waiting, after.active, after.completed),
        (before.waiting, before.active, before.completed)
    );
    drop(again);

    // The newest is damaged: an older one and more of the journal come to the same.
    let newest = folder.files(".snapshot").pop().expect("a snapshot");
    let mut bytes = std::fs::read(&newest).expect("it is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).expect("it is written");
    let mut older = open(&folder);
    let stats = older.stats();
    assert_eq!(
        (stats.waiting, stats.active, stats.completed),
        (before.waiting, before.active, before.completed)
    );
    assert_eq!(
        older.node.life().json()["bad_snapshots"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_second_node_is_kept_off() {
    let folder = Folder::new();
    let node = open(&folder);
    let why = Running::begin(keeping(folder.disk()))
        .err()
        .expect("it is refused")
        .to_string();
    assert!(why.contains("is in use by process"), "{why}");
    drop(node);
    open(&folder);
}

#[test]
fn damage_in_the_middle_is_refused_and_named() {
    let folder = Folder::new();
    let mut node = open(&folder);
    node.staff("ana", 5);
    for ticket in 0..100 {
        node.route(&format!("t{ticket}"));
    }
    node.node.stop();
    let segment = folder.files(".journal").remove(0);
    let mut bytes = std::fs::read(&segment).expect("it is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, &bytes).expect("it is written");
    let running = Running::begin(keeping(folder.disk())).expect("the folder is free");
    let Stage::Failed(why) = running.settled() else {
        panic!("it is refused")
    };
    assert!(
        // The middle is within a block's head or within a record, as the blocks happened to be cut.
        why.contains("is damaged at byte") && why.contains("csroute journal repair"),
        "{why}"
    );
    let call = csroute_node::Call {
        method: Method::GetStats.number(),
        tenant: "t",
        caller: "",
        request: b"",
    };
    running.node.submit(&call, 1, 0);
    assert_eq!(
        running.answers.wait_for_token(1).grpc_code,
        grpc_code(Code::JournalFailed)
    );
    assert_eq!(
        std::fs::read(&segment).expect("it is read"),
        bytes,
        "nothing was changed"
    );
}

#[test]
fn a_torn_tail_is_cut_and_said() {
    let folder = Folder::new();
    let mut node = open(&folder);
    node.staff("ana", 5);
    node.route("t1");
    node.node.stop();
    let segment = folder.files(".journal").pop().expect("a segment");
    let whole = std::fs::read(&segment).expect("it is read");
    std::fs::write(&segment, &whole[..whole.len() - 70]).expect("it is written");
    let mut again = open(&folder);
    let cut = again.node.life().json()["cut"].to_string();
    assert!(cut.contains("bytes at the end of"), "{cut}");
    assert_eq!(
        again.stats().submitted,
        0,
        "t1's block was cut: nobody but this test cut it"
    );
}

#[test]
fn a_drained_stop_leaves_a_snapshot_and_nothing_to_replay() {
    let folder = Folder::new();
    let stopping = || csroute_node::Keeping {
        snapshot_at_stop: true,
        ..keeping(folder.disk())
    };
    let mut node = Running::open(stopping()).expect("it is opened");
    node.staff("ana", 1);
    node.route("t1");
    node.ok(Method::Drain, &pb::DrainRequest { on: true });
    node.node.stop();
    assert_eq!(folder.files(".snapshot").len(), 1);
    let mut again = Running::open(stopping()).expect("it is opened");
    assert_eq!(again.node.life().json()["records"], 0);
    assert_eq!(again.stats().active, 1);
    let request = pb::RouteRequest {
        ticket: Some(common::ticket("t2", "", "")),
        wait_ms: 0,
    };
    let refused = again.ask(Method::Route, &request);
    assert_eq!(refused.grpc_code, grpc_code(Code::Draining), "the tenant still drains");
    again.ok(Method::Drain, &pb::DrainRequest { on: false });
    again.route("t2");
}

#[test]
fn watchers_go_on_where_they_were() {
    let folder = Folder::new();
    let mut node = open(&folder);
    node.staff("ana", 2);
    node.route("t1");
    let after = node.stats().sequence;
    node.route("t2");
    node.node.stop();
    let mut again = open(&folder);
    let watch = pb::WatchRequest {
        after_sequence: after,
        ..pb::WatchRequest::default()
    };
    let handle = again.ok(Method::WatchOpen, &watch);
    let token = again.submit("t", Method::WatchNext, &handle);
    let reply = pb::WatchReply::decode(&*again.answers.wait_for_token(token).bytes).expect("events");
    let tickets: Vec<_> = reply
        .events
        .iter()
        .map(|event| (event.sequence, event.ticket.as_str()))
        .collect();
    assert_eq!(tickets[0], (after + 1, "t2"), "{tickets:?}");
}

#[test]
fn watchers_go_on_though_a_snapshot_stands_between() {
    let folder = Folder::new();
    let mut node = open(&folder);
    node.staff("ana", 2);
    node.route("t1");
    let after = node.stats().sequence;
    node.route("t2");
    node.snapshot(&folder);
    node.route("t3");
    node.node.stop();
    let mut again = open(&folder);
    assert!(
        again.node.life().json()["snapshot"]
            .as_u64()
            .is_some_and(|block| block > 0)
    );
    let watch = pb::WatchRequest {
        after_sequence: after,
        sources: vec!["gateway".into()],
        ..pb::WatchRequest::default()
    };
    let handle = again.ok(Method::WatchOpen, &watch);
    let token = again.submit("t", Method::WatchNext, &handle);
    let reply = pb::WatchReply::decode(&*again.answers.wait_for_token(token).bytes).expect("events");
    let mut tickets: Vec<_> = reply.events.iter().map(|event| event.ticket.as_str()).collect();
    tickets.dedup();
    assert_eq!(tickets, ["t2", "t3"]);
}
