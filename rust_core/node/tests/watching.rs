//! Watchers, work streams and waiting Routes, under a time of the test's own.

mod common;

use common::{Bench, SECOND};
use csroute_engine::Code;
use csroute_node::Limits;
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use pb::event::Kind;
use prost::Message;

fn watch(bench: &mut Bench, sources: &[&str], queues: &[&str], after_sequence: u64) -> Vec<u8> {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let request = pb::WatchRequest {
        sources: names(sources),
        queues: names(queues),
        after_sequence,
        batch_max: 10,
    };
    bench.ok(Method::WatchOpen, &request)
}

fn next(bench: &mut Bench, handle: &[u8]) -> pb::WatchReply {
    pb::WatchReply::decode(&*bench.call_bytes(Method::WatchNext, handle).unwrap()).unwrap()
}

fn tickets(reply: &pb::WatchReply) -> Vec<&str> {
    reply.events.iter().map(|event| event.ticket.as_str()).collect()
}

#[test]
fn a_watcher_hears_of_its_sources_and_queues_alone() {
    let mut bench = Bench::new(Limits::default());
    let [by_source, by_queue] = [(&["a"][..], &[][..]), (&[], &["vip"])].map(|(s, q)| watch(&mut bench, s, q, 0));
    let both = watch(&mut bench, &["a"], &["vip"], 0);
    let all = watch(&mut bench, &[], &[], 0);
    bench.route("1", "a", "vip");
    bench.route("2", "a", "slow");
    bench.route("3", "b", "vip");
    bench.route("4", "b", "slow");
    let heard: Vec<_> = [by_source, by_queue, both, all]
        .iter()
        .map(|handle| next(&mut bench, handle))
        .collect();
    let expected: [&[&str]; 4] = [&["1", "2"], &["1", "3"], &["1", "2", "3"], &["1", "2", "3", "4"]];
    for (reply, expected) in heard.iter().zip(expected) {
        assert_eq!(tickets(reply), expected);
        assert_eq!(reply.sequence, heard[3].sequence, "the token goes on to the end");
    }
}

#[test]
fn a_batch_ends_where_the_next_one_begins_and_a_token_resumes() {
    let mut bench = Bench::new(Limits::default());
    let handle = watch(&mut bench, &["a"], &[], 0);
    let ids: Vec<String> = (0..25).map(|id| id.to_string()).collect();
    for id in &ids {
        bench.route(id, "a", "vip");
    }
    let first = next(&mut bench, &handle);
    assert_eq!(tickets(&first), ids[..10]);
    let resumed = watch(&mut bench, &["a"], &[], first.sequence);
    for handle in [&handle, &resumed] {
        assert_eq!(tickets(&next(&mut bench, handle)), ids[10..20]);
        assert_eq!(tickets(&next(&mut bench, handle)), ids[20..]);
        assert!(next(&mut bench, handle).events.is_empty());
    }
}

#[test]
fn a_parked_watcher_wakes_for_its_own_and_at_its_end() {
    let mut bench = Bench::new(Limits::default());
    let handle = watch(&mut bench, &["a"], &[], 0);
    let token = bench.take(Method::WatchNext, &handle);
    bench.route("other", "b", "vip");
    assert!(bench.answers().is_empty());
    assert_eq!(
        bench.call_bytes(Method::WatchNext, &handle).unwrap_err().code,
        Code::Busy,
        "one at a time"
    );
    bench.route("own", "a", "vip");
    let answers = bench.answers();
    assert_eq!(
        tickets(&pb::WatchReply::decode(&**answers[&token].as_ref().unwrap()).unwrap()),
        ["own"]
    );

    let token = bench.take(Method::WatchNext, &handle);
    assert_eq!(bench.core.next_due(), Some(bench.now + 15 * SECOND));
    bench.now += 15 * SECOND;
    let answers = bench.answers();
    assert!(
        pb::WatchReply::decode(&**answers[&token].as_ref().unwrap())
            .unwrap()
            .events
            .is_empty()
    );

    let token = bench.take(Method::WatchNext, &handle);
    bench.call_bytes(Method::WatchClose, &handle).unwrap();
    assert_eq!(bench.answers()[&token].as_ref().unwrap_err().code, Code::SessionUnknown);
    assert_eq!(
        bench.call_bytes(Method::WatchNext, &handle).unwrap_err().code,
        Code::SessionUnknown
    );
}

