//! The whole state as plain data: what a snapshot holds and what the state hash is taken of.
//!
//! Everything is named, nothing is numbered by accident of memory; indexes, heaps, lines and the wheel are built anew.
//! Two engines with equal images have the same future.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::agent::{Agent, Session};
use crate::board::{Pen, Requirement, SkillAt};
use crate::class::ClassKey;
use crate::command::{AgentSpec, Attribute, Presence, TicketState};
use crate::event::MatchReason;
use crate::policy::PolicySpec;
use crate::tables::Tables;
use crate::ticket::{AgentRef, ClockRun, Content, Ended, Extra, NONE, Phase, Ticket, Work};
use crate::timers::kind;
use crate::view::{ClockStats, QueueStats};
use crate::{Code, Counters, ENDED, Engine, Micros, Millis, Rejection};

/// The image's own format.
const FORMAT: u32 = 1;

type SkillName = (SmolStr, u8);

#[derive(Serialize, Deserialize)]
struct Image {
    format: u32,
    now: Micros,
    sequence: u64,
    /// The current policy's version.
    current: Option<u64>,
    /// By version: the current one and those that classes still have.
    policies: BTreeMap<u64, PolicySpec>,
    /// All channels, moments and clocks met, in order: bits in records go by their numbers.
    channels: Vec<SmolStr>,
    moments: Vec<SmolStr>,
    clocks: Vec<SmolStr>,
    classes: BTreeMap<u32, ClassImage>,
    agents: Vec<AgentImage>,
    sessions: Vec<SessionImage>,
    tickets: Vec<TicketImage>,
    ended: Vec<EndedImage>,
    ticket_sequence: u64,
    agents_made: u64,
    agents_seen: u64,
    assignments: u64,
    sessions_opened: u64,
    counters: Counters,
    queue_stats: Vec<QueueStats>,
    clock_stats: Vec<ClockStats>,
}

#[derive(Serialize, Deserialize)]
struct ClassImage {
    policy: u64,
    channel: u8,
    applied: Vec<(u8, u16)>,
    picks: Vec<(SmolStr, SmolStr)>,
    own: Vec<SkillName>,
    transfer: Option<(Vec<Vec<SkillName>>, Vec<SkillName>)>,
}

#[derive(Serialize, Deserialize)]
struct AgentImage {
    id: SmolStr,
    number: u64,
    sequence: u64,
    skills: Vec<SkillName>,
    capacity: u32,
    channels: Vec<(SmolStr, u32)>,
    presence: Presence,
    reason: SmolStr,
    /// By number.
    session: Option<u64>,
    idle_since: Micros,
    last_assignment: u64,
    lost_until: Micros,
}

#[derive(Serialize, Deserialize)]
struct SessionImage {
    name: SmolStr,
    number: u64,
    lease: Millis,
    lease_until: Micros,
}

#[derive(Serialize, Deserialize)]
struct RunImage {
    clock: u16,
    warned: u8,
    breached: bool,
    phase: Phase,
    start: Micros,
    paused: Micros,
    since: Micros,
}

#[derive(Serialize, Deserialize)]
struct WorkImage {
    /// The agent's number.
    agent: u64,
    cost: u32,
    wrap_up: Millis,
    decline_exclude: Millis,
    away_on_expiry: bool,
    reason: MatchReason,
}

#[derive(Serialize, Deserialize)]
struct ExtraImage {
    preferred: Option<u64>,
    hold_until: Micros,
    named: Vec<u64>,
    declined: Vec<(u64, Micros)>,
    moments: Vec<(u32, Micros)>,
    marks: u64,
    context: Option<Vec<u8>>,
    agent_context: Option<Vec<u8>>,
    outcome: SmolStr,
}

#[derive(Serialize, Deserialize)]
struct TicketImage {
    id: SmolStr,
    customer: SmolStr,
    attributes: Vec<(SmolStr, SmolStr, u16)>,
    source: SmolStr,
    sequence: u64,
    fingerprint: u64,
    revision: u64,
    arrival: Micros,
    queued_at: Micros,
    due: Micros,
    assigned_at: Micros,
    class: u32,
    taken: u32,
    attempt: u32,
    state: TicketState,
    verbs: u8,
    clocks: Vec<RunImage>,
    work: Option<WorkImage>,
    extra: Option<ExtraImage>,
}

