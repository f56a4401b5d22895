//! The loop: whatever comes first, a timer of the engine, something planned, or an arrival; and what people then do.

use std::collections::VecDeque;
use std::sync::Arc;

use csroute_engine::command::{AgentSpec, Attribute, SkillLevel, Submit, TransferTo};
use csroute_engine::policy::PolicySpec;
use csroute_engine::{Code, Command, Engine, Event, Micros, Millis, Presence, Rejection};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use smol_str::{SmolStr, format_smolstr};

use crate::agenda::{Agenda, Item};
use crate::contact::{Contact, Contacts, Key, Phase};
use crate::crew::Crew;
use crate::draw::{Purpose, uniform};
use crate::row::{Arrival, Outcome, Row};
use crate::setup::{AGAIN_MAX, Agent, Setup};
use crate::trace::{COMMANDS_MAX, Trace, Traced};

/// Arrivals fed and not yet come, at most.
pub const PENDING_MAX: usize = 50_000_000;
/// A row's queue while it is not known: the ticket was refused, or had not ended.
pub const NO_QUEUE: u16 = u16::MAX;
const SESSION: &str = "simulation";
const LEASE_MS: Millis = 3_600_000;

/// Why a simulation cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// What it was told makes no sense.
    #[error("{0}")]
    Setup(String),
    /// The engine would not take what a simulated person did.
    #[error("{at_us} µs after the start, {what}: {rejection}")]
    Rejected {
        /// When.
        at_us: Micros,
        /// What was asked.
        what: &'static str,
        /// The engine's no.
        rejection: Rejection,
    },
}

/// A customer who will be back.
#[derive(Debug, Clone)]
pub(crate) struct Return {
    pub(crate) key: Key,
    pub(crate) contact: u8,
    pub(crate) kind: u32,
    pub(crate) customer: u32,
    pub(crate) agent: i32,
}

/// The engine, and everybody around it.
pub struct Simulation {
    pub(crate) engine: Engine,
    pub(crate) policy: Arc<PolicySpec>,
    pub(crate) setup: Arc<Setup>,
    pub(crate) agenda: Agenda,
    pub(crate) contacts: Contacts,
    pub(crate) crew: Crew,
    pub(crate) agents: FxHashMap<SmolStr, u32>,
    /// By kind: units a ticket holds.
    pub(crate) units: Vec<u32>,
    pub(crate) serials: u32,
    pub(crate) returns: Vec<Option<Return>>,
    pub(crate) returns_free: Vec<u32>,
    pub(crate) queues: FxHashMap<SmolStr, u16>,
    pub(crate) queue_names: Vec<SmolStr>,
    /// By the engine's number.
    pub(crate) class_paths: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) events: Vec<Event>,
    pub(crate) trace: Option<Trace>,
    pending: VecDeque<Arrival>,
    fed: Micros,
    next_ticket: u64,
    now: Micros,
}

impl Simulation {
    /// Installs the policy and makes the agents known, at the start.
    pub fn new(policy: Arc<PolicySpec>, mut setup: Setup) -> Result<Self, SimError> {
        setup.check().map_err(SimError::Setup)?;
        // A workload may speak of moments that this policy has no clock for.
        let known = |moment: &SmolStr| {
            policy
                .clocks
                .iter()
                .any(|clock| clock.starts == *moment || clock.stops == *moment)
        };
        for kind in &mut setup.kinds {
            kind.marks.retain(|(moment, _)| known(moment));
        }
        let cost = |channel: &SmolStr| {
            let found = policy.channels.iter().find(|known| known.name == *channel);
            found.map_or(0, |channel| channel.cost)
        };
        let mut simulation = Self {
            engine: Engine::new(),
            units: setup.kinds.iter().map(|kind| cost(&kind.channel)).collect(),
            agenda: Agenda::default(),
            contacts: Contacts::default(),
            crew: Crew::new(&setup),
            agents: FxHashMap::default(),
            serials: 0,
            returns: Vec::new(),
            returns_free: Vec::new(),
            queues: FxHashMap::default(),
            queue_names: Vec::new(),
            class_paths: Vec::new(),
            rows: Vec::new(),
            events: Vec::new(),
            trace: setup.trace.then(Trace::default),
            pending: VecDeque::new(),
            fed: 0,
            next_ticket: 0,
            now: 0,
            policy: Arc::clone(&policy),
            setup: Arc::new(setup),
        };
        simulation.begin(0)?;
        simulation.apply(
            "installing the policy",
            &Command::InstallPolicy {
                policy,
                reclassify: false,
            },
        )?;
        simulation.apply(
            "opening a session",
            &Command::OpenSession {
                session: SESSION,
                lease: LEASE_MS,
            },
        )?;
        simulation.agenda.add(LEASE_MS / 2 * 1000, Item::Renew);
        let setup = Arc::clone(&simulation.setup);
        for (number, agent) in setup.agents.iter().enumerate() {
            simulation.hire(number as u32, agent)?;
        }
        Ok(simulation)
    }

