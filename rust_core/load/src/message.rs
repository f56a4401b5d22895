//! Of the messages, what the generator reads and writes: the rest of a reply is skipped, requests are put together from
//! parts that were serialized once.

use bytes::Bytes;
use prost::Message;
use prost::encoding::encode_varint;

pub const OFFERED: i32 = 4;
pub const ACTIVE: i32 = 5;
pub const WRAPPING: i32 = 6;

#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

/// `RouteReply`, and the answer to an action.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct RouteReply {
    #[prost(int32, tag = "2")]
    pub state: i32,
    #[prost(bool, tag = "3")]
    pub replayed: bool,
    #[prost(uint32, tag = "6")]
    pub attempt: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct RouteResult {
    #[prost(message, optional, tag = "1")]
    pub reply: Option<RouteReply>,
    #[prost(message, optional, tag = "2")]
    pub rejection: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RouteBatchReply {
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<RouteResult>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct ActionReply {
    #[prost(bool, tag = "1")]
    pub replayed: bool,
    #[prost(int32, tag = "2")]
    pub state: i32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct ActionResult {
    #[prost(message, optional, tag = "1")]
    pub reply: Option<ActionReply>,
    #[prost(message, optional, tag = "2")]
    pub rejection: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ActionResults {
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<ActionResult>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Offered {
    #[prost(bytes = "bytes", tag = "3")]
    pub context: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub struct Assigned {
    /// There if nobody was offered it before.
    #[prost(message, optional, tag = "1")]
    pub reason: Option<Empty>,
    #[prost(bytes = "bytes", tag = "2")]
    pub context: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(bytes = "bytes", tag = "4")]
    pub ticket: Bytes,
    #[prost(uint32, tag = "10")]
    pub attempt: u32,
    #[prost(message, optional, tag = "25")]
    pub offered: Option<Offered>,
    #[prost(message, optional, tag = "26")]
    pub assigned: Option<Assigned>,
}

#[derive(Clone, PartialEq, Message)]
pub struct HeldTicket {
    #[prost(bytes = "bytes", tag = "1")]
    pub id: Bytes,
    #[prost(uint32, tag = "10")]
    pub attempt: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct HeldWork {
    #[prost(message, optional, tag = "2")]
    pub ticket: Option<HeldTicket>,
}

#[derive(Clone, PartialEq, Message)]
pub struct WorkOpening {
    #[prost(message, repeated, tag = "2")]
    pub work: Vec<HeldWork>,
}

#[derive(Clone, PartialEq, Message)]
pub struct WorkReply {
    #[prost(message, optional, tag = "1")]
    pub opening: Option<WorkOpening>,
    #[prost(message, repeated, tag = "2")]
    pub results: Vec<ActionResult>,
    #[prost(message, repeated, tag = "3")]
    pub events: Vec<Event>,
}

#[derive(Clone, PartialEq, Message)]
pub struct WorkRequest {
    #[prost(string, tag = "1")]
    pub session: String,
}

/// What a desk does; its number is the field in `AgentAction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Verb {
    Accept = 3,
    Complete = 5,
    EndWrapUp = 10,
}

/// Where a request has its actions: the field's tag.
pub const ACT: u8 = 1 << 3 | 2;
pub const WORK: u8 = 2 << 3 | 2;

/// Appends an action to a request. Its id must be shorter than 100 bytes, so that each length is one byte.
pub fn put_action(out: &mut Vec<u8>, field: u8, verb: Verb, ticket: &[u8], attempt: u32) {
    let attempt_bytes = prost::encoding::encoded_len_varint(attempt.into());
    let body = 2 + ticket.len() + 1 + attempt_bytes;
    out.extend_from_slice(&[
        field,
        body as u8 + 2,
        (verb as u8) << 3 | 2,
        body as u8,
        0x0a,
        ticket.len() as u8,
    ]);
    out.extend_from_slice(ticket);
    out.push(0x10);
    encode_varint(attempt.into(), out);
}

/// Appends a ticket, to a `RouteRequest` or a `RouteBatchRequest`: both have it in their first field.
/// `rest` is a `NewTicket` without id and context; the context is a time.
pub fn put_ticket(out: &mut Vec<u8>, id: &[u8], rest: &[u8], due_ns: u64) {
    const CONTEXT: [u8; 2] = [10 << 3 | 2, 8];
    out.push(0x0a);
    encode_varint((2 + id.len() + rest.len() + CONTEXT.len() + 8) as u64, out);
    out.extend_from_slice(&[0x0a, id.len() as u8]);
    out.extend_from_slice(id);
    out.extend_from_slice(rest);
    out.extend_from_slice(&CONTEXT);
    out.extend_from_slice(&due_ns.to_le_bytes());
}

/// The time in a ticket's context.
pub fn due_ns(context: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(context.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use csroute_wire::pb::csroute::v1 as pb;

    use super::*;

    #[test]
    fn tickets_and_actions_are_the_wires() {
        let rest = pb::NewTicket {
            channel: "chat".into(),
            customer: "c".repeat(128),
            ..pb::NewTicket::default()
        };
        let mut bytes = Vec::new();
        put_ticket(&mut bytes, b"run.00-00000001", &rest.encode_to_vec(), 77);
        let ticket = pb::RouteRequest::decode(&*bytes)
            .expect("a request")
            .ticket
            .expect("a ticket");
        assert_eq!(due_ns(&ticket.context), Some(77));
        let expected = pb::NewTicket {
            id: "run.00-00000001".into(),
            context: ticket.context.clone(),
            ..rest
        };
        assert_eq!(ticket, expected);
        assert_eq!(
            pb::RouteBatchRequest::decode(&*bytes).expect("a batch").tickets,
            [expected]
        );

        let mut bytes = Vec::new();
        put_action(&mut bytes, ACT, Verb::Complete, b"t-1", 300);
        let actions = pb::ActRequest::decode(&*bytes).expect("a request").actions;
        let complete = pb::CompleteRequest {
            ticket: "t-1".into(),
            attempt: 300,
            ..pb::CompleteRequest::default()
        };
        assert_eq!(actions[0].action, Some(pb::agent_action::Action::Complete(complete)));
    }

    #[test]
    fn replies_are_read_as_they_are_written() {
        let event = pb::Event {
            ticket: "t-1".into(),
            attempt: 2,
            kind: Some(pb::event::Kind::Assigned(pb::Assigned {
                reason: Some(pb::MatchReason::default()),
                context: vec![1; 8],
                ..pb::Assigned::default()
            })),
            ..pb::Event::default()
        };
        let ticket = pb::Ticket {
            id: "t-2".into(),
            agent: "a".into(),
            attempt: 3,
            ..pb::Ticket::default()
        };
        let work = vec![pb::HeldWork {
            agent: "a".into(),
            ticket: Some(ticket),
        }];
        let opening = Some(pb::WorkOpening {
            work,
            sequence: 9,
            ..pb::WorkOpening::default()
        });
        let reply = pb::WorkReply {
            opening,
            events: vec![event],
            ..pb::WorkReply::default()
        };
        let read = WorkReply::decode(&*reply.encode_to_vec()).expect("the same message");
        let heard = &read.events[0];
        assert_eq!((&heard.ticket[..], heard.attempt), (&b"t-1"[..], 2));
        let assigned = heard.assigned.as_ref().expect("that kind");
        assert!(assigned.reason.is_some() && due_ns(&assigned.context).is_some());
        let held = read.opening.expect("it opens").work[0]
            .ticket
            .clone()
            .expect("a ticket");
        assert_eq!((&held.id[..], held.attempt), (&b"t-2"[..], 3));

        let reply = pb::RouteReply {
            state: 5,
            replayed: true,
            attempt: 7,
            ..pb::RouteReply::default()
        };
        let same = RouteReply {
            state: ACTIVE,
            replayed: true,
            attempt: 7,
        };
        assert_eq!(RouteReply::decode(&*reply.encode_to_vec()), Ok(same));
        let reply = pb::ActionReply {
            state: 6,
            replayed: true,
            sequence: 8,
        };
        let same = ActionReply {
            replayed: true,
            state: WRAPPING,
        };
        assert_eq!(ActionReply::decode(&*reply.encode_to_vec()), Ok(same));
    }
}
