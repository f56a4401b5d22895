//! Items: a write's message as it came, to a command whose every length, range, number and list is within its bound.

use std::ops::RangeInclusive;

use csroute_engine::command::{AgentSpec, Attribute, Presence, RuleTuning, SkillLevel, Submit, TransferTo};
use csroute_engine::limits::{
    CHANNELS_MAX, CONTEXT_BYTES_MAX, EXCLUDED_MAX, GROUPS_MAX, ID_BYTES_MAX, REASON_BYTES_MAX, TICKET_ATTRIBUTES_MAX,
    TUNED_MAX, UNITS_MAX, VALUE_BYTES_MAX,
};
use csroute_engine::{Code, Command, Rejection};

use crate::check::{Check, at_most, each, id, level, name, once, range, text, there, too_long, within};
use crate::message::{self, Choice, To};
use crate::proto::Repeated;

const CONFIDENCE_CERTAIN: u32 = 1000;
const CAPACITY_DEFAULT: u32 = 100;
const LEASE_MS_DEFAULT: u32 = 30_000;
const LAPSE_MS_DEFAULT: u32 = 10_000;
const LAPSE_MS: RangeInclusive<u32> = 100..=3_600_000;
const LEASE_MS: RangeInclusive<u32> = 1000..=3_600_000;

/// The lists of all items of a request, one after another: no item has memory of its own.
#[derive(Debug, Default)]
pub(crate) struct Lists<'a> {
    attributes: Vec<Attribute<'a>>,
    skills: Vec<SkillLevel<'a>>,
    names: Vec<&'a str>,
    channels: Vec<(&'a str, u32)>,
}

impl Lists<'_> {
    /// Room for so many more items like the first.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.attributes.reserve(more * self.attributes.len());
        self.skills.reserve(more * self.skills.len());
        self.names.reserve(more * self.names.len());
        self.channels.reserve(more * self.channels.len());
    }
}

/// Where an item's part of a list is. A request is below 4 GiB, so 32 bits do.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    from: u32,
    to: u32,
}

impl Span {
    fn of<T>(self, list: &[T]) -> &[T] {
        &list[self.from as usize..self.to as usize]
    }
}

/// Runs `fill` on a list; what it adds is the span.
fn span<T>(list: &mut Vec<T>, fill: impl FnOnce(&mut Vec<T>) -> Check<()>) -> Check<Span> {
    let from = list.len() as u32;
    fill(list)?;
    Ok(Span {
        from,
        to: list.len() as u32,
    })
}

/// A command whose lists stand in `Lists`.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    Submit {
        submit: Submit<'a>,
        attributes: Span,
        skills: Span,
        excluded: Span,
    },
    Update {
        id: &'a str,
        revision: u64,
        attributes: Span,
    },
    Upsert {
        id: &'a str,
        skills: Span,
        capacity: u32,
        channels: Span,
    },
    Plain(Command<'a>),
}

impl<'a> Item<'a> {
    pub(crate) fn command<'l>(&'l self, lists: &'l Lists<'a>) -> Command<'l> {
        match self {
            Item::Submit {
                submit,
                attributes,
                skills,
                excluded,
            } => Command::Submit(Submit {
                attributes: attributes.of(&lists.attributes),
                skills: skills.of(&lists.skills),
                excluded_agents: excluded.of(&lists.names),
                ..*submit
            }),
            Item::Update {
                id,
                revision,
                attributes,
            } => Command::Update {
                id,
                revision: *revision,
                attributes: attributes.of(&lists.attributes),
            },
            Item::Upsert {
                id,
                skills,
                capacity,
                channels,
            } => Command::UpsertAgent(AgentSpec {
                id,
                skills: skills.of(&lists.skills),
                capacity: *capacity,
                channels: channels.of(&lists.channels),
            }),
            Item::Plain(command) => command.clone(),
        }
    }

    /// The ticket, where the method's reply names it.
    pub(crate) fn ticket(&self) -> &'a str {
        match self {
            Item::Submit { submit, .. } => submit.id,
            Item::Update { id, .. }
            | Item::Plain(Command::Cancel { id, .. } | Command::Suspend { id } | Command::Resume { id }) => id,
            _ => "",
        }
    }
}

