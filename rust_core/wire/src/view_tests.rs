//! Every view as prost would write it, byte for byte.

use csroute_engine::command::{Presence, TicketState};
use csroute_engine::event::Bytes;
use csroute_engine::event::MatchReason;
use csroute_engine::view::*;
use prost::Message;
use smol_str::SmolStr;

use super::*;
use crate::pb::csroute::v1 as pb;

/// What `put` writes is what prost writes.
fn same<M: Message + Default + PartialEq + std::fmt::Debug>(put: impl FnOnce(&mut Vec<u8>), expected: &M) {
    let mut bytes = Vec::new();
    put(&mut bytes);
    assert_eq!(M::decode(&*bytes).unwrap(), *expected);
    assert_eq!(bytes, expected.encode_to_vec());
}

pub(crate) fn reason() -> (MatchReason, pb::MatchReason) {
    let view = MatchReason {
        step: 2,
        urgency_milli_us: -7_000_000,
        slope_milli: 1500,
        seniority_us: 9_000_000,
        head_start: -60_000,
        fit: 5,
        boost: 6,
        candidates: 300,
        preferred: true,
        supervisor: false,
    };
    let message = pb::MatchReason {
        step: 2,
        urgency_milli_us: -7_000_000,
        slope_milli: 1500,
        seniority_us: 9_000_000,
        head_start_ms: -60_000,
        fit_ms: 5,
        boost_ms: 6,
        candidates: 300,
        preferred: true,
        supervisor: false,
    };
    (view, message)
}

fn ticket() -> (TicketView, pb::Ticket) {
    let bytes = |text: &str| Bytes::from(text.as_bytes());
    let view = TicketView {
        id: "t-1".into(),
        state: TicketState::Wrapping,
        class: 300,
        class_path: "logistics/foreign[en]@chat".into(),
        queue: "logistics".into(),
        step: 1,
        arrival: 1_762_790_400_000_000,
        queued_at: 1_762_790_400_000_001,
        agent: "a-1".into(),
        attempt: 3,
        due: 1_762_790_500_000_000,
        revision: u64::MAX,
        channel: "chat".into(),
        customer: "c-1".into(),
        source: "gateway-1".into(),
        attributes: vec![
            AttributeView {
                name: "tier".into(),
                value: "vip".into(),
                confidence_milli: 1000,
            },
            AttributeView {
                name: "emotion".into(),
                value: "x".repeat(200).into(),
                confidence_milli: 0,
            },
        ],
        context: Some(bytes("context")),
        agent_context: Some(bytes(&"y".repeat(1024))),
        clocks: vec![ClockView {
            clock: "legal".into(),
            started: 1,
            due: 2,
            stopped: 3,
            paused: true,
            breached: true,
            warned: 2,
            target: 180_000,
        }],
        outcome: "done".into(),
        policy_version: u64::MAX - 1,
        sequence: 77,
        excluded: 2,
        held: true,
    };
    let message = pb::Ticket {
        id: "t-1".into(),
        state: pb::TicketState::Wrapping.into(),
        ticket_class: 300,
        class_path: "logistics/foreign[en]@chat".into(),
        queue: "logistics".into(),
        step: 1,
        arrival_us: 1_762_790_400_000_000,
        queued_at_us: 1_762_790_400_000_001,
        agent: "a-1".into(),
        attempt: 3,
        due_us: 1_762_790_500_000_000,
        revision: u64::MAX,
        channel: "chat".into(),
        customer: "c-1".into(),
        source: "gateway-1".into(),
        attributes: vec![
            pb::Attribute {
                name: "tier".into(),
                value: "vip".into(),
                confidence_milli: None,
            },
            pb::Attribute {
                name: "emotion".into(),
                value: "x".repeat(200),
                confidence_milli: Some(0),
            },
        ],
        context: b"context".into(),
        agent_context: vec![b'y'; 1024],
        clocks: vec![pb::ClockState {
            clock: "legal".into(),
            started_us: 1,
            due_us: 2,
            stopped_us: 3,
            paused: true,
            breached: true,
            warned: 2,
            target_ms: 180_000,
        }],
        outcome: "done".into(),
        policy_version: u64::MAX - 1,
        ticket_sequence: 77,
        excluded_count: 2,
        held: true,
    };
    (view, message)
}

