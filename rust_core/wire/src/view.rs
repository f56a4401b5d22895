//! Views to bytes, field by field: see the protos for what each number is.

use csroute_engine::event::MatchReason;
use csroute_engine::view::{AgentView, ExplainView, PositionView, RouteView, StatsView, TicketView};
use csroute_engine::{Millis, Rejection};
use prost::Message;

use crate::proto::Put;

/// A wait in 32 bits: 49 days and more are all one.
fn put_wait(out: &mut Vec<u8>, field: u32, wait: Millis) {
    out.put_u64(field, wait.clamp(0, u32::MAX.into()) as u64);
}

pub(crate) fn put_route(out: &mut Vec<u8>, view: &RouteView<'_>, replayed: bool, sequence: u64) {
    out.put_str(1, view.id);
    out.put_u32(2, u32::from(view.state as u8));
    out.put_bool(3, replayed);
    out.put_u32(4, view.class);
    out.put_str(5, view.agent);
    out.put_u32(6, view.attempt);
    out.put_u32(7, view.place);
    put_wait(out, 8, view.wait_low);
    put_wait(out, 9, view.wait_high);
    for (clock, due) in &view.deadlines {
        out.put_message(10, |out| {
            out.put_str(1, clock);
            out.put_i64(2, *due);
        });
    }
    out.put_i64(11, view.due);
    out.put_bytes(12, view.agent_context.map_or(&[], |context| context));
    out.put_str(13, view.outcome);
    out.put_u64(14, sequence);
}

pub(crate) fn put_ticket(out: &mut Vec<u8>, view: &TicketView) {
    out.put_str(1, &view.id);
    out.put_u32(2, u32::from(view.state as u8));
    out.put_u32(3, view.class);
    out.put_str(4, &view.class_path);
    out.put_str(5, &view.queue);
    out.put_u32(6, view.step);
    out.put_i64(7, view.arrival);
    out.put_i64(8, view.queued_at);
    out.put_str(9, &view.agent);
    out.put_u32(10, view.attempt);
    out.put_i64(11, view.due);
    out.put_u64(12, view.revision);
    out.put_str(13, &view.channel);
    out.put_str(14, &view.customer);
    out.put_str(15, &view.source);
    for attribute in &view.attributes {
        out.put_message(16, |out| {
            out.put_str(1, &attribute.name);
            out.put_str(2, &attribute.value);
            if attribute.confidence_milli != 1000 {
                out.item_u64(3, attribute.confidence_milli.into());
            }
        });
    }
    out.put_bytes(17, view.context.as_deref().unwrap_or_default());
    out.put_bytes(18, view.agent_context.as_deref().unwrap_or_default());
    for clock in &view.clocks {
        out.put_message(19, |out| {
            out.put_str(1, &clock.clock);
            out.put_i64(2, clock.started);
            out.put_i64(3, clock.due);
            out.put_i64(4, clock.stopped);
            out.put_bool(5, clock.paused);
            out.put_bool(6, clock.breached);
            out.put_u32(7, clock.warned);
            out.put_i64(8, clock.target);
        });
    }
    out.put_str(20, &view.outcome);
    out.put_fixed64(21, view.policy_version);
    out.put_u64(22, view.sequence);
    out.put_u32(23, view.excluded);
    out.put_bool(24, view.held);
}

pub(crate) fn put_agent(out: &mut Vec<u8>, view: &AgentView) {
    out.put_message(1, |out| {
        out.put_str(1, &view.id);
        for (skill, level) in &view.skills {
            out.put_message(2, |out| {
                out.put_str(1, skill);
                out.put_u32(2, (*level).into());
            });
        }
        out.put_u32(3, view.capacity);
        for (channel, limit) in &view.channels {
            out.put_message(4, |out| {
                out.put_str(1, channel);
                out.put_u32(2, *limit);
            });
        }
    });
    out.put_u32(2, u32::from(view.presence as u8));
    out.put_str(3, &view.reason);
    out.put_str(4, &view.session);
    out.put_u32(5, view.used);
    for ticket in &view.tickets {
        out.item_bytes(6, ticket.as_bytes());
    }
    out.put_i64(7, view.idle_since);
    out.put_u64(8, view.sequence);
}

