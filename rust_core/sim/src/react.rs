//! What follows from the engine's events: rows fill, and people make plans.

use std::mem;

use csroute_engine::event::{PresenceCause, QueueCause};
use csroute_engine::{Event, EventKind, Micros, Presence};
use smol_str::SmolStr;

use crate::agenda::Item;
use crate::contact::{Contact, Key, Phase};
use crate::draw::{NEVER, Purpose};
use crate::row::{Outcome, Row};
use crate::setup::AGAIN_MAX;
use crate::simulation::{Return, Simulation};

impl Simulation {
    /// Takes what the engine raised.
    pub(crate) fn react(&mut self) {
        let mut events = mem::take(&mut self.events);
        for event in &events {
            let at = event.at - self.setup.start_us;
            if let EventKind::PresenceChanged { presence, cause, .. } = event.kind {
                self.turned(&event.agent, at, presence, cause);
            } else if let Some(place) = self.contacts.find(&event.ticket) {
                self.happened(event, place, at);
            }
        }
        match &mut self.trace {
            Some(trace) => trace.events.append(&mut events),
            None => events.clear(),
        }
        self.events = events;
    }

    fn turned(&mut self, agent: &SmolStr, at: Micros, presence: Presence, cause: PresenceCause) {
        let Some(&agent) = self.agents.get(agent) else {
            return;
        };
        let plan = &self.setup.agents[agent as usize];
        if cause == PresenceCause::ExpiredOffer {
            let back = at + self.setup.conducts[plan.conduct].back_after_us;
            self.crew.sent_away(agent, plan, at, back);
            self.agenda.add(back, Item::Turn { agent });
        } else {
            self.crew.turn(agent, plan, at, presence);
        }
    }

    fn happened(&mut self, event: &Event, place: u32, at: Micros) {
        match &event.kind {
            EventKind::Queued { cause, .. } => self.queued(event, place, at, *cause),
            EventKind::Offered { expires, .. } => {
                self.matched(event, place, at);
                self.will_answer(place, at, *expires - self.setup.start_us);
            }
            EventKind::Assigned { .. } => {
                let offered = self
                    .contacts
                    .get(place)
                    .is_some_and(|contact| contact.phase == Phase::Offered);
                if !offered {
                    self.matched(event, place, at);
                }
                self.assigned(place, at);
            }
            EventKind::Completed { wrap_up_until, .. } => {
                let wraps = wrap_up_until - self.setup.start_us > at;
                self.completed(place, at, wraps);
            }
            EventKind::Closed { .. } => self.ended(event, place, at, Outcome::Done),
            EventKind::Cancelled { .. } => self.ended(event, place, at, Outcome::Abandoned),
            EventKind::Overflowed { .. } => self.ended(event, place, at, Outcome::Overflowed),
            EventKind::StepTaken { step, .. } => self.row(place, |contact| contact.row.step = *step as u8),
            EventKind::Transferred { .. } => self.row(place, |contact| {
                contact.row.handle += at - contact.began;
                contact.row.transfers += 1;
            }),
            EventKind::ClockBreached { clock } | EventKind::ClockStopped { clock, met: true, .. } => {
                let number = self
                    .policy
                    .clocks
                    .iter()
                    .position(|known| known.name == *clock)
                    .unwrap_or(0);
                let met = matches!(event.kind, EventKind::ClockStopped { .. });
                self.row(place, |contact| {
                    let bits = if met {
                        &mut contact.row.clocks_met
                    } else {
                        &mut contact.row.clocks_missed
                    };
                    *bits |= 1 << number;
                });
            }
            _ => {}
        }
    }

    fn row(&mut self, place: u32, change: impl FnOnce(&mut Contact)) {
        if let Some(contact) = self.contacts.get(place) {
            change(contact);
        }
    }

    fn serial(&mut self) -> u32 {
        self.serials = self.serials.wrapping_add(1).max(1);
        self.serials
    }

