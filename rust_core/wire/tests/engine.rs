//! Bytes in, the engine, bytes out: what a gateway in any language sees.

use csroute_engine::{Code, Engine, Rejection};
use csroute_wire::pb::csroute::v1 as pb;
use csroute_wire::{Method, Query, Replies, Request, decode, encode_event, route_reply};
use pb::TicketState::{Active, Waiting};
use prost::Message;

const NOW: i64 = 1_762_790_400_000_000;

/// An engine with its time, as a node without a thread would hold it.
struct Door {
    engine: Engine,
    now: i64,
    events: Vec<u8>,
}

impl Door {
    /// One channel, two queues, one skill; a step after 20 s; ten agents for one ticket each.
    fn open() -> Self {
        let need = |skill: &str| pb::Need {
            skill: skill.into(),
            level: 1,
            attribute: String::new(),
        };
        let needs = |skill| {
            Some(pb::NeedsTable {
                groups: vec![pb::NeedGroup {
                    any_of: vec![need(skill)],
                }],
                none_of: vec![],
            })
        };
        let effects = |skill| {
            Some(pb::Effects {
                needs: needs(skill),
                ..pb::Effects::default()
            })
        };
        let test = pb::Test {
            attribute: "tier".into(),
            op: pb::test::Op::In.into(),
            values: vec!["vip".into()],
        };
        let vip = pb::Condition {
            node: Some(pb::condition::Node::Test(test)),
        };
        let rule = |name: &str, when, effects| pb::RuleTable {
            name: name.into(),
            when,
            effects,
            ..pb::RuleTable::default()
        };
        let policy = pb::CompiledPolicy {
            format: 1,
            name: "small".into(),
            attributes: vec![pb::AttributeTable {
                name: "tier".into(),
                ..pb::AttributeTable::default()
            }],
            channels: vec![pb::ChannelTable {
                name: "chat".into(),
                cost: 100,
                limit: 1,
            }],
            layers: vec![pb::LayerTable {
                name: "who".into(),
                every: false,
                rules: vec![
                    rule("vip", Some(vip), effects("senior")),
                    rule("general", None, effects("general")),
                ],
            }],
            suspend_ms: 60_000,
            lost_grace_ms: 60_000,
            ..pb::CompiledPolicy::default()
        };
        let mut door = Self {
            engine: Engine::new(),
            now: NOW,
            events: Vec::new(),
        };
        let install = pb::InstallPolicyRequest {
            policy: policy.encode_to_vec(),
            reclassify: false,
            ..pb::InstallPolicyRequest::default()
        };
        let installed: pb::InstallPolicyReply = door.call(Method::InstallPolicy, &install).unwrap();
        assert_ne!(installed.policy_version, 0);
        let agents = (0..10).map(|index| pb::AgentSpec {
            id: format!("a-{index}"),
            skills: vec![pb::SkillLevel {
                skill: "general".into(),
                level: 0,
            }],
            ..pb::AgentSpec::default()
        });
        let results: pb::ActionResults = door
            .call(
                Method::UpsertAgents,
                &pb::UpsertAgentsRequest {
                    agents: agents.collect(),
                },
            )
            .unwrap();
        assert_eq!(results.results.len(), 10);
        let session = pb::OpenSessionRequest {
            session: "desk".into(),
            lease_ms: 0,
        };
        let _: pb::ActionReply = door.call(Method::OpenSession, &session).unwrap();
        door
    }

    fn bytes(&mut self, method: Method, bytes: &[u8]) -> Result<Vec<u8>, Rejection> {
        self.now += 1;
        let write = match decode(method, bytes)? {
            Request::Write(write) => write,
            Request::Read(query) => return query.run(&self.engine),
            other => panic!("{other:?}"),
        };
        let mut events = Vec::new();
        self.engine.begin(self.now, &mut events)?;
        let mut replies = Replies::new(&write);
        for item in 0..write.len() {
            let result = write
                .command(item)
                .and_then(|command| self.engine.apply(&command, &mut events));
            replies.push(&write, &self.engine, result);
        }
        for event in &events {
            encode_event(event, 1, &mut self.events);
        }
        replies.finish()
    }

    fn call<M: Message + Default>(&mut self, method: Method, request: &impl Message) -> Result<M, Rejection> {
        self.bytes(method, &request.encode_to_vec())
            .map(|bytes| M::decode(&*bytes).unwrap())
    }

    fn login(&mut self, agents: usize) {
        let action = |index| {
            let agent = format!("a-{index}");
            let login = pb::LoginRequest {
                session: "desk".into(),
                agent,
                ..pb::LoginRequest::default()
            };
            pb::AgentAction {
                action: Some(pb::agent_action::Action::Login(login)),
                tag: index as u64 + 1,
            }
        };
        let actions = (0..agents).map(action).collect();
        let results: pb::ActionResults = self.call(Method::Act, &pb::ActRequest { actions }).unwrap();
        assert!(results.results.iter().map(|result| result.tag).eq(1..=agents as u64));
    }