#[test]
fn tickets() {
    let (view, message) = ticket();
    same(|out| put_ticket(out, &view), &message);
    let explained = ExplainView {
        ticket: view,
        rules: vec![
            ("who".into(), "logistics".into(), "R1".into()),
            (SmolStr::default(), "x".into(), SmolStr::default()),
        ],
        needs: vec!["logistics>=2 | general".into(), String::new()],
        none_of: vec!["spare>=1".into()],
        next_step_at: 5,
        next_step: 2,
        place: 9,
        wait_low: 10,
        wait_high: i64::MAX,
        wait_method: "head of line",
        eligible: 1,
        able: 2,
        not_eligible: NotEligible {
            presence: 1,
            skill: 2,
            level: 3,
            channel: 4,
            excluded: 5,
            channel_limit: 6,
            capacity: 7,
            held_for_another: 8,
        },
        urgency_milli_us: -1,
        head_start: -2,
        boost: 3,
        slope_milli: 4,
        assigned: Some(reason().0),
        text: "waits".into(),
    };
    let expected = pb::ExplainReply {
        ticket: Some(message),
        rules: vec![
            pb::RuleHit {
                layer: "who".into(),
                rule: "logistics".into(),
                why: "R1".into(),
            },
            pb::RuleHit {
                rule: "x".into(),
                ..pb::RuleHit::default()
            },
        ],
        needs: vec!["logistics>=2 | general".into(), String::new()],
        none_of: vec!["spare>=1".into()],
        next_step_us: 5,
        next_step: 2,
        place: 9,
        wait_low_ms: 10,
        wait_high_ms: u32::MAX,
        wait_method: "head of line".into(),
        eligible_count: 1,
        able_count: 2,
        not_eligible: Some(pb::NotEligible {
            presence: 1,
            skill: 2,
            level: 3,
            channel: 4,
            excluded: 5,
            channel_limit: 6,
            capacity: 7,
            held_for_another: 8,
        }),
        urgency_milli_us: -1,
        head_start_ms: -2,
        boost_ms: 3,
        slope_milli: 4,
        assigned: Some(reason().1),
        text: "waits".into(),
    };
    same(|out| put_explain(out, &explained), &expected);
}

#[test]
fn route_replies() {
    let context = Bytes::from(&b"from the agent"[..]);
    let view = RouteView {
        id: "t-1",
        state: TicketState::Waiting,
        class: 4,
        agent: "a-1",
        attempt: 1,
        place: 128,
        wait_low: -1,
        wait_high: 90_000,
        deadlines: [("legal", 1_762_790_400_000_000), ("first_reply", 0)]
            .into_iter()
            .collect(),
        due: 7,
        agent_context: Some(&context),
        outcome: "done",
    };
    let expected = pb::RouteReply {
        id: "t-1".into(),
        state: pb::TicketState::Waiting.into(),
        replayed: true,
        ticket_class: 4,
        agent: "a-1".into(),
        attempt: 1,
        place: 128,
        wait_low_ms: 0,
        wait_high_ms: 90_000,
        deadlines: vec![
            pb::ClockDue {
                clock: "legal".into(),
                due_us: 1_762_790_400_000_000,
            },
            pb::ClockDue {
                clock: "first_reply".into(),
                due_us: 0,
            },
        ],
        due_us: 7,
        agent_context: b"from the agent".into(),
        outcome: "done".into(),
        sequence: 99,
    };
    same(|out| put_route(out, &view, true, 99), &expected);
}

