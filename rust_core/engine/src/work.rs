//! The agent's side of a ticket: accept, decline, complete, transfer, mark, end wrap-up; and the supervisor's.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::board::{Requirement, SkillAt};
use crate::command::{Answer, Presence, SkillLevel, TicketState, TransferTo};
use crate::event::{ClassCause, EventKind, PresenceCause, QueueCause, TransferredTo};
use crate::submit::{Found, done, replay, wrong_state};
use crate::ticket::{AgentRef, DONE, verb};
use crate::{Code, Engine, Millis, Rejection, limits, round_up};

/// What a verb that names an attempt finds.
enum Named {
    /// The ticket, in the state that the verb needs.
    Do(u32),
    /// Answered before.
    Replay(TicketState),
}

impl Engine {
    fn named(&self, id: &str, attempt: u32, verb: u8, needs: TicketState, what: &str) -> Result<Named, Rejection> {
        let (state, newest, verbs, key) = match self.known(id)? {
            Found::Open(key) => {
                let ticket = &self.tickets[key];
                (ticket.state, ticket.attempt, ticket.verbs, key)
            }
            Found::Ended(ended) => {
                let ended = &self.ended[ended];
                (ended.state, ended.attempt, ended.verbs, crate::ticket::NONE)
            }
        };
        Self::check_attempt(id, attempt, newest)?;
        if verbs & verb != 0 {
            return Ok(Named::Replay(state));
        }
        if state == needs {
            Ok(Named::Do(key))
        } else {
            Err(wrong_state(id, state, what))
        }
    }

    fn check_attempt(id: &str, attempt: u32, newest: u32) -> Result<(), Rejection> {
        if newest == 0 {
            return Err(Rejection::about(
                Code::Stale,
                id,
                format!("{id} was never offered: there is no attempt {attempt}"),
            ));
        }
        if attempt != newest {
            return Err(Rejection::about(
                Code::Stale,
                id,
                format!("attempt {attempt} of {id} is not the newest, which is {newest}"),
            ));
        }
        Ok(())
    }

    pub(crate) fn accept(&mut self, id: &str, attempt: u32, context: &[u8]) -> Result<Answer, Rejection> {
        let key = match self.named(
            id,
            attempt,
            verb::ACCEPT,
            TicketState::Offered,
            "accept it: there is no open offer",
        )? {
            Named::Replay(state) => return Ok(replay(state)),
            Named::Do(key) => key,
        };
        let context: Option<crate::event::Bytes> = (!context.is_empty()).then(|| context.into());
        if context.is_some() {
            self.tickets[key].extra().agent_context.clone_from(&context);
        }
        self.accept_offer(key, context);
        Ok(done(TicketState::Active))
    }

    pub(crate) fn decline(&mut self, id: &str, attempt: u32, reason: &str) -> Result<Answer, Rejection> {
        let key = match self.named(
            id,
            attempt,
            verb::DECLINE,
            TicketState::Offered,
            "decline it: there is no open offer",
        )? {
            Named::Replay(state) => return Ok(replay(state)),
            Named::Do(key) => key,
        };
        self.tickets[key].verbs |= verb::DECLINE;
        self.requeue(key, QueueCause::Declined, reason, true);
        Ok(self.left(key))
    }

    /// Takes a ticket from its agent, back to waiting. `exclude`: as a decline does.
    pub(crate) fn requeue(&mut self, key: u32, cause: QueueCause, reason: &str, exclude: bool) {
        let accepted = self.tickets[key].state != TicketState::Offered;
        let attempt = self.tickets[key].attempt;
        let decline_exclude = self.decline_exclude(key);
        let Some(work) = self.release_work(key, accepted) else {
            return;
        };
        self.enter_waiting(key, Some((work.agent, attempt)), cause, reason);
        // Steps passed while it was offered do not end what begins now.
        if exclude && self.tickets.get(key).is_some() {
            self.exclude(key, work.agent, decline_exclude);
        }
        self.stand_in_line(key);
    }

    /// For how long its agent is excluded who gives a ticket back.
    fn decline_exclude(&self, key: u32) -> Millis {
        self.tickets[key]
            .work
            .map_or(0, |work| self.matches[work.made].decline_exclude)
    }

