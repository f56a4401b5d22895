//! What an operator and a controller read, to bytes: see `explain.proto` and `live.proto` for what each number is.

use csroute_engine::Engine;
use csroute_engine::live::Live;
use csroute_engine::view::{AgentCounts, QueueView};

use crate::proto::Put;

fn put_packed(out: &mut Vec<u8>, field: u32, numbers: &[u32]) {
    let mut packed = Vec::with_capacity(numbers.len() * 2);
    for &number in numbers {
        packed.put_varint(number.into());
    }
    out.put_bytes(field, &packed);
}

fn put_agents(out: &mut Vec<u8>, field: u32, agents: &AgentCounts) {
    let counts = [
        agents.skill,
        agents.reserve,
        agents.presence,
        agents.channel,
        agents.wrap_up,
        agents.channel_limit,
        agents.capacity,
        agents.free,
    ];
    out.put_message(field, |out| {
        for (field, count) in (1..).zip(counts) {
            out.put_u32(field, count);
        }
    });
}

pub(crate) fn put_queue(out: &mut Vec<u8>, view: &QueueView, sequence: u64) {
    out.put_str(1, &view.queue);
    out.put_u64(2, view.waiting);
    out.put_u64(3, view.held);
    out.put_i64(4, view.oldest_wait);
    for line in &view.lines {
        out.put_message(5, |out| {
            out.put_u32(1, line.class);
            out.put_str(2, &line.class_path);
            out.put_u32(3, line.step);
            out.put_u64(4, line.waiting);
            out.put_u64(5, line.held);
            out.put_i64(6, line.oldest_wait);
            for need in &line.needs {
                out.item_bytes(7, need.as_bytes());
            }
            for none in &line.none_of {
                out.item_bytes(8, none.as_bytes());
            }
            put_agents(out, 9, &line.agents);
        });
    }
    out.put_u64(6, view.lines_left);
    put_agents(out, 7, &view.agents);
    for reserve in &view.reserves {
        out.put_message(8, |out| {
            out.put_str(1, &reserve.reserve);
            out.put_str(2, &reserve.skill);
            out.put_u32(3, reserve.level.into());
            out.put_bool(4, reserve.for_queue);
            out.put_bool(5, reserve.open);
            out.put_bool(6, reserve.oldest_wait);
            out.put_i64(7, reserve.over);
            out.put_i64(8, reserve.until);
            out.put_i64(9, reserve.measured);
            out.put_i64(10, reserve.opens_at);
            out.put_u32(11, reserve.agents);
        });
    }
    for interval in &view.flow {
        out.put_message(9, |out| {
            out.put_i64(1, interval.begins);
            out.put_i64(2, interval.ends);
            let counts = [
                interval.arrived,
                interval.answered,
                interval.completed,
                interval.abandoned,
                interval.overflowed,
            ];
            for (field, count) in (3..).zip(counts) {
                out.put_u64(field, count);
            }
        });
    }
    out.put_i64(10, view.expected_wait);
    out.put_i64(11, view.clears_in);
    out.put_fixed64(12, view.policy_version);
    out.put_u64(13, sequence);
    out.put_str(14, &view.text);
}

pub(crate) fn put_canary(out: &mut Vec<u8>, engine: &Engine) {
    let Some(view) = engine.canary() else { return };
    out.put_bool(1, true);
    let terms = view.terms;
    let figures = [
        terms.share_milli,
        terms.margin_milli,
        terms.error_milli,
        terms.tickets_min,
    ];
    for (field, figure) in (2..).zip(figures) {
        out.put_u32(field, figure);
    }
    out.put_i64(6, view.since);
    let sides = [(engine.policy_version(), view.stable), (view.version, view.canary)];
    for (field, (version, tally)) in (7..).zip(sides) {
        out.put_message(field, |out| {
            out.put_fixed64(1, version);
            let counts = [
                tally.arrived,
                tally.answered,
                tally.met,
                tally.abandoned,
                tally.short_abandoned,
                tally.overflowed,
            ];
            for (field, count) in (2..).zip(counts) {
                out.put_u64(field, count);
            }
            out.put_i64(8, tally.wait_total);
        });
    }
}

pub(crate) fn put_live(out: &mut Vec<u8>, live: &Live, engine: &Engine, sequence: u64) {
    for (layer, rule) in &live.rules {
        out.put_message(1, |out| {
            out.put_str(1, layer);
            out.put_str(2, rule);
        });
    }
    for line in &live.lines {
        out.put_message(2, |out| {
            out.put_u32(1, line.class);
            out.put_str(2, &line.queue);
            out.put_str(3, &line.channel);
            out.put_u32(4, line.step);
            out.put_u64(5, line.waiting);
            out.put_u64(6, line.held);
            out.put_i64(7, line.oldest_wait);
            out.put_u64(8, line.arrived);
            out.put_u64(9, line.answered);
            out.put_i64(10, line.head_start);
            out.put_u32(11, line.slope_milli);
            out.put_i64(12, line.boost);
            out.put_u32(13, line.cost);
            put_packed(out, 14, &line.rules);
            out.put_u32(15, line.requirement);
        });
    }
    for (&number, profiles) in &live.requirements {
        out.put_message(3, |out| {
            out.put_u32(1, number);
            put_packed(out, 2, profiles);
        });
    }
    for (&number, profile) in &live.profiles {
        out.put_message(4, |out| {
            out.put_u32(1, number);
            out.put_u32(2, profile.agents);
            out.put_u32(3, profile.available);
            out.put_u32(4, profile.free);
            out.put_u64(5, profile.units_used);
            out.put_u64(6, profile.units_total);
        });
    }
    out.put_i64(5, engine.now());
    out.put_fixed64(6, engine.policy_version());
    out.put_i64(7, engine.tuned_until());
    out.put_u64(8, sequence);
}