#[derive(Serialize, Deserialize)]
struct EndedImage {
    id: SmolStr,
    agent: SmolStr,
    outcome: SmolStr,
    agent_context: Option<Vec<u8>>,
    sequence: u64,
    fingerprint: u64,
    revision: u64,
    arrival: Micros,
    ended_at: Micros,
    marks: u64,
    policy_version: u64,
    class: u32,
    queue: SmolStr,
    channel: u8,
    source: SmolStr,
    attempt: u32,
    state: TicketState,
    verbs: u8,
}

fn damaged(what: &str) -> Rejection {
    Rejection::about(
        Code::Malformed,
        what.to_string(),
        format!("the snapshot is damaged or of another version: {what}"),
    )
}

impl Engine {
    /// A hash over the whole state: equal states, equal hashes. Time alone changes nothing: `now` is left out.
    pub fn state_hash(&self) -> u64 {
        let image = Image { now: 0, ..self.image() };
        xxhash_rust::xxh3::xxh3_64(&postcard::to_stdvec(&image).unwrap_or_default())
    }

    /// The whole state as bytes; `restore` gives an engine with the same hash and the same future.
    pub fn snapshot(&self) -> Vec<u8> {
        // Plain data of our own into memory: there is nothing that could fail.
        postcard::to_stdvec(&self.image()).unwrap_or_default()
    }

    /// The engine whose `snapshot` these bytes are.
    pub fn restore(bytes: &[u8]) -> Result<Self, Rejection> {
        let image: Image = postcard::from_bytes(bytes).map_err(|error| damaged(&error.to_string()))?;
        if image.format != FORMAT {
            return Err(damaged("its format number"));
        }
        let mut engine = Engine::new();
        engine.load(image)?;
        Ok(engine)
    }

    fn skill_names_of(&self, skills: &[SkillAt]) -> Vec<SkillName> {
        skills
            .iter()
            .map(|&(skill, level)| (self.skill_names.name(skill).clone(), level))
            .collect()
    }

    fn image(&self) -> Image {
        let mut policies = BTreeMap::new();
        let mut classes = BTreeMap::new();
        for tables in self
            .policy
            .iter()
            .chain(self.classes.iter().map(|(_, class)| &class.tables))
        {
            policies
                .entry(tables.spec.version)
                .or_insert_with(|| PolicySpec::clone(&tables.spec));
        }
        for (number, class) in self.classes.iter() {
            let key = &class.key;
            let mut own = self.skill_names_of(&key.own);
            own.sort_unstable();
            classes.insert(
                number,
                ClassImage {
                    policy: key.policy,
                    channel: key.channel,
                    applied: key.applied.to_vec(),
                    picks: key.picks.to_vec(),
                    own,
                    transfer: key.transfer.as_ref().map(|requirement| {
                        let groups = requirement
                            .groups
                            .iter()
                            .map(|group| self.skill_names_of(group))
                            .collect();
                        (groups, self.skill_names_of(&requirement.none_of))
                    }),
                },
            );
        }
        let mut agents: Vec<AgentImage> = self
            .agents
            .keys()
            .map(|slot| self.agent_image(&self.agents[slot]))
            .collect();
        agents.sort_unstable_by_key(|agent| agent.number);
        let mut sessions: Vec<SessionImage> = self
            .sessions
            .keys()
            .map(|slot| {
                let Session {
                    name,
                    number,
                    lease,
                    lease_until,
                    ..
                } = &self.sessions[slot];
                SessionImage {
                    name: name.clone(),
                    number: *number,
                    lease: *lease,
                    lease_until: *lease_until,
                }
            })
            .collect();
        sessions.sort_unstable_by_key(|session| session.number);
        let mut tickets: Vec<TicketImage> = self
            .tickets
            .keys()
            .map(|key| self.ticket_image(&self.tickets[key]))
            .collect();
        tickets.sort_unstable_by_key(|ticket| ticket.sequence);
        let names = |names: &crate::names::Names| {
            (0..names.len() as u32)
                .map(|number| names.name(number).clone())
                .collect()
        };
        Image {
            format: FORMAT,
            now: self.now,
            sequence: self.sequence,
            current: self.policy.as_ref().map(|policy| policy.spec.version),
            policies,
            channels: names(&self.channel_names),
            moments: names(&self.moments),
            clocks: names(&self.clock_names),
            classes,
            agents,
            sessions,
            tickets,
            ended: self
                .ended_order
                .iter()
                .map(|&slot| self.ended_image(&self.ended[slot]))
                .collect(),
            ticket_sequence: self.ticket_sequence,
            agents_made: self.agents_made,
            agents_seen: self.agents_seen,
            assignments: self.assignments,
            sessions_opened: self.sessions_opened,
            counters: self.counters.clone(),
            queue_stats: self.queue_stats.clone(),
            clock_stats: self.clock_stats.clone(),
        }
    }

