//! Agents and their sessions: records, and keeping the board's indexes true to them.

use std::collections::BTreeSet;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::board::{Front, ProfileKey};
use crate::command::{AgentSpec, Presence};
use crate::heap::{Item, Key, load_share};
use crate::policy::AgentOrder;
use crate::ticket::{AgentRef, NONE};
use crate::{Code, Engine, Micros, Millis, Rejection};

/// What a decision reads and writes of an agent comes first, in two cache lines side by side.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Agent {
    pub(crate) id: SmolStr,
    pub(crate) profile: u32,
    pub(crate) capacity: u32,
    pub(crate) used: u32,
    pub(crate) presence: Presence,
    /// The channels for which it counts in the profile's `open`, a bit each.
    open: u64,
    /// From the first login; 0 before it.
    pub(crate) sequence: u64,
    pub(crate) session: Option<u32>,
    /// The number of the last assignment; 0: never.
    pub(crate) last_assignment: u64,
    pub(crate) idle_since: Micros,
    /// Tickets held, by channel number.
    pub(crate) load: SmallVec<[u16; 8]>,
    /// Offered, active and wrapping tickets.
    pub(crate) tickets: SmallVec<[u32; 4]>,
    /// Waiting and suspended tickets that prefer this agent.
    pub(crate) preferring: Vec<u32>,
    /// From the first upsert.
    pub(crate) number: u64,
    /// End of the lost agent's grace, rounded; 0: not lost.
    pub(crate) lost_until: Micros,
    /// (skill number, level), as upserted.
    pub(crate) skills: Vec<(u32, u8)>,
    /// As upserted; empty: all of the policy's.
    pub(crate) channels: Vec<(SmolStr, u32)>,
    pub(crate) reason: SmolStr,
}

impl Agent {
    pub(crate) fn logged_in(&self) -> bool {
        self.presence != Presence::Offline
    }

    pub(crate) fn load(&self, channel: u8) -> u32 {
        self.load.get(channel as usize).copied().unwrap_or(0).into()
    }

    fn key(&self, order: &[AgentOrder]) -> Key {
        let mut key = [0; 3];
        for (component, order) in key.iter_mut().zip(order) {
            *component = match order {
                AgentOrder::LeastLoaded => load_share(self.used, self.capacity),
                AgentOrder::LongestIdle => self.idle_since,
                _ => self.last_assignment as i64,
            };
        }
        (key, self.sequence)
    }
}

/// An agent gateway's connection, alive by its lease.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) name: SmolStr,
    /// Order of opening.
    pub(crate) number: u64,
    pub(crate) lease: Millis,
    /// Rounded.
    pub(crate) lease_until: Micros,
    /// Logged-in agents: (sequence, slot).
    pub(crate) agents: BTreeSet<(u64, u32)>,
}

impl Engine {
    pub(crate) fn agent_slot(&self, id: &str) -> Result<u32, Rejection> {
        self.agent_ids
            .get(id)
            .copied()
            .ok_or_else(|| Rejection::about(Code::AgentUnknown, id, format!("no agent {id:?}: upsert it first")))
    }

    /// A reference to an agent, if it is known.
    pub(crate) fn agent_ref(&self, id: &str) -> Option<AgentRef> {
        let slot = *self.agent_ids.get(id)?;
        Some(AgentRef {
            slot,
            number: self.agents[slot].number,
        })
    }

    /// The slot of a reference whose agent is still there.
    pub(crate) fn live(&self, agent: AgentRef) -> Option<u32> {
        self.agents
            .get(agent.slot)
            .filter(|found| found.number == agent.number)
            .map(|_| agent.slot)
    }

    /// The profile that a spec makes under the current policy.
    pub(crate) fn profile_key(
        &self,
        skills: &[(u32, u8)],
        capacity: u32,
        channels: &[(SmolStr, u32)],
    ) -> Result<ProfileKey, Rejection> {
        let policy = self.current()?;
        let mut key = ProfileKey {
            skills: skills.to_vec(),
            capacity,
            channels: Vec::new(),
        };
        key.skills.sort_unstable();
        let number = |name: &str| self.channel_names.get(name).unwrap_or(u32::MAX) as u8;
        if channels.is_empty() {
            key.channels = policy
                .spec
                .channels
                .iter()
                .map(|channel| (number(&channel.name), channel.limit))
                .collect();
        } else {
            for (name, limit) in channels {
                let Some(channel) = policy.spec.channels.iter().find(|channel| channel.name == *name) else {
                    return Err(Rejection::about(
                        Code::ChannelUnknown,
                        name.clone(),
                        format!("the policy has no channel {name:?}"),
                    ));
                };
                key.channels
                    .push((number(name), if *limit == 0 { channel.limit } else { *limit }));
            }
        }
        key.channels.sort_unstable();
        key.channels.dedup_by_key(|entry| entry.0);
        Ok(key)
    }

    /// The profile of an agent under another policy: channels that it has not got are left out.
    pub(crate) fn profile_key_lenient(
        &self,
        skills: &[(u32, u8)],
        capacity: u32,
        channels: &[(SmolStr, u32)],
    ) -> ProfileKey {
        let known: Vec<_> = channels
            .iter()
            .filter(|(name, _)| {
                self.policy
                    .as_ref()
                    .is_some_and(|policy| policy.spec.channels.iter().any(|channel| channel.name == *name))
            })
            .cloned()
            .collect();
        if known.is_empty() && !channels.is_empty() {
            let mut skills = skills.to_vec();
            skills.sort_unstable();
            return ProfileKey {
                skills,
                capacity,
                channels: vec![],
            };
        }
        self.profile_key(skills, capacity, &known).unwrap_or_default()
    }

