//! Calls, tenants, counts and bounds; and the thread around them.

mod common;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use common::{Answers, Bench, SECOND, ticket};
use csroute_engine::Code;
use csroute_node::{Call, Limits, Node};
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;

#[test]
fn an_agent_is_found_and_events_tell_of_it() {
    let mut bench = Bench::new(Limits::default());
    bench.agent("ana", "desk", 10);
    let reply = bench.route("t", "a", "vip");
    assert_eq!(
        (reply.state(), reply.agent.as_str(), reply.attempt),
        (pb::TicketState::Active, "ana", 1)
    );
    let events = bench.core.tenant("t", 0).unwrap().events(0, 1000).unwrap();
    let events = pb::WatchReply::decode(&*events).unwrap();
    assert_eq!(events.sequence, reply.sequence);
    let sequences: Vec<u64> = events.events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=reply.sequence).collect::<Vec<_>>());
}

#[test]
fn drain_refuses_new_tickets_and_lets_the_rest_go_on() {
    let mut bench = Bench::new(Limits::default());
    bench.agent("ana", "desk", 10);
    bench.route("t", "a", "vip");
    let reply = bench.ok(Method::Drain, &pb::DrainRequest { on: true });
    assert_eq!(pb::DrainReply::decode(&*reply).unwrap().open_tickets, 1);
    let route = pb::RouteRequest {
        ticket: Some(ticket("t2", "a", "vip")),
        wait_ms: 0,
    };
    assert_eq!(bench.no(Method::Route, &route).code, Code::Draining);
    // Known ids are answered: a repeated call makes no second ticket elsewhere.
    let again = pb::RouteRequest {
        ticket: Some(ticket("t", "a", "vip")),
        wait_ms: 0,
    };
    assert!(
        pb::RouteReply::decode(&*bench.ok(Method::Route, &again))
            .unwrap()
            .replayed
    );
    bench.ok(
        Method::Complete,
        &pb::CompleteRequest {
            ticket: "t".into(),
            attempt: 1,
            ..Default::default()
        },
    );
    bench.ok(Method::Drain, &pb::DrainRequest { on: false });
    bench.ok(Method::Route, &route);
}

#[test]
fn rejections_are_counted_by_code_a_batchs_items_too() {
    let mut bench = Bench::new(Limits::default());
    let nobody = pb::GetTicketRequest { id: "nobody".into() };
    assert_eq!(bench.no(Method::GetTicket, &nobody).code, Code::TicketUnknown);
    let cancel = pb::CancelRequest {
        id: "nobody".into(),
        ..Default::default()
    };
    assert_eq!(bench.no(Method::Cancel, &cancel).code, Code::TicketUnknown);
    let wrong = pb::NewTicket {
        channel: "fax".into(),
        ..ticket("t", "a", "vip")
    };
    let batch = pb::RouteBatchRequest {
        tickets: vec![wrong.clone(), ticket("t2", "a", "vip"), wrong],
        tag: 1,
    };
    bench.ok(Method::RouteBatch, &batch);
    let stats = pb::GetStatsReply::decode(&*bench.ok(Method::GetStats, &pb::GetStatsRequest::default())).unwrap();
    let expected = [(Code::TicketUnknown, 2), (Code::ChannelUnknown, 2)];
    assert_eq!(
        stats.rejections.into_iter().collect::<BTreeMap<_, _>>(),
        expected
            .into_iter()
            .map(|(code, count)| (u32::from(code.number()), count))
            .collect()
    );
}

