//! A ticket's record: small where it only waits, since a million may.

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::board::Pen;
use crate::command::{Attribute, TicketState};
use crate::event::{Bytes, MatchReason};
use crate::{Micros, Millis};

pub(crate) const NONE: u32 = u32::MAX;

/// An agent by slot; the number tells whether the slot is still that agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AgentRef {
    pub(crate) slot: u32,
    pub(crate) number: u64,
}

/// Verbs answered for the newest attempt, a bit each.
pub(crate) mod verb {
    pub(crate) const ACCEPT: u8 = 1;
    pub(crate) const DECLINE: u8 = 2;
    pub(crate) const COMPLETE: u8 = 4;
    pub(crate) const TRANSFER: u8 = 8;
    pub(crate) const END_WRAP_UP: u8 = 16;
}

/// One clock of a ticket that has started (or whose stop was past when it was new).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockRun {
    pub(crate) clock: u16,
    /// A bit a warning point raised.
    pub(crate) warned: u8,
    pub(crate) breached: bool,
    pub(crate) phase: Phase,
    pub(crate) start: Micros,
    /// Time in pauses that are over.
    pub(crate) paused: Micros,
    /// When it was paused, or stopped.
    pub(crate) since: Micros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Phase {
    Running,
    Paused,
    Stopped,
}

impl ClockRun {
    /// When so much of it will have run.
    pub(crate) fn when_run(&self, run: Micros) -> Micros {
        self.start + self.paused + run
    }

    /// How much of it has run.
    pub(crate) fn run(&self, now: Micros) -> Micros {
        let until = if self.phase == Phase::Running { now } else { self.since };
        until - self.start - self.paused
    }
}

/// What few tickets have.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) preferred: Option<AgentRef>,
    /// Rounded; 0: no hold runs (any more).
    pub(crate) hold_until: Micros,
    pub(crate) named: Vec<AgentRef>,
    /// Declines with their rounded ends, oldest first.
    pub(crate) declined: Vec<(AgentRef, Micros)>,
    /// Moments that callers marked, with their times.
    pub(crate) moments: SmallVec<[(u32, Micros); 2]>,
    /// Moments marked under the newest attempt, a bit each.
    pub(crate) marks: u64,
    pub(crate) context: Option<Bytes>,
    pub(crate) agent_context: Option<Bytes>,
    pub(crate) outcome: SmolStr,
    /// Of the last update.
    pub(crate) revision: u64,
}

/// What an offered, active or wrapping ticket holds; fixed at the match.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) wrap_up: Millis,
    pub(crate) agent: u32,
    pub(crate) cost: u32,
    /// Its `Match`.
    pub(crate) made: u32,
    pub(crate) away_on_expiry: bool,
}

/// What else was fixed at the match: seldom read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match {
    pub(crate) reason: MatchReason,
    pub(crate) decline_exclude: Millis,
}

/// Three cache lines.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Ticket {
    pub(crate) id: SmolStr,
    /// Customer and attributes, packed.
    pub(crate) content: Content,
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) work: Option<Work>,
    pub(crate) sequence: u64,
    /// Of the submit as sent.
    pub(crate) fingerprint: u64,
    pub(crate) arrival: Micros,
    pub(crate) queued_at: Micros,
    /// End of the state it is in, rounded: not-before, suspension, offer, wrap-up. 0: none.
    pub(crate) due: Micros,
    /// First acceptance; 0: not yet.
    pub(crate) assigned_at: Micros,
    pub(crate) clocks: SmallVec<[ClockRun; 1]>,
    pub(crate) source: u32,
    pub(crate) class: u32,
    /// The line it stands in, or NONE.
    pub(crate) line: u32,
    /// Steps taken, a bit each.
    pub(crate) taken: u32,
    pub(crate) attempt: u32,
    pub(crate) state: TicketState,
    pub(crate) pen: Pen,
    pub(crate) verbs: u8,
}

impl Ticket {
    pub(crate) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    pub(crate) fn entry(&self, ticket: u32) -> crate::backlog::Entry {
        crate::backlog::Entry {
            arrival: self.arrival,
            sequence: self.sequence,
            ticket,
        }
    }

    pub(crate) fn in_line(&self) -> bool {
        matches!(self.state, TicketState::Waiting | TicketState::Suspended)
    }

    /// Whether clocks may still fire.
    pub(crate) fn clocks_live(&self) -> bool {
        !matches!(self.state, TicketState::Wrapping)
    }

    /// Whether the agent of this number is excluded.
    pub(crate) fn excludes(&self, number: u64) -> bool {
        self.extra.as_ref().is_some_and(|extra| {
            extra.named.iter().any(|named| named.number == number)
                || extra.declined.iter().any(|(declined, _)| declined.number == number)
        })
    }

