//! Requests: what is taken is what prost takes, what is refused is numbered and names its field.

mod generate;

use csroute_engine::{Code, Command, Rejection};
use csroute_wire::pb::csroute::v1 as pb;
use csroute_wire::{Effect, Method, Request, decode};
use generate::{Source, mangle, request};
use proptest::prelude::*;
use prost::Message;

/// Decodes as prost and encodes again: the same message in prost's own form.
fn by_prost(method: Method, bytes: &[u8]) -> Result<Vec<u8>, prost::DecodeError> {
    fn again<M: Message + Default>(bytes: &[u8]) -> Result<Vec<u8>, prost::DecodeError> {
        M::decode(bytes).map(|message| message.encode_to_vec())
    }
    match method {
        Method::Route => again::<pb::RouteRequest>(bytes),
        Method::RouteBatch => again::<pb::RouteBatchRequest>(bytes),
        Method::Update => again::<pb::UpdateRequest>(bytes),
        Method::Cancel => again::<pb::CancelRequest>(bytes),
        Method::Suspend => again::<pb::SuspendRequest>(bytes),
        Method::Resume => again::<pb::ResumeRequest>(bytes),
        Method::GetTicket => again::<pb::GetTicketRequest>(bytes),
        Method::ListTickets => again::<pb::ListTicketsRequest>(bytes),
        Method::GetPositions => again::<pb::GetPositionsRequest>(bytes),
        Method::Explain => again::<pb::ExplainRequest>(bytes),
        Method::UpsertAgents => again::<pb::UpsertAgentsRequest>(bytes),
        Method::RemoveAgents => again::<pb::RemoveAgentsRequest>(bytes),
        Method::ListAgents => again::<pb::ListAgentsRequest>(bytes),
        Method::OpenSession => again::<pb::OpenSessionRequest>(bytes),
        Method::RenewLease => again::<pb::RenewLeaseRequest>(bytes),
        Method::CloseSession => again::<pb::CloseSessionRequest>(bytes),
        Method::Login => again::<pb::LoginRequest>(bytes),
        Method::SetPresence => again::<pb::SetPresenceRequest>(bytes),
        Method::Accept => again::<pb::AcceptRequest>(bytes),
        Method::Decline => again::<pb::DeclineRequest>(bytes),
        Method::Complete => again::<pb::CompleteRequest>(bytes),
        Method::Transfer => again::<pb::TransferRequest>(bytes),
        Method::Mark => again::<pb::MarkRequest>(bytes),
        Method::PauseClock => again::<pb::PauseClockRequest>(bytes),
        Method::ResumeClock => again::<pb::ResumeClockRequest>(bytes),
        Method::EndWrapUp => again::<pb::EndWrapUpRequest>(bytes),
        Method::Act => again::<pb::ActRequest>(bytes),
        Method::Assign => again::<pb::AssignRequest>(bytes),
        Method::Move => again::<pb::MoveRequest>(bytes),
        Method::GetStats => again::<pb::GetStatsRequest>(bytes),
        Method::Drain => again::<pb::DrainRequest>(bytes),
        Method::InstallPolicy => again::<pb::InstallPolicyRequest>(bytes),
        Method::WatchOpen => again::<pb::WatchRequest>(bytes),
        Method::WorkOpen | Method::WorkAct => again::<pb::WorkRequest>(bytes),
        Method::RouteStream | Method::Watch | Method::Work => Ok(Vec::new()),
        Method::WatchNext | Method::WatchClose | Method::WorkNext | Method::WorkClose => Ok(bytes.to_vec()),
    }
}

fn malformed(decoded: &Result<Request<'_>, Rejection>) -> bool {
    // An inner policy may be malformed in a request that is not; a handle is no message.
    decoded
        .as_ref()
        .is_err_and(|no| no.code == Code::Malformed && no.subject.is_empty() && !no.message.contains("handle"))
}

/// Like prost: the same are malformed; the others are the same as what prost read.
fn same_as_prost(method: Method, bytes: &[u8]) {
    let decoded = decode(method, bytes);
    match by_prost(method, bytes) {
        Err(error) => assert!(malformed(&decoded), "{method:?}: prost says {error}, here {decoded:?}"),
        Ok(again) => {
            assert!(!malformed(&decoded), "{method:?}: prost takes it, here {decoded:?}");
            // A positions query keeps the bytes as they came.
            if method != Method::GetPositions {
                assert_eq!(format!("{decoded:?}"), format!("{:?}", decode(method, &again)));
            }
        }
    }
}

