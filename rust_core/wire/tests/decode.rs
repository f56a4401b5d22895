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
        Method::ExplainQueue => again::<pb::ExplainQueueRequest>(bytes),
        Method::GetLive => again::<pb::GetLiveRequest>(bytes),
        Method::Tune => again::<pb::TuneRequest>(bytes),
        Method::PolicyCanary => again::<pb::CanaryRequest>(bytes),
        Method::PolicyStopCanary => again::<pb::StopCanaryRequest>(bytes),
        Method::PolicyGetCanary => again::<pb::GetCanaryRequest>(bytes),
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
        Method::PolicyApply => again::<pb::ApplyRequest>(bytes),
        Method::PolicyList => again::<pb::ListVersionsRequest>(bytes),
        Method::PolicyGet => again::<pb::GetVersionRequest>(bytes),
        Method::PolicyDiff => again::<pb::DiffRequest>(bytes),
        Method::PolicyScene => again::<pb::ActivateSceneRequest>(bytes),
        Method::PolicyRollback => again::<pb::RollbackRequest>(bytes),
        Method::PolicyOverride => again::<pb::OverrideRequest>(bytes),
        Method::PolicySetTable => again::<pb::SetTableRequest>(bytes),
        Method::Reclassify => again::<pb::ReclassifyRequest>(bytes),
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
            Effect::Policy => assert!(matches!(decoded, Ok(Request::Policies(_)) | Err(_))),
            Effect::Node => assert!(!matches!(decoded, Ok(Request::Write(_) | Request::Read(_)))),
        }
    }
    assert_eq!(Method::from_number(0), None);
}

#[test]
fn the_paths_are_those_of_the_protos() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protos/csroute/v1");
    let mut declared = Vec::new();
    for service in ["RoutingService", "AgentService", "AdminService", "PolicyService"] {
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
