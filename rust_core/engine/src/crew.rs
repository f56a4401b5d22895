//! Agents come, change and go; their gateways' sessions live by leases.

use smol_str::SmolStr;

use crate::agent::Session;
use crate::command::{AgentSpec, Answer, Presence, TicketState};
use crate::event::{EventKind, PresenceCause, QueueCause};
use crate::ticket::AgentRef;
use crate::timers::kind;
use crate::{Code, Engine, Micros, Millis, Rejection, limits, round_up};

const DONE: Answer = Answer {
    replayed: false,
    state: None,
    reclassified: 0,
    lined: None,
};
const REPLAYED: Answer = Answer { replayed: true, ..DONE };

impl Engine {
    pub(crate) fn upsert_agent(&mut self, spec: &AgentSpec<'_>) -> Result<Answer, Rejection> {
        self.current()?;
        let channels: Vec<(SmolStr, u32)> = spec
            .channels
            .iter()
            .map(|&(name, limit)| (SmolStr::new(name), limit))
            .collect();
        let known = self.agent_ids.get(spec.id).copied();
        if let Some(slot) = known
            && self.is_spec(slot, spec, &channels)
        {
            return Ok(REPLAYED);
        }
        // Checks first, names after: a rejection leaves nothing behind.
        self.profile_key(&[], spec.capacity, &channels)?;
        let bounds = self.bounds();
        if known.is_none() && self.agent_ids.len() >= bounds.agents_max as usize {
            return Err(Rejection::new(
                Code::AgentsFull,
                format!("{} agents are there, as many as may be", bounds.agents_max),
            ));
        }
        let names = spec.skills.iter().map(|skill| skill.skill);
        let new_names: Vec<&str> = names.filter(|name| self.skill_names.get(name).is_none()).collect();
        self.room_in_families(&new_names)?;
        if self.skill_names.len() + new_names.len() > limits::SKILL_NAMES_MAX {
            return Err(Rejection::about(
                Code::SkillsFull,
                spec.id,
                format!("{} skill names are known, as many as may be", limits::SKILL_NAMES_MAX),
            ));
        }
        let skills: Vec<(u32, u8)> = spec
            .skills
            .iter()
            .map(|skill| (self.skill_names.intern(skill.skill), skill.level))
            .collect();
        let key = self.profile_key(&skills, spec.capacity, &channels)?;
        let Some(slot) = known else {
            let profile = self.board.join_profile(key);
            self.agents_made += 1;
            let agent = self.new_agent(spec, self.agents_made, skills, profile);
            let slot = self.agents.insert(agent);
            self.agent_ids.insert(SmolStr::new(spec.id), slot);
            self.emit(None, Some(slot), 0, EventKind::AgentUpserted);
            return Ok(DONE);
        };
        let agent = &mut self.agents[slot];
        (agent.skills, agent.capacity, agent.channels) = (skills, spec.capacity, channels);
        self.change_profile(slot, key);
        self.emit(None, Some(slot), 0, EventKind::AgentUpserted);
        Ok(DONE)
    }

    /// Whether an agent was upserted like this already.
    fn is_spec(&self, slot: u32, spec: &AgentSpec<'_>, channels: &[(SmolStr, u32)]) -> bool {
        let agent = &self.agents[slot];
        let skills = spec
            .skills
            .iter()
            .map(|skill| (self.skill_names.get(skill.skill), skill.level));
        agent.capacity == spec.capacity
            && agent.channels == channels
            && agent.skills.len() == spec.skills.len()
            && agent
                .skills
                .iter()
                .zip(skills)
                .all(|(has, (number, level))| (Some(has.0), has.1) == (number, level))
    }

    /// Gives an agent another profile; what that makes possible settles.
    pub(crate) fn change_profile(&mut self, slot: u32, key: crate::board::ProfileKey) {
        self.withdraw_agent(slot);
        let logged_in = self.agents[slot].logged_in();
        let old = self.agents[slot].profile;
        let profile = self.board.join_profile(key);
        if logged_in {
            self.board.profiles[old as usize].logged_in -= 1;
            self.board.profiles[profile as usize].logged_in += 1;
            self.dirty.roster = true;
        }
        self.board.leave_profile(old);
        self.agents[slot].profile = profile;
        self.refresh_agent(slot);
        self.dirty.agent(slot);
        self.revisit_preferring(slot);
    }

    pub(crate) fn remove_agent(&mut self, id: &str) -> Result<Answer, Rejection> {
        let slot = self.agent_slot(id)?;
        if self.agents[slot].logged_in() {
            self.change_presence(slot, Presence::Offline, "", PresenceCause::Removed, None);
        }
        self.set_lost_until(slot, 0);
        self.requeue_active(slot);
        self.emit(None, Some(slot), 0, EventKind::AgentRemoved);
        for key in std::mem::take(&mut self.agents[slot].preferring) {
            self.dirty.ticket(key);
        }
        let agent = self.agents.remove(slot);
        let number = agent.number;
        self.owners.forget_agent(AgentRef { slot, number });
        self.agent_ids.remove(&agent.id);
        self.board.leave_profile(agent.profile);
        Ok(DONE)
    }