    fn exclude(&mut self, key: u32, slot: u32, decline_exclude: Millis) {
        let agent = AgentRef {
            slot,
            number: self.agents[slot].number,
        };
        let (over, until) = (self.over(), round_up(self.now + decline_exclude * 1000));
        let declined = &mut self.tickets[key].extra().declined;
        declined.retain(|known| known.1 > over && known.0 != agent);
        declined.push((agent, until));
        if declined.len() > limits::EXCLUDED_MAX {
            declined.remove(0);
        }
    }

    pub(crate) fn offer_expired(&mut self, key: u32) {
        let Some(work) = self.tickets[key].work else {
            return;
        };
        let (slot, away) = (work.agent, work.away_on_expiry);
        if away && self.agents[slot].presence == Presence::Available {
            self.change_presence(slot, Presence::Away, "", PresenceCause::ExpiredOffer, Some(key));
        }
        self.requeue(key, QueueCause::Expired, "", !away);
    }

    pub(crate) fn complete(
        &mut self,
        id: &str,
        attempt: u32,
        outcome: &str,
        context: &[u8],
    ) -> Result<Answer, Rejection> {
        let key = match self.named(
            id,
            attempt,
            verb::COMPLETE,
            TicketState::Active,
            "complete it: it is not active",
        )? {
            Named::Replay(state) => return Ok(replay(state)),
            Named::Do(key) => key,
        };
        self.tickets[key].verbs |= verb::COMPLETE;
        if !context.is_empty() {
            self.tickets[key].extra().agent_context = Some(context.into());
        }
        Ok(done(
            self.complete_work(key, if outcome.is_empty() { "done" } else { outcome }),
        ))
    }

    /// Work is over: wrap-up, or closed at once. The state afterwards.
    pub(crate) fn complete_work(&mut self, key: u32, outcome: &str) -> TicketState {
        let ticket = &mut self.tickets[key];
        let Some(work) = ticket.work else {
            return ticket.state;
        };
        // An agent who is offline (within the grace) has nothing to wrap up in.
        let wrap_up = if self.agents[work.agent].logged_in() {
            work.wrap_up
        } else {
            0
        };
        let (agent, attempt, class) = (work.agent, ticket.attempt, ticket.class);
        let until = if wrap_up == 0 {
            0
        } else {
            round_up(self.now + wrap_up * 1000)
        };
        if wrap_up > 0 || outcome != "done" {
            ticket.extra().outcome = SmolStr::new(outcome);
        }
        self.counters.completed += 1;
        let queue = self.classes[class].queue;
        self.queue_stats[queue as usize].completed += 1;
        self.emit(
            Some(key),
            Some(agent),
            attempt,
            EventKind::Completed {
                outcome: SmolStr::new(outcome),
                wrap_up_until: until,
            },
        );
        self.moment(key, crate::clocks::COMPLETION);
        if wrap_up == 0 {
            self.close(key);
            return TicketState::Closed;
        }
        self.set_state(key, TicketState::Wrapping);
        self.tickets[key].due = until;
        self.arm(key);
        TicketState::Wrapping
    }

    /// Work and wrap-up are over: the agent is free, the ticket ends.
    pub(crate) fn close(&mut self, key: u32) {
        let ticket = &self.tickets[key];
        let (agent, attempt) = (ticket.work.as_ref().map(|work| work.agent), ticket.attempt);
        let kept = ticket
            .extra
            .as_ref()
            .map(|extra| extra.outcome.clone())
            .filter(|outcome| !outcome.is_empty());
        let outcome = kept.unwrap_or(DONE);
        self.counters.closed += 1;
        self.emit(
            Some(key),
            agent,
            attempt,
            EventKind::Closed {
                outcome: outcome.clone(),
            },
        );
        let id = agent.map_or_else(SmolStr::default, |agent| self.agents[agent].id.clone());
        self.release_work(key, true);
        self.end_ticket_of(key, TicketState::Closed, outcome, id);
    }

    pub(crate) fn end_wrap_up(&mut self, id: &str, attempt: u32) -> Result<Answer, Rejection> {
        let key = match self.named(
            id,
            attempt,
            verb::END_WRAP_UP,
            TicketState::Wrapping,
            "end its wrap-up: it is not wrapping",
        )? {
            Named::Replay(state) => return Ok(replay(state)),
            Named::Do(key) => key,
        };
        self.tickets[key].verbs |= verb::END_WRAP_UP;
        self.close(key);
        Ok(done(TicketState::Closed))
    }

