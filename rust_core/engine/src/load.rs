//! From an image back to an engine: records as they were, indexes built anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::agent::Session;
use crate::board::{Pen, Requirement, SkillAt};
use crate::class::ClassKey;
use crate::command::{AgentSpec, Attribute};
use crate::image::{
    AgentImage, ClassImage, EndedImage, Image, RunImage, SessionImage, SkillName, TicketImage, damaged,
};
use crate::names::Ids;
use crate::tables::Tables;
use crate::ticket::{AgentRef, ClockRun, Content, Ended, EndedExtra, Extra, Match, NONE, Ticket, Work};
use crate::timers::kind;
use crate::view::QueueStats;
use crate::{ENDED, Engine, Rejection};

impl Engine {
    /// Fills a new engine.
    pub(crate) fn load(&mut self, image: Image) -> Result<(), Rejection> {
        (self.now, self.loading) = (image.now, true);
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
        for key in image.conditions_on {
            self.condition(key, true);
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
        self.later = image.later.into();
        for owner in image.owners {
            let slot = *agents
                .get(&owner.agent)
                .ok_or_else(|| damaged("a customer's agent is missing"))?;
            let number = owner.agent;
            self.owners.set(&owner.customer, AgentRef { slot, number }, owner.due);
        }
        for ticket in image.tickets {
            self.load_ticket(ticket, &agents)?;
        }
        for ended in image.ended {
            self.load_ended(ended);
        }
        self.place_newcomer();
        self.dirty = crate::settle::Dirty::default();
        (self.sequence, self.events_hash) = (image.sequence, image.events_hash);
        self.ticket_sequence = image.ticket_sequence;
        self.agents_made = image.agents_made;
        self.agents_seen = image.agents_seen;
        self.assignments = image.assignments;
        self.sessions_opened = image.sessions_opened;
        self.counters = image.counters;
        self.clock_stats = image.clock_stats;
        self.out.clear();
        self.loading = false;
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
            Some(work) => Some(Work {
                agent: *agents
                    .get(&work.agent)
                    .ok_or_else(|| damaged("a ticket's agent is missing"))?,
                cost: work.cost,
                wrap_up: work.wrap_up,
                made: self.matches.insert(Match {
                    reason: work.reason,
                    decline_exclude: work.decline_exclude,
                }),
                away_on_expiry: work.away_on_expiry,
            }),
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
                revision: image.revision,
            })
        });
        let holds = work.as_ref().map(|work| (work.agent, work.cost));
        let ticket = Ticket {
            content: Content::new(&image.customer, attributes),
            extra,
            work,
            sequence: image.sequence,
            fingerprint: image.fingerprint,
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
        self.count_lined(ticket.class, ticket.state, true);
        self.count_caps_of(&ticket.content, ticket.class, ticket.state, true);
        let channel = self.classes[ticket.class].channel;
        let in_line = ticket.in_line();
        let id = ticket.id.clone();
        let key = self.tickets.insert(ticket);
        self.ids.insert(Ids::hash(&id), key);
        self.order.set(self.tickets[key].sequence, key);
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
        let slot = self.ended.push(Ended {
            agent: image.agent,
            extra: EndedExtra {
                outcome: image.outcome,
                agent_context: image.agent_context.map(Into::into),
                revision: image.revision,
                marks: image.marks,
            }
            .boxed(),
            sequence: image.sequence,
            fingerprint: image.fingerprint,
            arrival: image.arrival,
            over_at: image.over_at,
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
        self.ids.insert(Ids::hash(&self.ended[slot].id), slot | ENDED);
        self.order.set(self.ended[slot].sequence, slot | ENDED);
    }
}
