//! The gateway's side: submit, update, cancel, suspend, resume; and how tickets end.

use std::hash::Hasher;
use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::board::{Pen, SkillAt};
use crate::command::{Answer, Attribute, Submit, TicketState};
use crate::event::{ClassCause, EventKind, QueueCause};
use crate::names::Ids;
use crate::tables::{RuleAt, Tables};
use crate::ticket::{Content, Ended, EndedExtra, NONE, Ticket};
use crate::{Code, ENDED, Engine, Micros, Rejection, limits, round_up};

/// How many forgettings ahead an id's place is brought into the cache.
const FORGET_AHEAD: usize = 4;

/// A ticket by its id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    Open(u32),
    Ended(u32),
}

pub(crate) fn done(state: TicketState) -> Answer {
    Answer {
        state: Some(state),
        ..Answer::default()
    }
}

pub(crate) fn replay(state: TicketState) -> Answer {
    Answer {
        replayed: true,
        ..done(state)
    }
}

pub(crate) fn wrong_state(id: &str, state: TicketState, what: &str) -> Rejection {
    Rejection::about(
        Code::WrongState,
        id,
        format!("{id} is {state:?}: cannot {what}")
            .to_lowercase()
            .replace(&id.to_lowercase(), id),
    )
}

pub(crate) fn no_channel(tables: &crate::tables::Tables, name: &str) -> Rejection {
    let has: Vec<&str> = tables
        .spec
        .channels
        .iter()
        .map(|channel| channel.name.as_str())
        .collect();
    Rejection::about(
        Code::ChannelUnknown,
        name,
        format!("the policy has no channel {name:?}; it has: {}", has.join(", ")),
    )
}

/// A hash of all that a submit says.
fn fingerprint(submit: &Submit<'_>) -> u64 {
    let mut hash = crate::names::hasher();
    let mut text = |text: &[u8]| {
        hash.write(text);
        hash.write_usize(text.len());
    };
    for field in [submit.channel, submit.customer, submit.source, submit.preferred_agent] {
        text(field.as_bytes());
    }
    text(submit.context);
    for attribute in submit.attributes {
        text(attribute.name.as_bytes());
        text(attribute.value.as_bytes());
    }
    for skill in submit.skills {
        text(skill.skill.as_bytes());
    }
    for agent in submit.excluded_agents {
        text(agent.as_bytes());
    }
    for attribute in submit.attributes {
        hash.write_u16(attribute.confidence_milli);
    }
    for skill in submit.skills {
        hash.write_u8(skill.level);
    }
    hash.write_i64(submit.not_before);
    hash.write_usize(submit.attributes.len() << 32 | submit.skills.len() << 16 | submit.excluded_agents.len());
    hash.finish()
}

impl Engine {
    pub(crate) fn find(&self, id: &str) -> Option<Found> {
        self.find_hashed(id, Ids::hash(id))
    }

    fn find_hashed(&self, id: &str, hash: u64) -> Option<Found> {
        let same = |handle: u32| {
            if handle & ENDED == 0 {
                self.tickets[handle].id == id
            } else {
                self.ended[handle & !ENDED].id == id
            }
        };
        self.ids.get(hash, same).map(|handle| {
            if handle & ENDED == 0 {
                Found::Open(handle)
            } else {
                Found::Ended(handle & !ENDED)
            }
        })
    }

    /// The answer to a command that may have put a ticket in line. What is gone overflowed.
    pub(crate) fn left(&self, key: u32) -> Answer {
        let state = self
            .tickets
            .get(key)
            .map_or(TicketState::Overflowed, |ticket| ticket.state);
        Answer {
            lined: (state == TicketState::Waiting).then_some(key),
            ..done(state)
        }
    }

    pub(crate) fn known(&self, id: &str) -> Result<Found, Rejection> {
        self.find(id).ok_or_else(|| {
            Rejection::about(
                Code::TicketUnknown,
                id,
                format!("no ticket {id:?}: it was never submitted, or is forgotten"),
            )
        })
    }