#[test]
fn agents_and_positions() {
    let view = AgentView {
        id: "a-1".into(),
        skills: vec![("general".into(), 1), ("logistics".into(), 100)],
        capacity: 100,
        channels: vec![("chat".into(), 0), ("phone".into(), 1)],
        presence: Presence::Draining,
        reason: "lunch".into(),
        session: "s-1".into(),
        used: 40,
        tickets: vec!["t-1".into(), "t-2".into()],
        idle_since: 5,
        sequence: 6,
    };
    let skill = |skill: &str, level| pb::SkillLevel {
        skill: skill.into(),
        level,
    };
    let channel = |channel: &str, limit| pb::AgentChannel {
        channel: channel.into(),
        limit,
    };
    let expected = pb::Agent {
        spec: Some(pb::AgentSpec {
            id: "a-1".into(),
            skills: vec![skill("general", 1), skill("logistics", 100)],
            capacity: 100,
            channels: vec![channel("chat", 0), channel("phone", 1)],
        }),
        presence: pb::Presence::Draining.into(),
        reason: "lunch".into(),
        session: "s-1".into(),
        used: 40,
        tickets: vec!["t-1".into(), "t-2".into()],
        idle_since_us: 5,
        agent_sequence: 6,
    };
    same(|out| put_agent(out, &view), &expected);

    let view = PositionView {
        id: "t-1".into(),
        state: TicketState::Suspended,
        place: 3,
        age: 1500,
        wait_low: 1,
        wait_high: 2,
    };
    let expected = pb::Position {
        id: "t-1".into(),
        state: pb::TicketState::Suspended.into(),
        place: 3,
        age_ms: 1500,
        wait_low_ms: 1,
        wait_high_ms: 2,
    };
    same(|out| put_position(out, &view), &expected);
}

#[test]
fn stats() {
    let view = StatsView {
        queues: vec![QueueStats {
            queue: "general".into(),
            waiting: 1,
            oldest_wait: 2,
            arrived: 3,
            answered: 4,
            met: 5,
            abandoned: 6,
            short_abandoned: 7,
            overflowed: 8,
            completed: 9,
            wait_total: 10,
        }],
        clocks: vec![ClockStats {
            clock: "legal".into(),
            met: 1,
            breached: 2,
            warned: 3,
        }],
        scheduled: 1,
        waiting: 2,
        suspended: 3,
        offered: 4,
        active: 5,
        wrapping: 6,
        submitted: 7,
        assigned: 8,
        completed: 9,
        closed: 10,
        cancelled: 11,
        overflowed: 12,
        remembered: 13,
        agents_available: 14,
        agents_away: 15,
        agents_draining: 16,
        agents_offline: 17,
        units_used: 18,
        units_total: 19,
        classes: 20,
        profiles: 21,
        policy_version: 22,
        policy_name: "double11".into(),
        service_level_milli: 950,
    };
    let mut expected = pb::GetStatsReply {
        queues: vec![pb::QueueStats {
            queue: "general".into(),
            waiting: 1,
            oldest_wait_ms: 2,
            arrived: 3,
            answered: 4,
            met: 5,
            abandoned: 6,
            short_abandoned: 7,
            overflowed: 8,
            completed: 9,
            wait_total_ms: 10,
        }],
        clocks: vec![pb::ClockStats {
            clock: "legal".into(),
            met: 1,
            breached: 2,
            warned: 3,
        }],
        scheduled: 1,
        waiting: 2,
        suspended: 3,
        offered: 4,
        active: 5,
        wrapping: 6,
        submitted: 7,
        assigned: 8,
        completed: 9,
        closed: 10,
        cancelled: 11,
        overflowed: 12,
        remembered: 13,
        agents_available: 14,
        agents_away: 15,
        agents_draining: 16,
        agents_offline: 17,
        units_used: 18,
        units_total: 19,
        classes: 20,
        profiles: 21,
        sequence: 1000,
        state_hash: u64::MAX,
        rejections: std::collections::BTreeMap::new(),
        policy_version: 22,
        policy_name: "double11".into(),
        service_level_milli: 950,
    };
    same(|out| put_stats(out, &view, 1000, u64::MAX), &expected);

    // The node's counts come last; their place in the message is no matter.
    let mut bytes = expected.encode_to_vec();
    crate::encode_rejection_counts([(302, 7), (405, 1)], &mut bytes);
    expected.rejections.extend([(302, 7), (405, 1)]);
    assert_eq!(pb::GetStatsReply::decode(&*bytes).unwrap(), expected);
}