    fn route(&mut self, ids: impl IntoIterator<Item = String>) -> pb::RouteBatchReply {
        let tickets = ids.into_iter().map(ticket).collect();
        self.call(Method::RouteBatch, &pb::RouteBatchRequest { tickets, tag: 9 })
            .unwrap()
    }
}

fn ticket(id: String) -> pb::NewTicket {
    pb::NewTicket {
        id,
        channel: "chat".into(),
        source: "gate".into(),
        ..pb::NewTicket::default()
    }
}

fn reply(result: &pb::RouteResult) -> &pb::RouteReply {
    match &result.result {
        Some(pb::route_result::Result::Reply(reply)) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_answers_each_ticket_by_itself() {
    let mut door = Door::open();
    door.login(1);
    let answers = door.route(["t-1".into(), "t-2".into(), String::new(), "t-1".into()]);
    assert_eq!((answers.results.len(), answers.tag), (4, 9));
    let first = reply(&answers.results[0]);
    assert_eq!(
        (first.id.as_str(), first.state(), first.agent.as_str(), first.attempt),
        ("t-1", Active, "a-0", 1)
    );
    let second = reply(&answers.results[1]);
    assert_eq!((second.state(), second.place, second.replayed), (Waiting, 1, false));
    let Some(pb::route_result::Result::Rejection(no)) = &answers.results[2].result else {
        panic!("refused")
    };
    assert_eq!((no.code, no.message.as_str()), (3, "tickets[2].id: must be given"));
    assert!(reply(&answers.results[3]).replayed);
    assert!(first.sequence < second.sequence);

    // The events tell the same.
    let events = pb::WatchReply::decode(&*door.events).unwrap().events;
    let assigned = events
        .iter()
        .find(|event| matches!(event.kind, Some(pb::event::Kind::Assigned(_))))
        .unwrap();
    assert_eq!(
        (
            assigned.ticket.as_str(),
            assigned.agent.as_str(),
            assigned.source.as_str()
        ),
        ("t-1", "a-0", "gate")
    );
    assert!(events.windows(2).all(|pair| pair[0].sequence + 1 == pair[1].sequence));
}

#[test]
fn single_calls_answer_or_refuse() {
    let mut door = Door::open();
    door.login(1);
    let request = pb::RouteRequest {
        ticket: Some(ticket("t-1".into())),
        wait_ms: 0,
    };
    let routed: pb::RouteReply = door.call(Method::Route, &request).unwrap();
    assert_eq!(routed.state(), Active);
    assert_eq!(
        pb::RouteReply::decode(&*route_reply(&door.engine, "t-1", false).unwrap()).unwrap(),
        routed
    );
    assert_eq!(
        route_reply(&door.engine, "t-9", false).unwrap_err().code,
        Code::TicketUnknown
    );

    let complete = |attempt| pb::CompleteRequest {
        ticket: "t-1".into(),
        attempt,
        ..pb::CompleteRequest::default()
    };
    assert_eq!(
        door.bytes(Method::Complete, &complete(2).encode_to_vec())
            .unwrap_err()
            .code,
        Code::Stale
    );
    let done: pb::ActionReply = door.call(Method::Complete, &complete(1)).unwrap();
    assert_eq!((done.state(), done.replayed), (pb::TicketState::Closed, false));
    let again: pb::ActionReply = door.call(Method::Complete, &complete(1)).unwrap();
    assert!(again.replayed);

    let waiting: pb::RouteReply = {
        door.route(["t-2".into(), "t-3".into()]);
        let request = pb::RouteRequest {
            ticket: Some(ticket("t-3".into())),
            wait_ms: 0,
        };
        door.call(Method::Route, &request).unwrap()
    };
    assert_eq!((waiting.state(), waiting.replayed), (Waiting, true));
    let cancelled: pb::TicketReply = door
        .call(
            Method::Cancel,
            &pb::CancelRequest {
                id: "t-3".into(),
                reason: "left".into(),
            },
        )
        .unwrap();
    assert_eq!(
        (cancelled.id.as_str(), cancelled.state()),
        ("t-3", pb::TicketState::Cancelled)
    );
    let unknown = door.bytes(
        Method::GetTicket,
        &pb::GetTicketRequest { id: "t-9".into() }.encode_to_vec(),
    );
    assert_eq!(unknown.unwrap_err().code, Code::TicketUnknown);
}

/// Runs a read in small steps; returns how many it took.
fn stepped<M: Message + Default>(door: &Door, method: Method, request: &impl Message, looks: usize) -> (M, usize) {
    let bytes = request.encode_to_vec();
    let Ok(Request::Read(mut query)) = decode(method, &bytes) else {
        panic!("a read")
    };
    let mut steps = 1;
    while !query.step(&door.engine, looks).unwrap() {
        steps += 1;
    }
    (M::decode(&*query.finish()).unwrap(), steps)
}

#[test]
fn long_reads_come_in_steps_and_lose_nothing() {
    let mut door = Door::open();
    let ids: Vec<String> = (0..1000).map(|index| format!("t-{index}")).collect();
    door.route(ids.iter().cloned());

    let mut asked = ids.clone();
    asked.insert(500, "nobody".into());
    let request = pb::GetPositionsRequest {
        ids: asked,
        source: String::new(),
    };
    let (positions, steps) = stepped::<pb::GetPositionsReply>(&door, Method::GetPositions, &request, 64);
    assert_eq!(steps, 16);
    assert!(positions.positions.iter().map(|position| position.place).eq(1..=1000));
    let whole: pb::GetPositionsReply = door.call(Method::GetPositions, &request).unwrap();
    assert_eq!(whole, positions);
    let request = pb::GetPositionsRequest {
        ids: Vec::new(),
        source: "gate".into(),
    };
    let (of_source, steps) = stepped::<pb::GetPositionsReply>(&door, Method::GetPositions, &request, 64);
    assert!(steps >= 16);
    assert_eq!(of_source, positions);
    let nothing: pb::GetPositionsReply = door
        .call(Method::GetPositions, &pb::GetPositionsRequest::default())
        .unwrap();
    assert!(nothing.positions.is_empty());

    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListTicketsRequest {
            page_size: 300,
            page_token,
            ..pb::ListTicketsRequest::default()
        };
        let (page, _) = stepped::<pb::ListTicketsReply>(&door, Method::ListTickets, &request, 64);
        assert!(page.tickets.len() <= 300);
        assert_eq!(page.sequence, door.engine.sequence());
        listed.extend(page.tickets.into_iter().map(|ticket| ticket.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, ids);

    let mut agents = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListAgentsRequest {
            page_size: 3,
            page_token,
            ..pb::ListAgentsRequest::default()
        };
        let page: pb::ListAgentsReply = door.call(Method::ListAgents, &request).unwrap();
        agents.extend(page.agents);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(agents.len(), 10);
    let spec = agents[0].spec.as_ref().unwrap();
    assert_eq!((spec.skills[0].level, spec.capacity), (1, 100));
}

#[test]
fn a_work_stream_opens_with_what_is_held() {
    let mut door = Door::open();
    door.login(5);
    door.route((0..3).map(|index| format!("t-{index}")));
    let mut query = Query::opening("desk");
    let mut steps = 1;
    while !query.step(&door.engine, 2).unwrap() {
        steps += 1;
    }
    assert!(steps >= 2);
    let reply = pb::WorkReply::decode(&*query.finish()).unwrap();
    let opening = reply.opening.unwrap();
    assert_eq!(
        (opening.agents.len(), opening.work.len(), opening.sequence),
        (5, 3, door.engine.sequence())
    );
    assert!(
        opening
            .work
            .iter()
            .all(|held| held.ticket.as_ref().unwrap().agent == held.agent)
    );
    assert_eq!(
        Query::opening("nobody").step(&door.engine, 2).unwrap_err().code,
        Code::SessionUnknown
    );
}

#[test]
fn explain_and_stats_are_whole_messages() {
    let mut door = Door::open();
    door.route(["t-1".into()]);
    let explained: pb::ExplainReply = door
        .call(Method::Explain, &pb::ExplainRequest { ticket: "t-1".into() })
        .unwrap();
    assert_eq!(
        (explained.ticket.unwrap().queue.as_str(), explained.place),
        ("general", 1)
    );
    assert_eq!(
        (explained.rules[0].layer.as_str(), explained.rules[0].rule.as_str()),
        ("who", "general")
    );
    let stats: pb::GetStatsReply = door.call(Method::GetStats, &pb::GetStatsRequest::default()).unwrap();
    assert_eq!(stats.state_hash, 0, "not asked for");
    let with_hash = pb::GetStatsRequest { with_state_hash: true };
    let stats: pb::GetStatsReply = door.call(Method::GetStats, &with_hash).unwrap();
    assert_eq!(
        (stats.waiting, stats.submitted, stats.policy_name.as_str()),
        (1, 1, "small")
    );
    assert_eq!(
        (stats.sequence, stats.state_hash),
        (door.engine.sequence(), door.engine.state_hash())
    );
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut door = Door::open();
    door.login(1);
    door.route(["t-1".into()]);
    let before = (door.engine.state_hash(), door.engine.sequence());
    let bad: [(Method, &[u8]); 4] = [
        (Method::Route, &[]),
        (Method::Route, &[0x0a, 0x05, 0x0a]),
        (Method::Act, &[0x0a, 0x00]),
        (Method::Complete, &[0x0a, 0x03, b't', b'-', b'1', 0x10, 0x63]),
    ];
    for (method, bytes) in bad {
        let refused = match door.bytes(method, bytes) {
            Err(_) => true,
            Ok(reply) => matches!(
                pb::ActionResults::decode(&*reply).unwrap().results[0].result,
                Some(pb::action_result::Result::Rejection(_))
            ),
        };
        assert!(refused, "{method:?}");
        assert_eq!((door.engine.state_hash(), door.engine.sequence()), before);
    }
}