    pub(crate) fn excludes_anyone(&self) -> bool {
        self.extra
            .as_ref()
            .is_some_and(|extra| !extra.named.is_empty() || !extra.declined.is_empty())
    }

    pub(crate) fn revision(&self) -> u64 {
        self.extra.as_ref().map_or(0, |extra| extra.revision)
    }

    pub(crate) fn preferred(&self) -> Option<AgentRef> {
        self.extra.as_ref().and_then(|extra| extra.preferred)
    }
}

/// Customer and attributes as sent, in one allocation: a length and text each, then name, value, confidence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Content(Box<[u8]>);

impl Content {
    pub(crate) fn new<'a>(customer: &str, attributes: impl Iterator<Item = Attribute<'a>> + Clone) -> Self {
        let size: usize = attributes
            .clone()
            .map(|attribute| attribute.name.len() + attribute.value.len() + 5)
            .sum();
        let mut bytes = Vec::with_capacity(size + customer.len() + 1);
        bytes.push(customer.len() as u8);
        bytes.extend_from_slice(customer.as_bytes());
        for attribute in attributes {
            bytes.push(attribute.name.len() as u8);
            bytes.extend_from_slice(attribute.name.as_bytes());
            bytes.extend_from_slice(&(attribute.value.len() as u16).to_le_bytes());
            bytes.extend_from_slice(attribute.value.as_bytes());
            bytes.extend_from_slice(&attribute.confidence_milli.to_le_bytes());
        }
        Self(bytes.into_boxed_slice())
    }

    pub(crate) fn first(&self) -> Option<u8> {
        self.0.first().copied()
    }

    pub(crate) fn customer(&self) -> &str {
        let length = self.0.first().map_or(0, |&length| length as usize);
        text(self.0.get(1..=length).unwrap_or_default())
    }

    pub(crate) fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> + Clone {
        let mut at = 1 + self.0.first().map_or(0, |&length| length as usize);
        std::iter::from_fn(move || {
            let name_end = at + 1 + *self.0.get(at)? as usize;
            let name = text(self.0.get(at + 1..name_end)?);
            let value_at = name_end + 2;
            let value_end =
                value_at + u16::from_le_bytes([*self.0.get(name_end)?, *self.0.get(name_end + 1)?]) as usize;
            let value = text(self.0.get(value_at..value_end)?);
            let confidence_milli = u16::from_le_bytes([*self.0.get(value_end)?, *self.0.get(value_end + 1)?]);
            at = value_end + 2;
            Some(Attribute {
                name,
                value,
                confidence_milli,
            })
        })
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// An ended ticket, while it is remembered: two cache lines, for there may be millions.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: SmolStr,
    pub(crate) agent: SmolStr,
    pub(crate) extra: Option<Box<EndedExtra>>,
    pub(crate) sequence: u64,
    pub(crate) fingerprint: u64,
    pub(crate) arrival: Micros,
    pub(crate) over_at: Micros,
    pub(crate) policy_version: u64,
    pub(crate) class: u32,
    pub(crate) queue: u32,
    pub(crate) channel: u8,
    pub(crate) source: u32,
    pub(crate) attempt: u32,
    pub(crate) state: TicketState,
    pub(crate) verbs: u8,
}

/// What few ended tickets have. Without it the outcome is `DONE`.
#[derive(Debug)]
pub(crate) struct EndedExtra {
    pub(crate) outcome: SmolStr,
    pub(crate) agent_context: Option<Bytes>,
    pub(crate) revision: u64,
    pub(crate) marks: u64,
}

pub(crate) const DONE: SmolStr = SmolStr::new_static("done");

impl EndedExtra {
    /// A box only for what says something.
    pub(crate) fn boxed(self) -> Option<Box<Self>> {
        let plain = self.outcome == DONE && self.agent_context.is_none() && self.revision == 0 && self.marks == 0;
        (!plain).then(|| Box::new(self))
    }
}

impl Ended {
    pub(crate) fn outcome(&self) -> &SmolStr {
        static PLAIN: SmolStr = DONE;
        self.extra.as_ref().map_or(&PLAIN, |extra| &extra.outcome)
    }

    pub(crate) fn agent_context(&self) -> Option<&Bytes> {
        self.extra.as_ref()?.agent_context.as_ref()
    }

    pub(crate) fn revision(&self) -> u64 {
        self.extra.as_ref().map_or(0, |extra| extra.revision)
    }

    pub(crate) fn marks(&self) -> u64 {
        self.extra.as_ref().map_or(0, |extra| extra.marks)
    }
}