pub(crate) fn put_position(out: &mut Vec<u8>, view: &PositionView) {
    out.put_str(1, &view.id);
    out.put_u32(2, u32::from(view.state as u8));
    out.put_u32(3, view.place);
    out.put_i64(4, view.age);
    put_wait(out, 5, view.wait_low);
    put_wait(out, 6, view.wait_high);
}

pub(crate) fn put_reason(out: &mut Vec<u8>, reason: &MatchReason) {
    out.put_u32(1, reason.step);
    out.put_i64(2, reason.urgency_milli_us);
    out.put_u32(3, reason.slope_milli);
    out.put_i64(4, reason.seniority_us);
    out.put_i64(5, reason.head_start);
    out.put_i64(6, reason.fit);
    out.put_i64(7, reason.boost);
    out.put_u32(8, reason.candidates);
    out.put_bool(9, reason.preferred);
    out.put_bool(10, reason.supervisor);
}

pub(crate) fn put_explain(out: &mut Vec<u8>, view: &ExplainView) {
    out.put_message(1, |out| put_ticket(out, &view.ticket));
    for (layer, rule, why) in &view.rules {
        out.put_message(2, |out| {
            out.put_str(1, layer);
            out.put_str(2, rule);
            out.put_str(3, why);
        });
    }
    for need in &view.needs {
        out.item_bytes(3, need.as_bytes());
    }
    for none in &view.none_of {
        out.item_bytes(4, none.as_bytes());
    }
    out.put_i64(5, view.next_step_at);
    out.put_u32(6, view.next_step);
    out.put_u32(7, view.place);
    put_wait(out, 8, view.wait_low);
    put_wait(out, 9, view.wait_high);
    out.put_str(10, view.wait_method);
    out.put_u32(11, view.eligible);
    out.put_u32(12, view.able);
    let no = &view.not_eligible;
    let counts = [
        no.presence,
        no.skill,
        no.level,
        no.channel,
        no.excluded,
        no.channel_limit,
        no.capacity,
        no.held_for_another,
    ];
    out.put_message(13, |out| {
        for (field, count) in (1..).zip(counts) {
            out.put_u32(field, count);
        }
    });
    out.put_i64(14, view.urgency_milli_us);
    out.put_i64(15, view.head_start);
    out.put_i64(16, view.boost);
    out.put_u32(17, view.slope_milli);
    if let Some(reason) = &view.assigned {
        out.put_message(18, |out| put_reason(out, reason));
    }
    out.put_str(19, &view.text);
}

pub(crate) fn put_stats(out: &mut Vec<u8>, view: &StatsView, sequence: u64, state_hash: u64) {
    for queue in &view.queues {
        out.put_message(1, |out| {
            out.put_str(1, &queue.queue);
            out.put_u64(2, queue.waiting);
            out.put_i64(3, queue.oldest_wait);
            let counters = [
                queue.arrived,
                queue.answered,
                queue.met,
                queue.abandoned,
                queue.short_abandoned,
                queue.overflowed,
            ];
            for (field, counter) in (4..).zip(counters) {
                out.put_u64(field, counter);
            }
            out.put_u64(10, queue.completed);
            out.put_i64(11, queue.wait_total);
        });
    }
    for clock in &view.clocks {
        out.put_message(2, |out| {
            out.put_str(1, &clock.clock);
            out.put_u64(2, clock.met);
            out.put_u64(3, clock.breached);
            out.put_u64(4, clock.warned);
        });
    }
    let figures = [
        view.scheduled,
        view.waiting,
        view.suspended,
        view.offered,
        view.active,
        view.wrapping,
        view.submitted,
        view.assigned,
        view.completed,
        view.closed,
        view.cancelled,
        view.overflowed,
        view.remembered,
        view.agents_available,
        view.agents_away,
        view.agents_draining,
        view.agents_offline,
        view.units_used,
        view.units_total,
        view.classes,
        view.profiles,
        sequence,
    ];
    for (field, figure) in (3..).zip(figures) {
        out.put_u64(field, figure);
    }
    out.put_fixed64(25, state_hash);
    out.put_fixed64(27, view.policy_version);
    out.put_str(28, &view.policy_name);
    out.put_u32(29, view.service_level_milli);
}

/// A rejection as a `google.rpc.Status` field.
pub(crate) fn put_rejection(out: &mut Vec<u8>, field: u32, rejection: &Rejection) {
    out.item_bytes(field, &crate::status(rejection).encode_to_vec());
}

#[cfg(test)]
#[path = "view_tests.rs"]
pub(crate) mod tests;