fn any_method() -> impl Strategy<Value = Method> {
    proptest::sample::select(Method::ALL)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_read_as_prost_reads_them(method in any_method(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        same_as_prost(method, &bytes);
    }

    #[test]
    fn made_messages_are_read_as_prost_reads_them(method in any_method(), choices in prop::collection::vec(any::<u8>(), 0..512)) {
        same_as_prost(method, &request(method, &mut Source::new(&choices)));
    }

    #[test]
    fn mangled_messages_are_read_as_prost_reads_them(
        method in any_method(),
        choices in prop::collection::vec(any::<u8>(), 0..512),
        damage in prop::collection::vec(any::<u8>(), 1..24),
    ) {
        let mut bytes = request(method, &mut Source::new(&choices));
        mangle(&mut bytes, &mut Source::new(&damage));
        same_as_prost(method, &bytes);
    }

    #[test]
    fn a_message_twice_merges_as_in_prost(method in any_method(), choices in prop::collection::vec(any::<u8>(), 0..256)) {
        let once = request(method, &mut Source::new(&choices));
        if !matches!(method, Method::WatchNext | Method::WatchClose | Method::WorkNext | Method::WorkClose) {
            same_as_prost(method, &[once.clone(), once].concat());
        }
    }

    #[test]
    fn tickets_arrive_as_sent(choices in prop::collection::vec(any::<u8>(), 0..2048)) {
        let bytes = request(Method::RouteBatch, &mut Source::new(&choices));
        let Ok(sent) = pb::RouteBatchRequest::decode(&*bytes) else {
            return Ok(()); // groups too deep
        };
        let write = match decode(Method::RouteBatch, &bytes) {
            Ok(Request::Write(write)) => write,
            other => {
                assert!(sent.tickets.is_empty(), "{other:?}");
                return Ok(());
            }
        };
        prop_assert_eq!(write.len(), sent.tickets.len());
        for (index, sent) in sent.tickets.iter().enumerate() {
            match write.command(index) {
                Ok(Command::Submit(ticket)) => {
                    prop_assert_eq!(shape(sent), Ok(()));
                    prop_assert_eq!(as_prost(&ticket), plain(sent));
                }
                Ok(other) => prop_assert!(false, "{:?}", other),
                Err(no) => {
                    prop_assert!(shape(sent).is_err(), "{:?}: {}", sent, no);
                    prop_assert!(no.subject.starts_with(&format!("tickets[{index}].")), "{}", no.subject);
                }
            }
        }
    }
}

/// The ticket with its defaults written out.
fn plain(ticket: &pb::NewTicket) -> pb::NewTicket {
    let mut ticket = ticket.clone();
    for attribute in &mut ticket.attributes {
        attribute.confidence_milli.get_or_insert(1000);
    }
    for skill in &mut ticket.skills {
        skill.level = skill.level.max(1);
    }
    ticket
}

fn as_prost(ticket: &csroute_engine::command::Submit<'_>) -> pb::NewTicket {
    pb::NewTicket {
        id: ticket.id.into(),
        channel: ticket.channel.into(),
        customer: ticket.customer.into(),
        source: ticket.source.into(),
        attributes: ticket
            .attributes
            .iter()
            .map(|attribute| pb::Attribute {
                name: attribute.name.into(),
                value: attribute.value.into(),
                confidence_milli: Some(attribute.confidence_milli.into()),
            })
            .collect(),
        skills: ticket
            .skills
            .iter()
            .map(|skill| pb::SkillLevel {
                skill: skill.skill.into(),
                level: skill.level.into(),
            })
            .collect(),
        preferred_agent: ticket.preferred_agent.into(),
        excluded_agents: ticket.excluded_agents.iter().map(|&agent| agent.into()).collect(),
        not_before_us: ticket.not_before,
        context: ticket.context.into(),
    }
}

/// The bounds in `ticket.proto`, written a second time.
fn shape(ticket: &pb::NewTicket) -> Result<(), &'static str> {
    let within = |text: &str, least: usize, most: usize| (least..=most).contains(&text.len());
    let mut names: Vec<&str> = ticket.attributes.iter().map(|attribute| &*attribute.name).collect();
    names.sort_unstable();
    names.dedup();
    let rules = [
        (within(&ticket.id, 1, 128), "id"),
        (within(&ticket.channel, 1, 64), "channel"),
        (within(&ticket.customer, 0, 128), "customer"),
        (within(&ticket.source, 0, 128), "source"),
        (within(&ticket.preferred_agent, 0, 128), "preferred_agent"),
        (
            ticket.attributes.len() <= 32 && names.len() == ticket.attributes.len(),
            "attributes",
        ),
        (
            ticket
                .attributes
                .iter()
                .all(|a| within(&a.name, 1, 64) && within(&a.value, 0, 256)),
            "attribute",
        ),
        (
            ticket
                .attributes
                .iter()
                .all(|a| a.confidence_milli.unwrap_or(0) <= 1000),
            "confidence",
        ),
        (ticket.skills.len() <= 8, "skills"),
        (
            ticket.skills.iter().all(|s| within(&s.skill, 1, 64) && s.level <= 100),
            "skill",
        ),
        (ticket.excluded_agents.len() <= 16, "excluded"),
        (
            ticket.excluded_agents.iter().all(|agent| within(agent, 1, 128)),
            "excluded agent",
        ),
        (ticket.not_before_us >= 0, "not_before"),
        (ticket.context.len() <= 1024, "context"),
    ];
    rules
        .into_iter()
        .find(|(holds, _)| !holds)
        .map_or(Ok(()), |(_, what)| Err(what))
}