    /// It waits, for the first time or again.
    fn queued(&mut self, event: &Event, place: u32, at: Micros, cause: QueueCause) {
        if cause == QueueCause::Arrived {
            self.name_class(event);
            return;
        }
        self.released(place, at);
        let answered = self.contacts.get(place).is_some_and(|contact| {
            contact.phase = Phase::Waiting;
            contact.serial = 0;
            match cause {
                QueueCause::Declined => contact.row.declines = contact.row.declines.saturating_add(1),
                QueueCause::Expired => contact.row.missed = contact.row.missed.saturating_add(1),
                _ => {}
            }
            contact.row.answered
        });
        // Handed on, a customer waits with new patience; before the first answer the old one runs on.
        if answered {
            self.leave_later(place, at);
        }
    }

    /// Whoever waits may leave.
    pub(crate) fn leave_later(&mut self, place: u32, at: Micros) {
        let Some(contact) = self.contacts.get(place) else {
            return;
        };
        if !matches!(contact.phase, Phase::Waiting | Phase::Offered) {
            return;
        }
        let (key, kind, given, stage) = (
            contact.key,
            contact.row.kind as usize,
            contact.patience,
            contact.row.transfers,
        );
        let patience = if given >= 0 && stage == 0 {
            given
        } else {
            self.draw(self.setup.kinds[kind].patience, Purpose::Patience, key, stage.into())
        };
        if patience < NEVER {
            let serial = self.serial();
            self.row(place, |contact| contact.leaving = serial);
            self.agenda.add(at + patience, Item::Leave { contact: place, serial });
        }
    }

    /// Somebody holds it.
    fn matched(&mut self, event: &Event, place: u32, at: Micros) {
        let Some(&agent) = self.agents.get(&event.agent) else {
            return;
        };
        let Some(contact) = self.contacts.get(place) else {
            return;
        };
        contact.phase = Phase::Offered;
        contact.agent = agent;
        contact.attempt = event.attempt;
        contact.row.attempts = contact.row.attempts.saturating_add(1);
        let units = self.units[contact.row.kind as usize];
        self.crew.take(agent, &self.setup.agents[agent as usize], at, units);
    }

    /// Nobody does any more.
    fn released(&mut self, place: u32, at: Micros) {
        let Some(contact) = self
            .contacts
            .get(place)
            .filter(|contact| contact.phase != Phase::Waiting)
        else {
            return;
        };
        let (agent, units) = (contact.agent, self.units[contact.row.kind as usize]);
        if self.crew.give(agent, &self.setup.agents[agent as usize], at, units) {
            self.agenda.add(at, Item::Turn { agent });
        }
    }

    fn will_answer(&mut self, place: u32, at: Micros, expires: Micros) {
        let serial = self.serial();
        let Some(contact) = self.contacts.get(place) else {
            return;
        };
        contact.serial = serial;
        let (key, attempt, agent) = (contact.key, contact.attempt, contact.agent);
        let conduct = &self.setup.conducts[self.setup.agents[agent as usize].conduct];
        if self.uniform(Purpose::Miss, key, attempt) < conduct.miss {
            return;
        }
        let after = conduct
            .answer
            .map_or(0, |answer| self.draw(answer, Purpose::Answer, key, attempt));
        // Later than the offer lives is not at all.
        if at + after < expires {
            self.agenda.add(at + after, Item::Answer { contact: place, serial });
        }
    }

