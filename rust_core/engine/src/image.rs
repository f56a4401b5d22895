//! The whole state as plain data: what a snapshot holds and what the state hash is taken of.
//!
//! Everything is named, nothing is numbered by accident of memory; indexes, heaps, lines and the wheel are built anew.
//! Two engines with equal images have the same future.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::agent::{Agent, Session};
use crate::board::SkillAt;
use crate::canary::{Canary, CanaryImage};
use crate::command::{Presence, TicketState};
use crate::conditions::Key;
use crate::event::MatchReason;
use crate::facts::TableImage;
use crate::install::Sweep;
use crate::owners::OwnerImage;
use crate::policy::{Later, PolicySpec};
use crate::ticket::{ClockRun, Ended, Phase, Ticket};
use crate::tuning::TuningImage;
use crate::view::{ClockStats, QueueStats};
use crate::{Code, Counters, Engine, Micros, Millis, Rejection};

/// The image's own format.
const FORMAT: u32 = 1;

pub(crate) type SkillName = (SmolStr, u8);

#[derive(Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) format: u32,
    pub(crate) now: Micros,
    pub(crate) sequence: u64,
    /// Of what was, not of what is: no part of the state hash.
    pub(crate) events_hash: u64,
    /// The current policy's version.
    pub(crate) current: Option<u64>,
    /// By version: the current one and those that classes still have.
    pub(crate) policies: BTreeMap<u64, PolicySpec>,
    /// All channels, moments and clocks met, in order: bits in records go by their numbers.
    pub(crate) channels: Vec<SmolStr>,
    pub(crate) moments: Vec<SmolStr>,
    pub(crate) clocks: Vec<SmolStr>,
    pub(crate) classes: BTreeMap<u32, ClassImage>,
    /// Queue conditions that are on, in order.
    pub(crate) conditions_on: Vec<Key>,
    pub(crate) owners: Vec<OwnerImage>,
    pub(crate) later: Vec<Later>,
    pub(crate) agents: Vec<AgentImage>,
    pub(crate) sessions: Vec<SessionImage>,
    pub(crate) tickets: Vec<TicketImage>,
    pub(crate) ended: Vec<EndedImage>,
    pub(crate) ticket_sequence: u64,
    pub(crate) agents_made: u64,
    pub(crate) agents_seen: u64,
    pub(crate) assignments: u64,
    pub(crate) sessions_opened: u64,
    pub(crate) counters: Counters,
    pub(crate) queue_stats: Vec<QueueStats>,
    pub(crate) clock_stats: Vec<ClockStats>,
}