    pub(crate) fn new_agent(&self, spec: &AgentSpec<'_>, number: u64, skills: Vec<(u32, u8)>, profile: u32) -> Agent {
        Agent {
            id: SmolStr::new(spec.id),
            number,
            sequence: 0,
            skills,
            capacity: spec.capacity,
            channels: spec
                .channels
                .iter()
                .map(|&(name, limit)| (SmolStr::new(name), limit))
                .collect(),
            profile,
            presence: Presence::Offline,
            reason: SmolStr::default(),
            session: None,
            used: 0,
            load: SmallVec::from_elem(0, self.channel_names.len()),
            idle_since: 0,
            last_assignment: 0,
            tickets: SmallVec::new(),
            preferring: Vec::new(),
            lost_until: 0,
            open: 0,
        }
    }

    /// Whether an agent could take so many units of a channel, now.
    pub(crate) fn has_room(&self, agent: &Agent, channel: u8, cost: u32) -> bool {
        let profile = &self.board.profiles[agent.profile as usize].key;
        agent.load(channel) < profile.limit(channel)
            && u64::from(agent.used) + u64::from(cost) <= u64::from(profile.capacity)
    }

    /// Brings the board up to date with an agent's load, presence and idleness.
    pub(crate) fn refresh_agent(&mut self, slot: u32) {
        let (agent, board) = (&mut self.agents[slot], &mut self.board);
        let number = agent.profile as usize;
        let profile = &mut board.profiles[number];
        let units = profile.key.capacity.saturating_sub(agent.used);
        let free = agent.presence == Presence::Available && units > 0;
        let mut open = 0u64;
        if free {
            for &(channel, limit) in &profile.key.channels {
                let cost = board.channel_costs[channel as usize];
                let opens = cost > 0 && cost <= units && agent.load(channel) < limit;
                open |= u64::from(opens) << channel;
            }
        }
        let before = std::mem::replace(&mut agent.open, open);
        for (at, heap) in profile.heaps.iter_mut().enumerate() {
            let places = &mut board.places[at];
            if places.len() <= slot as usize {
                places.resize(slot as usize + 1, NONE);
            }
            let place = places[slot as usize];
            let mut moved = |agent: u32, place: u32| places[agent as usize] = place;
            if free {
                let item = Item {
                    key: agent.key(&board.orders[at]),
                    agent: slot,
                    open,
                };
                if place == NONE {
                    heap.push(item, &mut moved);
                } else {
                    heap.set(place, item, &mut moved);
                }
            } else if place != NONE {
                heap.remove(place, &mut moved);
                places[slot as usize] = NONE;
            }
            let top = heap.items().first().copied().unwrap_or(Item::NOBODY);
            board.tops[at][number] = top;
            for (channel, fronts) in board.fronts[at].iter_mut().enumerate() {
                fronts[number].renew(&top, before >> channel & 1 == 1, open >> channel & 1 == 1);
            }
        }
    }

    /// Takes an agent out of its profile's indexes, before the profile changes.
    pub(crate) fn withdraw_agent(&mut self, slot: u32) {
        let agent = &mut self.agents[slot];
        let presence = std::mem::replace(&mut agent.presence, Presence::Offline);
        self.refresh_agent(slot);
        self.agents[slot].presence = presence;
    }

    /// Builds all heaps anew, after an order was added or the channels' costs changed.
    pub(crate) fn rebuild_heaps(&mut self) {
        let orders = self.board.orders.len();
        let channels = self.board.channel_costs.len();
        for profile in &mut self.board.profiles {
            profile.heaps = vec![crate::heap::Heap::default(); orders];
        }
        self.board.places = vec![Vec::new(); orders];
        self.board.tops = vec![vec![Item::NOBODY; self.board.profiles.len()]; orders];
        self.board.fronts = vec![vec![vec![Front::NOBODY; self.board.profiles.len()]; channels]; orders];
        let slots: Vec<u32> = self.agents.keys().collect();
        for slot in slots {
            let agent = &mut self.agents[slot];
            agent.open = 0;
            self.refresh_agent(slot);
        }
    }

    /// Takes hold of a ticket's units.
    pub(crate) fn take_units(&mut self, slot: u32, ticket: u32, channel: u8, cost: u32) {
        let agent = &mut self.agents[slot];
        agent.used += cost;
        if agent.load.len() <= channel as usize {
            agent.load.resize(channel as usize + 1, 0);
        }
        agent.load[channel as usize] += 1;
        agent.tickets.push(ticket);
        self.refresh_agent(slot);
    }

    /// Gives a ticket's units back; `accepted`: the agent is idle from now.
    pub(crate) fn free_units(&mut self, slot: u32, ticket: u32, channel: u8, cost: u32, accepted: bool) {
        let now = self.now;
        let agent = &mut self.agents[slot];
        agent.used -= cost;
        agent.load[channel as usize] -= 1;
        if let Some(at) = agent.tickets.iter().position(|&held| held == ticket) {
            agent.tickets.swap_remove(at);
        }
        if accepted {
            agent.idle_since = now;
        }
        self.refresh_agent(slot);
        self.dirty.agent(slot);
    }

    /// An agent's tickets in one state, by ticket sequence.
    pub(crate) fn held(&self, slot: u32, state: crate::TicketState) -> Vec<u32> {
        let mut held: Vec<u32> = self.agents[slot]
            .tickets
            .iter()
            .copied()
            .filter(|&ticket| self.tickets[ticket].state == state)
            .collect();
        held.sort_unstable_by_key(|&ticket| self.tickets[ticket].sequence);
        held
    }
}