#[test]
fn a_watcher_that_the_ring_passed_is_cut_and_an_idle_one_is_not() {
    let mut bench = Bench::new(Limits {
        ring_events_max: 16,
        ..Limits::default()
    });
    let [slow, idle] = ["a", "b"].map(|source| watch(&mut bench, &[source], &[], 0));
    let all = watch(&mut bench, &[], &[], 0);
    let seen = next(&mut bench, &all).sequence;
    for id in 0..17 {
        bench.route(&id.to_string(), "a", "vip");
    }
    for handle in [&slow, &all] {
        let cut = bench.call_bytes(Method::WatchNext, handle).unwrap_err();
        assert_eq!((cut.code, cut.subject), (Code::WatcherSlow, seen.to_string()));
        assert_eq!(
            bench.call_bytes(Method::WatchNext, handle).unwrap_err().code,
            Code::SessionUnknown
        );
    }
    assert_eq!(next(&mut bench, &idle).sequence, seen + 17);
    let request = pb::WatchRequest {
        after_sequence: seen,
        ..pb::WatchRequest::default()
    };
    assert_eq!(bench.no(Method::WatchOpen, &request).code, Code::SequenceGone);
    let request = pb::WatchRequest {
        after_sequence: seen + 1000,
        ..pb::WatchRequest::default()
    };
    assert_eq!(
        bench.no(Method::WatchOpen, &request).code,
        Code::SequenceGone,
        "not yet is no token either"
    );
    watch(&mut bench, &[], &[], seen + 1);
}

#[test]
fn watchers_are_bounded_and_unread_ones_go_first() {
    let mut bench = Bench::new(Limits {
        watchers_max: 2,
        ..Limits::default()
    });
    let unread = watch(&mut bench, &[], &[], 0);
    bench.now += 50 * SECOND;
    watch(&mut bench, &[], &[], 0);
    assert_eq!(
        bench.no(Method::WatchOpen, &pb::WatchRequest::default()).code,
        Code::Busy
    );
    bench.now += 11 * SECOND;
    watch(&mut bench, &[], &[], 0);
    assert_eq!(
        bench.call_bytes(Method::WatchNext, &unread).unwrap_err().code,
        Code::SessionUnknown
    );
}

#[test]
fn a_work_stream_opens_with_what_is_held_and_both_sessions_hear_of_superseding() {
    let mut bench = Bench::new(Limits::default());
    let open = |session: &str| pb::WorkRequest {
        session: session.into(),
        actions: Vec::new(),
    };
    assert_eq!(bench.no(Method::WorkOpen, &open("old")).code, Code::SessionUnknown);
    bench.agent("ana", "old", 10);
    bench.agent("bo", "elsewhere", 1);
    assert_eq!(bench.route("t", "a", "vip").agent, "ana");
    let opened = bench.ok(Method::WorkOpen, &open("old"));
    let (old, opening) = opened.split_at(8);
    let opening = pb::WorkReply::decode(opening).unwrap().opening.unwrap();
    assert_eq!(
        opening
            .agents
            .iter()
            .map(|agent| agent.spec.as_ref().unwrap().id.as_str())
            .collect::<Vec<_>>(),
        ["ana"]
    );
    assert_eq!(opening.work[0].ticket.as_ref().unwrap().id, "t");

    let token = bench.take(Method::WorkNext, old);
    assert!(bench.answers().is_empty());
    bench.ok(
        Method::OpenSession,
        &pb::OpenSessionRequest {
            session: "new".into(),
            lease_ms: 0,
        },
    );
    let new = bench.ok(Method::WorkOpen, &open("new"))[..8].to_vec();
    bench.ok(
        Method::Login,
        &pb::LoginRequest {
            session: "new".into(),
            agent: "ana".into(),
            ..Default::default()
        },
    );
    assert_eq!(bench.route("t2", "a", "vip").agent, "bo");
    assert_eq!(bench.route("t3", "a", "vip").agent, "ana");
    let heard = |reply: &[u8]| -> Vec<Kind> {
        pb::WorkReply::decode(reply)
            .unwrap()
            .events
            .into_iter()
            .filter_map(|event| event.kind)
            .collect()
    };
    let of_old = heard(bench.answers()[&token].as_ref().unwrap());
    let of_new = heard(&bench.call_bytes(Method::WorkNext, &new).unwrap());
    assert!(matches!(of_old[..], [Kind::AgentSuperseded(_)]), "{of_old:?}");
    assert!(matches!(of_new[0], Kind::AgentSuperseded(_)), "{of_new:?}");
    assert!(
        of_new.iter().any(|kind| matches!(kind, Kind::Assigned(_))),
        "{of_new:?}"
    );
}

