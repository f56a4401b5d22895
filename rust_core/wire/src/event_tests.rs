//! Every kind of event as prost would write it, byte for byte.

use csroute_engine::command::Presence;
use csroute_engine::event::{ClassCause, PresenceCause, QueueCause};
use prost::Message;

use super::*;
use crate::pb::csroute::v1 as pb;
use crate::pb::csroute::v1::event::Kind;
use crate::view::tests::reason;

#[allow(clippy::too_many_lines)]
fn kinds() -> Vec<(EventKind, Kind)> {
    let context = || Some(Bytes::from(&b"context"[..]));
    let text = || "x".repeat(130);
    vec![
        (
            EventKind::Scheduled { not_before: 5 },
            Kind::Scheduled(pb::Scheduled { not_before_us: 5 }),
        ),
        (
            EventKind::Queued {
                cause: QueueCause::Declined,
                reason: "busy".into(),
            },
            Kind::Queued(pb::Queued {
                cause: pb::QueueCause::Declined.into(),
                reason: "busy".into(),
            }),
        ),
        (
            EventKind::Classified {
                cause: ClassCause::Installed,
            },
            Kind::Classified(pb::Classified {
                cause: pb::ClassCause::Installed.into(),
            }),
        ),
        (
            EventKind::Updated { revision: 7 },
            Kind::Updated(pb::Updated { revision: 7 }),
        ),
        (
            EventKind::StepTaken {
                step: 3,
                alert: text().into(),
            },
            Kind::StepTaken(pb::StepTaken { step: 3, alert: text() }),
        ),
        (
            EventKind::Offered {
                expires: 9,
                reason: reason().0,
                context: context(),
            },
            Kind::Offered(pb::Offered {
                expires_us: 9,
                reason: Some(reason().1),
                context: b"context".into(),
            }),
        ),
        (
            EventKind::Assigned {
                reason: Some(reason().0),
                context: context(),
                agent_context: context(),
                waited: 77,
            },
            Kind::Assigned(pb::Assigned {
                reason: Some(reason().1),
                context: b"context".into(),
                agent_context: b"context".into(),
                waited_ms: 77,
            }),
        ),
        (
            EventKind::Assigned {
                reason: None,
                context: None,
                agent_context: None,
                waited: 0,
            },
            Kind::Assigned(pb::Assigned::default()),
        ),
        (
            EventKind::Completed {
                outcome: "done".into(),
                wrap_up_until: 4,
            },
            Kind::Completed(pb::Completed {
                outcome: "done".into(),
                wrap_up_until_us: 4,
            }),
        ),
        (
            EventKind::Closed { outcome: "done".into() },
            Kind::Closed(pb::Closed { outcome: "done".into() }),
        ),
        (
            EventKind::Cancelled { reason: "left".into() },
            Kind::Cancelled(pb::Cancelled { reason: "left".into() }),
        ),
        (
            EventKind::Overflowed { to: "bot".into() },
            Kind::Overflowed(pb::Overflowed { to: "bot".into() }),
        ),
        (
            EventKind::Suspended { until: 5 },
            Kind::Suspended(pb::Suspended { until_us: 5 }),
        ),
        (EventKind::Resumed, Kind::Resumed(pb::Resumed {})),
        (
            EventKind::Transferred {
                to: TransferredTo::Agent("a".into()),
            },
            Kind::Transferred(pb::Transferred {
                to: Some(pb::transferred::To::Agent("a".into())),
            }),
        ),
        (
            EventKind::Transferred {
                to: TransferredTo::Queue("q".into()),
            },
            Kind::Transferred(pb::Transferred {
                to: Some(pb::transferred::To::Queue("q".into())),
            }),
        ),
        (
            EventKind::Transferred {
                to: TransferredTo::Requirement,
            },
            Kind::Transferred(pb::Transferred {
                to: Some(pb::transferred::To::Requirement(true)),
            }),
        ),
        (
            EventKind::Marked { moment: "reply".into() },
            Kind::Marked(pb::Marked { moment: "reply".into() }),
        ),
        (
            EventKind::ClockWarned {
                clock: "legal".into(),
                point: 1,
            },
            Kind::ClockWarned(pb::ClockWarned {
                clock: "legal".into(),
                point: 1,
            }),
        ),
        (
            EventKind::ClockBreached { clock: "legal".into() },
            Kind::ClockBreached(pb::ClockBreached { clock: "legal".into() }),
        ),
        (
            EventKind::ClockStopped {
                clock: "legal".into(),
                elapsed: 8,
                met: true,
            },
            Kind::ClockStopped(pb::ClockStopped {
                clock: "legal".into(),
                elapsed_ms: 8,
                met: true,
            }),
        ),
        (
            EventKind::ClockPaused { clock: "legal".into() },
            Kind::ClockPaused(pb::ClockPaused { clock: "legal".into() }),
        ),
        (
            EventKind::ClockResumed { clock: "legal".into() },
            Kind::ClockResumed(pb::ClockResumed { clock: "legal".into() }),
        ),
        (EventKind::AllDeclined, Kind::AllDeclined(pb::AllDeclined {})),
        (EventKind::ExclusionEnded, Kind::ExclusionEnded(pb::ExclusionEnded {})),
        (EventKind::HoldEnded, Kind::HoldEnded(pb::HoldEnded {})),
        (EventKind::AgentUpserted, Kind::AgentUpserted(pb::AgentUpserted {})),
        (EventKind::AgentRemoved, Kind::AgentRemoved(pb::AgentRemoved {})),
        (
            EventKind::PresenceChanged {
                presence: Presence::Away,
                reason: "tea".into(),
                cause: PresenceCause::ExpiredOffer,
            },
            Kind::PresenceChanged(pb::PresenceChanged {
                presence: 2,
                reason: "tea".into(),
                cause: pb::PresenceCause::ExpiredOffer.into(),
            }),
        ),
        (
            EventKind::SessionOpened { lease_until: 6 },
            Kind::SessionOpened(pb::SessionOpened {
                session: "s-1".into(),
                lease_until_us: 6,
            }),
        ),
        (
            EventKind::SessionEnded { expired: true },
            Kind::SessionEnded(pb::SessionEnded {
                session: "s-1".into(),
                expired: true,
            }),
        ),
        (
            EventKind::AgentSuperseded {
                old_session: "s-0".into(),
                new_session: "s-1".into(),
            },
            Kind::AgentSuperseded(pb::AgentSuperseded {
                old_session: "s-0".into(),
                new_session: "s-1".into(),
            }),
        ),
        (
            EventKind::PolicyInstalled {
                name: "night".into(),
                reclassified: 3,
            },
            Kind::PolicyInstalled(pb::PolicyInstalled {
                name: "night".into(),
                reclassified: 3,
            }),
        ),
        (
            EventKind::NodeResumed { grace: 2 },
            Kind::NodeResumed(pb::NodeResumed { grace_ms: 2 }),
        ),
    ]
}