fn ticket() -> pb::NewTicket {
    pb::NewTicket {
        id: "t-1".into(),
        channel: "chat".into(),
        ..pb::NewTicket::default()
    }
}

fn refused(method: Method, message: &impl Message) -> (Code, String) {
    let bytes = message.encode_to_vec();
    let no = match decode(method, &bytes) {
        Ok(Request::Write(write)) => (0..write.len())
            .find_map(|item| write.command(item).err())
            .expect("a refusal"),
        Ok(other) => panic!("{other:?}"),
        Err(no) => no,
    };
    (no.code, no.subject)
}

#[test]
fn each_bad_ticket_names_its_field() {
    let attribute = |name: &str, value: &str, confidence_milli| pb::Attribute {
        name: name.into(),
        value: value.into(),
        confidence_milli,
    };
    let skill = |skill: &str, level| pb::SkillLevel {
        skill: skill.into(),
        level,
    };
    let tier = attribute("tier", "vip", None);
    let cases: Vec<(pb::NewTicket, Code, &str)> = vec![
        (
            pb::NewTicket {
                id: String::new(),
                ..ticket()
            },
            Code::FieldMissing,
            "id",
        ),
        (
            pb::NewTicket {
                id: "x".repeat(129),
                ..ticket()
            },
            Code::FieldTooLong,
            "id",
        ),
        (
            pb::NewTicket {
                id: "x".repeat(1 << 20),
                ..ticket()
            },
            Code::FieldTooLong,
            "id",
        ),
        (
            pb::NewTicket {
                channel: String::new(),
                ..ticket()
            },
            Code::FieldMissing,
            "channel",
        ),
        (
            pb::NewTicket {
                channel: "x".repeat(65),
                ..ticket()
            },
            Code::FieldTooLong,
            "channel",
        ),
        (
            pb::NewTicket {
                customer: "x".repeat(129),
                ..ticket()
            },
            Code::FieldTooLong,
            "customer",
        ),
        (
            pb::NewTicket {
                source: "x".repeat(129),
                ..ticket()
            },
            Code::FieldTooLong,
            "source",
        ),
        (
            pb::NewTicket {
                preferred_agent: "x".repeat(129),
                ..ticket()
            },
            Code::FieldTooLong,
            "preferred_agent",
        ),
        (
            pb::NewTicket {
                not_before_us: -1,
                ..ticket()
            },
            Code::OutOfRange,
            "not_before_us",
        ),
        (
            pb::NewTicket {
                context: vec![0; 1025],
                ..ticket()
            },
            Code::FieldTooLong,
            "context",
        ),
        (
            pb::NewTicket {
                attributes: vec![tier.clone(), attribute("", "", None)],
                ..ticket()
            },
            Code::FieldMissing,
            "attributes[1].name",
        ),
        (
            pb::NewTicket {
                attributes: vec![attribute("tier", &"x".repeat(257), None)],
                ..ticket()
            },
            Code::FieldTooLong,
            "attributes[0].value",
        ),
        (
            pb::NewTicket {
                attributes: vec![attribute("tier", "", Some(1001))],
                ..ticket()
            },
            Code::OutOfRange,
            "attributes[0].confidence_milli",
        ),
        (
            pb::NewTicket {
                attributes: vec![tier.clone(), tier.clone()],
                ..ticket()
            },
            Code::OutOfRange,
            "attributes",
        ),
        (
            pb::NewTicket {
                attributes: vec![tier; 33],
                ..ticket()
            },
            Code::TooMany,
            "attributes",
        ),
        (
            pb::NewTicket {
                skills: vec![skill("general", 101)],
                ..ticket()
            },
            Code::OutOfRange,
            "skills[0].level",
        ),
        (
            pb::NewTicket {
                skills: vec![skill("general", u32::MAX)],
                ..ticket()
            },
            Code::OutOfRange,
            "skills[0].level",
        ),
        (
            pb::NewTicket {
                skills: vec![skill("", 1)],
                ..ticket()
            },
            Code::FieldMissing,
            "skills[0].skill",
        ),
        (
            pb::NewTicket {
                skills: vec![skill("general", 1); 10_000],
                ..ticket()
            },
            Code::TooMany,
            "skills",
        ),
        (
            pb::NewTicket {
                excluded_agents: vec!["a".into(); 17],
                ..ticket()
            },
            Code::TooMany,
            "excluded_agents",
        ),
        (
            pb::NewTicket {
                excluded_agents: vec!["a".into(), String::new()],
                ..ticket()
            },
            Code::FieldMissing,
            "excluded_agents[1]",
        ),
    ];
    for (bad, code, subject) in cases {
        let single = pb::RouteRequest {
            ticket: Some(bad.clone()),
            wait_ms: 0,
        };
        assert_eq!(refused(Method::Route, &single), (code, format!("ticket.{subject}")));
        let batch = pb::RouteBatchRequest {
            tickets: vec![ticket(), bad, ticket()],
            tag: 0,
        };
        assert_eq!(
            refused(Method::RouteBatch, &batch),
            (code, format!("tickets[1].{subject}"))
        );
    }
}