/// What came later than the format, and is seldom there: it stands behind the image if it says anything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tail {
    pub(crate) sweep: Option<Sweep>,
    pub(crate) slice: u32,
    pub(crate) facts: Vec<TableImage>,
    pub(crate) tuning: Option<TuningImage>,
    pub(crate) canary: Option<CanaryImage>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ClassImage {
    pub(crate) policy: u64,
    pub(crate) channel: u8,
    pub(crate) applied: Vec<(u8, u16)>,
    pub(crate) picks: Vec<(SmolStr, SmolStr)>,
    pub(crate) own: Vec<SkillName>,
    pub(crate) transfer: Option<(Vec<Vec<SkillName>>, Vec<SkillName>)>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AgentImage {
    pub(crate) id: SmolStr,
    pub(crate) number: u64,
    pub(crate) sequence: u64,
    pub(crate) skills: Vec<SkillName>,
    pub(crate) capacity: u32,
    pub(crate) channels: Vec<(SmolStr, u32)>,
    pub(crate) presence: Presence,
    pub(crate) reason: SmolStr,
    /// By number.
    pub(crate) session: Option<u64>,
    pub(crate) idle_since: Micros,
    pub(crate) last_assignment: u64,
    pub(crate) lost_until: Micros,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SessionImage {
    pub(crate) name: SmolStr,
    pub(crate) number: u64,
    pub(crate) lease: Millis,
    pub(crate) lease_until: Micros,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RunImage {
    pub(crate) clock: u16,
    pub(crate) warned: u8,
    pub(crate) breached: bool,
    pub(crate) phase: Phase,
    pub(crate) start: Micros,
    pub(crate) paused: Micros,
    pub(crate) since: Micros,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct WorkImage {
    /// The agent's number.
    pub(crate) agent: u64,
    pub(crate) cost: u32,
    pub(crate) wrap_up: Millis,
    pub(crate) decline_exclude: Millis,
    pub(crate) away_on_expiry: bool,
    pub(crate) reason: MatchReason,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ExtraImage {
    pub(crate) preferred: Option<u64>,
    pub(crate) hold_until: Micros,
    pub(crate) named: Vec<u64>,
    pub(crate) declined: Vec<(u64, Micros)>,
    pub(crate) moments: Vec<(u32, Micros)>,
    pub(crate) marks: u64,
    pub(crate) context: Option<Vec<u8>>,
    pub(crate) agent_context: Option<Vec<u8>>,
    pub(crate) outcome: SmolStr,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TicketImage {
    pub(crate) id: SmolStr,
    pub(crate) customer: SmolStr,
    pub(crate) attributes: Vec<(SmolStr, SmolStr, u16)>,
    pub(crate) source: SmolStr,
    pub(crate) sequence: u64,
    pub(crate) fingerprint: u64,
    pub(crate) revision: u64,
    pub(crate) arrival: Micros,
    pub(crate) queued_at: Micros,
    pub(crate) due: Micros,
    pub(crate) assigned_at: Micros,
    pub(crate) class: u32,
    pub(crate) taken: u32,
    pub(crate) attempt: u32,
    pub(crate) state: TicketState,
    pub(crate) verbs: u8,
    pub(crate) clocks: Vec<RunImage>,
    pub(crate) work: Option<WorkImage>,
    pub(crate) extra: Option<ExtraImage>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct EndedImage {
    pub(crate) id: SmolStr,
    pub(crate) agent: SmolStr,
    pub(crate) outcome: SmolStr,
    pub(crate) agent_context: Option<Vec<u8>>,
    pub(crate) sequence: u64,
    pub(crate) fingerprint: u64,
    pub(crate) revision: u64,
    pub(crate) arrival: Micros,
    pub(crate) over_at: Micros,
    pub(crate) marks: u64,
    pub(crate) policy_version: u64,
    pub(crate) class: u32,
    pub(crate) queue: SmolStr,
    pub(crate) channel: u8,
    pub(crate) source: SmolStr,
    pub(crate) attempt: u32,
    pub(crate) state: TicketState,
    pub(crate) verbs: u8,
}

pub(crate) fn damaged(what: &str) -> Rejection {
    Rejection::about(
        Code::Malformed,
        what.to_string(),
        format!("the snapshot is damaged or of another version: {what}"),
    )
}

impl Engine {
    /// A hash over the whole state: equal states, equal hashes. Time alone changes nothing: `now` is left out.
    pub fn state_hash(&self) -> u64 {
        let image = Image {
            now: 0,
            events_hash: 0,
            ..self.image()
        };
        xxhash_rust::xxh3::xxh3_64(&self.bytes(&image))
    }

    /// The whole state as bytes; `restore` gives an engine with the same hash and the same future.
    pub fn snapshot(&self) -> Vec<u8> {
        self.bytes(&self.image())
    }

    fn bytes(&self, image: &Image) -> Vec<u8> {
        let tail = Tail {
            sweep: self.sweep,
            slice: self.slice,
            facts: self.facts.image(),
            tuning: self.tuning.image().cloned(),
            canary: self.canary.as_ref().map(Canary::image),
        };
        // Plain data of our own into memory: there is nothing that could fail.
        let mut bytes = postcard::to_stdvec(image).unwrap_or_default();
        if tail != Tail::default() {
            bytes.extend(postcard::to_stdvec(&tail).unwrap_or_default());
        }
        bytes
    }

    /// The engine whose `snapshot` these bytes are.
    pub fn restore(bytes: &[u8]) -> Result<Self, Rejection> {
        let wrong = |error: postcard::Error| damaged(&error.to_string());
        let (image, rest): (Image, &[u8]) = postcard::take_from_bytes(bytes).map_err(wrong)?;
        let tail: Tail = if rest.is_empty() {
            Tail::default()
        } else {
            postcard::from_bytes(rest).map_err(wrong)?
        };
        if image.format != FORMAT {
            return Err(damaged("its format number"));
        }
        let mut engine = Engine::new();
        engine.load(image)?;
        (engine.sweep, engine.slice) = (tail.sweep, tail.slice);
        engine.facts.load(tail.facts);
        engine.caps_follow();
        engine.load_steered(tail.tuning, tail.canary)?;
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
            events_hash: self.events_hash,
            current: self.policy.as_ref().map(|policy| policy.spec.version),
            policies,
            channels: names(&self.channel_names),
            moments: names(&self.moments),
            clocks: names(&self.clock_names),
            classes,
            conditions_on: self.conditions.on(),
            owners: self.owners.image(),
            later: self.later.iter().cloned().collect(),
            agents,
            sessions,
            tickets,
            ended: self.ended.iter().map(|ended| self.ended_image(ended)).collect(),
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
            revision: ticket.revision(),
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
            work: ticket.work.map(|work| WorkImage {
                agent: self.agents[work.agent].number,
                cost: work.cost,
                wrap_up: work.wrap_up,
                decline_exclude: self.matches[work.made].decline_exclude,
                away_on_expiry: work.away_on_expiry,
                reason: self.matches[work.made].reason,
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
            outcome: ended.outcome().clone(),
            agent_context: ended.agent_context().map(|context| context.to_vec()),
            sequence: ended.sequence,
            fingerprint: ended.fingerprint,
            revision: ended.revision(),
            arrival: ended.arrival,
            over_at: ended.over_at,
            marks: ended.marks(),
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
}
