//! What the benches of the node share: a node with agents, and whole days of requests.
#![allow(dead_code)]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use csroute_node::{Call, Completion, Keeping, Node, Settings, Sink, Stage};
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;

pub const BATCH: usize = 256;
/// Requests in flight: 16,384 tickets, so that a slow fsync has work beside it.
pub const WINDOW: usize = 64;
pub const AGENTS: usize = 10_000;

pub struct Answers(Sender<Completion>);

impl Sink for Answers {
    fn deliver(&self, block: &mut Vec<Completion>) {
        for answer in block.drain(..) {
            // The receiver is gone only when the bench ends.
            let _ = self.0.send(answer);
        }
    }
}

/// A node, and who waits for its answers.
pub struct Bench {
    pub node: Arc<Node>,
    answers: Receiver<Completion>,
    token: u64,
}

impl Bench {
    pub fn submit(&mut self, method: Method, request: &[u8]) {
        self.token += 1;
        let call = Call {
            method: method.number(),
            tenant: "bench",
            caller: "bench",
            request,
        };
        self.node.submit(&call, self.token, 0);
    }

    /// Sends all, a window at a time.
    pub fn run(&mut self, method: Method, requests: &[Vec<u8>]) {
        for (at, request) in requests.iter().enumerate() {
            if at >= WINDOW {
                self.answered();
            }
            self.submit(method, request);
        }
        for _ in 0..WINDOW.min(requests.len()) {
            self.answered();
        }
    }

    pub fn answered(&self) -> Vec<u8> {
        let answer = self.answers.recv().expect("the node lives");
        assert_eq!(answer.grpc_code, 0, "{}", String::from_utf8_lossy(&answer.bytes));
        answer.bytes
    }

    pub fn one(&mut self, method: Method, request: &impl Message) -> Vec<u8> {
        self.submit(method, &request.encode_to_vec());
        self.answered()
    }
}

pub fn policy() -> pb::CompiledPolicy {
    let rule = |name: String| pb::RuleTable {
        when: Some(pb::Condition {
            node: Some(pb::condition::Node::Test(pb::Test {
                attribute: "category".into(),
                op: pb::test::Op::In.into(),
                values: vec![name.clone()],
            })),
        }),
        effects: Some(pb::Effects {
            needs: Some(pb::NeedsTable {
                groups: vec![pb::NeedGroup {
                    any_of: vec![pb::Need {
                        skill: name.clone(),
                        level: 1,
                        attribute: String::new(),
                    }],
                }],
                none_of: Vec::new(),
            }),
            ..pb::Effects::default()
        }),
        name,
        ..pb::RuleTable::default()
    };
    let mut rules: Vec<_> = (0..100).map(|category| rule(format!("c{category}"))).collect();
    rules.push(pb::RuleTable {
        name: "rest".into(),
        effects: Some(pb::Effects::default()),
        ..pb::RuleTable::default()
    });
    pb::CompiledPolicy {
        format: 1,
        name: "bench".into(),
        attributes: vec![pb::AttributeTable {
            name: "category".into(),
            ..pb::AttributeTable::default()
        }],
        channels: vec![pb::ChannelTable {
            name: "chat".into(),
            cost: 20,
            limit: 5,
        }],
        layers: vec![pb::LayerTable {
            name: "what".into(),
            every: false,
            rules,
        }],
        ..pb::CompiledPolicy::default()
    }
}

/// A node without anything, or with what is kept.
pub fn open(keeping: Option<Keeping>) -> Bench {
    let (sender, answers) = channel();
    let settings = Settings {
        keeping,
        ..Settings::default()
    };
    let node = Node::open(settings, Answers(sender)).expect("a thread, and a folder");
    while node.life().stage() == Stage::Recovering {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(node.life().stage(), Stage::Serving);
    Bench {
        node: Arc::new(node),
        answers,
        token: 0,
    }
}

/// A node with agents that have 15 of 100 skills each, in 300 profiles.
pub fn start(keeping: Option<Keeping>) -> Bench {
    let mut bench = open(keeping);
    let policy = policy().encode_to_vec();
    bench.one(
        Method::InstallPolicy,
        &pb::InstallPolicyRequest {
            policy,
            reclassify: false,
            ..pb::InstallPolicyRequest::default()
        },
    );
    bench.one(
        Method::OpenSession,
        &pb::OpenSessionRequest {
            session: "desk".into(),
            lease_ms: 3_600_000,
        },
    );
    let agents: Vec<_> = (0..AGENTS)
        .map(|agent| pb::AgentSpec {
            id: format!("agent-{agent}"),
            skills: (0..15)
                .map(|skill| pb::SkillLevel {
                    skill: format!("c{}", (agent % 300 * 7 + skill * 13) % 100),
                    level: 50,
                })
                .collect(),
            ..pb::AgentSpec::default()
        })
        .collect();
    for agents in agents.chunks(4096) {
        bench.one(
            Method::UpsertAgents,
            &pb::UpsertAgentsRequest {
                agents: agents.to_vec(),
            },
        );
    }
    for agents in agents.chunks(4096) {
        let login = |agent: &pb::AgentSpec| pb::AgentAction {
            action: Some(pb::agent_action::Action::Login(pb::LoginRequest {
                session: "desk".into(),
                agent: agent.id.clone(),
                ..pb::LoginRequest::default()
            })),
            tag: 0,
        };
        let reply = bench.one(
            Method::Act,
            &pb::ActRequest {
                actions: agents.iter().map(login).collect(),
            },
        );
        let results = pb::ActionResults::decode(&*reply).expect("results").results;
        assert!(
            results
                .iter()
                .all(|one| matches!(one.result, Some(pb::action_result::Result::Reply(_))))
        );
    }
    bench
}

/// The requests of one round: routes, and what completes them.
pub fn requests(round: usize, tickets: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let ids: Vec<String> = (0..tickets).map(|ticket| format!("ticket-{round}-{ticket}")).collect();
    let routes = ids.chunks(BATCH).map(|ids| {
        let new = |id: &String| pb::NewTicket {
            id: id.clone(),
            channel: "chat".into(),
            customer: format!("customer-{id}"),
            source: "gateway-1".into(),
            attributes: vec![pb::Attribute {
                name: "category".into(),
                value: format!(
                    "c{}",
                    id.bytes().fold(7_u32, |sum, byte| sum * 31 % 9973 + u32::from(byte)) % 100
                ),
                confidence_milli: None,
            }],
            ..pb::NewTicket::default()
        };
        let tickets = ids.iter().map(new).collect();
        pb::RouteBatchRequest { tickets, tag: 0 }.encode_to_vec()
    });
    let completes = ids.chunks(BATCH).map(|ids| {
        let complete = |id: &String| pb::AgentAction {
            action: Some(pb::agent_action::Action::Complete(pb::CompleteRequest {
                ticket: id.clone(),
                attempt: 1,
                ..pb::CompleteRequest::default()
            })),
            tag: 0,
        };
        pb::ActRequest {
            actions: ids.iter().map(complete).collect(),
        }
        .encode_to_vec()
    });
    (routes.collect(), completes.collect())
}