#[test]
fn tenants_are_bounded_and_given_back_when_empty() {
    let mut bench = Bench::new(Limits {
        tenants_max: 2,
        ..Limits::default()
    });
    let mut stats = |tenant: &str| {
        let call = Call {
            method: Method::GetStats.number(),
            tenant,
            caller: "",
            request: b"",
        };
        bench.core.call(&call, bench.now).map_err(|rejection| rejection.code)
    };
    assert!(stats("one").is_ok() && stats("two").is_ok(), "an empty one makes room");
    assert_eq!(stats(""), Err(Code::OutOfRange));
    assert_eq!(stats(&"x".repeat(65)), Err(Code::OutOfRange));
    let open = pb::OpenSessionRequest {
        session: "desk".into(),
        lease_ms: 3_600_000,
    }
    .encode_to_vec();
    let call = Call {
        method: Method::OpenSession.number(),
        tenant: "two",
        caller: "",
        request: &open,
    };
    bench.core.call(&call, bench.now).unwrap();
    let call = Call {
        tenant: "three",
        ..call
    };
    assert_eq!(bench.core.call(&call, bench.now).unwrap_err().code, Code::TenantsFull);
}

#[test]
fn a_time_that_goes_back_changes_nothing() {
    let mut bench = Bench::new(Limits::default());
    bench.route("t", "a", "vip");
    let before = bench.core.tenant("t", 0).unwrap().engine().state_hash();
    bench.now -= SECOND;
    let route = pb::RouteRequest {
        ticket: Some(ticket("t2", "a", "vip")),
        wait_ms: 0,
    };
    assert_eq!(bench.no(Method::Route, &route).code, Code::TimeBackward);
    assert_eq!(bench.core.tenant("t", 0).unwrap().engine().state_hash(), before);
}

/// A node with the policy installed: one answer is out.
fn start(in_flight_max: usize) -> (Node, Answers) {
    let limits = Limits {
        in_flight_max,
        ..Limits::default()
    };
    let answers = Answers::default();
    let node = Node::start(limits, answers.clone()).unwrap();
    let install = pb::InstallPolicyRequest {
        policy: common::policy().encode_to_vec(),
        reclassify: false,
        ..pb::InstallPolicyRequest::default()
    };
    submit(&node, Method::InstallPolicy, &install, 0);
    answers.wait_for(1);
    (node, answers)
}

fn submit(node: &Node, method: Method, request: &impl Message, token: u64) {
    let request = request.encode_to_vec();
    node.submit(
        &Call {
            method: method.number(),
            tenant: "t",
            caller: "test",
            request: &request,
        },
        token,
        0,
    );
}

#[test]
fn many_gateways_at_once_lose_nothing() {
    const GATEWAYS: u64 = 6;
    const BATCHES: u64 = 40;
    const TICKETS: u64 = 50;
    let (node, answers) = start(16);
    thread::scope(|scope| {
        for gateway in 0..GATEWAYS {
            let node = &node;
            scope.spawn(move || {
                for batch in 0..BATCHES {
                    let tickets = (0..TICKETS).map(|item| ticket(&format!("{gateway}/{batch}/{item}"), "g", "vip"));
                    let request = pb::RouteBatchRequest {
                        tickets: tickets.collect(),
                        tag: batch,
                    };
                    submit(node, Method::RouteBatch, &request, 1 + gateway * BATCHES + batch);
                }
            });
        }
    });
    let all = answers.wait_for((GATEWAYS * BATCHES) as usize + 1);
    let by_token: BTreeMap<u64, &_> = all.iter().map(|answer| (answer.token, answer)).collect();
    assert_eq!(by_token.len(), all.len(), "each token once");
    let accepted = all[1..].iter().filter(|answer| answer.grpc_code == 0);
    let mut routed = 0;
    for answer in accepted {
        let reply = pb::RouteBatchReply::decode(&*answer.bytes).unwrap();
        assert_eq!(reply.tag, (answer.token - 1) % BATCHES);
        assert!(
            reply
                .results
                .iter()
                .all(|one| matches!(one.result, Some(pb::route_result::Result::Reply(_))))
        );
        routed += reply.results.len() as u64;
    }
    submit(&node, Method::GetStats, &pb::GetStatsRequest::default(), u64::MAX);
    let all = answers.wait_for(all.len() + 1);
    let stats = pb::GetStatsReply::decode(&*all[all.len() - 1].bytes).unwrap();
    assert_eq!(
        (stats.submitted, stats.waiting),
        (routed, routed),
        "the node's ledger is the gateways'"
    );
    assert_eq!(node.in_flight(), 0);
}