fn event(sequence: u64, kind: EventKind) -> Event {
    Event {
        sequence,
        at: 1_762_790_400_000_000,
        policy_version: u64::MAX,
        ticket: "t-1".into(),
        source: "gateway-1".into(),
        queue: "general".into(),
        class: 300,
        agent: "a-1".into(),
        session: "s-1".into(),
        attempt: 2,
        kind,
    }
}

#[test]
fn every_kind_in_a_watch_reply() {
    let mut bytes = Vec::new();
    let mut expected = pb::WatchReply {
        events: Vec::new(),
        sequence: 1000,
    };
    for (sequence, (kind, message)) in (1..).zip(kinds()) {
        encode_event(&event(sequence, kind), 1, &mut bytes);
        expected.events.push(pb::Event {
            sequence,
            at_us: 1_762_790_400_000_000,
            policy_version: u64::MAX,
            ticket: "t-1".into(),
            source: "gateway-1".into(),
            queue: "general".into(),
            ticket_class: 300,
            agent: "a-1".into(),
            session: "s-1".into(),
            attempt: 2,
            kind: Some(message),
        });
    }
    finish_watch_reply(1000, &mut bytes);
    assert_eq!(pb::WatchReply::decode(&*bytes).unwrap(), expected);
    assert_eq!(bytes, expected.encode_to_vec());
}

#[test]
fn the_same_event_in_a_work_reply() {
    let mut bytes = Vec::new();
    encode_event(&event(1, EventKind::Resumed), 3, &mut bytes);
    assert_eq!(pb::WorkReply::decode(&*bytes).unwrap().events[0].ticket, "t-1");
}

#[test]
fn who_hears_of_it() {
    let mine = event(1, EventKind::Resumed);
    assert!(concerns(&mine, "s-1") && !concerns(&mine, "s-0"));
    let lost = event(
        2,
        EventKind::AgentSuperseded {
            old_session: "s-0".into(),
            new_session: "s-1".into(),
        },
    );
    assert!(concerns(&lost, "s-1") && concerns(&lost, "s-0") && !concerns(&lost, "s-2"));

    let watch = |sources: &[&str], queues: &[&str]| crate::Watch {
        sources: sources.iter().map(|&name| name.into()).collect(),
        queues: queues.iter().map(|&name| name.into()).collect(),
        after_sequence: 0,
        batch_max: 1,
    };
    assert!(watch(&[], &[]).matches(&mine));
    assert!(watch(&["gateway-1"], &[]).matches(&mine) && watch(&["other"], &["general"]).matches(&mine));
    assert!(!watch(&["other"], &[]).matches(&mine) && !watch(&[], &["other"]).matches(&mine));
}
