//! One plain sentence on what holds a queue up, and what would help: from a survey's figures alone.

use crate::view::{AgentCounts, QueueReserve, QueueView};
use crate::{Micros, Millis};

/// Arrivals and answers are compared over about so long.
const WINDOW_US: Micros = 60_000_000;

fn duration(ms: Millis) -> String {
    if ms < 120_000 {
        format!("{} s", ms / 1000)
    } else {
        format!("{} min", ms / 60_000)
    }
}

/// Came, were answered, and in how long (µs): the last intervals that make up the window.
fn lately(view: &QueueView) -> (u64, u64, Micros) {
    let (mut came, mut answered, mut span) = (0, 0, 0);
    for interval in view.flow.iter().rev() {
        if span >= WINDOW_US {
            break;
        }
        came += interval.arrived;
        answered += interval.answered;
        span += interval.ends - interval.begins;
    }
    (came, answered, span)
}

/// Fills what is concluded from the rest of a view.
pub(crate) fn conclude(view: &mut QueueView, now: Micros) {
    let (_, answered, span) = lately(view);
    // A newcomer waits about as long as the head of the line has (Ibrahim and Whitt 2009).
    view.expected_wait = if view.waiting > 0 { view.oldest_wait } else { 0 };
    let rest = i128::from(view.waiting) * i128::from(span) / 1000;
    view.clears_in = i64::try_from(rest.checked_div(answered.into()).unwrap_or(0)).unwrap_or(i64::MAX);
    view.text = text(view, now);
}

fn text(view: &QueueView, now: Micros) -> String {
    let queue = &view.queue;
    if view.waiting + view.held == 0 {
        return format!("Nobody waits in {queue}: nothing holds it up.");
    }
    let (came, answered, span) = lately(view);
    let flow = if span > 0 {
        let how = if came > answered { "grows" } else { "does not grow" };
        let seconds = span / 1_000_000;
        format!(" In the last {seconds} s {came} came and {answered} were answered: the queue {how}.")
    } else {
        String::new()
    };
    let (what, help) = cause(view, now);
    let oldest = duration(view.oldest_wait);
    let all = view.waiting + view.held;
    format!("{all} wait in {queue}, the longest for {oldest}. The bottleneck is {what}; {help} would help.{flow}")
}

fn cause(view: &QueueView, now: Micros) -> (String, String) {
    let AgentCounts {
        skill,
        reserve,
        presence,
        channel,
        wrap_up,
        channel_limit,
        capacity,
        free,
    } = view.agents;
    let able = presence + channel + wrap_up + channel_limit + capacity + free;
    let needs = view.lines.first().map_or_else(String::new, |line| {
        if line.needs.is_empty() {
            "nothing in particular".to_string()
        } else {
            line.needs.join(" and ")
        }
    });
    let keeping = view.reserves.iter().filter(|it| !it.open && it.agents > 0);
    let keeping = keeping.max_by_key(|it| it.agents);
    if view.waiting == 0 {
        let what = format!(
            "the tickets' own state: all {} are suspended or held for one agent",
            view.held
        );
        return (what, "bringing those agents or customers back".into());
    }
    if able + reserve + skill == 0 {
        return ("that nobody is logged in".into(), "logging agents in".into());
    }
    if able == 0 {
        return match keeping {
            Some(it) => (
                format!(
                    "the reserve {}: it keeps all {reserve} agents who could take them",
                    it.reserve
                ),
                opening(it, now),
            ),
            None => (
                format!("skill: none of the {skill} agents logged in has what the largest line asks ({needs})"),
                "agents with it, or a step that asks less,".into(),
            ),
        };
    }
    if free > 0 {
        let what = format!("the tickets: {free} agents are free, and these exclude them or wait for others");
        return (what, "lifting the exclusions, or a shorter hold,".into());
    }
    // The first of equals counts.
    let busy = [
        (
            capacity,
            "have no free units",
            format!("more agents with {needs}, or a step that asks less sooner,"),
        ),
        (
            channel_limit,
            "hold as many tickets of the channel as they may",
            "a higher limit of the channel".to_string(),
        ),
        (wrap_up, "are held up by wrap-up alone", "a shorter wrap-up".to_string()),
        (presence, "are away or draining", "calling them back".to_string()),
        (channel, "have the channel closed", "opening it for them".to_string()),
    ];
    let mut worst = &busy[0];
    for other in &busy[1..] {
        if other.0 > worst.0 {
            worst = other;
        }
    }
    let what = format!("people: of {able} agents who could serve it {} {}", worst.0, worst.1);
    let help = match keeping {
        Some(it) => format!("{}, or {}", opening(it, now), worst.2),
        None => worst.2.clone(),
    };
    (what, help)
}

fn opening(reserve: &QueueReserve, now: Micros) -> String {
    let when = if !reserve.for_queue {
        "no rule of this queue names it".to_string()
    } else if reserve.opens_at > 0 {
        format!("it opens in {}", duration((reserve.opens_at - now).max(0) / 1000))
    } else if reserve.oldest_wait {
        format!("it opens at an oldest wait of {}", duration(reserve.over))
    } else {
        format!("it opens at {} waiting, {} wait", reserve.over, reserve.measured)
    };
    format!(
        "releasing the {} agents of the reserve {} ({when})",
        reserve.agents, reserve.reserve
    )
}