    /// An open ticket's key; ended: `WrongState`.
    pub(crate) fn open_ticket(&self, id: &str) -> Result<u32, Rejection> {
        match self.known(id)? {
            Found::Open(key) => Ok(key),
            Found::Ended(ended) => Err(wrong_state(id, self.ended[ended].state, "do this any more")),
        }
    }

    pub(crate) fn submit(&mut self, submit: &Submit<'_>) -> Result<Answer, Rejection> {
        let id = submit.id;
        let (hash, fingerprint) = (Ids::hash(id), fingerprint(submit));
        if let Some(found) = self.find_hashed(id, hash) {
            let (state, known) = match found {
                Found::Open(key) => (self.tickets[key].state, self.tickets[key].fingerprint),
                Found::Ended(ended) => (self.ended[ended].state, self.ended[ended].fingerprint),
            };
            if known == fingerprint {
                return Ok(replay(state));
            }
            return Err(Rejection::about(
                Code::Conflict,
                id,
                format!("{id} is known with other content; it is {state:?}"),
            ));
        }
        let (tables, canary) = self.tables_for(submit.customer, id)?;
        let tables = Arc::clone(tables);
        let attributes = || {
            submit
                .attributes
                .iter()
                .map(|attribute| (attribute.name, attribute.value, attribute.confidence_milli))
        };
        let Some(place) = tables.channel_place(submit.channel) else {
            return Err(no_channel(&tables, submit.channel));
        };
        let channel = self.channel_numbers[place];
        let values = tables.read(Some(place), submit.customer, attributes(), &self.facts, true)?;
        let unknown_skills = submit
            .skills
            .iter()
            .filter(|skill| self.skill_names.get(skill.skill).is_none())
            .count();
        if self.skill_names.len() + unknown_skills > limits::SKILL_NAMES_MAX {
            return Err(Rejection::new(
                Code::SkillsFull,
                format!("{} skill names are known, as many as may be", limits::SKILL_NAMES_MAX),
            ));
        }
        let bounds = self.bounds();
        let waiting = self.by_state[TicketState::Scheduled as usize]
            + self.by_state[TicketState::Waiting as usize]
            + self.by_state[TicketState::Suspended as usize];
        if waiting >= u64::from(bounds.waiting_max) {
            return Err(Rejection::new(
                Code::WaitingFull,
                format!("{waiting} tickets are waiting, as many as may be"),
            ));
        }
        self.room_in_caps(&tables, submit)?;
        let memo = if submit.skills.is_empty() {
            self.classes.memo(channel, canary, &values)
        } else {
            None
        };
        let class = if let Some(class) = memo {
            self.room_in_queue(&tables, self.classes[class].key.applied[0])?;
            class
        } else {
            let mut own: SmallVec<[SkillAt; 2]> = SmallVec::new();
            for skill in submit.skills {
                own.push((self.skill(skill.skill)?, skill.level));
            }
            own.sort_unstable();
            own.dedup();
            let (class_key, simple) = Self::class_key(
                &tables,
                submit.channel,
                channel,
                submit.customer,
                attributes(),
                &values,
                own,
                None,
                &self.facts,
            );
            self.room_in_queue(&tables, class_key.applied[0])?;
            let class = self.intern_class(&tables, class_key)?;
            if simple {
                self.classes.remember(channel, canary, values, class);
            }
            class
        };

        self.classes[class].users += 1;
        self.ticket_sequence += 1;
        self.counters.submitted += 1;
        let mut ticket = Ticket {
            id: SmolStr::new(id),
            content: Content::new(submit.customer, submit.attributes.iter().copied()),
            extra: None,
            work: None,
            sequence: self.ticket_sequence,
            fingerprint,
            arrival: 0,
            queued_at: 0,
            due: 0,
            assigned_at: 0,
            clocks: SmallVec::new(),
            source: self.sources.hold(submit.source),
            class,
            line: NONE,
            taken: 0,
            attempt: 0,
            state: TicketState::Scheduled,
            pen: Pen::Main,
            verbs: 0,
        };
        if !submit.context.is_empty() {
            ticket.extra().context = Some(submit.context.into());
        }
        if !submit.preferred_agent.is_empty()
            && let Some(preferred) = self.agent_ref(submit.preferred_agent)
        {
            ticket.extra().preferred = Some(preferred);
        }
        for agent in submit.excluded_agents {
            if let Some(agent) = self.agent_ref(agent) {
                ticket.extra().named.push(agent);
            }
        }
        let key = self.tickets.insert(ticket);
        self.ids.insert(hash, key);
        self.order.set(self.ticket_sequence, key);
        self.by_state[TicketState::Scheduled as usize] += 1;
        self.count_lined(class, TicketState::Scheduled, true);
        self.count_caps(key, class, TicketState::Scheduled, true);
        if submit.not_before > self.now {
            let not_before = round_up(submit.not_before);
            self.tickets[key].due = not_before;
            self.emit(Some(key), None, 0, EventKind::Scheduled { not_before });
            self.arm(key);
        } else {
            self.arrive(key, self.now);
        }
        Ok(self.left(key))
    }