    /// An agent's active tickets go back to waiting.
    pub(crate) fn requeue_active(&mut self, slot: u32) {
        for key in self.held(slot, TicketState::Active) {
            self.requeue(key, QueueCause::AgentLost, "", false);
        }
    }

    fn set_lost_until(&mut self, slot: u32, until: Micros) {
        let agent = &mut self.agents[slot];
        let before = std::mem::replace(&mut agent.lost_until, until);
        let number = agent.number;
        self.timers.set_other(kind::LOST, number, slot, before, until);
    }

    fn session_slot(&self, name: &str) -> Result<u32, Rejection> {
        let unknown = || {
            Rejection::about(
                Code::SessionUnknown,
                name,
                format!("no session {name:?} is open: open it (again) first"),
            )
        };
        self.session_ids.get(name).copied().ok_or_else(unknown)
    }

    pub(crate) fn open_session(&mut self, name: &str, lease: Millis) -> Result<Answer, Rejection> {
        if let Ok(slot) = self.session_slot(name) {
            self.sessions[slot].lease = lease;
            self.renew(slot);
            return Ok(REPLAYED);
        }
        let max = self.bounds().sessions_max as usize;
        if self.sessions.len() >= max {
            return Err(Rejection::new(
                Code::SessionsFull,
                format!("{max} sessions are open, as many as may be"),
            ));
        }
        self.sessions_opened += 1;
        let lease_until = round_up(self.now + lease * 1000);
        let session = Session {
            name: SmolStr::new(name),
            number: self.sessions_opened,
            lease,
            lease_until,
            agents: std::collections::BTreeSet::new(),
        };
        let number = session.number;
        let slot = self.sessions.insert(session);
        self.session_ids.insert(SmolStr::new(name), slot);
        self.timers.set_other(kind::LEASE, number, slot, 0, lease_until);
        self.emit_session(slot, EventKind::SessionOpened { lease_until });
        Ok(DONE)
    }

    fn emit_session(&mut self, slot: u32, kind: EventKind) {
        self.emit(None, None, 0, kind);
        if let Some(event) = self.out.last_mut() {
            event.session = self.sessions[slot].name.clone();
        }
    }

    fn renew(&mut self, slot: u32) {
        let session = &self.sessions[slot];
        self.set_lease_until(slot, session.lease_until.max(round_up(self.now + session.lease * 1000)));
    }

    fn set_lease_until(&mut self, slot: u32, until: Micros) {
        let session = &mut self.sessions[slot];
        let before = std::mem::replace(&mut session.lease_until, until);
        let number = session.number;
        self.timers.set_other(kind::LEASE, number, slot, before, until);
    }

    pub(crate) fn renew_lease(&mut self, name: &str) -> Result<Answer, Rejection> {
        let slot = self.session_slot(name)?;
        self.renew(slot);
        Ok(DONE)
    }

    pub(crate) fn close_session(&mut self, name: &str) -> Result<Answer, Rejection> {
        let slot = self.session_slot(name)?;
        self.end_session(slot, false);
        Ok(DONE)
    }

    /// A session ends: its agents go offline.
    pub(crate) fn end_session(&mut self, slot: u32, expired: bool) {
        self.set_lease_until(slot, 0);
        self.emit_session(slot, EventKind::SessionEnded { expired });
        let cause = if expired {
            PresenceCause::Lease
        } else {
            PresenceCause::Closed
        };
        for (_, agent) in self.sessions[slot].agents.clone() {
            self.change_presence(agent, Presence::Offline, "", cause, None);
        }
        let session = self.sessions.remove(slot);
        self.session_ids.remove(&session.name);
    }

