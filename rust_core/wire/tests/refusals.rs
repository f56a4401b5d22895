//! Each bad request, tried: its number, and the path of its field.
#![allow(clippy::needless_update)] // one shape for every line of the tables

use csroute_engine::{Code, Command};
use csroute_wire::pb::csroute::v1 as pb;
use csroute_wire::{Method, Request, decode};
use pb::agent_action::Action;
use pb::transfer_request::To;
use prost::Message;

/// The first refusal of this request: the whole's, or an item's.
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

fn long(length: usize) -> String {
    "x".repeat(length)
}

fn ticket() -> pb::NewTicket {
    pb::NewTicket {
        id: "t-1".into(),
        channel: "chat".into(),
        ..pb::NewTicket::default()
    }
}

fn attribute(name: &str, value: &str, confidence_milli: u32) -> pb::Attribute {
    pb::Attribute {
        name: name.into(),
        value: value.into(),
        confidence_milli: Some(confidence_milli),
    }
}

fn skill(skill: &str, level: u32) -> pb::SkillLevel {
    pb::SkillLevel {
        skill: skill.into(),
        level,
    }
}

fn skills(count: usize) -> Vec<pb::SkillLevel> {
    (0..count).map(|index| skill(&format!("s{index}"), 1)).collect()
}

fn channel(channel: &str) -> pb::AgentChannel {
    pb::AgentChannel {
        channel: channel.into(),
        limit: 1,
    }
}

/// The least that is a policy.
fn sound() -> Vec<u8> {
    let rule = pb::RuleTable {
        name: "all".into(),
        ..pb::RuleTable::default()
    };
    let layer = pb::LayerTable {
        name: "who".into(),
        rules: vec![rule],
        ..pb::LayerTable::default()
    };
    let policy = pb::CompiledPolicy {
        format: 1,
        name: "least".into(),
        layers: vec![layer],
        ..pb::CompiledPolicy::default()
    };
    policy.encode_to_vec()
}

fn later(at_us: i64, policy: Vec<u8>) -> pb::LaterPolicy {
    pb::LaterPolicy {
        at_us,
        policy,
        reclassify: false,
    }
}

fn needs(groups: Vec<Vec<pb::SkillLevel>>) -> To {
    let needs = groups.into_iter().map(|skills| pb::AnyOf { skills }).collect();
    To::Requirement(pb::Requirement {
        needs,
        none_of: Vec::new(),
    })
}

macro_rules! tickets {
    ($($field:ident: $value:expr => $code:ident, $subject:literal;)*) => {
        vec![$((pb::NewTicket { $field: $value, ..ticket() }, Code::$code, $subject)),*]
    };
}