    /// Whether one more ticket may stand in the queue that a rule of the first layer is.
    fn room_in_queue(&self, tables: &Tables, rule: RuleAt) -> Result<(), Rejection> {
        let Some(most) = tables.effects(rule).waiting_max else {
            return Ok(());
        };
        let name = &tables.spec.layers[0].rules[rule.1 as usize].name;
        let there = self
            .queue_names
            .get(name)
            .map_or(0, |number| self.lined[number as usize]);
        if there < most {
            return Ok(());
        }
        let message = format!("{there} tickets stand in the queue {name}, as many as may");
        Err(Rejection::about(Code::WaitingFull, name.clone(), message))
    }

    /// A ticket waits for the first time.
    pub(crate) fn arrive(&mut self, key: u32, at: Micros) {
        let ticket = &mut self.tickets[key];
        (ticket.arrival, ticket.queued_at) = (at, at);
        let class = &mut self.classes[ticket.class];
        class.arrived += 1;
        let queue = class.queue;
        let hold = class.affinity.as_ref().map_or(0, |affinity| affinity.hold * 1000);
        if ticket.preferred().is_none()
            && let Some(owner) = self.owner_of(key)
        {
            self.tickets[key].extra().preferred = Some(owner);
        }
        if self.tickets[key].preferred().is_some() {
            self.hold_for(key, hold);
        }
        self.queue_stats[queue as usize].arrived += 1;
        self.tally(self.tickets[key].class, |tally| tally.arrived += 1);
        self.moment(key, crate::clocks::ARRIVAL);
        self.enter_waiting(key, None, QueueCause::Arrived, "");
        self.stand_in_line(key);
    }