#[test]
fn one_bad_item_leaves_the_others() {
    let batch = pb::RouteBatchRequest {
        tickets: vec![ticket(), pb::NewTicket::default(), ticket()],
        tag: 7,
    }
    .encode_to_vec();
    let Ok(Request::Write(write)) = decode(Method::RouteBatch, &batch) else {
        panic!("a write")
    };
    let taken: Vec<bool> = (0..write.len()).map(|item| write.command(item).is_ok()).collect();
    assert_eq!(taken, [true, false, true]);
    assert_eq!(write.command(3).unwrap_err().code, Code::Internal);
}

#[test]
fn each_other_bad_request_names_its_field() {
    let ticket = || "t".to_owned();
    let presence = |presence| pb::SetPresenceRequest {
        session: "s".into(),
        agent: "a".into(),
        presence,
        reason: String::new(),
    };
    let agent = || pb::AgentSpec {
        id: "a".into(),
        ..pb::AgentSpec::default()
    };
    let agents = |agent| pb::UpsertAgentsRequest { agents: vec![agent] };
    let skill = |skill: &str, level| pb::SkillLevel {
        skill: skill.into(),
        level,
    };
    let channel = |channel: &str, limit| pb::AgentChannel {
        channel: channel.into(),
        limit,
    };
    let many_skills = |count| (0..count).map(|index| skill(&format!("s{index}"), 1)).collect();
    let requirement = |groups: Vec<Vec<pb::SkillLevel>>| pb::TransferRequest {
        ticket: ticket(),
        attempt: 1,
        to: Some(pb::transfer_request::To::Requirement(pb::Requirement {
            needs: groups.into_iter().map(|skills| pb::AnyOf { skills }).collect(),
            none_of: Vec::new(),
        })),
    };
    let act = |action| pb::ActRequest {
        actions: vec![pb::AgentAction { action, tag: 1 }],
    };
    let list = |page_size, page_token: &str| pb::ListTicketsRequest {
        page_size,
        page_token: page_token.into(),
        ..Default::default()
    };

    let cases = [
        (
            refused(Method::Route, &pb::RouteRequest::default()),
            Code::FieldMissing,
            "ticket.id",
        ),
        (
            refused(
                Method::Route,
                &pb::RouteRequest {
                    ticket: Some(self::ticket()),
                    wait_ms: 60_001,
                },
            ),
            Code::OutOfRange,
            "wait_ms",
        ),
        (
            refused(Method::RouteBatch, &pb::RouteBatchRequest::default()),
            Code::FieldMissing,
            "tickets",
        ),
        (
            refused(
                Method::RouteBatch,
                &pb::RouteBatchRequest {
                    tickets: vec![self::ticket(); 4097],
                    tag: 0,
                },
            ),
            Code::TooMany,
            "tickets",
        ),
        (
            refused(
                Method::Update,
                &pb::UpdateRequest {
                    id: ticket(),
                    ..Default::default()
                },
            ),
            Code::OutOfRange,
            "revision",
        ),
        (
            refused(
                Method::Cancel,
                &pb::CancelRequest {
                    id: ticket(),
                    reason: "x".repeat(129),
                },
            ),
            Code::FieldTooLong,
            "reason",
        ),
        (
            refused(Method::GetTicket, &pb::GetTicketRequest::default()),
            Code::FieldMissing,
            "id",
        ),
        (
            refused(Method::Explain, &pb::ExplainRequest::default()),
            Code::FieldMissing,
            "ticket",
        ),
        (
            refused(Method::ListTickets, &list(1001, "")),
            Code::OutOfRange,
            "page_size",
        ),
        (
            refused(Method::ListTickets, &list(0, "page 2")),
            Code::UnknownValue,
            "page_token",
        ),
        (
            refused(
                Method::ListTickets,
                &pb::ListTicketsRequest {
                    states: vec![1, 10],
                    ..Default::default()
                },
            ),
            Code::UnknownValue,
            "states[1]",
        ),
        (
            refused(
                Method::ListTickets,
                &pb::ListTicketsRequest {
                    states: vec![1; 17],
                    ..Default::default()
                },
            ),
            Code::TooMany,
            "states",
        ),
        (
            refused(
                Method::ListAgents,
                &pb::ListAgentsRequest {
                    presences: vec![0],
                    ..Default::default()
                },
            ),
            Code::UnknownValue,
            "presences[0]",
        ),
        (
            refused(
                Method::GetPositions,
                &pb::GetPositionsRequest {
                    ids: vec![ticket(); 10_001],
                    source: String::new(),
                },
            ),
            Code::TooMany,
            "ids",
        ),
        (
            refused(
                Method::GetPositions,
                &pb::GetPositionsRequest {
                    ids: vec![ticket(), String::new()],
                    source: String::new(),
                },
            ),
            Code::FieldMissing,
            "ids[1]",
        ),
        (
            refused(
                Method::GetPositions,
                &pb::GetPositionsRequest {
                    ids: vec![ticket()],
                    source: "s".into(),
                },
            ),
            Code::OutOfRange,
            "source",
        ),
        (
            refused(
                Method::OpenSession,
                &pb::OpenSessionRequest {
                    session: "s".into(),
                    lease_ms: 999,
                },
            ),
            Code::OutOfRange,
            "lease_ms",
        ),
        (
            refused(
                Method::OpenSession,
                &pb::OpenSessionRequest {
                    session: "s".into(),
                    lease_ms: 3_600_001,
                },
            ),
            Code::OutOfRange,
            "lease_ms",
        ),
        (
            refused(Method::SetPresence, &presence(0)),
            Code::UnknownValue,
            "presence",
        ),
        (
            refused(Method::SetPresence, &presence(5)),
            Code::UnknownValue,
            "presence",
        ),
        (
            refused(Method::SetPresence, &presence(-1)),
            Code::UnknownValue,
            "presence",
        ),
        (refused(Method::Login, &presence(5)), Code::UnknownValue, "presence"),
        (
            refused(
                Method::UpsertAgents,
                &agents(pb::AgentSpec {
                    id: String::new(),
                    ..agent()
                }),
            ),
            Code::FieldMissing,
            "agents[0].id",
        ),
        (
            refused(
                Method::UpsertAgents,
                &agents(pb::AgentSpec {
                    capacity: 100_001,
                    ..agent()
                }),
            ),
            Code::OutOfRange,
            "agents[0].capacity",
        ),
        (
            refused(
                Method::UpsertAgents,
                &agents(pb::AgentSpec {
                    skills: many_skills(257),
                    ..agent()
                }),
            ),
            Code::TooMany,
            "agents[0].skills",
        ),
        (
            refused(
                Method::UpsertAgents,
                &agents(pb::AgentSpec {
                    skills: vec![skill("a", 1), skill("a", 2)],
                    ..agent()
                }),
            ),
            Code::OutOfRange,
            "agents[0].skills",
        ),
        (
            refused(
                Method::UpsertAgents,
                &agents(pb::AgentSpec {
                    skills: [many_skills(200), vec![skill("s7", 2)]].concat(),
                    ..agent()
                }),
            ),
            Code::OutOfRange,
            "agents[0].skills",
        ),
        (
            refused(
                Method::UpsertAgents,
                &agents(pb::AgentSpec {
                    channels: vec![channel("chat", 1), channel("chat", 2)],
                    ..agent()
                }),
            ),
            Code::OutOfRange,
            "agents[0].channels",
        ),
        (
            refused(
                Method::UpsertAgents,
                &agents(pb::AgentSpec {
                    channels: vec![channel("", 1)],
                    ..agent()
                }),
            ),
            Code::FieldMissing,
            "agents[0].channels[0].channel",
        ),
        (
            refused(
                Method::RemoveAgents,
                &pb::RemoveAgentsRequest {
                    ids: vec!["a".into(), String::new()],
                },
            ),
            Code::FieldMissing,
            "ids[1]",
        ),
        (
            refused(
                Method::Transfer,
                &pb::TransferRequest {
                    ticket: ticket(),
                    attempt: 1,
                    to: None,
                },
            ),
            Code::FieldMissing,
            "to",
        ),
        (
            refused(Method::Transfer, &requirement(vec![vec![]])),
            Code::FieldMissing,
            "requirement.needs[0].skills",
        ),
        (
            refused(Method::Transfer, &requirement(vec![vec![skill("a", 1)]; 25])),
            Code::TooMany,
            "requirement.needs",
        ),
        (
            refused(
                Method::Transfer,
                &requirement(vec![vec![skill("a", 1), skill("b", 101)]]),
            ),
            Code::OutOfRange,
            "requirement.needs[0].skills[1].level",
        ),
        (
            refused(
                Method::Mark,
                &pb::MarkRequest {
                    ticket: ticket(),
                    attempt: 1,
                    moment: String::new(),
                },
            ),
            Code::FieldMissing,
            "moment",
        ),
        (
            refused(
                Method::PauseClock,
                &pb::PauseClockRequest {
                    ticket: ticket(),
                    clock: "x".repeat(65),
                },
            ),
            Code::FieldTooLong,
            "clock",
        ),
        (
            refused(
                Method::Complete,
                &pb::CompleteRequest {
                    ticket: ticket(),
                    attempt: 1,
                    outcome: "x".repeat(129),
                    context: Vec::new(),
                },
            ),
            Code::FieldTooLong,
            "outcome",
        ),
        (
            refused(Method::Act, &act(None)),
            Code::FieldMissing,
            "actions[0].action",
        ),
        (
            refused(
                Method::Act,
                &act(Some(pb::agent_action::Action::Accept(pb::AcceptRequest::default()))),
            ),
            Code::FieldMissing,
            "actions[0].accept.ticket",
        ),
        (
            refused(
                Method::Assign,
                &pb::AssignRequest {
                    ticket: ticket(),
                    agent: String::new(),
                },
            ),
            Code::FieldMissing,
            "agent",
        ),
        (
            refused(
                Method::Move,
                &pb::MoveRequest {
                    ticket: ticket(),
                    queue: String::new(),
                },
            ),
            Code::FieldMissing,
            "queue",
        ),
        (
            refused(
                Method::WatchOpen,
                &pb::WatchRequest {
                    batch_max: 4097,
                    ..Default::default()
                },
            ),
            Code::OutOfRange,
            "batch_max",
        ),
        (
            refused(
                Method::WatchOpen,
                &pb::WatchRequest {
                    sources: vec!["s".into(); 257],
                    ..Default::default()
                },
            ),
            Code::TooMany,
            "sources",
        ),
        (
            refused(Method::WorkOpen, &pb::WorkRequest::default()),
            Code::FieldMissing,
            "session",
        ),
        (
            refused(Method::InstallPolicy, &pb::InstallPolicyRequest::default()),
            Code::PolicyInvalid,
            "policy.format",
        ),
        (
            refused(
                Method::InstallPolicy,
                &pb::InstallPolicyRequest {
                    policy: vec![0xff],
                    reclassify: false,
                },
            ),
            Code::Malformed,
            "policy",
        ),
        (
            refused(Method::Work, &pb::WorkRequest::default()),
            Code::UnknownMethod,
            "/csroute.v1.AgentService/Work",
        ),
    ];
    for (index, (refused, code, subject)) in cases.into_iter().enumerate() {
        assert_eq!(refused, (code, subject.to_owned()), "case {index}");
    }
}