fn context(value: &[u8]) -> Check<&[u8]> {
    if value.len() > CONTEXT_BYTES_MAX {
        Err(too_long("context", value.len(), CONTEXT_BYTES_MAX))
    } else {
        Ok(value)
    }
}

fn reason(value: &str) -> Check<&str> {
    text("reason", value, REASON_BYTES_MAX)
}

fn skill<'a>(message: &message::SkillLevel<'a>) -> Check<SkillLevel<'a>> {
    Ok(SkillLevel {
        skill: name("skill", message.skill)?,
        level: level(message.level)?,
    })
}

fn skills<'a, const MAX: usize>(
    field: &str,
    list: &Repeated<message::SkillLevel<'a>, MAX>,
    out: &mut Vec<SkillLevel<'a>>,
) -> Check<()> {
    at_most(field, list.more, MAX)?;
    each(field, &list.items, |item| {
        out.push(skill(item)?);
        Ok(())
    })
}

fn attributes<'a>(
    list: &Repeated<message::Attribute<'a>, TICKET_ATTRIBUTES_MAX>,
    out: &mut Vec<Attribute<'a>>,
) -> Check<Span> {
    at_most("attributes", list.more, TICKET_ATTRIBUTES_MAX)?;
    let span = span(out, |out| {
        each("attributes", &list.items, |item| {
            let confidence = item.confidence_milli.unwrap_or(CONFIDENCE_CERTAIN);
            out.push(Attribute {
                name: name("name", item.name)?,
                value: text("value", item.value, VALUE_BYTES_MAX)?,
                confidence_milli: range("confidence_milli", confidence, 0..=CONFIDENCE_CERTAIN)? as u16,
            });
            Ok(())
        })
    })?;
    once("attributes", span.of(out), |attribute| attribute.name)?;
    Ok(span)
}

pub(crate) fn submit<'a>(ticket: &message::NewTicket<'a>, lists: &mut Lists<'a>) -> Check<Item<'a>> {
    if ticket.not_before_us < 0 {
        let message = "before 1970: give Unix time in µs, or 0 for now";
        return Err(Rejection::about(Code::OutOfRange, "not_before_us", message));
    }
    let submit = Submit {
        id: id("id", ticket.id)?,
        channel: name("channel", ticket.channel)?,
        customer: text("customer", ticket.customer, ID_BYTES_MAX)?,
        source: text("source", ticket.source, ID_BYTES_MAX)?,
        preferred_agent: text("preferred_agent", ticket.preferred_agent, ID_BYTES_MAX)?,
        not_before: ticket.not_before_us,
        context: context(ticket.context)?,
        ..Submit::default()
    };
    at_most("excluded_agents", ticket.excluded_agents.more, EXCLUDED_MAX)?;
    Ok(Item::Submit {
        submit,
        attributes: attributes(&ticket.attributes, &mut lists.attributes)?,
        skills: span(&mut lists.skills, |out| skills("skills", &ticket.skills, out))?,
        excluded: span(&mut lists.names, |out| {
            each("excluded_agents", &ticket.excluded_agents.items, |agent| {
                out.push(id("", agent)?);
                Ok(())
            })
        })?,
    })
}

pub(crate) fn update<'a>(message: &message::Update<'a>, lists: &mut Lists<'a>) -> Check<Item<'a>> {
    let id = id("id", message.id)?;
    if message.revision == 0 {
        return Err(Rejection::about(Code::OutOfRange, "revision", "revisions begin at 1"));
    }
    let attributes = attributes(&message.attributes, &mut lists.attributes)?;
    Ok(Item::Update {
        id,
        revision: message.revision,
        attributes,
    })
}

pub(crate) fn upsert<'a>(agent: &message::AgentSpec<'a>, lists: &mut Lists<'a>) -> Check<Item<'a>> {
    let id = id("id", agent.id)?;
    let capacity = if agent.capacity == 0 {
        CAPACITY_DEFAULT
    } else {
        range("capacity", agent.capacity, 1..=UNITS_MAX)?
    };
    let skills = span(&mut lists.skills, |out| skills("skills", &agent.skills, out))?;
    once("skills", skills.of(&lists.skills), |skill| skill.skill)?;
    at_most("channels", agent.channels.more, CHANNELS_MAX)?;
    let channels = span(&mut lists.channels, |out| {
        each("channels", &agent.channels.items, |item| {
            out.push((
                name("channel", item.channel)?,
                range("limit", item.limit, 0..=UNITS_MAX)?,
            ));
            Ok(())
        })
    })?;
    once("channels", channels.of(&lists.channels), |channel| channel.0)?;
    Ok(Item::Upsert {
        id,
        skills,
        capacity,
        channels,
    })
}

