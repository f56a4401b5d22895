//! Another policy of 1,000 classes while 1,000,000 tickets wait: how long routing stands still, and until when all is done.
//!
//! `cargo bench -p csroute-node --bench install`. First the node without a thread: the install's own command, then each slice
//! of classifying again. Then a running node: the longest Route beside it. Left out: the journal, and agents who are free.
#![allow(missing_docs)]

mod common;

use std::time::{Duration, Instant};

use common::{open, requests};
use csroute_node::{Call, Limits, NodeCore};
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;

const CLASSES: usize = 1000;

/// Equal but for the head start of each rule.
fn policy(classes: usize, head_start_ms: i64) -> Vec<u8> {
    let mut policy = common::policy();
    let rest = policy.layers[0].rules.pop();
    let first = policy.layers[0].rules[0].clone();
    policy.layers[0].rules = (0..classes)
        .map(|number| {
            let mut rule = first.clone();
            rule.name = format!("c{number}");
            let values = vec![rule.name.clone()];
            rule.when = Some(pb::Condition {
                node: Some(pb::condition::Node::Test(pb::Test {
                    attribute: "category".into(),
                    op: pb::test::Op::In.into(),
                    values,
                })),
            });
            if let Some(effects) = &mut rule.effects {
                effects.head_start_ms = head_start_ms;
            }
            rule
        })
        .chain(rest)
        .collect();
    policy.limits = Some(pb::LimitsTable {
        waiting_max: 2_000_000,
        ..pb::LimitsTable::default()
    });
    policy.encode_to_vec()
}

fn apply(policy: Vec<u8>, reclassify: bool, dry_run: bool) -> Vec<u8> {
    pb::ApplyRequest {
        policy,
        reclassify,
        dry_run,
        ..pb::ApplyRequest::default()
    }
    .encode_to_vec()
}

/// The tickets of `requests`, over all classes.
fn routes(tickets: usize) -> Vec<Vec<u8>> {
    let spread = |(at, batch): (usize, &Vec<u8>)| {
        let mut batch = pb::RouteBatchRequest::decode(&batch[..]).expect("it was made here");
        for (place, ticket) in batch.tickets.iter_mut().enumerate() {
            ticket.attributes[0].value = format!("c{}", (at * 256 + place) * 7919 % CLASSES);
        }
        batch.encode_to_vec()
    };
    requests(0, tickets).0.iter().enumerate().map(spread).collect()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// This thread's time on a processor: what others do meanwhile is not counted.
fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// The command and its slices, one by one, in processor time.
fn slices(tickets: usize) {
    let mut core = NodeCore::new(Limits::default());
    let mut now = 1_700_000_000_000_000;
    let mut call = |core: &mut NodeCore, method: Method, request: &[u8]| {
        now += 1;
        let call = Call {
            method: method.number(),
            tenant: "bench",
            caller: "bench",
            request,
        };
        let started = cpu();
        let reply = core.call(&call, now).expect("it is taken");
        (cpu().saturating_sub(started), reply)
    };
    call(&mut core, Method::PolicyApply, &apply(policy(CLASSES, 0), false, false));
    for batch in routes(tickets) {
        call(&mut core, Method::RouteBatch, &batch);
    }
    let (plain, _) = call(&mut core, Method::PolicyApply, &apply(policy(CLASSES, 1), false, false));
    let (counted, reply) = call(&mut core, Method::PolicyApply, &apply(policy(CLASSES, 2), true, true));
    let would = pb::InstallReply::decode(&reply[..]).expect("a reply");
    assert_eq!((would.waiting, would.changed), (tickets as u64, tickets as u64));
    let (first, _) = call(&mut core, Method::PolicyApply, &apply(policy(CLASSES, 2), true, false));
    let (mut longest, mut total, mut count) = (Duration::ZERO, first, 0);
    loop {
        let started = cpu();
        let more = core.sweep(1_800_000_000_000_000);
        let took = cpu().saturating_sub(started);
        (longest, total, count) = (longest.max(took), total + took, count + 1);
        if !more {
            break;
        }
    }
    let (_, reply) = call(&mut core, Method::PolicyList, b"");
    let listed = pb::ListVersionsReply::decode(&reply[..]).expect("a reply");
    assert_eq!(listed.versions[0].reclassified, tickets as u64, "nothing is lost");
    println!(
        "processor time, {tickets} waiting, {CLASSES} classes: installed and left {:.1} ms; classified again: the command {:.1} ms, then {count} \
         slices, the longest {:.1} ms, all {:.0} ms; a dry run's count {:.0} ms (in slices of 256)",
        ms(plain),
        ms(first),
        ms(longest),
        ms(total),
        ms(counted),
    );
}

/// The longest Route while a running node installs, and without it.
fn live(tickets: usize) {
    let mut bench = open(None);
    bench.one(
        Method::PolicyApply,
        &pb::ApplyRequest {
            policy: policy(CLASSES, 0),
            ..pb::ApplyRequest::default()
        },
    );
    bench.run(Method::RouteBatch, &routes(tickets));
    let mut calls = 0;
    let mut route = |bench: &mut common::Bench| {
        calls += 1;
        let ticket = pb::NewTicket {
            id: format!("live-{calls}"),
            channel: "chat".into(),
            ..pb::NewTicket::default()
        };
        let request = pb::RouteRequest {
            ticket: Some(ticket),
            wait_ms: 0,
        };
        let started = Instant::now();
        bench.one(Method::Route, &request);
        started.elapsed()
    };
    let quiet = (0..2000).map(|_| route(&mut bench)).max().unwrap_or_default();
    for reclassify in [false, true] {
        bench.submit(
            Method::PolicyApply,
            &apply(policy(CLASSES, 1 + i64::from(reclassify)), reclassify, false),
        );
        let begun = Instant::now();
        // The install's answer comes before this Route's.
        let mut longest = Duration::ZERO;
        bench.answered();
        let answered = begun.elapsed();
        loop {
            longest = longest.max(route(&mut bench));
            let reply = bench.one(Method::PolicyList, &pb::ListVersionsRequest::default());
            let listed = pb::ListVersionsReply::decode(&reply[..]).expect("a reply");
            if !reclassify || listed.versions[0].reclassified >= tickets as u64 {
                break;
            }
        }
        println!(
            "a running node, {tickets} waiting, {}: the install answered after {:.1} ms, the longest Route since {:.1} ms \
             (without an install {:.1} ms), all done after {:.0} ms",
            if reclassify { "classified again" } else { "left" },
            ms(answered),
            ms(longest),
            ms(quiet),
            ms(begun.elapsed()),
        );
    }
}

fn main() {
    let tickets = if std::env::args().any(|argument| argument == "--test") {
        20_480
    } else {
        1_000_192
    };
    slices(tickets);
    live(tickets);
}