#[test]
fn defaults_are_filled_where_the_wire_says_so() {
    let plain = |method, message: &dyn Fn() -> Vec<u8>| format!("{:?}", decode(method, &message()).unwrap());
    let login = plain(Method::Login, &|| {
        pb::LoginRequest {
            session: "s".into(),
            agent: "a".into(),
            ..Default::default()
        }
        .encode_to_vec()
    });
    assert!(login.contains("presence: Available"), "{login}");
    let session = plain(Method::OpenSession, &|| {
        pb::OpenSessionRequest {
            session: "s".into(),
            lease_ms: 0,
        }
        .encode_to_vec()
    });
    assert!(session.contains("lease: 30000"), "{session}");
    let agent = pb::AgentSpec {
        id: "a".into(),
        skills: vec![pb::SkillLevel {
            skill: "x".into(),
            level: 0,
        }],
        ..Default::default()
    };
    let bytes = pb::UpsertAgentsRequest { agents: vec![agent] }.encode_to_vec();
    let Ok(Request::Write(write)) = decode(Method::UpsertAgents, &bytes) else {
        panic!("a write")
    };
    let Ok(Command::UpsertAgent(agent)) = write.command(0) else {
        panic!("an agent")
    };
    assert_eq!(
        (agent.capacity, agent.skills[0].level, agent.channels.len()),
        (100, 1, 0)
    );
    let Ok(Request::WatchOpen(watch)) = decode(Method::WatchOpen, &[]) else {
        panic!("a watch")
    };
    assert_eq!(watch.batch_max, 512);
}