pub(crate) fn remove<'a>(agent: &&'a str) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::RemoveAgent { agent: id("", agent)? }))
}

pub(crate) fn cancel<'a>(message: &message::Cancel<'a>) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::Cancel {
        id: id("id", message.id)?,
        reason: reason(message.reason)?,
    }))
}

pub(crate) fn suspend<'a>(message: &message::Named<'a>) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::Suspend {
        id: id("id", message.id)?,
    }))
}

pub(crate) fn resume<'a>(message: &message::Named<'a>) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::Resume {
        id: id("id", message.id)?,
    }))
}

pub(crate) fn open_session<'a>(message: &message::OpenSession<'a>) -> Check<Item<'a>> {
    let session = id("session", message.session)?;
    let lease_ms = if message.lease_ms == 0 {
        LEASE_MS_DEFAULT
    } else {
        range("lease_ms", message.lease_ms, LEASE_MS)?
    };
    Ok(Item::Plain(Command::OpenSession {
        session,
        lease: lease_ms.into(),
    }))
}

pub(crate) fn renew_lease<'a>(message: &message::Named<'a>) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::RenewLease {
        session: id("session", message.id)?,
    }))
}

pub(crate) fn close_session<'a>(message: &message::Named<'a>) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::CloseSession {
        session: id("session", message.id)?,
    }))
}

pub(crate) fn tune<'a>(message: &message::Tune<'a>) -> Check<Item<'a>> {
    at_most("rules", message.rules.more, TUNED_MAX)?;
    let mut rules = Vec::with_capacity(message.rules.items.len());
    each("rules", &message.rules.items, |rule| {
        rules.push(RuleTuning {
            layer: name("layer", rule.layer)?.into(),
            rule: name("rule", rule.rule)?.into(),
            head_start: rule.head_start_ms,
            slope_milli: rule.slope_milli,
            fit_milli: rule.fit_milli,
        });
        Ok(())
    })?;
    let lapse_ms = if message.lapse_ms == 0 {
        LAPSE_MS_DEFAULT
    } else {
        range("lapse_ms", message.lapse_ms, LAPSE_MS)?
    };
    Ok(Item::Plain(Command::Tune {
        rules: rules.into(),
        lapse: lapse_ms.into(),
        policy_version: message.policy_version,
    }))
}

pub(crate) fn presence(field: &str, number: i32) -> Check<Presence> {
    match number {
        1 => Ok(Presence::Available),
        2 => Ok(Presence::Away),
        3 => Ok(Presence::Draining),
        4 => Ok(Presence::Offline),
        _ => Err(Rejection::about(
            Code::UnknownValue,
            field,
            format!("{number} is no presence"),
        )),
    }
}

pub(crate) fn login<'a>(message: &message::SetPresence<'a>) -> Check<Item<'a>> {
    let session = id("session", message.session)?;
    let agent = id("agent", message.agent)?;
    let presence = if message.presence == 0 {
        Presence::Available
    } else {
        presence("presence", message.presence)?
    };
    Ok(Item::Plain(Command::Login {
        session,
        agent,
        presence,
        reason: reason(message.reason)?,
    }))
}

pub(crate) fn set_presence<'a>(message: &message::SetPresence<'a>) -> Check<Item<'a>> {
    let session = id("session", message.session)?;
    let agent = id("agent", message.agent)?;
    let presence = presence("presence", message.presence)?;
    Ok(Item::Plain(Command::SetPresence {
        session,
        agent,
        presence,
        reason: reason(message.reason)?,
    }))
}

pub(crate) fn accept<'a>(message: &message::Accept<'a>) -> Check<Item<'a>> {
    let ticket = id("ticket", message.ticket)?;
    Ok(Item::Plain(Command::Accept {
        ticket,
        attempt: message.attempt,
        context: context(message.context)?,
    }))
}

pub(crate) fn decline<'a>(message: &message::Worded<'a>) -> Check<Item<'a>> {
    let ticket = id("ticket", message.ticket)?;
    Ok(Item::Plain(Command::Decline {
        ticket,
        attempt: message.attempt,
        reason: reason(message.word)?,
    }))
}