    fn hire(&mut self, number: u32, agent: &Agent) -> Result<(), SimError> {
        let skills: Vec<SkillLevel<'_>> = agent
            .skills
            .iter()
            .map(|(skill, level)| SkillLevel { skill, level: *level })
            .collect();
        let channels: Vec<(&str, u32)> = agent
            .channels
            .iter()
            .map(|(name, limit)| (name.as_str(), *limit))
            .collect();
        let spec = AgentSpec {
            id: &agent.id,
            skills: &skills,
            capacity: agent.capacity,
            channels: &channels,
        };
        self.apply("making an agent known", &Command::UpsertAgent(spec))?;
        if self.agents.insert(agent.id.clone(), number).is_some() {
            return Err(SimError::Setup(format!("two agents are called {}", agent.id)));
        }
        for (from, to) in agent.shifts.iter().chain(&agent.breaks) {
            self.agenda.add(*from, Item::Turn { agent: number });
            self.agenda.add(*to, Item::Turn { agent: number });
        }
        Ok(())
    }

    /// Arrivals to come, in order of time: after all that were fed before.
    pub fn feed(&mut self, arrivals: impl Iterator<Item = Arrival>) -> Result<(), SimError> {
        for arrival in arrivals {
            if arrival.at < self.fed || arrival.at < self.now {
                return Err(SimError::Setup(format!(
                    "an arrival at {} µs comes after one at {} µs, and it is {} µs now: sort them",
                    arrival.at, self.fed, self.now
                )));
            }
            if arrival.kind as usize >= self.setup.kinds.len() {
                let kinds = self.setup.kinds.len();
                return Err(SimError::Setup(format!(
                    "an arrival is of kind {}, and there are {kinds}",
                    arrival.kind
                )));
            }
            if self.pending.len() >= PENDING_MAX {
                return Err(SimError::Setup(format!(
                    "{PENDING_MAX} arrivals are pending: run before you feed more"
                )));
            }
            self.fed = arrival.at;
            self.pending.push_back(arrival);
        }
        Ok(())
    }

    /// Plays everything up to a time since the start, that moment included.
    pub fn run(&mut self, until: Micros) -> Result<(), SimError> {
        loop {
            let planned = self.agenda.next().unwrap_or(Micros::MAX);
            let arrives = self.pending.front().map_or(Micros::MAX, |arrival| arrival.at);
            let next = planned.min(arrives).min(until);
            // A timer may match a ticket, and what follows from that may come before `next`.
            if let Some(due) = self
                .engine
                .next_due()
                .map(|due| (due - self.setup.start_us).max(self.now))
                && due <= next
            {
                self.begin(due)?;
            } else if planned.min(arrives) > until {
                return if until > self.now { self.begin(until) } else { Ok(()) };
            } else if planned <= arrives {
                if let Some(item) = self.agenda.pop()
                    && self.stands(item)
                {
                    self.begin(planned)?;
                    self.perform(item)?;
                }
            } else if let Some(arrival) = self.pending.pop_front() {
                self.begin(arrives)?;
                let key = Key::new(self.next_ticket, 0);
                self.next_ticket += 1;
                self.arrive(key, 0, -1, &arrival)?;
            }
        }
    }

