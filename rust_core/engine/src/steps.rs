//! Routing steps, waiting again, and changes of class.

use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::class::{ClassKey, When};
use crate::command::TicketState;
use crate::compile::{Counts, picking};
use crate::event::{ClassCause, EventKind, QueueCause};
use crate::tables::{RuleAt, Tables};
use crate::ticket::AgentRef;
use crate::{Engine, Micros, Rejection};

impl Engine {
    /// A ticket waits (again): `Queued`, then the steps due. `from`: the agent it comes from, with the offer's number.
    /// The caller then puts it in line.
    pub(crate) fn enter_waiting(&mut self, key: u32, from: Option<(u32, u32)>, cause: QueueCause, reason: &str) {
        let over = self.over();
        self.set_state(key, TicketState::Waiting);
        let ticket = &mut self.tickets[key];
        ticket.due = 0;
        if let Some(extra) = ticket.extra.as_deref_mut() {
            // What ended meanwhile ended silently.
            extra.declined.retain(|declined| declined.1 > over);
            if extra.hold_until <= over {
                extra.hold_until = 0;
            }
        }
        let (agent, attempt) = from.map_or((None, 0), |(agent, attempt)| (Some(agent), attempt));
        self.emit(
            Some(key),
            agent,
            attempt,
            EventKind::Queued {
                cause,
                reason: SmolStr::new(reason),
            },
        );
        if matches!(cause, QueueCause::Arrived | QueueCause::Transferred) {
            self.skip_unstaffed(key);
        }
        self.take_due_steps(key);
    }

    /// What is due until here is over. While a timer fires, what is due at this very time has its turn after it.
    pub(crate) fn over(&self) -> Micros {
        if self.timers.firing { self.now - 1 } else { self.now }
    }

    /// Puts a ticket that is still waiting or suspended into its line, and arms it; a newcomer once it is settled.
    pub(crate) fn stand_in_line(&mut self, key: u32) {
        if self.tickets.get(key).is_some_and(crate::ticket::Ticket::in_line) {
            self.place_in_line(key);
            if self.dirty.newcomer != Some(key) {
                self.arm(key);
            }
        }
    }

    fn waits(&self, key: u32) -> bool {
        self.tickets
            .get(key)
            .is_some_and(|ticket| ticket.state == TicketState::Waiting)
    }

    /// Takes the steps already due (to the µs: age 0 counts), by (due, index). The ticket is out of its line.
    pub(crate) fn take_due_steps(&mut self, key: u32) {
        while self.waits(key) {
            let steps = self.classes[self.tickets[key].class].steps.len();
            let next = (0..steps)
                .filter_map(|step| self.step_due(key, step).map(|due| (due, step)))
                .min();
            match next {
                Some((due, step)) if due <= self.now => self.take_step(key, step),
                _ => break,
            }
        }
    }

    /// A step's timer.
    pub(crate) fn step_came(&mut self, key: u32, step: usize) {
        self.leave_line(key);
        self.take_step(key, step);
        self.stand_in_line(key);
    }

    fn take_step(&mut self, key: u32, at: usize) {
        let ticket = &mut self.tickets[key];
        ticket.taken |= 1 << at;
        if let Some(extra) = ticket.extra.as_deref_mut() {
            extra.declined.clear();
        }
        let step = &self.classes[ticket.class].steps[at];
        let (alert, overflow_to, move_to) = (step.alert.clone(), step.overflow_to.clone(), step.move_to);
        self.emit(
            Some(key),
            None,
            0,
            EventKind::StepTaken {
                step: at as u32 + 1,
                alert,
            },
        );
        if !overflow_to.is_empty() {
            self.overflow(key, overflow_to);
            return;
        }
        if let Some(rule) = move_to {
            let tables = Arc::clone(&self.classes[self.tickets[key].class].tables);
            // Without room for the class, the ticket stays where it is.
            if let Ok(class) = self.natural_class(key, &tables, Some(rule), false)
                && class != self.tickets[key].class
            {
                self.change_class(key, class, Some(ClassCause::Step));
            }
            return;
        }
        self.skip_unstaffed(key);
    }