    /// The work begins: when it will end, and what is marked on the way, is known now.
    fn assigned(&mut self, place: u32, at: Micros) {
        let serial = self.serial();
        let Some(contact) = self.contacts.get(place) else {
            return;
        };
        let first = !contact.row.answered;
        contact.phase = Phase::Active;
        contact.serial = serial;
        contact.leaving = 0;
        contact.began = at;
        if first {
            contact.row.answered = true;
            contact.row.wait = at - contact.row.arrival;
            contact.row.agent = contact.agent as i32;
        }
        let (key, stage, agent) = (contact.key, contact.row.transfers, contact.agent);
        let (given, number) = (contact.work, contact.row.kind as usize);
        let kind = &self.setup.kinds[number];
        let work = if given >= 0 && stage == 0 {
            given
        } else {
            self.draw(kind.work, Purpose::Work, key, stage.into())
        };
        let conduct = self.setup.agents[agent as usize].conduct;
        let pace = self.setup.pace[kind.category][conduct];
        let until = at + (work as f64 * pace) as Micros;
        if first {
            for mark in 0..self.setup.kinds[number].marks.len() {
                let after = self.setup.kinds[number].marks[mark].1;
                let marked = at + self.draw(after, Purpose::Mark, key, mark as u32);
                self.agenda.add(
                    marked.min(until),
                    Item::Mark {
                        contact: place,
                        serial,
                        mark: mark as u8,
                    },
                );
            }
        }
        self.agenda.add(until, Item::Finish { contact: place, serial });
    }

    fn completed(&mut self, place: u32, at: Micros, wraps: bool) {
        let serial = self.serial();
        let Some(contact) = self.contacts.get(place) else {
            return;
        };
        contact.row.handle += at - contact.began;
        contact.phase = Phase::Wrapping;
        contact.serial = serial;
        contact.began = at;
        let (key, stage, agent) = (contact.key, contact.row.transfers, contact.agent);
        let conduct = &self.setup.conducts[self.setup.agents[agent as usize].conduct];
        if let (true, Some(wrap_up)) = (wraps, conduct.wrap_up) {
            let written = at + self.draw(wrap_up, Purpose::WrapUp, key, stage.into());
            self.agenda.add(written, Item::WrittenUp { contact: place, serial });
        }
    }

    /// The row is whole; the customer may be back.
    fn ended(&mut self, event: &Event, place: u32, at: Micros, outcome: Outcome) {
        self.released(place, at);
        let Some(contact) = self.contacts.get(place) else {
            return;
        };
        let (key, customer) = (contact.key, contact.customer);
        let row = &mut contact.row;
        row.outcome = outcome;
        if contact.phase == Phase::Wrapping {
            row.wrap_up = at - contact.began;
        }
        if !row.answered {
            row.wait = at - row.arrival;
        }
        row.class = event.class;
        row.queue = if let Some(&queue) = self.queues.get(&event.queue) {
            queue
        } else {
            let number = self.queue_names.len() as u16;
            self.queue_names.push(event.queue.clone());
            self.queues.insert(event.queue.clone(), number);
            number
        };
        let row = *row;
        self.rows.push(row);
        self.contacts.remove(place);
        let kind = &self.setup.kinds[row.kind as usize];
        let share = if row.answered { kind.again } else { kind.again_abandoned };
        if share > 0.0 && row.contact < AGAIN_MAX && self.uniform(Purpose::Again, key, 0) < share {
            self.return_later(key, customer, &row, at);
        }
    }

    fn return_later(&mut self, key: Key, customer: u32, row: &Row, at: Micros) {
        let kind = &self.setup.kinds[row.kind as usize];
        let after = self.draw(kind.again_after, Purpose::AgainAfter, key, 0);
        let back = Return {
            key: Key(key.0 + 1),
            contact: row.contact + 1,
            kind: kind.again_kind as u32,
            customer,
            agent: if kind.again_same_agent { row.agent } else { -1 },
        };
        let place = if let Some(place) = self.returns_free.pop() {
            self.returns[place as usize] = Some(back);
            place
        } else {
            self.returns.push(Some(back));
            self.returns.len() as u32 - 1
        };
        self.agenda.add(at + after, Item::Return { place });
    }

    /// The path of a class that was not met before.
    fn name_class(&mut self, event: &Event) {
        let number = event.class as usize;
        if self.class_paths.get(number).is_some_and(|path| !path.is_empty()) {
            return;
        }
        if let Some(view) = self.engine.ticket(&event.ticket) {
            self.class_paths
                .resize(self.class_paths.len().max(number + 1), String::new());
            self.class_paths[number] = view.class_path;
        }
    }
}
