//! What the tests of the node share: a policy, requests, and a sink that remembers.
#![allow(missing_docs, dead_code, clippy::missing_panics_doc)]

pub mod kept;
pub mod load;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use csroute_engine::Rejection;
use csroute_node::core::{Asker, Reply};
use csroute_node::{Call, Completion, Limits, NodeCore, Sink};
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;

pub const T0: i64 = 1_762_790_400_000_000;
pub const SECOND: i64 = 1_000_000;

/// One queue a value of `queue`, assigned at once.
pub fn policy() -> pb::CompiledPolicy {
    let rule = |name: &str| pb::RuleTable {
        name: name.into(),
        when: Some(pb::Condition {
            node: Some(pb::condition::Node::Test(pb::Test {
                attribute: "queue".into(),
                op: pb::test::Op::In.into(),
                values: vec![name.into()],
            })),
        }),
        effects: Some(pb::Effects::default()),
        ..pb::RuleTable::default()
    };
    let rest = pb::RuleTable {
        name: "rest".into(),
        effects: Some(pb::Effects::default()),
        ..pb::RuleTable::default()
    };
    pb::CompiledPolicy {
        format: 1,
        name: "test".into(),
        attributes: vec![pb::AttributeTable {
            name: "queue".into(),
            ..pb::AttributeTable::default()
        }],
        channels: vec![pb::ChannelTable {
            name: "chat".into(),
            cost: 1,
            limit: 1000,
        }],
        layers: vec![pb::LayerTable {
            name: "queue".into(),
            every: false,
            rules: vec![rule("vip"), rule("slow"), rest],
        }],
        ..pb::CompiledPolicy::default()
    }
}

pub fn ticket(id: &str, source: &str, queue: &str) -> pb::NewTicket {
    pb::NewTicket {
        id: id.into(),
        channel: "chat".into(),
        customer: format!("of-{id}"),
        source: source.into(),
        attributes: vec![pb::Attribute {
            name: "queue".into(),
            value: queue.into(),
            confidence_milli: None,
        }],
        ..pb::NewTicket::default()
    }
}

/// A core under a time of the test's own.
pub struct Bench {
    pub core: NodeCore,
    pub now: i64,
    tokens: u64,
}

impl Bench {
    /// With the policy installed.
    pub fn new(limits: Limits) -> Self {
        Self::under(&policy(), NodeCore::new(limits))
    }

    /// With another policy.
    pub fn under(policy: &pb::CompiledPolicy, core: NodeCore) -> Self {
        let mut bench = Self {
            core,
            now: T0,
            tokens: 0,
        };
        bench.ok(
            Method::InstallPolicy,
            &pb::InstallPolicyRequest {
                policy: policy.encode_to_vec(),
                reclassify: false,
                ..pb::InstallPolicyRequest::default()
            },
        );
        bench
    }

    pub fn call(&mut self, method: Method, request: &impl Message) -> Reply {
        self.call_bytes(method, &request.encode_to_vec())
    }

    pub fn call_bytes(&mut self, method: Method, request: &[u8]) -> Reply {
        self.core.call(
            &Call {
                method: method.number(),
                tenant: "t",
                caller: "test",
                request,
            },
            self.now,
        )
    }

    pub fn ok(&mut self, method: Method, request: &impl Message) -> Vec<u8> {
        self.call(method, request)
            .unwrap_or_else(|rejection| panic!("{}: {rejection}", method.path()))
    }

    pub fn no(&mut self, method: Method, request: &impl Message) -> Rejection {
        self.call(method, request).expect_err("a rejection")
    }

    /// An agent with so many units, logged in.
    pub fn agent(&mut self, id: &str, session: &str, capacity: u32) {
        let spec = pb::AgentSpec {
            id: id.into(),
            capacity,
            ..pb::AgentSpec::default()
        };
        self.ok(Method::UpsertAgents, &pb::UpsertAgentsRequest { agents: vec![spec] });
        self.ok(
            Method::OpenSession,
            &pb::OpenSessionRequest {
                session: session.into(),
                lease_ms: 3_600_000,
            },
        );
        self.ok(
            Method::Login,
            &pb::LoginRequest {
                session: session.into(),
                agent: id.into(),
                ..pb::LoginRequest::default()
            },
        );
    }

    pub fn route(&mut self, id: &str, source: &str, queue: &str) -> pb::RouteReply {
        let request = pb::RouteRequest {
            ticket: Some(ticket(id, source, queue)),
            wait_ms: 0,
        };
        pb::RouteReply::decode(&*self.ok(Method::Route, &request)).unwrap()
    }

    /// Takes a call that may be parked; its token.
    pub fn take(&mut self, method: Method, request: &[u8]) -> u64 {
        self.tokens += 1;
        let asker = Asker {
            token: self.tokens,
            asked_at: None,
            gone_at: i64::MAX,
        };
        let call = Call {
            method: method.number(),
            tenant: "t",
            caller: "test",
            request,
        };
        self.core.take(&call, asker, self.now);
        self.tokens
    }

    /// What is answered by now.
    pub fn answers(&mut self) -> BTreeMap<u64, Reply> {
        self.core.settle(self.now);
        self.core.answers().map(|(asker, reply)| (asker.token, reply)).collect()
    }
}

/// The answers by token.
#[derive(Clone, Default)]
pub struct Answers(Arc<(Mutex<Vec<Completion>>, Condvar)>);

impl Sink for Answers {
    fn deliver(&self, block: &mut Vec<Completion>) {
        self.0.0.lock().unwrap().append(block);
        self.0.1.notify_all();
    }
}

impl Answers {
    /// Waits for the answer of one call.
    pub fn wait_for_token(&self, token: u64) -> Completion {
        let found = |all: &[Completion]| all.iter().find(|answer| answer.token == token).cloned();
        let all = self.0.0.lock().unwrap();
        let (all, waited) = self
            .0
            .1
            .wait_timeout_while(all, Duration::from_mins(1), |all| found(all).is_none())
            .unwrap();
        assert!(!waited.timed_out(), "{token} is not answered");
        found(&all).expect("it was found")
    }

    /// All so far.
    pub fn all(&self) -> Vec<Completion> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits for so many in all.
    pub fn wait_for(&self, answers: usize) -> Vec<Completion> {
        let all = self.0.0.lock().unwrap();
        let (all, waited) = self
            .0
            .1
            .wait_timeout_while(all, Duration::from_mins(1), |all| all.len() < answers)
            .unwrap();
        assert!(!waited.timed_out(), "{} of {answers} answered", all.len());
        all.clone()
    }
}