    /// A step began: if the class says so and nobody logged in meets what it asks, the next age step is taken at once.
    fn skip_unstaffed(&mut self, key: u32) {
        if !self.waits(key) {
            return;
        }
        let ticket = &self.tickets[key];
        let (class_number, taken) = (ticket.class, ticket.taken);
        if !self.classes[class_number].skip_unstaffed {
            return;
        }
        let stage = self.stage(class_number, taken);
        if self.board.staffed(stage.requirement) {
            return;
        }
        let steps = self.classes[class_number].steps.iter().enumerate();
        let next = steps
            .filter(|(at, _)| taken >> at & 1 == 0)
            .filter_map(|(at, step)| {
                if let When::Age(age) = step.when {
                    Some((age, at))
                } else {
                    None
                }
            })
            .min();
        if let Some((_, at)) = next {
            self.take_step(key, at);
        }
    }

    /// Gives a ticket another class. `cause`: `Classified` is raised. If it waits, steps due are taken; it must be out of its line.
    pub(crate) fn change_class(&mut self, key: u32, class: u32, cause: Option<ClassCause>) {
        let ticket = &self.tickets[key];
        let (old, taken) = (ticket.class, ticket.taken);
        let age_of = |step: &crate::class::Step| {
            if let When::Age(age) = step.when {
                Some(age)
            } else {
                None
            }
        };
        let old_steps = self.classes[old].steps.iter().enumerate();
        let oldest = old_steps
            .filter(|(at, _)| taken >> at & 1 == 1)
            .filter_map(|(_, step)| age_of(step))
            .max();
        self.classes[class].users += 1;
        self.classes[old].users -= 1;
        let state = self.tickets[key].state;
        self.count_lined(old, state, false);
        self.count_lined(class, state, true);
        self.count_caps(key, old, state, false);
        self.count_caps(key, class, state, true);
        self.tickets[key].class = class;
        self.follow_clocks(key);
        let mut taken = 0;
        for (at, step) in self.classes[class].steps.iter().enumerate() {
            let counts = match step.when {
                When::Age(age) => oldest.is_some_and(|oldest| age <= oldest),
                When::Run(_) => self.point_reached(key, at),
            };
            taken |= u32::from(counts) << at;
        }
        self.tickets[key].taken = taken;
        if let Some(cause) = cause {
            self.emit(Some(key), None, 0, EventKind::Classified { cause });
        }
        self.take_due_steps(key);
    }

    /// Steps begin again: those at points of clocks already reached count as taken.
    pub(crate) fn begin_steps(&mut self, key: u32) {
        let mut taken = 0;
        let class = &self.classes[self.tickets[key].class];
        for (at, step) in class.steps.iter().enumerate() {
            if let When::Run(_) = step.when {
                taken |= u32::from(self.point_reached(key, at)) << at;
            }
        }
        self.tickets[key].taken = taken;
    }

    /// Whether a clock step's point is reached, whether or not the clock still runs.
    fn point_reached(&self, key: u32, step: usize) -> bool {
        let ticket = &self.tickets[key];
        let class = &self.classes[ticket.class];
        let When::Run(Some((clock, us))) = class.steps[step].when else {
            return false;
        };
        let clock = class.clocks[clock as usize].clock;
        let run = ticket.clocks.iter().find(|run| u32::from(run.clock) == clock);
        run.is_some_and(|run| run.run(self.now) >= us)
    }

    /// The class that a ticket's attributes make under a policy; `moved` replaces its layer's rule. `strict`: the policy
    /// must take the attributes as it would at submission.
    pub(crate) fn natural_class(
        &mut self,
        key: u32,
        tables: &Arc<Tables>,
        moved: Option<RuleAt>,
        strict: bool,
    ) -> Result<u32, Rejection> {
        let ticket = &self.tickets[key];
        let class = &self.classes[ticket.class];
        let (channel, own) = (class.channel, class.key.own.clone());
        let content = ticket.content.clone();
        let channel_name = self.channel_names.name(channel.into()).clone();
        let attributes = || {
            content
                .attributes()
                .map(|attribute| (attribute.name, attribute.value, attribute.confidence_milli))
        };
        let place = tables.channel_place(&channel_name);
        let values = tables.read(place, content.customer(), attributes(), &self.facts, strict)?;
        let (class_key, _) = Self::class_key(
            tables,
            &channel_name,
            channel,
            content.customer(),
            attributes(),
            &values,
            own,
            moved,
            &self.facts,
        );
        self.intern_class(tables, class_key)
    }

