//! What happened. Every change of state raises events; nothing else does. One to one with `event.proto`.

use smol_str::SmolStr;

use crate::command::Presence;
use crate::{Micros, Millis};

/// Context bytes, shared and never copied.
pub type Bytes = std::sync::Arc<[u8]>;

/// One event, whole in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Per engine, rising by one.
    pub sequence: u64,
    /// When.
    pub at: Micros,
    /// The policy of the ticket's class; without a ticket the current one; 0: none.
    pub policy_version: u64,
    /// The ticket it concerns; empty: none.
    pub ticket: SmolStr,
    /// The ticket's source.
    pub source: SmolStr,
    /// The ticket's queue.
    pub queue: SmolStr,
    /// The ticket's class.
    pub class: u32,
    /// The agent it concerns; empty: none.
    pub agent: SmolStr,
    /// The session that agent belongs to; for session events, that session.
    pub session: SmolStr,
    /// The offer's number, where it concerns one.
    pub attempt: u32,
    /// What.
    pub kind: EventKind,
}

/// Why a ticket waits (again).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum QueueCause {
    Arrived = 1,
    Declined = 2,
    Expired = 3,
    AgentLeft = 4,
    AgentLost = 5,
    Transferred = 6,
}

/// Why a ticket's class changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum ClassCause {
    Updated = 1,
    Step = 2,
    Moved = 3,
    Installed = 4,
}

/// Why a presence changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum PresenceCause {
    Command = 1,
    Lease = 2,
    ExpiredOffer = 3,
    Closed = 4,
    Removed = 5,
}

/// Why this agent for this ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub struct MatchReason {
    /// Last listed step taken, from 1; 0 is none.
    pub step: u32,
    /// µs × thousandths.
    pub urgency_milli_us: i64,
    pub slope_milli: u32,
    pub seniority_us: i64,
    pub head_start: Millis,
    pub fit: Millis,
    pub boost: Millis,
    /// Agents who could have taken it at that moment, this one included.
    pub candidates: u32,
    pub preferred: bool,
    pub supervisor: bool,
}

impl MatchReason {
    fn essence(&self) -> i64 {
        self.urgency_milli_us ^ i64::from(self.candidates).rotate_left(48)
    }
}

/// Where a transfer went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TransferredTo {
    Agent(SmolStr),
    Queue(SmolStr),
    Requirement,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum EventKind {
    Scheduled {
        not_before: Micros,
    },
    Queued {
        cause: QueueCause,
        reason: SmolStr,
    },
    Classified {
        cause: ClassCause,
    },
    Updated {
        revision: u64,
    },
    StepTaken {
        step: u32,
        alert: SmolStr,
    },
    Offered {
        expires: Micros,
        reason: MatchReason,
        context: Option<Bytes>,
    },
    Assigned {
        reason: Option<MatchReason>,
        context: Option<Bytes>,
        agent_context: Option<Bytes>,
        waited: Millis,
    },
    Completed {
        outcome: SmolStr,
        wrap_up_until: Micros,
    },
    Closed {
        outcome: SmolStr,
    },
    Cancelled {
        reason: SmolStr,
    },
    Overflowed {
        to: SmolStr,
    },
    Suspended {
        until: Micros,
    },
    Resumed,
    Transferred {
        to: TransferredTo,
    },
    Marked {
        moment: SmolStr,
    },
    ClockWarned {
        clock: SmolStr,
        point: u32,
    },
    ClockBreached {
        clock: SmolStr,
    },
    ClockStopped {
        clock: SmolStr,
        elapsed: Millis,
        met: bool,
    },
    ClockPaused {
        clock: SmolStr,
    },
    ClockResumed {
        clock: SmolStr,
    },
    AllDeclined,
    ExclusionEnded,
    HoldEnded,
    AgentUpserted,
    AgentRemoved,
    PresenceChanged {
        presence: Presence,
        reason: SmolStr,
        cause: PresenceCause,
    },
    SessionOpened {
        lease_until: Micros,
    },
    SessionEnded {
        expired: bool,
    },
    AgentSuperseded {
        old_session: SmolStr,
        new_session: SmolStr,
    },
    PolicyInstalled {
        name: SmolStr,
        reclassified: u64,
    },
    NodeResumed {
        grace: Millis,
    },
    /// A queue's condition is on, or off again.
    ConditionTurned {
        reserve: SmolStr,
        queues: Vec<SmolStr>,
        measure: crate::policy::Measure,
        over: i64,
        until: i64,
        on: bool,
    },
}

impl EventKind {
    /// What it is, and the figure that says most of it: what a digest of the events takes of it.
    pub(crate) fn essence(&self) -> (u8, i64) {
        use EventKind as K;
        match *self {
            K::Scheduled { not_before } => (1, not_before),
            K::Queued { cause, .. } => (2, cause as i64),
            K::Classified { cause } => (3, cause as i64),
            K::Updated { revision } => (4, revision as i64),
            K::StepTaken { step, .. } => (5, step.into()),
            K::Offered { reason, .. } => (6, reason.essence()),
            K::Assigned {
                reason: Some(reason), ..
            } => (7, reason.essence()),
            K::Assigned { waited, .. } => (7, waited),
            K::Completed { wrap_up_until, .. } => (8, wrap_up_until),
            K::Closed { .. } => (9, 0),
            K::Cancelled { .. } => (10, 0),
            K::Overflowed { .. } => (11, 0),
            K::Suspended { until } => (12, until),
            K::Resumed => (13, 0),
            K::Transferred { .. } => (14, 0),
            K::Marked { .. } => (15, 0),
            K::ClockWarned { point, .. } => (16, point.into()),
            K::ClockBreached { .. } => (17, 0),
            K::ClockStopped { elapsed, met, .. } => (18, elapsed * 2 + i64::from(met)),
            K::ClockPaused { .. } => (19, 0),
            K::ClockResumed { .. } => (20, 0),
            K::AllDeclined => (21, 0),
            K::ExclusionEnded => (22, 0),
            K::HoldEnded => (23, 0),
            K::AgentUpserted => (24, 0),
            K::AgentRemoved => (25, 0),
            K::PresenceChanged { presence, cause, .. } => (26, presence as i64 * 16 + cause as i64),
            K::SessionOpened { lease_until } => (27, lease_until),
            K::SessionEnded { expired } => (28, expired.into()),
            K::AgentSuperseded { .. } => (29, 0),
            K::PolicyInstalled { reclassified, .. } => (30, reclassified as i64),
            K::NodeResumed { grace } => (31, grace),
            K::ConditionTurned { over, until, on, .. } => (32, (over ^ until.rotate_left(24)) * 2 + i64::from(on)),
        }
    }
}
