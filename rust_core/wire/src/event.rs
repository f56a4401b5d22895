//! Events to bytes, appended straight to a message.
//!
//! A message is its fields one after another, so a `WatchReply` is made of events that were encoded once:
//!
//! ```
//! # use csroute_engine::{Event, EventKind};
//! # let event = Event { sequence: 7, at: 1, policy_version: 0, ticket: "t".into(), source: "".into(), queue: "".into(),
//! #     class: 0, agent: "".into(), session: "".into(), attempt: 0, kind: EventKind::Resumed };
//! use csroute_wire::{encode_event, finish_watch_reply, pb::csroute::v1::WatchReply};
//! use prost::Message;
//! let mut reply = Vec::new();
//! encode_event(&event, 1, &mut reply);
//! finish_watch_reply(event.sequence, &mut reply);
//! assert_eq!(WatchReply::decode(&*reply).unwrap().events[0].ticket, "t");
//! ```

use csroute_engine::event::{Bytes, TransferredTo};
use csroute_engine::{Event, EventKind};

use crate::proto::Put;
use crate::view::put_reason;

/// Appends an event as a field of a message: 1 in a `WatchReply`, 3 in a `WorkReply`.
pub fn encode_event(event: &Event, field: u32, out: &mut Vec<u8>) {
    out.put_message(field, |out| {
        out.put_u64(1, event.sequence);
        out.put_i64(2, event.at);
        out.put_fixed64(3, event.policy_version);
        out.put_str(4, &event.ticket);
        out.put_str(5, &event.source);
        out.put_str(6, &event.queue);
        out.put_u32(7, event.class);
        out.put_str(8, &event.agent);
        out.put_str(9, &event.session);
        out.put_u32(10, event.attempt);
        out.put_message(kind_field(&event.kind), |out| put_kind(out, event));
    });
}

/// Ends a `WatchReply` of events by its resume token.
pub fn finish_watch_reply(sequence: u64, out: &mut Vec<u8>) {
    out.put_u64(2, sequence);
}

/// Whether an event concerns this session's agents: whether its Work stream carries it.
pub fn concerns(event: &Event, session: &str) -> bool {
    event.session == session
        || matches!(&event.kind, EventKind::AgentSuperseded { old_session, .. } if old_session == session)
}

const fn kind_field(kind: &EventKind) -> u32 {
    match kind {
        EventKind::Scheduled { .. } => 20,
        EventKind::Queued { .. } => 21,
        EventKind::Classified { .. } => 22,
        EventKind::Updated { .. } => 23,
        EventKind::StepTaken { .. } => 24,
        EventKind::Offered { .. } => 25,
        EventKind::Assigned { .. } => 26,
        EventKind::Completed { .. } => 27,
        EventKind::Closed { .. } => 28,
        EventKind::Cancelled { .. } => 29,
        EventKind::Overflowed { .. } => 30,
        EventKind::Suspended { .. } => 31,
        EventKind::Resumed => 32,
        EventKind::Transferred { .. } => 33,
        EventKind::Marked { .. } => 34,
        EventKind::ClockWarned { .. } => 35,
        EventKind::ClockBreached { .. } => 36,
        EventKind::ClockStopped { .. } => 37,
        EventKind::ClockPaused { .. } => 38,
        EventKind::ClockResumed { .. } => 39,
        EventKind::AllDeclined => 40,
        EventKind::ExclusionEnded => 41,
        EventKind::HoldEnded => 42,
        EventKind::AgentUpserted => 43,
        EventKind::AgentRemoved => 44,
        EventKind::PresenceChanged { .. } => 45,
        EventKind::SessionOpened { .. } => 46,
        EventKind::SessionEnded { .. } => 47,
        EventKind::AgentSuperseded { .. } => 48,
        EventKind::PolicyInstalled { .. } => 49,
        EventKind::NodeResumed { .. } => 50,
        EventKind::ConditionTurned { .. } => 51,
    }
}