    fn agent_image(&self, agent: &Agent) -> AgentImage {
        AgentImage {
            id: agent.id.clone(),
            number: agent.number,
            sequence: agent.sequence,
            skills: self.skill_names_of(&agent.skills),
            capacity: agent.capacity,
            channels: agent.channels.clone(),
            presence: agent.presence,
            reason: agent.reason.clone(),
            session: agent.session.map(|session| self.sessions[session].number),
            idle_since: agent.idle_since,
            last_assignment: agent.last_assignment,
            lost_until: agent.lost_until,
        }
    }

    fn ticket_image(&self, ticket: &Ticket) -> TicketImage {
        let mut clocks: Vec<RunImage> = ticket
            .clocks
            .iter()
            .map(
                |&ClockRun {
                     clock,
                     warned,
                     breached,
                     phase,
                     start,
                     paused,
                     since,
                 }| RunImage {
                    clock,
                    warned,
                    breached,
                    phase,
                    start,
                    paused,
                    since,
                },
            )
            .collect();
        clocks.sort_unstable_by_key(|run| run.clock);
        TicketImage {
            id: ticket.id.clone(),
            customer: SmolStr::new(ticket.content.customer()),
            attributes: ticket
                .content
                .attributes()
                .map(|attribute| {
                    (
                        SmolStr::new(attribute.name),
                        SmolStr::new(attribute.value),
                        attribute.confidence_milli,
                    )
                })
                .collect(),
            source: self.sources.name(ticket.source).clone(),
            sequence: ticket.sequence,
            fingerprint: ticket.fingerprint,
            revision: ticket.revision,
            arrival: ticket.arrival,
            queued_at: ticket.queued_at,
            due: ticket.due,
            assigned_at: ticket.assigned_at,
            class: ticket.class,
            taken: ticket.taken,
            attempt: ticket.attempt,
            state: ticket.state,
            verbs: ticket.verbs,
            clocks,
            work: ticket.work.as_deref().map(|work| WorkImage {
                agent: self.agents[work.agent].number,
                cost: work.cost,
                wrap_up: work.wrap_up,
                decline_exclude: work.decline_exclude,
                away_on_expiry: work.away_on_expiry,
                reason: *work.reason,
            }),
            extra: ticket.extra.as_deref().map(|extra| ExtraImage {
                preferred: extra.preferred.map(|agent| agent.number),
                hold_until: extra.hold_until,
                named: extra.named.iter().map(|agent| agent.number).collect(),
                declined: extra
                    .declined
                    .iter()
                    .map(|(agent, until)| (agent.number, *until))
                    .collect(),
                moments: extra.moments.to_vec(),
                marks: extra.marks,
                context: extra.context.as_deref().map(<[u8]>::to_vec),
                agent_context: extra.agent_context.as_deref().map(<[u8]>::to_vec),
                outcome: extra.outcome.clone(),
            }),
        }
    }

    fn ended_image(&self, ended: &Ended) -> EndedImage {
        EndedImage {
            id: ended.id.clone(),
            agent: ended.agent.clone(),
            outcome: ended.outcome.clone(),
            agent_context: ended.agent_context.as_deref().map(<[u8]>::to_vec),
            sequence: ended.sequence,
            fingerprint: ended.fingerprint,
            revision: ended.revision,
            arrival: ended.arrival,
            ended_at: ended.ended_at,
            marks: ended.marks,
            policy_version: ended.policy_version,
            class: ended.class,
            queue: self.queue_names.name(ended.queue).clone(),
            channel: ended.channel,
            source: self.sources.name(ended.source).clone(),
            attempt: ended.attempt,
            state: ended.state,
            verbs: ended.verbs,
        }
    }

