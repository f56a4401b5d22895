//! The requests' messages as they come: read in place, held to protobuf's own rules only. Messages of one shape share
//! a struct. What a list holds beyond its bound is read and dropped; the checks in `decode` then refuse it.

use csroute_engine::limits::{
    AGENT_SKILLS_MAX, CHANNELS_MAX, EXCLUDED_MAX, GROUP_SKILLS_MAX, GROUPS_MAX, LATER_MAX, TICKET_ATTRIBUTES_MAX,
    TICKET_SKILLS_MAX, TUNED_MAX,
};

use crate::proto::{Field, Message, Numbers, Read, Reader, Repeated, Value};

/// Sources, or queues, a watcher may name.
pub(crate) const WATCH_NAMES_MAX: usize = 256;
/// States, or presences, a filter may name.
pub(crate) const FILTER_MAX: usize = 16;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($tag:literal $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name<'a> { $(pub $field: $type,)* }

        impl<'a> Message<'a> for $name<'a> {
            #[inline]
            fn merge_from(&mut self, reader: Reader<'a>) -> Read<()> {
                for field in reader {
                    let (tag, value) = field?;
                    match tag {
                        $($tag => self.$field.merge(value)?,)*
                        _ => {}
                    }
                }
                Ok(())
            }

            fn clear_all(&mut self) {
                $(self.$field.clear();)*
            }
        }
    )*};
}