fn put_context(out: &mut Vec<u8>, field: u32, context: Option<&Bytes>) {
    out.put_bytes(field, context.map_or(&[], |context| context));
}

fn put_kind(out: &mut Vec<u8>, event: &Event) {
    match &event.kind {
        EventKind::Scheduled { not_before: at }
        | EventKind::Suspended { until: at }
        | EventKind::NodeResumed { grace: at } => out.put_i64(1, *at),
        EventKind::Queued { cause, reason } => {
            out.put_u32(1, u32::from(*cause as u8));
            out.put_str(2, reason);
        }
        EventKind::Classified { cause } => out.put_u32(1, u32::from(*cause as u8)),
        EventKind::Updated { revision } => out.put_u64(1, *revision),
        EventKind::StepTaken { step, alert } => {
            out.put_u32(1, *step);
            out.put_str(2, alert);
        }
        EventKind::Offered {
            expires,
            reason,
            context,
        } => {
            out.put_i64(1, *expires);
            out.put_message(2, |out| put_reason(out, reason));
            put_context(out, 3, context.as_ref());
        }
        EventKind::Assigned {
            reason,
            context,
            agent_context,
            waited,
        } => {
            if let Some(reason) = reason {
                out.put_message(1, |out| put_reason(out, reason));
            }
            put_context(out, 2, context.as_ref());
            put_context(out, 3, agent_context.as_ref());
            out.put_i64(4, *waited);
        }
        EventKind::Completed { outcome, wrap_up_until } => {
            out.put_str(1, outcome);
            out.put_i64(2, *wrap_up_until);
        }
        EventKind::Closed { outcome: text }
        | EventKind::Cancelled { reason: text }
        | EventKind::Overflowed { to: text }
        | EventKind::Marked { moment: text }
        | EventKind::ClockBreached { clock: text }
        | EventKind::ClockPaused { clock: text }
        | EventKind::ClockResumed { clock: text } => out.put_str(1, text),
        EventKind::Transferred { to } => match to {
            TransferredTo::Agent(agent) => out.item_bytes(1, agent.as_bytes()),
            TransferredTo::Queue(queue) => out.item_bytes(2, queue.as_bytes()),
            TransferredTo::Requirement => out.item_u64(3, 1),
        },
        EventKind::ClockWarned { clock, point } => {
            out.put_str(1, clock);
            out.put_u32(2, *point);
        }
        EventKind::ClockStopped { clock, elapsed, met } => {
            out.put_str(1, clock);
            out.put_i64(2, *elapsed);
            out.put_bool(3, *met);
        }
        EventKind::PresenceChanged {
            presence,
            reason,
            cause,
        } => {
            out.put_u32(1, u32::from(*presence as u8));
            out.put_str(2, reason);
            out.put_u32(3, u32::from(*cause as u8));
        }
        EventKind::SessionOpened { lease_until } => {
            out.put_str(1, &event.session);
            out.put_i64(2, *lease_until);
        }
        EventKind::SessionEnded { expired } => {
            out.put_str(1, &event.session);
            out.put_bool(2, *expired);
        }
        EventKind::AgentSuperseded {
            old_session,
            new_session,
        } => {
            out.put_str(1, old_session);
            out.put_str(2, new_session);
        }
        EventKind::PolicyInstalled { name, reclassified } => {
            out.put_str(1, name);
            out.put_u64(2, *reclassified);
        }
        EventKind::ConditionTurned {
            reserve,
            queues,
            measure,
            over,
            until,
            on,
        } => {
            out.put_str(1, reserve);
            for queue in queues {
                out.item_bytes(2, queue.as_bytes());
            }
            out.put_u32(3, 1 + u32::from(*measure as u8));
            out.put_i64(4, *over);
            out.put_i64(5, *until);
            out.put_bool(6, *on);
        }
        EventKind::Resumed
        | EventKind::AllDeclined
        | EventKind::ExclusionEnded
        | EventKind::HoldEnded
        | EventKind::AgentUpserted
        | EventKind::AgentRemoved => {}
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
