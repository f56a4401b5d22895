//! A survey of a queue and the live state are read in slices: other calls pass between them.
#![allow(missing_docs)]

mod common;

use common::Bench;
use csroute_node::Limits;
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;

const AGENTS: u32 = 3000;

#[test]
fn long_looks_let_other_calls_pass() {
    let mut bench = Bench::new(Limits::default());
    for at in 0..AGENTS {
        bench.agent(&format!("a{at}"), "desk", 1);
    }
    for at in 0..AGENTS + 7 {
        bench.route(&format!("t{at}"), "shop", "vip");
    }
    let queue = pb::ExplainQueueRequest { queue: "vip".into() };
    let survey = bench.take(Method::ExplainQueue, &queue.encode_to_vec());
    let live = bench.take(Method::GetLive, &[]);
    assert!(bench.answers().is_empty(), "neither is done at once");
    bench.route("between", "shop", "vip");
    let mut slices = 0;
    let mut answers = std::collections::BTreeMap::new();
    while answers.len() < 2 {
        answers.extend(bench.answers());
        slices += 1;
        assert!(slices < 1000);
    }
    assert!(slices > 5, "{slices} slices for {AGENTS} agents");
    let told = pb::ExplainQueueReply::decode(&**answers[&survey].as_ref().unwrap()).unwrap();
    let agents = told.agents.unwrap();
    assert_eq!((agents.capacity + agents.channel_limit, agents.free), (AGENTS, 0));
    assert_eq!(
        told.waiting, 7,
        "lines are looked at first: the one between came after them"
    );
    let told = pb::GetLiveReply::decode(&**answers[&live].as_ref().unwrap()).unwrap();
    assert_eq!(told.profiles.iter().map(|profile| profile.agents).sum::<u32>(), AGENTS);
    assert_eq!(told.lines.iter().map(|line| line.waiting).sum::<u64>(), 7);
    assert_eq!(bench.core.states().next().unwrap().1.engine().stats().waiting, 8);
}