#[test]
fn the_table_of_methods_is_whole() {
    for pair in Method::ALL.windows(2) {
        assert!(pair[0].number() < pair[1].number());
    }
    for &method in Method::ALL {
        assert_eq!(Method::from_number(method.number()), Some(method));
        let decoded = decode(method, &[]);
        match method.effect() {
            Effect::Door => assert_eq!(decoded.unwrap_err().code, Code::UnknownMethod),
            Effect::Read => assert!(matches!(decoded, Ok(Request::Read(_)) | Err(_))),
            Effect::Write => assert!(matches!(decoded, Ok(Request::Write(_)) | Err(_))),
            Effect::Node => assert!(!matches!(decoded, Ok(Request::Write(_) | Request::Read(_)))),
        }
    }
    assert_eq!(Method::from_number(0), None);
}

#[test]
fn the_paths_are_those_of_the_protos() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protos/csroute/v1");
    let mut declared = Vec::new();
    for service in ["RoutingService", "AgentService", "AdminService"] {
        let file = service.replace("Service", "_service.proto").to_lowercase();
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let names = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next());
        declared.extend(names.map(|name| format!("/csroute.v1.{service}/{name}")));
    }
    let mut known: Vec<String> = Method::ALL
        .iter()
        .map(|method| method.path().to_owned())
        .filter(|path| path.starts_with('/'))
        .collect();
    declared.sort();
    known.sort();
    assert_eq!(known, declared);
}