#[test]
fn each_bad_ticket_names_its_field() {
    let tier = attribute("tier", "vip", 1000);
    let cases = tickets! {
        id: String::new() => FieldMissing, "id";
        id: long(129) => FieldTooLong, "id";
        id: long(1 << 20) => FieldTooLong, "id";
        channel: String::new() => FieldMissing, "channel";
        channel: long(65) => FieldTooLong, "channel";
        customer: long(129) => FieldTooLong, "customer";
        source: long(129) => FieldTooLong, "source";
        preferred_agent: long(129) => FieldTooLong, "preferred_agent";
        not_before_us: -1 => OutOfRange, "not_before_us";
        context: vec![0; 1025] => FieldTooLong, "context";
        attributes: vec![tier.clone(), attribute("", "", 0)] => FieldMissing, "attributes[1].name";
        attributes: vec![attribute(&long(65), "", 0)] => FieldTooLong, "attributes[0].name";
        attributes: vec![attribute("tier", &long(257), 0)] => FieldTooLong, "attributes[0].value";
        attributes: vec![attribute("tier", "", 1001)] => OutOfRange, "attributes[0].confidence_milli";
        attributes: vec![tier.clone(), tier.clone()] => OutOfRange, "attributes";
        attributes: vec![tier; 33] => TooMany, "attributes";
        skills: vec![skill("", 1)] => FieldMissing, "skills[0].skill";
        skills: vec![skill("general", 101)] => OutOfRange, "skills[0].level";
        skills: vec![skill("general", u32::MAX)] => OutOfRange, "skills[0].level";
        skills: skills(10_000) => TooMany, "skills";
        excluded_agents: vec!["a".into(); 17] => TooMany, "excluded_agents";
        excluded_agents: vec!["a".into(), String::new()] => FieldMissing, "excluded_agents[1]";
    };
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

macro_rules! refusals {
    ($($method:ident: $message:ident { $($field:ident: $value:expr),* } => $code:ident, $subject:literal;)*) => {$(
        let message = pb::$message { $($field: $value.into(),)* ..pb::$message::default() };
        assert_eq!(refused(Method::$method, &message), (Code::$code, $subject.to_owned()), "{message:?}");
    )*};
}

#[test]
fn each_bad_request_to_route_or_read_names_its_field() {
    refusals! {
        Route: RouteRequest {} => FieldMissing, "ticket.id";
        Route: RouteRequest { ticket: ticket(), wait_ms: 60_001_u32 } => OutOfRange, "wait_ms";
        RouteBatch: RouteBatchRequest {} => FieldMissing, "tickets";
        RouteBatch: RouteBatchRequest { tickets: vec![ticket(); 4097] } => TooMany, "tickets";
        Update: UpdateRequest { id: "t" } => OutOfRange, "revision";
        Update: UpdateRequest { id: "t", revision: 1_u64, attributes: [attribute("", "", 0)] } => FieldMissing, "attributes[0].name";
        Cancel: CancelRequest { id: "t", reason: long(129) } => FieldTooLong, "reason";
        Suspend: SuspendRequest {} => FieldMissing, "id";
        Resume: ResumeRequest { id: long(129) } => FieldTooLong, "id";
        GetTicket: GetTicketRequest {} => FieldMissing, "id";
        Explain: ExplainRequest {} => FieldMissing, "ticket";
        ExplainQueue: ExplainQueueRequest {} => FieldMissing, "queue";
        ExplainQueue: ExplainQueueRequest { queue: long(65) } => FieldTooLong, "queue";
        PolicyCanary: CanaryRequest {} => FieldMissing, "policy";
        Tune: TuneRequest { lapse_ms: 99_u32 } => OutOfRange, "lapse_ms";
        Tune: TuneRequest { rules: [pb::RuleTuning::default()] } => FieldMissing, "rules[0].layer";
        Tune: TuneRequest { rules: vec![pb::RuleTuning::default(); 257] } => TooMany, "rules";
        ListTickets: ListTicketsRequest { page_size: 1001_u32 } => OutOfRange, "page_size";
        ListTickets: ListTicketsRequest { page_token: "page 2" } => UnknownValue, "page_token";
        ListTickets: ListTicketsRequest { states: [1, 10] } => UnknownValue, "states[1]";
        ListTickets: ListTicketsRequest { states: [1; 17] } => TooMany, "states";
        ListTickets: ListTicketsRequest { source: long(129) } => FieldTooLong, "source";
        ListAgents: ListAgentsRequest { presences: [0] } => UnknownValue, "presences[0]";
        ListAgents: ListAgentsRequest { page_token: "-1" } => UnknownValue, "page_token";
        GetPositions: GetPositionsRequest { ids: vec!["t".to_owned(); 10_001] } => TooMany, "ids";
        GetPositions: GetPositionsRequest { ids: ["t".to_owned(), String::new()] } => FieldMissing, "ids[1]";
        GetPositions: GetPositionsRequest { ids: ["t".to_owned()], source: "s" } => OutOfRange, "source";
        WatchOpen: WatchRequest { batch_max: 4097_u32 } => OutOfRange, "batch_max";
        WatchOpen: WatchRequest { sources: vec!["s".to_owned(); 257] } => TooMany, "sources";
        WatchOpen: WatchRequest { queues: [long(65)] } => FieldTooLong, "queues[0]";
    }
}

#[test]
fn each_bad_request_of_an_agents_side_names_its_field() {
    let agent = |agent: pb::AgentSpec| {
        [pb::AgentSpec {
            id: "a".into(),
            ..agent
        }]
    };
    let spec = pb::AgentSpec::default;
    let act = |action| [pb::AgentAction { action, tag: 1 }];
    refusals! {
        OpenSession: OpenSessionRequest {} => FieldMissing, "session";
        OpenSession: OpenSessionRequest { session: "s", lease_ms: 999_u32 } => OutOfRange, "lease_ms";
        OpenSession: OpenSessionRequest { session: "s", lease_ms: 3_600_001_u32 } => OutOfRange, "lease_ms";
        RenewLease: RenewLeaseRequest {} => FieldMissing, "session";
        Login: LoginRequest { session: "s", agent: "a", presence: 5 } => UnknownValue, "presence";
        SetPresence: SetPresenceRequest { session: "s", agent: "a" } => UnknownValue, "presence";
        SetPresence: SetPresenceRequest { session: "s", agent: "a", presence: -1 } => UnknownValue, "presence";
        SetPresence: SetPresenceRequest { session: "s", agent: "a", presence: 1, reason: long(129) } => FieldTooLong, "reason";
        UpsertAgents: UpsertAgentsRequest { agents: [spec()] } => FieldMissing, "agents[0].id";
        UpsertAgents: UpsertAgentsRequest { agents: agent(pb::AgentSpec { capacity: 100_001, ..spec() }) } => OutOfRange, "agents[0].capacity";
        UpsertAgents: UpsertAgentsRequest { agents: agent(pb::AgentSpec { skills: skills(257), ..spec() }) } => TooMany, "agents[0].skills";
        UpsertAgents: UpsertAgentsRequest { agents: agent(pb::AgentSpec { skills: [skills(2), skills(1)].concat(), ..spec() }) } => OutOfRange, "agents[0].skills";
        UpsertAgents: UpsertAgentsRequest { agents: agent(pb::AgentSpec { skills: [skills(200), skills(1)].concat(), ..spec() }) } => OutOfRange, "agents[0].skills";
        UpsertAgents: UpsertAgentsRequest { agents: agent(pb::AgentSpec { channels: vec![channel("chat"); 2], ..spec() }) } => OutOfRange, "agents[0].channels";
        UpsertAgents: UpsertAgentsRequest { agents: agent(pb::AgentSpec { channels: vec![channel("")], ..spec() }) } => FieldMissing, "agents[0].channels[0].channel";
        RemoveAgents: RemoveAgentsRequest { ids: ["a".to_owned(), String::new()] } => FieldMissing, "ids[1]";
        Accept: AcceptRequest { ticket: "t", context: vec![0; 1025] } => FieldTooLong, "context";
        Decline: DeclineRequest { ticket: "t", reason: long(129) } => FieldTooLong, "reason";
        Complete: CompleteRequest { ticket: "t", outcome: long(129) } => FieldTooLong, "outcome";
        Transfer: TransferRequest { ticket: "t" } => FieldMissing, "to";
        Transfer: TransferRequest { ticket: "t", to: To::Agent(String::new()) } => FieldMissing, "agent";
        Transfer: TransferRequest { ticket: "t", to: needs(vec![vec![]]) } => FieldMissing, "requirement.needs[0].skills";
        Transfer: TransferRequest { ticket: "t", to: needs(vec![skills(1); 25]) } => TooMany, "requirement.needs";
        Transfer: TransferRequest { ticket: "t", to: needs(vec![skills(17)]) } => TooMany, "requirement.needs[0].skills";
        Transfer: TransferRequest { ticket: "t", to: needs(vec![vec![skill("a", 1), skill("b", 101)]]) } => OutOfRange, "requirement.needs[0].skills[1].level";
        Mark: MarkRequest { ticket: "t" } => FieldMissing, "moment";
        PauseClock: PauseClockRequest { ticket: "t", clock: long(65) } => FieldTooLong, "clock";
        ResumeClock: ResumeClockRequest { ticket: "t" } => FieldMissing, "clock";
        EndWrapUp: EndWrapUpRequest {} => FieldMissing, "ticket";
        Act: ActRequest { actions: act(None) } => FieldMissing, "actions[0].action";
        Act: ActRequest { actions: act(Some(Action::Accept(pb::AcceptRequest::default()))) } => FieldMissing, "actions[0].accept.ticket";
        Act: ActRequest { actions: vec![pb::AgentAction::default(); 4097] } => TooMany, "actions";
        WorkAct: WorkRequest { actions: act(None) } => FieldMissing, "actions[0].action";
        WorkOpen: WorkRequest {} => FieldMissing, "session";
        Assign: AssignRequest { ticket: "t" } => FieldMissing, "agent";
        Move: MoveRequest { ticket: "t" } => FieldMissing, "queue";
        InstallPolicy: InstallPolicyRequest {} => PolicyInvalid, "policy.format";
        InstallPolicy: InstallPolicyRequest { policy: [0xff] } => Malformed, "policy";
        InstallPolicy: InstallPolicyRequest { policy: sound(), later: vec![later(0, sound())] } => OutOfRange, "later[0].at_us";
        InstallPolicy: InstallPolicyRequest { policy: sound(), later: vec![later(5, sound()), later(5, sound())] } => OutOfRange, "later[1].at_us";
        InstallPolicy: InstallPolicyRequest { policy: sound(), later: vec![later(5, vec![])] } => PolicyInvalid, "later[0].policy.format";
        InstallPolicy: InstallPolicyRequest { policy: sound(), later: (1..10).map(|at| later(at, sound())).collect::<Vec<_>>() } => TooMany, "later";
        PolicyApply: ApplyRequest {} => FieldMissing, "policy";
        PolicyApply: ApplyRequest { policy: sound(), label: "x".repeat(129) } => FieldTooLong, "label";
        PolicyApply: ApplyRequest { policy: sound(), why: "x".repeat(1025) } => FieldTooLong, "why";
        PolicyApply: ApplyRequest { policy: sound(), source: "x".repeat((1 << 20) + 1) } => FieldTooLong, "source";
        PolicyList: ListVersionsRequest { page_size: 1001_u32 } => OutOfRange, "page_size";
        PolicyList: ListVersionsRequest { page_token: "soon" } => UnknownValue, "page_token";
        PolicyScene: ActivateSceneRequest { scenes: vec![String::new()] } => FieldMissing, "scenes[0]";
        PolicyScene: ActivateSceneRequest { scenes: vec!["x".to_owned(); 65] } => TooMany, "scenes";
        PolicyRollback: RollbackRequest {} => FieldMissing, "number";
        PolicyOverride: OverrideRequest {} => FieldMissing, "changes";
        PolicyOverride: OverrideRequest { undo: 1_u64, duration_ms: 5 } => OutOfRange, "undo";
        PolicyOverride: OverrideRequest { changes: vec![pb::OverrideChange::default()], duration_ms: 5 } => OutOfRange, "duration_ms";
        PolicyOverride: OverrideRequest { changes: vec![pb::OverrideChange::default()], duration_ms: 5000 } => FieldMissing, "changes[0].change";
        PolicyOverride: OverrideRequest { changes: vec![pb::OverrideChange::default(); 17], duration_ms: 5000 } => TooMany, "changes";
        PolicySetTable: SetTableRequest {} => FieldMissing, "table";
        PolicySetTable: SetTableRequest { table: "t", entries: vec![pb::TableEntry::default()] } => FieldMissing, "entries[0].key";
        PolicySetTable: SetTableRequest { table: "t", entries: vec![pb::TableEntry::default(); 65_537] } => TooMany, "entries";
        Work: WorkRequest {} => UnknownMethod, "/csroute.v1.AgentService/Work";
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