    pub(crate) fn update(
        &mut self,
        id: &str,
        revision: u64,
        attributes: &[Attribute<'_>],
    ) -> Result<Answer, Rejection> {
        let key = self.open_ticket(id)?;
        let ticket = &self.tickets[key];
        let state = ticket.state;
        if state == TicketState::Wrapping {
            return Err(wrong_state(id, state, "update it"));
        }
        if revision <= ticket.revision() {
            return Ok(replay(state));
        }
        let tables = self.tables_of(key)?;
        let content = merged(&ticket.content, attributes, |name, confidence_milli| {
            tables.sticky(name, confidence_milli)
        });
        if content.attributes().count() > limits::TICKET_ATTRIBUTES_MAX {
            return Err(Rejection::about(
                Code::TooMany,
                "attributes",
                format!("a ticket has at most {} attributes", limits::TICKET_ATTRIBUTES_MAX),
            ));
        }
        let class = &self.classes[ticket.class];
        let (channel, own) = (class.channel, class.key.own.clone());
        let channel_name = self.channel_names.name(channel.into()).clone();
        let read = || {
            content
                .attributes()
                .map(|attribute| (attribute.name, attribute.value, attribute.confidence_milli))
        };
        let place = tables.channel_place(&channel_name);
        let values = tables.read(place, content.customer(), read(), &self.facts, true)?;
        if place.is_none() {
            return Err(no_channel(&tables, &channel_name));
        }
        let (class_key, _) = Self::class_key(
            &tables,
            &channel_name,
            channel,
            content.customer(),
            read(),
            &values,
            own,
            None,
            &self.facts,
        );
        let class = self.intern_class(&tables, class_key)?;
        let before = self.tickets[key].class;
        self.count_caps(key, before, state, false);
        self.tickets[key].content = content;
        self.count_caps(key, before, state, true);
        let ticket = &mut self.tickets[key];
        ticket.extra().revision = revision;
        self.emit(Some(key), None, 0, EventKind::Updated { revision });
        if class != self.tickets[key].class {
            self.reclassify(key, class, ClassCause::Updated);
        }
        Ok(self.left(key))
    }

    /// Gives an open ticket another class, in whatever state it is.
    pub(crate) fn reclassify(&mut self, key: u32, class: u32, cause: ClassCause) {
        let state = self.tickets[key].state;
        let told = matches!(
            state,
            TicketState::Scheduled | TicketState::Waiting | TicketState::Suspended
        );
        self.leave_line(key);
        self.change_class(key, class, told.then_some(cause));
        self.stand_in_line(key);
        if self.tickets.get(key).is_some() {
            self.arm(key);
        }
    }

    pub(crate) fn cancel(&mut self, id: &str, reason: &str) -> Result<Answer, Rejection> {
        let key = match self.known(id)? {
            Found::Open(key) => key,
            Found::Ended(ended) => return Ok(replay(self.ended[ended].state)),
        };
        match self.tickets[key].state {
            TicketState::Wrapping => return Ok(replay(TicketState::Wrapping)),
            TicketState::Active => return Ok(done(self.complete_work(key, "abandoned"))),
            _ => self.cancel_waiting(key, reason),
        }
        Ok(done(TicketState::Cancelled))
    }

    /// Ends a ticket that nobody works on.
    pub(crate) fn cancel_waiting(&mut self, key: u32, reason: &str) {
        let ticket = &self.tickets[key];
        let (agent, attempt) = ticket
            .work
            .as_ref()
            .map_or((None, 0), |work| (Some(work.agent), ticket.attempt));
        if ticket.state != TicketState::Scheduled && ticket.assigned_at == 0 {
            let class = &self.classes[ticket.class];
            let short = self.now - ticket.arrival < class.tables.spec.short_abandon * 1000;
            let stats = &mut self.queue_stats[class.queue as usize];
            stats.abandoned += 1;
            stats.short_abandoned += u64::from(short);
            self.tally(self.tickets[key].class, |tally| {
                tally.abandoned += 1;
                tally.short_abandoned += u64::from(short);
            });
        }
        self.counters.cancelled += 1;
        self.emit(
            Some(key),
            agent,
            attempt,
            EventKind::Cancelled {
                reason: SmolStr::new(reason),
            },
        );
        self.leave_line(key);
        self.release_work(key, false);
        self.end_ticket(key, TicketState::Cancelled, SmolStr::new(reason));
    }

    pub(crate) fn suspend(&mut self, id: &str) -> Result<Answer, Rejection> {
        let key = self.open_ticket(id)?;
        match self.tickets[key].state {
            TicketState::Suspended => return Ok(replay(TicketState::Suspended)),
            TicketState::Waiting => {}
            state => return Err(wrong_state(id, state, "suspend it: only a waiting ticket can be")),
        }
        self.leave_line(key);
        let suspend = self.policy.as_ref().map_or(0, |policy| policy.spec.suspend);
        let until = round_up(self.now + suspend * 1000);
        self.set_state(key, TicketState::Suspended);
        self.tickets[key].due = until;
        self.emit(Some(key), None, 0, EventKind::Suspended { until });
        self.stand_in_line(key);
        Ok(done(TicketState::Suspended))
    }

    pub(crate) fn resume_ticket(&mut self, id: &str) -> Result<Answer, Rejection> {
        let key = self.open_ticket(id)?;
        match self.tickets[key].state {
            TicketState::Waiting => return Ok(replay(TicketState::Waiting)),
            TicketState::Suspended => {}
            state => return Err(wrong_state(id, state, "resume it: it is not suspended")),
        }
        self.leave_line(key);
        self.set_state(key, TicketState::Waiting);
        self.tickets[key].due = 0;
        self.emit(Some(key), None, 0, EventKind::Resumed);
        self.take_due_steps(key);
        self.stand_in_line(key);
        Ok(self.left(key))
    }

    /// Ends a ticket: out of line and without work by now. Its id is remembered for a while.
    pub(crate) fn end_ticket(&mut self, key: u32, state: TicketState, outcome: SmolStr) {
        self.end_ticket_of(key, state, outcome, SmolStr::default());
    }

    pub(crate) fn end_ticket_of(&mut self, key: u32, state: TicketState, outcome: SmolStr, agent: SmolStr) {
        self.set_state(key, state);
        self.by_state[state as usize] -= 1;
        let ticket = self.tickets.remove(key);
        let class = &mut self.classes[ticket.class];
        class.users -= 1;
        let extra = ticket.extra.map(|extra| *extra).unwrap_or_default();
        let ended_extra = EndedExtra {
            outcome,
            agent_context: extra.agent_context,
            revision: extra.revision,
            marks: extra.marks,
        };
        let ended = Ended {
            agent,
            extra: ended_extra.boxed(),
            sequence: ticket.sequence,
            fingerprint: ticket.fingerprint,
            arrival: ticket.arrival,
            over_at: self.now,
            policy_version: class.tables.spec.version,
            class: ticket.class,
            queue: class.queue,
            channel: class.channel,
            source: ticket.source,
            attempt: ticket.attempt,
            state,
            verbs: ticket.verbs,
            id: ticket.id,
        };
        let (hash, sequence) = (Ids::hash(&ended.id), ended.sequence);
        let slot = self.ended.push(ended);
        self.ids.change(hash, key, slot | ENDED);
        self.order.set(sequence, slot | ENDED);
        if self.ended.len() == 1 {
            let due = self.forget_next().map_or(0, |due| due / 1000);
            self.timers.due_at(due);
        }
        let max = self.bounds().closed_max as usize;
        while self.ended.len() > max {
            self.forget_oldest();
        }
    }

    pub(crate) fn forget_oldest(&mut self) {
        // The next ones' places are far apart in memory: asked for now, they are here in time.
        if let Some(soon) = self.ended.ahead(FORGET_AHEAD) {
            self.ids.touch(Ids::hash(&soon.id));
        }
        if let Some((slot, ended)) = self.ended.pop() {
            self.ids.remove(Ids::hash(&ended.id), slot | ENDED);
            self.order.clear(ended.sequence);
            self.sources.release(ended.source);
        }
    }
}

/// A ticket's attributes after an update: named ones set in their place, new ones behind, empty ones removed.
fn merged(content: &Content, update: &[Attribute<'_>], keeps: impl Fn(&str, u16) -> bool) -> Content {
    let mut all: Vec<Attribute<'_>> = content.attributes().collect();
    for attribute in update {
        match all.iter().position(|known| known.name == attribute.name) {
            Some(at) if attribute.value.is_empty() => {
                all.remove(at);
            }
            Some(at) if !keeps(attribute.name, attribute.confidence_milli) => all[at] = *attribute,
            None if !attribute.value.is_empty() => all.push(*attribute),
            _ => {}
        }
    }
    Content::new(content.customer(), all.iter().copied())
}
