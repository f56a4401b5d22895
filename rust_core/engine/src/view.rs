//! What readers see: plain values, made on request, one to one with the reply messages of the wire.

use smol_str::SmolStr;

use crate::command::{Presence, TicketState};
use crate::event::{Bytes, MatchReason};
use crate::{Micros, Millis};

/// The answer to a route: small, for the hot path. Borrows from the engine.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct RouteView<'e> {
    pub id: &'e str,
    pub state: TicketState,
    pub class: u32,
    pub agent: &'e str,
    pub attempt: u32,
    /// From 1 while waiting or suspended, else 0.
    pub place: u32,
    pub wait_low: Millis,
    pub wait_high: Millis,
    /// (clock, due; 0 while paused).
    pub deadlines: smallvec::SmallVec<[(&'e str, Micros); 4]>,
    pub due: Micros,
    pub agent_context: Option<&'e Bytes>,
    pub outcome: &'e str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ClockView {
    pub clock: SmolStr,
    pub started: Micros,
    pub due: Micros,
    pub stopped: Micros,
    pub paused: bool,
    pub breached: bool,
    pub warned: u32,
    pub target: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AttributeView {
    pub name: SmolStr,
    pub value: SmolStr,
    pub confidence_milli: u16,
}

/// A ticket, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TicketView {
    pub id: SmolStr,
    pub state: TicketState,
    pub class: u32,
    pub class_path: String,
    pub queue: SmolStr,
    pub step: u32,
    pub arrival: Micros,
    pub queued_at: Micros,
    pub agent: SmolStr,
    pub attempt: u32,
    pub due: Micros,
    pub revision: u64,
    pub channel: SmolStr,
    pub customer: SmolStr,
    pub source: SmolStr,
    pub attributes: Vec<AttributeView>,
    pub context: Option<Bytes>,
    pub agent_context: Option<Bytes>,
    pub clocks: Vec<ClockView>,
    pub outcome: SmolStr,
    pub policy_version: u64,
    pub sequence: u64,
    pub excluded: u32,
    pub held: bool,
}

/// An agent, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AgentView {
    pub id: SmolStr,
    pub skills: Vec<(SmolStr, u8)>,
    pub capacity: u32,
    /// As upserted: (channel, limit; 0 = the policy's).
    pub channels: Vec<(SmolStr, u32)>,
    pub presence: Presence,
    pub reason: SmolStr,
    pub session: SmolStr,
    pub used: u32,
    /// In order of ticket sequence.
    pub tickets: Vec<SmolStr>,
    pub idle_since: Micros,
    /// From 1; 0 before the first login.
    pub sequence: u64,
}

/// A place in line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PositionView {
    pub id: SmolStr,
    pub state: TicketState,
    pub place: u32,
    pub age: Millis,
    pub wait_low: Millis,
    pub wait_high: Millis,
}

/// Logged-in agents who are not eligible, by the first reason that holds, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct NotEligible {
    pub presence: u32,
    pub skill: u32,
    pub level: u32,
    pub channel: u32,
    pub excluded: u32,
    pub channel_limit: u32,
    pub capacity: u32,
    pub held_for_another: u32,
}

/// Why a ticket is where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ExplainView {
    pub ticket: TicketView,
    /// (layer, rule, why).
    pub rules: Vec<(SmolStr, SmolStr, SmolStr)>,
    pub needs: Vec<String>,
    pub none_of: Vec<String>,
    pub next_step_at: Micros,
    pub next_step: u32,
    pub place: u32,
    pub wait_low: Millis,
    pub wait_high: Millis,
    pub wait_method: &'static str,
    pub eligible: u32,
    pub able: u32,
    pub not_eligible: NotEligible,
    pub urgency_milli_us: i64,
    pub head_start: Millis,
    pub boost: Millis,
    pub slope_milli: u32,
    pub assigned: Option<MatchReason>,
    pub text: String,
}

/// Figures of one queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub struct QueueStats {
    pub queue: SmolStr,
    pub waiting: u64,
    pub oldest_wait: Millis,
    pub arrived: u64,
    pub answered: u64,
    pub met: u64,
    pub abandoned: u64,
    pub short_abandoned: u64,
    pub overflowed: u64,
    pub completed: u64,
    pub wait_total: Millis,
}

/// Figures of one clock.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub struct ClockStats {
    pub clock: SmolStr,
    pub met: u64,
    pub breached: u64,
    pub warned: u64,
}

/// Figures of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct StatsView {
    pub queues: Vec<QueueStats>,
    pub clocks: Vec<ClockStats>,
    pub scheduled: u64,
    pub waiting: u64,
    pub suspended: u64,
    pub offered: u64,
    pub active: u64,
    pub wrapping: u64,
    pub submitted: u64,
    pub assigned: u64,
    pub completed: u64,
    pub closed: u64,
    pub cancelled: u64,
    pub overflowed: u64,
    pub remembered: u64,
    pub agents_available: u64,
    pub agents_away: u64,
    pub agents_draining: u64,
    pub agents_offline: u64,
    pub units_used: u64,
    pub units_total: u64,
    pub classes: u64,
    pub profiles: u64,
    pub policy_version: u64,
    pub policy_name: SmolStr,
    pub service_level_milli: u32,
}

/// Filters of `Engine::tickets`. Empty: all.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct TicketFilter<'a> {
    pub states: &'a [TicketState],
    pub queue: &'a str,
    pub source: &'a str,
    pub agent: &'a str,
}

/// Filters of `Engine::agents`. Empty: all.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct AgentFilter<'a> {
    pub presences: &'a [Presence],
    pub skill: &'a str,
    pub session: &'a str,
}

/// How tickets went through a queue in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Interval {
    pub begins: Micros,
    pub ends: Micros,
    pub arrived: u64,
    pub answered: u64,
    pub completed: u64,
    pub abandoned: u64,
    pub overflowed: u64,
}

/// Logged-in agents by what keeps them from tickets now, the nearest to serving last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct AgentCounts {
    pub skill: u32,
    pub reserve: u32,
    pub presence: u32,
    pub channel: u32,
    pub wrap_up: u32,
    pub channel_limit: u32,
    pub capacity: u32,
    pub free: u32,
}

/// One class of a queue at one step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct QueueLine {
    pub class: u32,
    pub class_path: String,
    pub step: u32,
    pub waiting: u64,
    pub held: u64,
    pub oldest_wait: Millis,
    pub needs: Vec<String>,
    pub none_of: Vec<String>,
    pub agents: AgentCounts,
}

/// A reserve, as it stands for a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct QueueReserve {
    pub reserve: SmolStr,
    pub skill: SmolStr,
    pub level: u8,
    /// The queue's classes name it.
    pub for_queue: bool,
    pub open: bool,
    pub oldest_wait: bool,
    /// Tickets, or ms.
    pub over: i64,
    pub until: i64,
    pub measured: i64,
    /// When it opens by itself, if nothing else happens; 0: not by time alone.
    pub opens_at: Micros,
    /// Whom it alone keeps from the queue.
    pub agents: u32,
}

/// What holds a queue up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct QueueView {
    pub queue: SmolStr,
    pub waiting: u64,
    pub held: u64,
    pub oldest_wait: Millis,
    pub lines: Vec<QueueLine>,
    pub lines_left: u64,
    pub agents: AgentCounts,
    pub reserves: Vec<QueueReserve>,
    pub flow: Vec<Interval>,
    pub expected_wait: Millis,
    pub clears_in: Millis,
    pub policy_version: u64,
    pub text: String,
}