    /// The rows of tickets that ended since the last call, in that order.
    pub fn take(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.rows)
    }

    /// The end: hours are counted, and every ticket still under way becomes a row.
    pub fn finish(&mut self) -> Vec<Row> {
        for (number, plan) in self.setup.agents.iter().enumerate() {
            self.crew.count(number as u32, plan, self.now);
        }
        for contact in self.contacts.drain() {
            let mut row = contact.row;
            if !row.answered {
                row.wait = self.now - row.arrival;
            }
            if contact.phase == Phase::Active {
                row.handle += self.now - contact.began;
            }
            self.rows.push(row);
        }
        self.take()
    }

    /// The time since the start.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Arrivals fed and not yet come; tickets under way.
    pub fn under_way(&self) -> (usize, usize) {
        (self.pending.len(), self.contacts.len())
    }

    /// Names of the places that `Row::queue` holds.
    pub fn queue_names(&self) -> &[SmolStr] {
        &self.queue_names
    }

    /// Paths of the classes that `Row::class` holds; empty: never met.
    pub fn class_paths(&self) -> &[String] {
        &self.class_paths
    }

    /// Seconds, by `Hours`, group, interval.
    pub fn seconds(&self) -> impl Iterator<Item = f64> {
        self.crew.seconds()
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What was kept, if the setup asked for it.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    fn begin(&mut self, at: Micros) -> Result<(), SimError> {
        self.now = at;
        let begun = self.engine.begin(at + self.setup.start_us, &mut self.events);
        begun.map_err(|rejection| SimError::Rejected {
            at_us: at,
            what: "letting time pass",
            rejection,
        })?;
        self.react();
        Ok(())
    }

    fn apply(&mut self, what: &'static str, command: &Command<'_>) -> Result<(), SimError> {
        self.try_apply(what, command, 0)?
            .map_err(|rejection| SimError::Rejected {
                at_us: self.now,
                what,
                rejection,
            })
    }

    fn try_apply(
        &mut self,
        what: &'static str,
        command: &Command<'_>,
        kind: u32,
    ) -> Result<Result<(), Rejection>, SimError> {
        if let Some(trace) = &mut self.trace {
            if trace.commands.len() >= COMMANDS_MAX {
                return Err(SimError::Setup(format!(
                    "{what}: {COMMANDS_MAX} commands are kept: trace a shorter run"
                )));
            }
            trace
                .commands
                .push(Traced::new(self.now + self.setup.start_us, command, kind));
        }
        let answer = self.engine.apply(command, &mut self.events).map(|_| ());
        self.react();
        Ok(answer)
    }

    pub(crate) fn uniform(&self, purpose: Purpose, key: Key, stage: u32) -> f64 {
        uniform(self.setup.seed, purpose, key.0, stage)
    }

    pub(crate) fn draw(&self, distribution: usize, purpose: Purpose, key: Key, stage: u32) -> Micros {
        self.setup.distributions[distribution].at(self.uniform(purpose, key, stage))
    }

    fn arrive(&mut self, key: Key, contact: u8, prefers: i32, arrival: &Arrival) -> Result<(), SimError> {
        let setup = Arc::clone(&self.setup);
        let kind = &setup.kinds[arrival.kind as usize];
        let attributes: SmallVec<[Attribute<'_>; 8]> = kind
            .attributes
            .iter()
            .map(|(name, value, confidence_milli)| Attribute {
                name,
                value,
                confidence_milli: *confidence_milli,
            })
            .collect();
        let skills: SmallVec<[SkillLevel<'_>; 4]> = kind
            .skills
            .iter()
            .map(|(skill, level)| SkillLevel { skill, level: *level })
            .collect();
        let id = key.id();
        let customer = if arrival.customer == 0 {
            SmolStr::default()
        } else {
            format_smolstr!("c{}", arrival.customer)
        };
        let row = Row {
            ticket: key.0 >> 4,
            arrival: arrival.at,
            kind: arrival.kind,
            agent: -1,
            queue: NO_QUEUE,
            contact,
            ..Row::default()
        };
        let place = self.contacts.add(Contact {
            key,
            id: id.clone(),
            customer: arrival.customer,
            phase: Phase::Waiting,
            agent: 0,
            attempt: 0,
            serial: 0,
            leaving: 0,
            patience: arrival.patience,
            work: arrival.work,
            began: 0,
            row,
        });
        let submit = Submit {
            id: &id,
            channel: &kind.channel,
            customer: &customer,
            attributes: &attributes,
            skills: &skills,
            preferred_agent: setup.agents.get(prefers as usize).map_or("", |agent| &agent.id),
            ..Submit::default()
        };
        match self.try_apply("submitting a ticket", &Command::Submit(submit), arrival.kind)? {
            Ok(()) => self.leave_later(place, arrival.at),
            Err(no) if matches!(no.code, Code::WaitingFull | Code::ClassesFull) => {
                self.rows.push(Row {
                    outcome: Outcome::Refused,
                    ..row
                });
                self.contacts.remove(place);
            }
            Err(rejection) => {
                return Err(SimError::Rejected {
                    at_us: self.now,
                    what: "submitting a ticket",
                    rejection,
                });
            }
        }
        Ok(())
    }

    fn perform(&mut self, item: Item) -> Result<(), SimError> {
        match item {
            Item::Turn { agent } => self.turn(agent),
            Item::Renew => {
                self.agenda.add(self.now + LEASE_MS / 2 * 1000, Item::Renew);
                self.apply("renewing the lease", &Command::RenewLease { session: SESSION })
            }
            Item::Return { place } => {
                let Some(back) = self.returns[place as usize].take() else {
                    return Ok(());
                };
                self.returns_free.push(place);
                let arrival = Arrival {
                    at: self.now,
                    kind: back.kind,
                    customer: back.customer,
                    patience: -1,
                    work: -1,
                };
                self.arrive(back.key, back.contact, back.agent, &arrival)
            }
            Item::Leave { contact, .. } => {
                let id = self
                    .contacts
                    .at(contact)
                    .map(|found| found.id.clone())
                    .unwrap_or_default();
                let command = Command::Cancel {
                    id: &id,
                    reason: "abandoned",
                };
                self.apply("leaving", &command)
            }
            Item::Answer { contact, .. }
            | Item::Mark { contact, .. }
            | Item::Finish { contact, .. }
            | Item::WrittenUp { contact, .. } => self.work(item, contact),
        }
    }

    /// Nothing made it void since it was planned.
    fn stands(&self, item: Item) -> bool {
        let of = |place| self.contacts.at(place);
        match item {
            Item::Leave { contact, serial } => of(contact).is_some_and(|found| found.leaving == serial),
            Item::Answer { contact, serial }
            | Item::Mark { contact, serial, .. }
            | Item::Finish { contact, serial }
            | Item::WrittenUp { contact, serial } => of(contact).is_some_and(|found| found.serial == serial),
            Item::Turn { .. } | Item::Return { .. } | Item::Renew => true,
        }
    }

    /// What an agent does with a ticket.
    fn work(&mut self, item: Item, contact: u32) -> Result<(), SimError> {
        let Some(found) = self.contacts.at(contact) else {
            return Ok(());
        };
        let (id, attempt, key, transfers) = (found.id.clone(), found.attempt, found.key, found.row.transfers);
        let (ticket, agent, number) = (id.as_str(), found.agent, found.row.kind as usize);
        let setup = Arc::clone(&self.setup);
        let kind = &setup.kinds[number];
        match item {
            Item::Answer { .. } => {
                let conduct = &setup.conducts[setup.agents[agent as usize].conduct];
                if self.uniform(Purpose::Decline, key, attempt) < conduct.decline {
                    let command = Command::Decline {
                        ticket,
                        attempt,
                        reason: "",
                    };
                    return self.apply("declining", &command);
                }
                let command = Command::Accept {
                    ticket,
                    attempt,
                    context: &[],
                };
                self.apply("accepting", &command)
            }
            Item::Mark { mark, .. } => {
                let moment = &kind.marks[usize::from(mark)].0;
                let command = Command::Mark {
                    ticket,
                    attempt,
                    moment,
                };
                self.apply("marking a moment", &command)
            }
            Item::Finish { .. } => {
                let stage = u32::from(transfers);
                if transfers < AGAIN_MAX && self.uniform(Purpose::Transfer, key, stage) < kind.transfer {
                    let to = TransferTo::Queue(&kind.transfer_to);
                    return self.apply("transferring", &Command::Transfer { ticket, attempt, to });
                }
                let command = Command::Complete {
                    ticket,
                    attempt,
                    outcome: "",
                    context: &[],
                };
                self.apply("completing", &command)
            }
            _ => self.apply("writing up", &Command::EndWrapUp { ticket, attempt }),
        }
    }

    fn turn(&mut self, agent: u32) -> Result<(), SimError> {
        let setup = Arc::clone(&self.setup);
        let plan = &setup.agents[agent as usize];
        let (is, wanted) = (self.crew.presence(agent), self.crew.wanted(agent, plan, self.now));
        if is == wanted {
            return Ok(());
        }
        let (session, name) = (SESSION, plan.id.as_str());
        if is == Presence::Offline {
            let command = Command::Login {
                session,
                agent: name,
                presence: wanted,
                reason: "",
            };
            self.apply("logging in", &command)
        } else {
            let command = Command::SetPresence {
                session,
                agent: name,
                presence: wanted,
                reason: "",
            };
            self.apply("changing presence", &command)
        }
    }
}