    /// The key of a ticket's class; and whether its values alone make it.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn class_key<'a>(
        tables: &Tables,
        channel_name: &'a str,
        channel: u8,
        customer: &'a str,
        attributes: impl Iterator<Item = (&'a str, &'a str, u16)> + Clone,
        values: &crate::tables::Values,
        own: SmallVec<[crate::board::SkillAt; 2]>,
        moved: Option<RuleAt>,
        facts: &'a crate::facts::Facts,
    ) -> (ClassKey, bool) {
        let applied = tables.classify(values, moved);
        let mut picks: SmallVec<[(SmolStr, SmolStr); 1]> = SmallVec::new();
        let rules = applied.iter().map(|&rule| tables.effects(rule));
        let winner = rules.clone().position(|effects| effects.affinity.is_some());
        let of_rules = rules.clone().enumerate();
        let of_rules = of_rules.flat_map(|(at, effects)| {
            picking(
                effects,
                Counts {
                    affinity: Some(at) == winner,
                    ..Counts::ALL
                },
            )
        });
        for name in of_rules.chain(picking(&tables.spec.defaults, Counts::of_defaults(rules))) {
            if picks.iter().any(|(known, _)| known == name) {
                continue;
            }
            let value_of = |name: &str| match name {
                "channel" => Some(channel_name),
                "customer" => Some(customer).filter(|customer| !customer.is_empty()),
                _ => {
                    let found = attributes.clone().find(|(attribute, _, _)| *attribute == name);
                    found
                        .filter(|(name, _, confidence_milli)| tables.counts(name, *confidence_milli))
                        .map(|(_, value, _)| value)
                }
            };
            let value = match tables.spec.tables.iter().find(|table| table.name == *name) {
                Some(table) => value_of(&table.attribute).and_then(|key| facts.of(name, key).map(SmolStr::as_str)),
                None => value_of(name),
            };
            if let Some(value) = value {
                picks.push((name.clone(), SmolStr::new(value)));
            }
        }
        let simple = picks.is_empty() && own.is_empty() && moved.is_none();
        (
            ClassKey {
                policy: tables.spec.version,
                channel,
                applied,
                picks,
                own,
                transfer: None,
            },
            simple,
        )
    }

    /// The ticket leaves for elsewhere.
    fn overflow(&mut self, key: u32, to: SmolStr) {
        let queue = self.classes[self.tickets[key].class].queue;
        if self.tickets[key].assigned_at == 0 {
            self.queue_stats[queue as usize].overflowed += 1;
            self.tally(self.tickets[key].class, |tally| tally.overflowed += 1);
        }
        self.counters.overflowed += 1;
        self.emit(Some(key), None, 0, EventKind::Overflowed { to: to.clone() });
        self.end_ticket(key, TicketState::Overflowed, to);
    }

    pub(crate) fn exclusion_ended(&mut self, key: u32) {
        self.leave_line(key);
        let now = self.now;
        let (ended, left) = std::mem::take(&mut self.tickets[key].extra().declined)
            .into_iter()
            .partition(|declined| declined.1 <= now);
        self.tickets[key].extra().declined = left;
        // Of an agent who is gone it ends silently.
        let ended: Vec<(AgentRef, Micros)> = ended;
        for (agent, _) in ended {
            if let Some(agent) = self.live(agent) {
                self.emit(Some(key), Some(agent), 0, EventKind::ExclusionEnded);
            }
        }
        self.stand_in_line(key);
    }

    pub(crate) fn hold_ended(&mut self, key: u32) {
        self.leave_line(key);
        self.tickets[key].extra().hold_until = 0;
        let agent = self.tickets[key].preferred().and_then(|agent| self.live(agent));
        self.emit(Some(key), agent, 0, EventKind::HoldEnded);
        self.stand_in_line(key);
    }

    /// Starts a hold that ends so long from now; 0: none.
    pub(crate) fn hold_for(&mut self, key: u32, hold: Micros) {
        let until = if hold == 0 { 0 } else { crate::round_up(self.now + hold) };
        self.tickets[key].extra().hold_until = until;
    }
}