    fn load(&mut self, image: Image) -> Result<(), Rejection> {
        self.now = image.now;
        for (names, known) in [
            (&image.channels, &mut self.channel_names),
            (&image.moments, &mut self.moments),
            (&image.clocks, &mut self.clock_names),
        ] {
            for name in names {
                known.intern(name);
            }
        }
        for stats in &image.queue_stats {
            let number = self.queue_number(&stats.queue);
            self.queue_stats[number as usize] = QueueStats {
                waiting: 0,
                ..stats.clone()
            };
        }
        let mut tables = BTreeMap::new();
        for (version, spec) in image.policies {
            tables.insert(version, Arc::new(Tables::new(Arc::new(spec))?));
        }
        if let Some(current) = image.current {
            let current = Arc::clone(tables.get(&current).ok_or_else(|| damaged("its policy is missing"))?);
            self.make_current(&current);
        }
        for (number, class) in image.classes {
            let of = tables
                .get(&class.policy)
                .ok_or_else(|| damaged("a class's policy is missing"))?;
            let key = self.class_key_of(class)?;
            self.place_class(number, of, key)?;
        }
        let sessions = self.load_sessions(image.sessions);
        let agents = self.load_agents(image.agents, &sessions)?;
        for ticket in image.tickets {
            self.load_ticket(ticket, &agents)?;
        }
        for ended in image.ended {
            self.load_ended(ended);
        }
        self.dirty = crate::settle::Dirty::default();
        self.sequence = image.sequence;
        self.ticket_sequence = image.ticket_sequence;
        self.agents_made = image.agents_made;
        self.agents_seen = image.agents_seen;
        self.assignments = image.assignments;
        self.sessions_opened = image.sessions_opened;
        self.counters = image.counters;
        self.clock_stats = image.clock_stats;
        self.out.clear();
        Ok(())
    }

    fn skills_by_name(&mut self, skills: Vec<SkillName>) -> Result<Vec<SkillAt>, Rejection> {
        skills
            .into_iter()
            .map(|(name, level)| Ok((self.skill(&name)?, level)))
            .collect()
    }

    fn class_key_of(&mut self, class: ClassImage) -> Result<ClassKey, Rejection> {
        let mut own: SmallVec<[SkillAt; 2]> = self.skills_by_name(class.own)?.into();
        own.sort_unstable();
        let transfer = match class.transfer {
            None => None,
            Some((groups, none_of)) => {
                let groups = groups
                    .into_iter()
                    .map(|group| self.skills_by_name(group))
                    .collect::<Result<_, _>>()?;
                Some(Arc::new(Requirement {
                    groups,
                    none_of: self.skills_by_name(none_of)?,
                }))
            }
        };
        Ok(ClassKey {
            policy: class.policy,
            channel: class.channel,
            applied: class.applied.into(),
            picks: class.picks.into(),
            own,
            transfer,
        })
    }

    fn load_sessions(&mut self, sessions: Vec<SessionImage>) -> BTreeMap<u64, u32> {
        let mut slots = BTreeMap::new();
        for SessionImage {
            name,
            number,
            lease,
            lease_until,
        } in sessions
        {
            let slot = self.sessions.insert(Session {
                name: name.clone(),
                number,
                lease,
                lease_until,
                agents: BTreeSet::new(),
            });
            self.session_ids.insert(name, slot);
            self.timers.set_other(kind::LEASE, number, slot, 0, lease_until);
            slots.insert(number, slot);
        }
        slots
    }

    fn load_agents(
        &mut self,
        agents: Vec<AgentImage>,
        sessions: &BTreeMap<u64, u32>,
    ) -> Result<BTreeMap<u64, u32>, Rejection> {
        let mut slots = BTreeMap::new();
        for image in agents {
            let skills = self.skills_by_name(image.skills)?;
            let key = self.profile_key_lenient(&skills, image.capacity, &image.channels);
            let profile = self.board.join_profile(key);
            let channels: Vec<(&str, u32)> = image
                .channels
                .iter()
                .map(|(name, limit)| (name.as_str(), *limit))
                .collect();
            let spec = AgentSpec {
                id: &image.id,
                skills: &[],
                capacity: image.capacity,
                channels: &channels,
            };
            let mut agent = self.new_agent(&spec, image.number, skills, profile);
            (agent.sequence, agent.presence, agent.reason) = (image.sequence, image.presence, image.reason);
            (agent.idle_since, agent.last_assignment, agent.lost_until) =
                (image.idle_since, image.last_assignment, image.lost_until);
            agent.session = image.session.and_then(|number| sessions.get(&number).copied());
            let (logged_in, session, sequence) = (agent.logged_in(), agent.session, agent.sequence);
            let slot = self.agents.insert(agent);
            self.agent_ids.insert(image.id, slot);
            if let Some(session) = session {
                self.sessions[session].agents.insert((sequence, slot));
            }
            if logged_in {
                self.board.profiles[profile as usize].logged_in += 1;
            }
            self.timers
                .set_other(kind::LOST, image.number, slot, 0, image.lost_until);
            self.refresh_agent(slot);
            slots.insert(image.number, slot);
        }
        Ok(slots)
    }

