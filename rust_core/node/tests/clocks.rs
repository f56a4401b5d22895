//! Clocks that jumped while the node was away: its own time never goes back, and nobody loses a lease for it.
#![allow(missing_docs)]

mod common;

use common::kept::{Folder, Running, keeping};
use common::{SECOND, policy};
use csroute_journal::BlockBuilder;
use csroute_node::recovery::{options, recover};
use csroute_node::{Call, Limits, NodeCore, clock};
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;

/// A journal whose last command was stamped with this time: an agent with a lease of a minute, and a ticket with it.
fn written_at(folder: &Folder, now: i64) {
    let mut core = NodeCore::new(Limits::default());
    let alone = csroute_journal::Folder::lock(folder.disk()).expect("nobody has it");
    let (mut journal, _) = recover(&mut core, alone, options(1 << 20, 0), |_| ()).expect("an empty folder");
    core.log.keep(true);
    let policy = policy().encode_to_vec();
    let agents = vec![pb::AgentSpec {
        id: "ana".into(),
        ..pb::AgentSpec::default()
    }];
    let (session, agent) = ("desk".to_owned(), "ana".to_owned());
    let open = pb::OpenSessionRequest {
        session: session.clone(),
        lease_ms: 60_000,
    };
    let login = pb::LoginRequest {
        session,
        agent,
        ..pb::LoginRequest::default()
    };
    let ticket = Some(common::ticket("t1", "gateway", "vip"));
    for (method, request) in [
        (
            Method::InstallPolicy,
            pb::InstallPolicyRequest {
                policy,
                reclassify: false,
                ..pb::InstallPolicyRequest::default()
            }
            .encode_to_vec(),
        ),
        (Method::UpsertAgents, pb::UpsertAgentsRequest { agents }.encode_to_vec()),
        (Method::OpenSession, open.encode_to_vec()),
        (Method::Login, login.encode_to_vec()),
        (Method::Route, pb::RouteRequest { ticket, wait_ms: 0 }.encode_to_vec()),
    ] {
        let call = Call {
            method: method.number(),
            tenant: "t",
            caller: "test",
            request: &request,
        };
        core.call(&call, now).expect("it is taken");
    }
    let mut block = BlockBuilder::default();
    core.log
        .records()
        .for_each(|record| block.push(&[record]).expect("it fits"));
    journal.write(&mut block.seal(0, now)).expect("it is written");
    journal.sync().expect("it is durable");
}

fn active(node: &mut Running) -> (u64, u64) {
    let stats = node.stats();
    (stats.active, stats.agents_available)
}

#[test]
fn a_wall_that_went_back_does_not_take_the_node_with_it() {
    let folder = Folder::new();
    let ahead = clock::wall() + 3600 * SECOND;
    written_at(&folder, ahead);
    let mut node = Running::open(keeping(folder.disk())).expect("it is opened");
    assert_eq!(active(&mut node), (1, 1));
    assert!(node.route("t1").replayed);
    assert!(
        !node.complete("t1", 1).replayed,
        "its commands are stamped after those of the journal"
    );
    node.node.stop();
    let mut again = Running::open(keeping(folder.disk())).expect("it is opened");
    assert!(again.complete("t1", 1).replayed);
}

#[test]
fn a_long_absence_takes_nobody_away_at_once() {
    let folder = Folder::new();
    written_at(&folder, clock::wall() - 365 * 24 * 3600 * SECOND);
    let mut node = Running::open(keeping(folder.disk())).expect("it is opened");
    assert_eq!(active(&mut node), (1, 1), "the grace runs");
    drop(node);
    let folder = Folder::new();
    written_at(&folder, clock::wall() - 365 * 24 * 3600 * SECOND);
    let none = csroute_node::Keeping {
        grace: 0,
        ..keeping(folder.disk())
    };
    let mut node = Running::open(none).expect("it is opened");
    while node.stats().agents_available > 0 {
        std::thread::sleep(std::time::Duration::from_millis(1)); // without a grace the lease ends at the next ms
    }
}