messages! {
    Attribute { 1 name: &'a str, 2 value: &'a str, 3 confidence_milli: Option<u32>, }
    SkillLevel { 1 skill: &'a str, 2 level: u32, }
    NewTicket {
        1 id: &'a str,
        2 channel: &'a str,
        3 customer: &'a str,
        4 source: &'a str,
        5 attributes: Repeated<Attribute<'a>, TICKET_ATTRIBUTES_MAX>,
        6 skills: Repeated<SkillLevel<'a>, TICKET_SKILLS_MAX>,
        7 preferred_agent: &'a str,
        8 excluded_agents: Repeated<&'a str, EXCLUDED_MAX>,
        9 not_before_us: i64,
        10 context: &'a [u8],
    }
    Route { 1 ticket: NewTicket<'a>, 2 wait_ms: u32, }
    Update { 1 id: &'a str, 2 revision: u64, 3 attributes: Repeated<Attribute<'a>, TICKET_ATTRIBUTES_MAX>, }
    Cancel { 1 id: &'a str, 2 reason: &'a str, }
    /// One id, whatever its field's name.
    Named { 1 id: &'a str, }
    AgentChannel { 1 channel: &'a str, 2 limit: u32, }
    AgentSpec {
        1 id: &'a str,
        2 skills: Repeated<SkillLevel<'a>, AGENT_SKILLS_MAX>,
        3 capacity: u32,
        4 channels: Repeated<AgentChannel<'a>, CHANNELS_MAX>,
    }
    OpenSession { 1 session: &'a str, 2 lease_ms: u32, }
    /// A login too.
    SetPresence { 1 session: &'a str, 2 agent: &'a str, 3 presence: i32, 4 reason: &'a str, }
    Accept { 1 ticket: &'a str, 2 attempt: u32, 3 context: &'a [u8], }
    /// A decline's reason, a mark's moment.
    Worded { 1 ticket: &'a str, 2 attempt: u32, 3 word: &'a str, }
    Complete { 1 ticket: &'a str, 2 attempt: u32, 3 outcome: &'a str, 4 context: &'a [u8], }
    /// A ticket and another name: a clock, an agent, a queue.
    Pair { 1 ticket: &'a str, 2 other: &'a str, }
    EndWrapUp { 1 ticket: &'a str, 2 attempt: u32, }
    AnyOf { 1 skills: Repeated<SkillLevel<'a>, GROUP_SKILLS_MAX>, }
    Requirement { 1 needs: Repeated<AnyOf<'a>, GROUPS_MAX>, 2 none_of: Repeated<SkillLevel<'a>, GROUP_SKILLS_MAX>, }
    Later { 1 at_us: i64, 2 policy: &'a [u8], 3 reclassify: bool, }
    Install { 1 policy: &'a [u8], 2 reclassify: bool, 3 later: Repeated<Later<'a>, LATER_MAX>, 4 slice: u32, }
    RuleTuning {
        1 layer: &'a str,
        2 rule: &'a str,
        3 head_start_ms: Option<i64>,
        4 slope_milli: Option<u32>,
        5 fit_milli: Option<u32>,
    }
    Tune { 1 rules: Repeated<RuleTuning<'a>, TUNED_MAX>, 2 lapse_ms: u32, 3 policy_version: u64, }
    Canary {
        1 policy: &'a [u8],
        2 share_milli: u32,
        3 margin_milli: Option<u32>,
        4 error_milli: u32,
        5 tickets_min: u32,
    }
    ListTickets {
        1 states: Numbers<FILTER_MAX>,
        2 queue: &'a str,
        3 source: &'a str,
        4 agent: &'a str,
        5 page_size: u32,
        6 page_token: &'a str,
    }
    ListAgents {
        1 presences: Numbers<FILTER_MAX>,
        2 skill: &'a str,
        3 session: &'a str,
        4 page_size: u32,
        5 page_token: &'a str,
    }
    Watch {
        1 sources: Repeated<&'a str, WATCH_NAMES_MAX>,
        2 queues: Repeated<&'a str, WATCH_NAMES_MAX>,
        3 after_sequence: u64,
        4 batch_max: u32,
    }
}

/// A choice between messages: another choice replaces the one before, the same again merges.
macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($tag:literal $variant:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) enum $name<'a> { #[default] Unset, $($variant($type),)* }

        impl<'a> $name<'a> {
            /// True if this field is one of the choice.
            fn merge_choice(&mut self, tag: u32, value: Value<'a>) -> Read<bool> {
                match tag {
                    $($tag => {
                        if !matches!(self, Self::$variant(_)) {
                            *self = Self::$variant(Default::default());
                        }
                        if let Self::$variant(chosen) = self {
                            chosen.merge(value)?;
                        }
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    )*};
}

choices! {
    To { 3 Agent: &'a str, 4 Queue: &'a str, 5 Requirement: Requirement<'a>, }
    Choice {
        1 Login: SetPresence<'a>,
        2 SetPresence: SetPresence<'a>,
        3 Accept: Accept<'a>,
        4 Decline: Worded<'a>,
        5 Complete: Complete<'a>,
        6 Transfer: Transfer<'a>,
        7 Mark: Worded<'a>,
        8 PauseClock: Pair<'a>,
        9 ResumeClock: Pair<'a>,
        10 EndWrapUp: EndWrapUp<'a>,
        11 RenewLease: Named<'a>,
    }
}

#[derive(Debug, Default)]
pub(crate) struct Transfer<'a> {
    pub ticket: &'a str,
    pub attempt: u32,
    pub to: To<'a>,
}

impl<'a> Message<'a> for Transfer<'a> {
    fn merge_from(&mut self, reader: Reader<'a>) -> Read<()> {
        for field in reader {
            let (tag, value) = field?;
            match tag {
                1 => self.ticket.merge(value)?,
                2 => self.attempt.merge(value)?,
                _ => self.to.merge_choice(tag, value).map(|_| ())?,
            }
        }
        Ok(())
    }

    fn clear_all(&mut self) {
        *self = Self::default();
    }
}

#[derive(Debug, Default)]
pub(crate) struct AgentAction<'a> {
    pub action: Choice<'a>,
    pub tag: u64,
}

impl<'a> Message<'a> for AgentAction<'a> {
    fn merge_from(&mut self, reader: Reader<'a>) -> Read<()> {
        for field in reader {
            let (tag, value) = field?;
            match tag {
                15 => self.tag.merge(value)?,
                _ => self.action.merge_choice(tag, value).map(|_| ())?,
            }
        }
        Ok(())
    }

    fn clear_all(&mut self) {
        *self = Self::default();
    }
}