#[test]
fn a_route_that_waits_is_answered_when_its_ticket_waits_no_more() {
    let mut bench = Bench::new(Limits::default());
    let route = |id: &str, wait_ms| {
        pb::RouteRequest {
            ticket: Some(common::ticket(id, "a", "vip")),
            wait_ms,
        }
        .encode_to_vec()
    };
    let read = |reply: &Result<Vec<u8>, _>| pb::RouteReply::decode(&**reply.as_ref().unwrap()).unwrap();
    let waits = bench.take(Method::Route, &route("waits", 30_000));
    let again = bench.take(Method::Route, &route("waits", 20_000));
    let ends = bench.take(Method::Route, &route("ends", 10_000));
    let at_once = bench.take(Method::Route, &route("at once", 0));
    let answers = bench.answers();
    assert_eq!(read(&answers[&at_once]).state(), pb::TicketState::Waiting);
    assert_eq!(answers.len(), 1);

    bench.now += 10 * SECOND;
    let answers = bench.answers();
    assert_eq!(read(&answers[&ends]).state(), pb::TicketState::Waiting);
    assert_eq!(answers.len(), 1);

    bench.agent("ana", "desk", 1);
    let answers = bench.answers();
    for (token, replayed) in [(waits, false), (again, true)] {
        let reply = read(&answers[&token]);
        assert_eq!(
            (reply.state(), reply.agent.as_str(), reply.replayed),
            (pb::TicketState::Active, "ana", replayed)
        );
    }
    assert_eq!(
        bench.core.next_due().filter(|due| *due < bench.now + 60 * SECOND),
        None,
        "nothing is parked"
    );
}

#[test]
fn a_route_that_waits_is_held_past_an_offer() {
    let mut bench = Bench::new(Limits::default());
    let mut policy = common::policy();
    for rule in &mut policy.layers[0].rules {
        rule.effects.get_or_insert_default().offer = Some(pb::OfferTable {
            ttl_ms: 20_000,
            away_on_expiry: false,
        });
    }
    let policy = policy.encode_to_vec();
    bench.ok(
        Method::InstallPolicy,
        &pb::InstallPolicyRequest {
            policy,
            reclassify: false,
            ..pb::InstallPolicyRequest::default()
        },
    );
    bench.agent("ana", "desk", 2);
    let route = |id: &str, wait_ms| {
        pb::RouteRequest {
            ticket: Some(common::ticket(id, "a", "vip")),
            wait_ms,
        }
        .encode_to_vec()
    };
    let read = |reply: &Result<Vec<u8>, _>| pb::RouteReply::decode(&**reply.as_ref().unwrap()).unwrap();
    let accepted = bench.take(Method::Route, &route("accepted", 10_000));
    let ignored = bench.take(Method::Route, &route("ignored", 10_000));
    let cancelled = bench.take(Method::Route, &route("cancelled", 10_000));
    assert!(bench.answers().is_empty(), "an offer is no assignment");

    let accept = pb::AcceptRequest {
        ticket: "accepted".into(),
        attempt: 1,
        context: Vec::new(),
    };
    bench.ok(Method::Accept, &accept);
    let cancel = pb::CancelRequest {
        id: "cancelled".into(),
        reason: String::new(),
    };
    bench.ok(Method::Cancel, &cancel);
    let answers = bench.answers();
    let states: Vec<_> = answers
        .iter()
        .map(|(&token, reply)| (token, read(reply).state()))
        .collect();
    let expected = [
        (accepted, pb::TicketState::Active),
        (cancelled, pb::TicketState::Cancelled),
    ];
    assert_eq!(states, expected);

    bench.now += 10 * SECOND;
    let answers = bench.answers();
    let reply = read(&answers[&ignored]);
    assert_eq!((reply.state(), reply.agent.as_str()), (pb::TicketState::Offered, "ana"));
    assert_eq!(answers.len(), 1);
}
