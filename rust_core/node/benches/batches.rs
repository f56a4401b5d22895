//! Tickets through the running node: each submitted in a `RouteBatch` of 256, assigned, completed in an `Act` of 256.
//!
//! One caller thread beside the writer, a window of requests in flight. Left out: gRPC, Python, the network, and the
//! making of the requests. Prints min / median / max over the rounds; `-- --test` runs a short one once.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use csroute_node::{Call, Completion, Limits, Node, Sink};
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;

const BATCH: usize = 256;
const WINDOW: usize = 16;
const AGENTS: usize = 10_000;

struct Answers(Sender<Completion>);

impl Sink for Answers {
    fn deliver(&self, block: &mut Vec<Completion>) {
        for answer in block.drain(..) {
            // The receiver is gone only when the bench ends.
            let _ = self.0.send(answer);
        }
    }
}

struct Bench {
    node: Node,
    answers: Receiver<Completion>,
    token: u64,
}

impl Bench {
    fn submit(&mut self, method: Method, request: &[u8]) {
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
    fn run(&mut self, method: Method, requests: &[Vec<u8>]) {
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

    fn answered(&self) -> Vec<u8> {
        let answer = self.answers.recv().expect("the node lives");
        assert_eq!(answer.grpc_code, 0, "{}", String::from_utf8_lossy(&answer.bytes));
        answer.bytes
    }

    fn one(&mut self, method: Method, request: &impl Message) -> Vec<u8> {
        self.submit(method, &request.encode_to_vec());
        self.answered()
    }
}

fn policy() -> pb::CompiledPolicy {
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

/// A node with agents that have 15 of 100 skills each, in 300 profiles.
fn start() -> Bench {
    let (sender, answers) = channel();
    let node = Node::start(Limits::default(), Answers(sender)).expect("a thread");
    let mut bench = Bench {
        node,
        answers,
        token: 0,
    };
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
fn requests(round: usize, tickets: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
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

fn main() {
    let short = std::env::args().any(|argument| argument == "--test");
    let (rounds, tickets) = if short { (1, BATCH) } else { (7, 40_000) };
    let mut bench = start();
    let mut figures: [Vec<f64>; 3] = Default::default();
    for round in 0..rounds {
        let (routes, completes) = requests(round, tickets);
        let started = Instant::now();
        bench.run(Method::RouteBatch, &routes);
        let until_assigned = started.elapsed();
        let assigned = Instant::now();
        bench.run(Method::Act, &completes);
        for (figures, took) in figures
            .iter_mut()
            .zip([until_assigned, assigned.elapsed(), started.elapsed()])
        {
            figures.push(tickets as f64 / took.as_secs_f64());
        }
    }
    let stats = bench.one(Method::GetStats, &pb::GetStatsRequest::default());
    let stats = pb::GetStatsReply::decode(&*stats).expect("stats");
    assert_eq!(
        stats.completed,
        (rounds * tickets) as u64,
        "every ticket was assigned and completed"
    );
    for (name, figures) in ["RouteBatch 256", "Act 256 (complete)", "both"]
        .iter()
        .zip(&mut figures)
    {
        figures.sort_by(f64::total_cmp);
        let [min, median, max] = [0, figures.len() / 2, figures.len() - 1].map(|at| figures[at] / 1000.0);
        println!("{name:20} {min:8.0} / {median:8.0} / {max:8.0} thousand tickets/s (min / median / max of {rounds})");
    }
}
