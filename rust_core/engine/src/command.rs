//! What may be asked of the engine. Borrowed from the caller's bytes: nothing is copied before it is accepted.
//!
//! The wire checks shapes and lengths (`limits`); the engine checks everything that depends on state or policy.

use std::sync::Arc;

use smol_str::SmolStr;

pub use crate::canary::CanaryTerms;
use crate::policy::PolicySpec;
pub use crate::tuning::RuleTuning;
use crate::{Micros, Millis};

/// One attribute, as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// As the policy declares it.
    pub name: &'a str,
    /// In an update, empty removes it.
    pub value: &'a str,
    /// Thousandths; facts have 1000.
    pub confidence_milli: u16,
}

/// A skill at a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkillLevel<'a> {
    /// The skill's name.
    pub skill: &'a str,
    /// 1..=100.
    pub level: u8,
}

/// A ticket as submitted. See `NewTicket` in `ticket.proto` for each field's bound.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Submit<'a> {
    pub id: &'a str,
    pub channel: &'a str,
    pub customer: &'a str,
    pub source: &'a str,
    pub attributes: &'a [Attribute<'a>],
    pub skills: &'a [SkillLevel<'a>],
    pub preferred_agent: &'a str,
    pub excluded_agents: &'a [&'a str],
    pub not_before: Micros,
    pub context: &'a [u8],
}

/// What an agent is.
#[derive(Debug, Clone, Copy, Default)]
pub struct AgentSpec<'a> {
    /// The agent's id.
    pub id: &'a str,
    /// A skill once.
    pub skills: &'a [SkillLevel<'a>],
    /// Units, at least 1.
    pub capacity: u32,
    /// (channel, limit; 0 = the policy's); empty: all channels of the policy.
    pub channels: &'a [(&'a str, u32)],
}

/// Whether an agent takes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Presence {
    Available = 1,
    Away = 2,
    Draining = 3,
    Offline = 4,
}

/// Where a transfer goes.
#[derive(Debug, Clone)]
pub enum TransferTo<'a> {
    /// Waits for this agent up to the hold, then for everyone.
    Agent(&'a str),
    /// Replaces the first layer's rule.
    Queue(&'a str),
    /// Replaces the first layer's needs: and-ed any-of groups, and none-of.
    Requirement {
        /// And-ed groups, each to be met.
        needs: Vec<Vec<SkillLevel<'a>>>,
        /// None of these at this level.
        none_of: Vec<SkillLevel<'a>>,
    },
}

/// What a table is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TableFacts {
    pub table: SmolStr,
    /// A value a key; an empty one takes the key away.
    pub entries: Vec<(SmolStr, SmolStr)>,
    /// Keys that are not named are taken away too.
    pub replace: bool,
}

/// One thing asked. A batch is a list of these under one time.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Command<'a> {
    Submit(Submit<'a>),
    Update {
        id: &'a str,
        revision: u64,
        attributes: &'a [Attribute<'a>],
    },
    Cancel {
        id: &'a str,
        reason: &'a str,
    },
    Suspend {
        id: &'a str,
    },
    Resume {
        id: &'a str,
    },
    UpsertAgent(AgentSpec<'a>),
    RemoveAgent {
        agent: &'a str,
    },
    OpenSession {
        session: &'a str,
        lease: Millis,
    },
    RenewLease {
        session: &'a str,
    },
    CloseSession {
        session: &'a str,
    },
    Login {
        session: &'a str,
        agent: &'a str,
        presence: Presence,
        reason: &'a str,
    },
    SetPresence {
        session: &'a str,
        agent: &'a str,
        presence: Presence,
        reason: &'a str,
    },
    Accept {
        ticket: &'a str,
        attempt: u32,
        context: &'a [u8],
    },
    Decline {
        ticket: &'a str,
        attempt: u32,
        reason: &'a str,
    },
    Complete {
        ticket: &'a str,
        attempt: u32,
        outcome: &'a str,
        context: &'a [u8],
    },
    Transfer {
        ticket: &'a str,
        attempt: u32,
        to: TransferTo<'a>,
    },
    Mark {
        ticket: &'a str,
        attempt: u32,
        moment: &'a str,
    },
    PauseClock {
        ticket: &'a str,
        clock: &'a str,
    },
    ResumeClock {
        ticket: &'a str,
        clock: &'a str,
    },
    EndWrapUp {
        ticket: &'a str,
        attempt: u32,
    },
    /// A supervisor's: capacity and channel limit hold, nothing else.
    Assign {
        ticket: &'a str,
        agent: &'a str,
    },
    /// A supervisor's: the first layer's rule is replaced; ages run on.
    Move {
        ticket: &'a str,
        queue: &'a str,
    },
    InstallPolicy {
        policy: Arc<PolicySpec>,
        reclassify: bool,
    },
    /// Part of the tickets is classified by this policy, from now on.
    StartCanary {
        policy: Arc<PolicySpec>,
        terms: CanaryTerms,
    },
    /// `reclassify`: those of its tickets that wait, too, go back to the policy.
    StopCanary {
        reclassify: bool,
    },
    /// These rules are tuned from now on, and no others, for `lapse`. `policy_version`: what it was made for; 0: any.
    Tune {
        rules: Arc<[RuleTuning]>,
        lapse: Millis,
        policy_version: u64,
    },
    /// The hour's facts: a table is filled.
    SetTable {
        facts: Arc<TableFacts>,
        reclassify: bool,
    },
    /// An install goes on: so many more tickets are classified again; 0: all.
    Reclassify {
        tickets_max: u32,
    },
}

impl<'a> Command<'a> {
    /// The id of the ticket that this is about, if it is about one.
    pub fn ticket(&self) -> Option<&'a str> {
        use Command as C;
        match self {
            C::Submit(submit) => Some(submit.id),
            C::Update { id, .. } | C::Cancel { id, .. } | C::Suspend { id } | C::Resume { id } => Some(id),
            C::Accept { ticket, .. }
            | C::Decline { ticket, .. }
            | C::Complete { ticket, .. }
            | C::Transfer { ticket, .. }
            | C::Mark { ticket, .. }
            | C::PauseClock { ticket, .. }
            | C::ResumeClock { ticket, .. }
            | C::EndWrapUp { ticket, .. }
            | C::Assign { ticket, .. }
            | C::Move { ticket, .. } => Some(ticket),
            _ => None,
        }
    }
}

/// What a ticket is doing. Ended from `Closed` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum TicketState {
    Scheduled = 1,
    Waiting = 2,
    Suspended = 3,
    Offered = 4,
    Active = 5,
    Wrapping = 6,
    Closed = 7,
    Cancelled = 8,
    Overflowed = 9,
}

/// The engine's answer to one accepted item. For tickets, `Engine::route_view` says the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answer {
    /// Nothing was left to do: the same was done before.
    pub replayed: bool,
    /// The ticket's state afterwards, for a ticket's command.
    pub state: Option<TicketState>,
    /// `InstallPolicy`, `Reclassify`: tickets classified again.
    pub reclassified: u64,
    /// The ticket that it left in line: settling may match it yet.
    pub(crate) lined: Option<u32>,
}