    fn load_ticket(&mut self, image: TicketImage, agents: &BTreeMap<u64, u32>) -> Result<(), Rejection> {
        // A reference to an agent who is gone keeps its number, so that the hash is the same; its slot is nobody's.
        let agent_ref = |number: u64| AgentRef {
            slot: agents.get(&number).copied().unwrap_or(NONE),
            number,
        };
        if !self.classes.has(image.class) {
            return Err(damaged("a ticket's class is missing"));
        }
        let attributes = image
            .attributes
            .iter()
            .map(|(name, value, confidence_milli)| Attribute {
                name,
                value,
                confidence_milli: *confidence_milli,
            });
        let work = match image.work {
            None => None,
            Some(work) => Some(Box::new(Work {
                agent: *agents
                    .get(&work.agent)
                    .ok_or_else(|| damaged("a ticket's agent is missing"))?,
                cost: work.cost,
                wrap_up: work.wrap_up,
                decline_exclude: work.decline_exclude,
                away_on_expiry: work.away_on_expiry,
                reason: Arc::new(work.reason),
            })),
        };
        let extra = image.extra.map(|extra| {
            Box::new(Extra {
                preferred: extra.preferred.map(agent_ref),
                hold_until: extra.hold_until,
                named: extra.named.into_iter().map(agent_ref).collect(),
                declined: extra
                    .declined
                    .into_iter()
                    .map(|(number, until)| (agent_ref(number), until))
                    .collect(),
                moments: extra.moments.into(),
                marks: extra.marks,
                context: extra.context.map(Into::into),
                agent_context: extra.agent_context.map(Into::into),
                outcome: extra.outcome,
            })
        });
        let holds = work.as_ref().map(|work| (work.agent, work.cost));
        let ticket = Ticket {
            content: Content::new(&image.customer, attributes),
            extra,
            work,
            sequence: image.sequence,
            fingerprint: image.fingerprint,
            revision: image.revision,
            arrival: image.arrival,
            queued_at: image.queued_at,
            due: image.due,
            assigned_at: image.assigned_at,
            clocks: image
                .clocks
                .into_iter()
                .map(
                    |RunImage {
                         clock,
                         warned,
                         breached,
                         phase,
                         start,
                         paused,
                         since,
                     }| ClockRun {
                        clock,
                        warned,
                        breached,
                        phase,
                        start,
                        paused,
                        since,
                    },
                )
                .collect(),
            source: self.sources.hold(&image.source),
            class: image.class,
            line: NONE,
            taken: image.taken,
            attempt: image.attempt,
            state: image.state,
            pen: Pen::Main,
            verbs: image.verbs,
            id: image.id,
        };
        self.classes[ticket.class].users += 1;
        self.by_state[ticket.state as usize] += 1;
        let channel = self.classes[ticket.class].channel;
        let in_line = ticket.in_line();
        let id = ticket.id.clone();
        let key = self.tickets.insert(ticket);
        self.ids.insert(&id, key);
        if let Some((agent, cost)) = holds {
            self.take_units(agent, key, channel, cost);
        }
        if in_line {
            self.place_in_line(key);
        }
        self.arm(key);
        Ok(())
    }

    fn load_ended(&mut self, image: EndedImage) {
        let (queue, source) = (self.queue_number(&image.queue), self.sources.hold(&image.source));
        let slot = self.ended.insert(Ended {
            agent: image.agent,
            outcome: image.outcome,
            agent_context: image.agent_context.map(Into::into),
            sequence: image.sequence,
            fingerprint: image.fingerprint,
            revision: image.revision,
            arrival: image.arrival,
            ended_at: image.ended_at,
            marks: image.marks,
            policy_version: image.policy_version,
            class: image.class,
            queue,
            channel: image.channel,
            source,
            attempt: image.attempt,
            state: image.state,
            verbs: image.verbs,
            id: image.id,
        });
        self.ended_order.push_back(slot);
        self.ids.insert(&self.ended[slot].id, slot | ENDED);
    }
}