    pub(crate) fn mark(&mut self, id: &str, attempt: u32, moment: &str) -> Result<Answer, Rejection> {
        let found = self.known(id)?;
        let (state, newest, marks) = match found {
            Found::Open(key) => {
                let ticket = &self.tickets[key];
                (
                    ticket.state,
                    ticket.attempt,
                    ticket.extra.as_ref().map_or(0, |extra| extra.marks),
                )
            }
            Found::Ended(ended) => (
                self.ended[ended].state,
                self.ended[ended].attempt,
                self.ended[ended].marks(),
            ),
        };
        let policy = match found {
            Found::Open(key) => Some(&self.classes[self.tickets[key].class].tables),
            Found::Ended(_) => self.policy.as_ref(),
        };
        let named = policy.is_some_and(|policy| {
            policy
                .spec
                .clocks
                .iter()
                .any(|clock| clock.starts == moment || clock.stops == moment)
        });
        let number = self
            .moments
            .get(moment)
            .filter(|&number| named && number as usize >= crate::clocks::BUILT_IN.len());
        let Some(number) = number else {
            return Err(Rejection::about(
                Code::MomentUnknown,
                moment,
                format!("no clock of the policy starts or stops at {moment:?}, or it is not the caller's to mark"),
            ));
        };
        Self::check_attempt(id, attempt, newest)?;
        let bit = 1u64 << number;
        if marks & bit != 0 {
            return Ok(replay(state));
        }
        let key = match found {
            Found::Open(key) if state == TicketState::Active => key,
            _ => return Err(wrong_state(id, state, "mark it: it is not active")),
        };
        let now = self.now;
        let extra = self.tickets[key].extra();
        extra.marks |= bit;
        let first = !extra.moments.iter().any(|(known, _)| *known == number);
        if first {
            extra.moments.push((number, now));
        }
        let agent = self.tickets[key].work.as_ref().map(|work| work.agent);
        self.emit(
            Some(key),
            agent,
            attempt,
            EventKind::Marked {
                moment: SmolStr::new(moment),
            },
        );
        if first {
            self.moment(key, number);
        }
        self.arm(key);
        Ok(done(TicketState::Active))
    }

    pub(crate) fn transfer(&mut self, id: &str, attempt: u32, to: &TransferTo<'_>) -> Result<Answer, Rejection> {
        let key = match self.named(
            id,
            attempt,
            verb::TRANSFER,
            TicketState::Active,
            "transfer it: it is not active",
        )? {
            Named::Replay(state) => return Ok(replay(state)),
            Named::Do(key) => key,
        };
        let old = self.tickets[key].class;
        let tables = Arc::clone(&self.classes[old].tables);
        let mut preferred = None;
        let (class, told) = match to {
            TransferTo::Agent(agent) => {
                let slot = self.agent_slot(agent)?;
                preferred = Some(AgentRef {
                    slot,
                    number: self.agents[slot].number,
                });
                (old, TransferredTo::Agent(SmolStr::new(agent)))
            }
            TransferTo::Queue(queue) => {
                let Some(rule) = tables.queue(queue) else {
                    return Err(no_queue(&tables.spec, queue));
                };
                (
                    self.natural_class(key, &tables, Some(rule), false)?,
                    TransferredTo::Queue(SmolStr::new(queue)),
                )
            }
            TransferTo::Requirement { needs, none_of } => {
                let mut skills = |list: &[SkillLevel<'_>]| -> Result<Vec<SkillAt>, Rejection> {
                    list.iter()
                        .map(|skill| Ok((self.skill(skill.skill)?, skill.level)))
                        .collect()
                };
                let groups = needs.iter().map(|group| skills(group)).collect::<Result<_, _>>()?;
                let requirement = Requirement {
                    groups,
                    none_of: skills(none_of)?,
                };
                let mut class_key = self.classes[old].key.clone();
                class_key.transfer = Some(Arc::new(requirement));
                (self.intern_class(&tables, class_key)?, TransferredTo::Requirement)
            }
        };
        self.tickets[key].verbs |= verb::TRANSFER;
        let agent = self.tickets[key].work.as_ref().map(|work| work.agent);
        self.emit(Some(key), agent, attempt, EventKind::Transferred { to: told });
        let decline_exclude = self.decline_exclude(key);
        let Some(work) = self.release_work(key, true) else {
            return Ok(done(TicketState::Active));
        };
        self.exclude(key, work.agent, decline_exclude);
        if class != old {
            self.classes[class].users += 1;
            self.classes[old].users -= 1;
            self.tickets[key].class = class;
            self.follow_clocks(key);
        }
        let now = self.now;
        self.tickets[key].queued_at = now;
        self.begin_steps(key);
        if let Some(preferred) = preferred {
            self.tickets[key].extra().preferred = Some(preferred);
            let hold = self.classes[class]
                .affinity
                .as_ref()
                .map_or(0, |affinity| affinity.transfer_hold * 1000);
            self.hold_for(key, hold);
        }
        self.enter_waiting(key, Some((work.agent, attempt)), QueueCause::Transferred, "");
        self.stand_in_line(key);
        Ok(self.left(key))
    }

