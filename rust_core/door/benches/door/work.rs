//! What is sent: a policy of 100 queues, agents in 300 profiles, and tickets for them.

use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;

/// Tickets that the agents can hold at a time: 5 each.
pub const AGENTS: usize = 10_000;
pub const HELD_MAX: usize = AGENTS * 5;
const CATEGORIES: usize = 100;

/// The policy.
pub fn policy() -> Vec<u8> {
    let test = |name: &str| pb::Condition {
        node: Some(pb::condition::Node::Test(pb::Test {
            attribute: "category".into(),
            op: pb::test::Op::In.into(),
            values: vec![name.into()],
        })),
    };
    let needs = |name: &str| pb::NeedsTable {
        groups: vec![pb::NeedGroup {
            any_of: vec![pb::Need {
                skill: name.into(),
                level: 1,
                attribute: String::new(),
            }],
        }],
        none_of: Vec::new(),
    };
    let rule = |name: String| pb::RuleTable {
        when: Some(test(&name)),
        effects: Some(pb::Effects {
            needs: Some(needs(&name)),
            ..pb::Effects::default()
        }),
        name,
        ..pb::RuleTable::default()
    };
    let rest = pb::RuleTable {
        name: "rest".into(),
        effects: Some(pb::Effects::default()),
        ..pb::RuleTable::default()
    };
    let rules = (0..CATEGORIES)
        .map(|category| rule(format!("c{category}")))
        .chain([rest]);
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
            rules: rules.collect(),
        }],
        ..pb::CompiledPolicy::default()
    }
    .encode_to_vec()
}

fn agent(agent: usize) -> pb::AgentSpec {
    pb::AgentSpec {
        id: format!("agent-{agent}"),
        skills: (0..15)
            .map(|skill| pb::SkillLevel {
                skill: format!("c{}", (agent % 300 * 7 + skill * 13) % CATEGORIES),
                level: 50,
            })
            .collect(),
        ..pb::AgentSpec::default()
    }
}

/// What makes the agents, and logs them in: (upserts, acts).
pub fn agents() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let numbers: Vec<usize> = (0..AGENTS).collect();
    let upserts = numbers.chunks(4096).map(|chunk| {
        let agents = chunk.iter().map(|&number| agent(number)).collect();
        pb::UpsertAgentsRequest { agents }.encode_to_vec()
    });
    let logins = numbers.chunks(4096).map(|chunk| {
        let login = |number: &usize| pb::AgentAction {
            action: Some(pb::agent_action::Action::Login(pb::LoginRequest {
                session: "desk".into(),
                agent: format!("agent-{number}"),
                ..pb::LoginRequest::default()
            })),
            tag: 0,
        };
        let actions = chunk.iter().map(login).collect();
        pb::ActRequest { actions }.encode_to_vec()
    });
    (upserts.collect(), logins.collect())
}

fn ticket(id: &str) -> pb::NewTicket {
    let sum = id
        .bytes()
        .fold(7_usize, |sum, byte| sum * 31 % 9973 + usize::from(byte));
    pb::NewTicket {
        id: id.into(),
        channel: "chat".into(),
        customer: format!("customer-{id}"),
        source: "gateway-1".into(),
        attributes: vec![pb::Attribute {
            name: "category".into(),
            value: format!("c{}", sum % CATEGORIES),
            confidence_milli: None,
        }],
        ..pb::NewTicket::default()
    }
}

/// Names nobody has used.
pub fn ids(round: usize, tickets: usize) -> Vec<String> {
    (0..tickets).map(|number| format!("ticket-{round}-{number}")).collect()
}

/// A `Route` each.
pub fn routes(ids: &[String]) -> Vec<Vec<u8>> {
    let route = |id: &String| pb::RouteRequest {
        ticket: Some(ticket(id)),
        wait_ms: 0,
    };
    ids.iter().map(|id| route(id).encode_to_vec()).collect()
}

/// `RouteBatch` messages of so many tickets.
pub fn batches(ids: &[String], size: usize) -> Vec<Vec<u8>> {
    let batch = |ids: &[String]| pb::RouteBatchRequest {
        tickets: ids.iter().map(|id| ticket(id)).collect(),
        tag: 0,
    };
    ids.chunks(size).map(|ids| batch(ids).encode_to_vec()).collect()
}

/// `Act` messages that complete so many tickets each.
pub fn completes(ids: &[String], size: usize) -> Vec<Vec<u8>> {
    let complete = |id: &String| pb::AgentAction {
        action: Some(pb::agent_action::Action::Complete(pb::CompleteRequest {
            ticket: id.clone(),
            attempt: 1,
            ..pb::CompleteRequest::default()
        })),
        tag: 0,
    };
    ids.chunks(size)
        .map(|ids| {
            let actions = ids.iter().map(complete).collect();
            pb::ActRequest { actions }.encode_to_vec()
        })
        .collect()
}