    pub(crate) fn login(
        &mut self,
        session: &str,
        agent: &str,
        presence: Presence,
        reason: &str,
    ) -> Result<Answer, Rejection> {
        let session_slot = self.session_slot(session)?;
        let slot = self.agent_slot(agent)?;
        if presence == Presence::Offline {
            return Err(Rejection::about(
                Code::OutOfRange,
                "presence",
                "an agent logs in available, away or draining",
            ));
        }
        let belongs = self.agents[slot].session;
        match belongs {
            None => {
                if self.agents[slot].sequence == 0 {
                    self.agents_seen += 1;
                    self.agents[slot].sequence = self.agents_seen;
                }
                self.set_lost_until(slot, 0);
                self.join_session(slot, session_slot);
                let profile = self.agents[slot].profile;
                self.board.profiles[profile as usize].logged_in += 1;
                self.dirty.roster = true;
                self.change_presence(slot, presence, reason, PresenceCause::Command, None);
                return Ok(DONE);
            }
            Some(other) if other == session_slot => {}
            Some(other) if self.sessions[other].number > self.sessions[session_slot].number => {
                let newer = &self.sessions[other].name;
                return Err(Rejection::about(
                    Code::Superseded,
                    agent,
                    format!("{agent} belongs to {newer:?}, a newer session"),
                ));
            }
            Some(other) => {
                let old_session = self.sessions[other].name.clone();
                let sequence = self.agents[slot].sequence;
                self.sessions[other].agents.remove(&(sequence, slot));
                self.join_session(slot, session_slot);
                let new_session = self.sessions[session_slot].name.clone();
                self.emit(
                    None,
                    Some(slot),
                    0,
                    EventKind::AgentSuperseded {
                        old_session,
                        new_session,
                    },
                );
                self.present(slot, presence, reason);
                return Ok(DONE);
            }
        }
        Ok(self.present(slot, presence, reason))
    }

    fn join_session(&mut self, slot: u32, session: u32) {
        let agent = &mut self.agents[slot];
        agent.session = Some(session);
        let sequence = agent.sequence;
        self.sessions[session].agents.insert((sequence, slot));
    }

    pub(crate) fn set_presence(
        &mut self,
        session: &str,
        agent: &str,
        presence: Presence,
        reason: &str,
    ) -> Result<Answer, Rejection> {
        let session_slot = self.session_slot(session)?;
        let slot = self.agent_slot(agent)?;
        match self.agents[slot].session {
            None => Err(Rejection::about(
                Code::NotLoggedIn,
                agent,
                format!("{agent} is not logged in: log in first"),
            )),
            Some(other) if other != session_slot => {
                let has = &self.sessions[other].name;
                Err(Rejection::about(
                    Code::Superseded,
                    agent,
                    format!("{agent} belongs to the session {has:?}"),
                ))
            }
            Some(_) => Ok(self.present(slot, presence, reason)),
        }
    }

    fn present(&mut self, slot: u32, presence: Presence, reason: &str) -> Answer {
        let agent = &self.agents[slot];
        if agent.presence == presence && agent.reason == reason {
            return REPLAYED;
        }
        self.change_presence(slot, presence, reason, PresenceCause::Command, None);
        DONE
    }

    /// The one way in which a presence changes. `expiring`: an offer that returns by itself.
    pub(crate) fn change_presence(
        &mut self,
        slot: u32,
        presence: Presence,
        reason: &str,
        cause: PresenceCause,
        expiring: Option<u32>,
    ) {
        let now = self.now;
        let agent = &mut self.agents[slot];
        let before = std::mem::replace(&mut agent.presence, presence);
        agent.reason = SmolStr::new(reason);
        if presence == Presence::Available && before != Presence::Available {
            agent.idle_since = agent.idle_since.max(now);
        }
        self.emit(
            None,
            Some(slot),
            0,
            EventKind::PresenceChanged {
                presence,
                reason: SmolStr::new(reason),
                cause,
            },
        );
        self.refresh_agent(slot);
        if presence == Presence::Offline {
            let profile = self.agents[slot].profile;
            self.board.profiles[profile as usize].logged_in -= 1;
            self.dirty.roster = true;
        }
        if before != presence {
            self.dirty.agent(slot);
            self.revisit_preferring(slot);
        }
        if matches!(presence, Presence::Away | Presence::Offline) {
            for key in self.held(slot, TicketState::Offered) {
                if Some(key) != expiring {
                    self.requeue(key, QueueCause::AgentLeft, "", false);
                }
            }
        }
        if presence == Presence::Offline {
            for key in self.held(slot, TicketState::Wrapping) {
                self.close(key);
            }
            if !self.held(slot, TicketState::Active).is_empty() && cause != PresenceCause::Removed {
                let grace = self.policy.as_ref().map_or(0, |policy| policy.spec.lost_grace);
                self.set_lost_until(slot, round_up(now + grace * 1000));
            }
            let agent = &mut self.agents[slot];
            let sequence = agent.sequence;
            if let Some(session) = agent.session.take() {
                self.sessions[session].agents.remove(&(sequence, slot));
            }
        }
    }

    /// The node resumes: nothing ends before `floor`.
    pub(crate) fn extend_leases_and_offers(&mut self, floor: Micros) {
        self.timers.floor = floor;
        for slot in self.sessions.keys().collect::<Vec<_>>() {
            self.set_lease_until(slot, self.sessions[slot].lease_until.max(floor));
        }
        for key in self.tickets.keys().collect::<Vec<_>>() {
            let ticket = &mut self.tickets[key];
            if ticket.state == TicketState::Offered {
                ticket.due = ticket.due.max(floor);
            }
        }
    }
}