#[test]
fn timers_fire_though_nobody_asks_and_stop_answers_what_is_parked() {
    let (node, answers) = start(64);
    submit(
        &node,
        Method::OpenSession,
        &pb::OpenSessionRequest {
            session: "desk".into(),
            lease_ms: 1000,
        },
        1,
    );
    let opened = Instant::now();
    submit(&node, Method::WatchOpen, &pb::WatchRequest::default(), 2);
    let handle = answers.wait_for(3)[2].bytes.clone();
    let next = |token| {
        let call = Call {
            method: Method::WatchNext.number(),
            tenant: "t",
            caller: "test",
            request: &handle,
        };
        node.submit(&call, token, 0);
    };
    next(3);
    let ended = pb::WatchReply::decode(&*answers.wait_for(4)[3].bytes).unwrap();
    let took = opened.elapsed();
    assert!(matches!(ended.events[0].kind, Some(pb::event::Kind::SessionEnded(_))));
    assert!(
        (Duration::from_millis(990)..Duration::from_secs(5)).contains(&took),
        "the lease was 1 s, it took {took:?}"
    );

    next(4);
    let waits = pb::RouteRequest {
        ticket: Some(ticket("waits", "a", "vip")),
        wait_ms: 60_000,
    };
    submit(&node, Method::Route, &waits, 5);
    node.stop();
    let all = answers.wait_for(6);
    let last: BTreeMap<u64, i32> = all[4..].iter().map(|answer| (answer.token, answer.grpc_code)).collect();
    assert_eq!(last, BTreeMap::from([(4, 0), (5, 0)]));
    submit(&node, Method::GetStats, &pb::GetStatsRequest::default(), 6);
    assert_eq!(answers.wait_for(7)[6].grpc_code, 14, "UNAVAILABLE: stopping");
}

#[test]
fn a_long_read_lets_others_through_and_metrics_tell_of_all() {
    let (node, answers) = start(64);
    let ids: Vec<String> = (0..10_000).map(|id| format!("ticket-{id}")).collect();
    for (token, ids) in (1..).zip(ids.chunks(2500)) {
        let tickets = ids.iter().map(|id| ticket(id, "a", "vip")).collect();
        submit(
            &node,
            Method::RouteBatch,
            &pb::RouteBatchRequest { tickets, tag: 0 },
            token,
        );
    }
    answers.wait_for(5);
    submit(
        &node,
        Method::GetPositions,
        &pb::GetPositionsRequest {
            ids: ids.clone(),
            ..Default::default()
        },
        5,
    );
    submit(
        &node,
        Method::GetTicket,
        &pb::GetTicketRequest { id: ids[9999].clone() },
        6,
    );
    let all = answers.wait_for(7);
    assert_eq!(
        [all[5].token, all[6].token],
        [6, 5],
        "the short read does not wait for the long one"
    );
    let places = pb::GetPositionsReply::decode(&*all[6].bytes).unwrap().positions;
    assert!(
        places
            .iter()
            .zip(&ids)
            .zip(1..)
            .all(|((position, id), place)| position.id == *id && position.place == place)
    );
    assert_eq!(places.len(), ids.len());

    thread::sleep(Duration::from_millis(1100));
    submit(
        &node,
        Method::GetTicket,
        &pb::GetTicketRequest { id: "nobody".into() },
        7,
    );
    answers.wait_for(8);
    node.stop();
    let metrics: serde_json::Value = serde_json::from_slice(&node.metrics()).unwrap();
    let tenant = &metrics["tenants"]["t"];
    assert_eq!(
        (
            tenant["waiting"].as_u64(),
            tenant["rejections"]["TICKET_UNKNOWN"].as_u64()
        ),
        (Some(10_000), Some(1))
    );
    let counted = |name: &str| -> u64 {
        metrics[name]["counts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(serde_json::Value::as_u64)
            .sum()
    };
    assert_eq!([counted("decision_us"), counted("end_to_end_us")], [10_001_u64, 8]);
}