    pub(crate) fn assign(&mut self, id: &str, agent: &str) -> Result<Answer, Rejection> {
        let key = self.open_ticket(id)?;
        let state = self.tickets[key].state;
        if state != TicketState::Waiting {
            return Err(wrong_state(id, state, "assign it: only a waiting ticket can be"));
        }
        let slot = self.agent_slot(agent)?;
        if !self.agents[slot].logged_in() {
            return Err(Rejection::about(
                Code::NotLoggedIn,
                agent,
                format!("{agent} is not logged in"),
            ));
        }
        let class = &self.classes[self.tickets[key].class];
        if !self.has_room(&self.agents[slot], class.channel, class.cost) {
            return Err(Rejection::about(
                Code::NoCapacity,
                agent,
                format!("{agent} has too few free units, or the channel is closed or at its limit"),
            ));
        }
        self.match_by_supervisor(key, slot);
        Ok(done(self.tickets[key].state))
    }

    pub(crate) fn move_ticket(&mut self, id: &str, queue: &str) -> Result<Answer, Rejection> {
        let key = self.open_ticket(id)?;
        let state = self.tickets[key].state;
        if !matches!(
            state,
            TicketState::Scheduled | TicketState::Waiting | TicketState::Suspended
        ) {
            return Err(wrong_state(id, state, "move it: it does not wait"));
        }
        let tables = self.tables_of(key)?;
        let Some(rule) = tables.queue(queue) else {
            return Err(no_queue(&tables.spec, queue));
        };
        let class = &self.classes[self.tickets[key].class];
        if class.queue_name == queue {
            return Ok(replay(state));
        }
        let channel = self.channel_names.name(class.channel.into()).clone();
        if tables.channel(&channel).is_none() {
            return Err(crate::submit::no_channel(&tables, &channel));
        }
        let class = self.natural_class(key, &tables, Some(rule), false)?;
        self.reclassify(key, class, ClassCause::Moved);
        Ok(self.left(key))
    }

    /// Counts a first answer for the service level.
    pub(crate) fn count_answer(&mut self, key: u32) {
        let ticket = &self.tickets[key];
        if ticket.assigned_at != 0 {
            return;
        }
        let class = &mut self.classes[ticket.class];
        class.answered += 1;
        let waited = self.now - ticket.arrival;
        let met = waited <= class.answer_target_us;
        let stats = &mut self.queue_stats[class.queue as usize];
        stats.answered += 1;
        stats.met += u64::from(met);
        stats.wait_total += waited / 1000;
        self.tally(self.tickets[key].class, |tally| {
            tally.answered += 1;
            tally.met += u64::from(met);
            tally.wait_total += waited / 1000;
        });
    }
}

fn no_queue(spec: &crate::policy::PolicySpec, queue: &str) -> Rejection {
    let has: Vec<&str> = spec.layers[0]
        .rules
        .iter()
        .map(|rule| rule.name.as_str())
        .take(20)
        .collect();
    Rejection::about(
        Code::QueueUnknown,
        queue,
        format!("the policy has no queue {queue:?}; it has: {}", has.join(", ")),
    )
}