pub(crate) fn complete<'a>(message: &message::Complete<'a>) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::Complete {
        ticket: id("ticket", message.ticket)?,
        attempt: message.attempt,
        outcome: text("outcome", message.outcome, REASON_BYTES_MAX)?,
        context: context(message.context)?,
    }))
}

pub(crate) fn transfer<'a>(message: &message::Transfer<'a>) -> Check<Item<'a>> {
    let ticket = id("ticket", message.ticket)?;
    let to = match &message.to {
        To::Unset => {
            return Err(Rejection::about(
                Code::FieldMissing,
                "to",
                "give agent, queue or requirement",
            ));
        }
        To::Agent(agent) => TransferTo::Agent(id("agent", agent)?),
        To::Queue(queue) => TransferTo::Queue(name("queue", queue)?),
        To::Requirement(asked) => requirement(asked).map_err(|no| within("requirement", no))?,
    };
    Ok(Item::Plain(Command::Transfer {
        ticket,
        attempt: message.attempt,
        to,
    }))
}

fn requirement<'a>(message: &message::Requirement<'a>) -> Check<TransferTo<'a>> {
    at_most("needs", message.needs.more, GROUPS_MAX)?;
    let mut needs = Vec::with_capacity(message.needs.items.len());
    each("needs", &message.needs.items, |group| {
        there("skills", !group.skills.items.is_empty())?;
        let mut any_of = Vec::with_capacity(group.skills.items.len());
        skills("skills", &group.skills, &mut any_of)?;
        needs.push(any_of);
        Ok(())
    })?;
    let mut none_of = Vec::with_capacity(message.none_of.items.len());
    skills("none_of", &message.none_of, &mut none_of)?;
    Ok(TransferTo::Requirement { needs, none_of })
}

pub(crate) fn mark<'a>(message: &message::Worded<'a>) -> Check<Item<'a>> {
    let ticket = id("ticket", message.ticket)?;
    Ok(Item::Plain(Command::Mark {
        ticket,
        attempt: message.attempt,
        moment: name("moment", message.word)?,
    }))
}

pub(crate) fn pause_clock<'a>(message: &message::Pair<'a>) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::PauseClock {
        ticket: id("ticket", message.ticket)?,
        clock: name("clock", message.other)?,
    }))
}

pub(crate) fn resume_clock<'a>(message: &message::Pair<'a>) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::ResumeClock {
        ticket: id("ticket", message.ticket)?,
        clock: name("clock", message.other)?,
    }))
}

pub(crate) fn end_wrap_up<'a>(message: &message::EndWrapUp<'a>) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::EndWrapUp {
        ticket: id("ticket", message.ticket)?,
        attempt: message.attempt,
    }))
}

pub(crate) fn assign<'a>(message: &message::Pair<'a>) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::Assign {
        ticket: id("ticket", message.ticket)?,
        agent: id("agent", message.other)?,
    }))
}

pub(crate) fn move_to<'a>(message: &message::Pair<'a>) -> Check<Item<'a>> {
    Ok(Item::Plain(Command::Move {
        ticket: id("ticket", message.ticket)?,
        queue: name("queue", message.other)?,
    }))
}

pub(crate) fn action<'a>(choice: &Choice<'a>) -> Check<Item<'a>> {
    let (name, checked) = match choice {
        Choice::Unset => {
            return Err(Rejection::about(
                Code::FieldMissing,
                "action",
                "no action that is known",
            ));
        }
        Choice::Login(message) => ("login", login(message)),
        Choice::SetPresence(message) => ("set_presence", set_presence(message)),
        Choice::Accept(message) => ("accept", accept(message)),
        Choice::Decline(message) => ("decline", decline(message)),
        Choice::Complete(message) => ("complete", complete(message)),
        Choice::Transfer(message) => ("transfer", transfer(message)),
        Choice::Mark(message) => ("mark", mark(message)),
        Choice::PauseClock(message) => ("pause_clock", pause_clock(message)),
        Choice::ResumeClock(message) => ("resume_clock", resume_clock(message)),
        Choice::EndWrapUp(message) => ("end_wrap_up", end_wrap_up(message)),
        Choice::RenewLease(message) => ("renew_lease", renew_lease(message)),
    };
    checked.map_err(|no| within(name, no))
}
