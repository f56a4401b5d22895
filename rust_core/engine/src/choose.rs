//! Choosing: the most urgent ticket for an agent, the agent for a ticket. Reads only; `settle.rs` acts.

use std::cmp::Ordering;

use crate::backlog::{Backlog, Entry};
use crate::board::{Front, Head};
use crate::class::Class;
use crate::command::{Presence, TicketState};
use crate::heap::Item;
use crate::limits::SENIORITY_US_MAX;
use crate::policy::AgentOrder;
use crate::ticket::{NONE, Ticket};
use crate::{Engine, Micros, Millis};

/// How a ticket ranks for an agent: greatest urgency, then seniority, then the earlier submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) urgency: i64,
    pub(crate) seniority: i64,
    pub(crate) earlier: std::cmp::Reverse<u64>,
}

/// The agent chosen for a ticket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick {
    pub(crate) agent: u32,
    pub(crate) fit: Millis,
    pub(crate) candidates: u32,
    pub(crate) preferred: bool,
}

impl Engine {
    /// The urgency of the front of a line, fit aside.
    fn urgency(head: &Head, arrival: Micros, now: Micros) -> i64 {
        i64::from(head.slope_milli) * (now - arrival).min(SENIORITY_US_MAX) + head.base
    }

    pub(crate) fn rank(&self, head: &Head, arrival: Micros, sequence: u64, fit: Millis) -> Rank {
        Rank {
            urgency: Self::urgency(head, arrival, self.now) + fit * 1_000_000,
            seniority: self.now - arrival + head.boost_us,
            earlier: std::cmp::Reverse(sequence),
        }
    }

    pub(crate) fn rank_of_ticket(&self, key: u32) -> Option<Rank> {
        let pick = self.best_agent(key)?;
        let ticket = &self.tickets[key];
        Some(self.rank(
            &self.board.heads[ticket.line as usize],
            ticket.arrival,
            ticket.sequence,
            pick.fit,
        ))
    }

    /// The ticket's preferred agent, if that agent is available and eligible but for load.
    fn able_preferred(&self, ticket: &Ticket) -> Option<u32> {
        let slot = self.live(ticket.preferred()?)?;
        let line = ticket.line;
        (line != NONE && self.able(slot, ticket, self.board.lines[line as usize].requirement)).then_some(slot)
    }

    pub(crate) fn able(&self, slot: u32, ticket: &Ticket, requirement: u32) -> bool {
        let (agent, class) = (&self.agents[slot], &self.classes[ticket.class]);
        let requirement = class
            .affinity
            .as_ref()
            .and_then(|affinity| affinity.requirement)
            .unwrap_or(requirement);
        let profile = &self.board.profiles[agent.profile as usize].key;
        agent.presence == Presence::Available
            && self.board.meets(agent.profile, requirement)
            && profile.limit(class.channel) > 0
            && profile.capacity >= class.cost
            && !ticket.excludes(agent.number)
    }

    pub(crate) fn prefers_able(&self, key: u32, agent: u32) -> bool {
        self.able_preferred(&self.tickets[key]) == Some(agent)
    }

    /// Whether a ticket of an odd pen is open to an agent who meets the line's requirement and has room.
    fn open_to(&self, key: u32, agent: u32) -> bool {
        let ticket = &self.tickets[key];
        if ticket.excludes(self.agents[agent].number) {
            return false;
        }
        match self.able_preferred(ticket) {
            Some(preferred) if preferred != agent => {
                let class = &self.classes[ticket.class];
                let waits = ticket.extra.as_ref().is_some_and(|extra| extra.hold_until > 0);
                !waits && !self.has_room(&self.agents[preferred], class.channel, class.cost)
            }
            _ => true,
        }
    }

    /// The most urgent ticket that an agent could take now.
    pub(crate) fn best_ticket(&self, slot: u32) -> Option<(Rank, u32)> {
        let agent = self.agents.get(slot)?;
        if agent.presence != Presence::Available {
            return None;
        }
        let profile = &self.board.profiles[agent.profile as usize].key;
        let units = profile.capacity.saturating_sub(agent.used);
        if units == 0 {
            return None;
        }
        // Channels with room for one more ticket, a bit each.
        let mut open = 0u64;
        for &(channel, limit) in &profile.channels {
            open |= u64::from(agent.load(channel) < limit) << channel;
        }
        let mut best: Option<(Rank, u32)> = None;
        for line in self.board.lines_for(agent.profile) {
            let head = &self.board.heads[line as usize];
            let odd = head.odd.then(|| &self.board.lines[line as usize].odd);
            // Most lines are less urgent than the best so far, whatever else they are.
            let front = odd
                .and_then(Backlog::first)
                .map_or(head.arrival, |first| first.arrival.min(head.arrival));
            let behind = |arrival: Micros, fit: Millis, best: &Option<(Rank, u32)>| {
                best.is_some_and(|(known, _)| Self::urgency(head, arrival, self.now) + fit * 1_000_000 < known.urgency)
            };
            if !head.fits && behind(front, 0, &best) {
                continue;
            }
            if head.cost > units || open >> head.channel & 1 == 0 {
                continue;
            }
            let fit = if head.fits {
                self.fit(&self.classes[head.class], agent.profile)
            } else {
                0
            };
            if head.arrival != i64::MAX {
                offer(
                    &mut best,
                    self.rank(head, head.arrival, head.sequence, fit),
                    head.ticket,
                );
            }
            if let Some(odd) = odd {
                // Whoever came after the front of the main pen cannot win, nor who is less urgent than the best so far.
                let before = |entry: &Entry| (entry.arrival, entry.sequence) < (head.arrival, head.sequence);
                let main_empty = head.arrival == i64::MAX;
                let mut odd = odd
                    .iter()
                    .take_while(|entry| (main_empty || before(entry)) && !behind(entry.arrival, fit, &best));
                if let Some(entry) = odd.find(|entry| self.open_to(entry.ticket, slot)) {
                    offer(
                        &mut best,
                        self.rank(head, entry.arrival, entry.sequence, fit),
                        entry.ticket,
                    );
                }
            }
        }
        for &key in &agent.preferring {
            let ticket = &self.tickets[key];
            let class = &self.classes[ticket.class];
            if ticket.state == TicketState::Waiting
                && self.has_room(agent, class.channel, class.cost)
                && self.prefers_able(key, slot)
            {
                let head = &self.board.heads[ticket.line as usize];
                offer(
                    &mut best,
                    self.rank(head, ticket.arrival, ticket.sequence, self.fit(class, agent.profile)),
                    key,
                );
            }
        }
        best
    }

    /// The agent for a ticket that waits, and how many could take it.
    pub(crate) fn best_agent(&self, key: u32) -> Option<Pick> {
        let ticket = self.tickets.get(key)?;
        if ticket.state != TicketState::Waiting || ticket.line == NONE {
            return None;
        }
        let class = &self.classes[ticket.class];
        if let Some(agent) = self.able_preferred(ticket) {
            if self.has_room(&self.agents[agent], class.channel, class.cost) {
                return Some(Pick {
                    agent,
                    fit: self.fit(class, self.agents[agent].profile),
                    candidates: 1,
                    preferred: true,
                });
            }
            if ticket.extra.as_ref().is_some_and(|extra| extra.hold_until > 0) {
                return None;
            }
        }
        let requirement = self.board.lines[ticket.line as usize].requirement;
        let usual_cost = self.board.channel_costs[class.channel as usize] == class.cost;
        let picky = ticket.excludes_anyone();
        let plain = usual_cost && !picky;
        let fits = |item: &Item| {
            let agent = &self.agents[item.agent];
            self.has_room(agent, class.channel, class.cost) && !(picky && ticket.excludes(agent.number))
        };
        let tops = &self.board.tops[class.heap as usize];
        let fronts = self.board.fronts[class.heap as usize][class.channel as usize].as_slice();
        let profiles = &self.board.reqs[requirement as usize].profiles;
        if plain && class.usual_order && class.fits.is_empty() {
            return self.least_loaded_longest_idle(class, profiles, tops, fronts);
        }
        let mut best: Option<(Millis, u32, Item)> = None;
        let mut candidates = 0;
        for &number in profiles {
            let top = tops[number as usize];
            if top.agent == NONE {
                continue;
            }
            let heap = || &self.board.profiles[number as usize].heaps[class.heap as usize];
            let open = fronts[number as usize].open;
            if usual_cost && open == 0 {
                continue;
            }
            candidates += if plain {
                open
            } else {
                heap().items().iter().filter(|item| fits(item)).count() as u32
            };
            let fit = if class.fits.is_empty() {
                0
            } else {
                self.fit(class, number)
            };
            if best.is_some_and(|(known, _, _)| known > fit) {
                continue;
            }
            // The first in order is the usual choice; who is at a limit or excluded is passed over.
            let open_on_top = plain && top.open >> class.channel & 1 == 1;
            let item = if open_on_top {
                Some(top)
            } else {
                heap().first(fits).copied()
            };
            if let Some(item) = item {
                let better = best.is_none_or(|(known_fit, profile, known)| {
                    fit > known_fit || self.chosen_before(class, requirement, (number, &item), (profile, &known))
                });
                if better {
                    best = Some((fit, number, item));
                }
            }
        }
        best.map(|(fit, _, item)| Pick {
            agent: item.agent,
            fit,
            candidates,
            preferred: false,
        })
    }

    /// `best_agent` in the usual case, most of what a decision costs: the default order, no fit, no exclusion.
    fn least_loaded_longest_idle(
        &self,
        class: &Class,
        profiles: &[u32],
        tops: &[Item],
        fronts: &[Front],
    ) -> Option<Pick> {
        let mut candidates = 0;
        let (mut best, mut least) = (None, u128::MAX);
        for &number in profiles {
            let Front { first, open } = fronts[number as usize];
            candidates += open;
            // Whoever is open to this channel stands where the first of all stands, or behind.
            if open == 0 || first > least {
                continue;
            }
            let mut item = &tops[number as usize];
            if item.open >> class.channel & 1 == 0 {
                let heap = &self.board.profiles[number as usize].heaps[class.heap as usize];
                match heap.first(|item| item.open >> class.channel & 1 == 1) {
                    Some(found) => item = found,
                    None => continue,
                }
            }
            if best.is_none_or(|best: &Item| item.key < best.key) {
                (best, least) = (Some(item), item.first());
            }
        }
        best.map(|item| Pick {
            agent: item.agent,
            fit: 0,
            candidates,
            preferred: false,
        })
    }

    /// Whether a class chooses the first agent before the second, each with its profile.
    fn chosen_before(&self, class: &Class, requirement: u32, left: (u32, &Item), right: (u32, &Item)) -> bool {
        let profile = |number: u32| &self.board.profiles[number as usize].key;
        let (a, b) = (left.1, right.1);
        // The components that differ within a profile stand in the key, in the same order.
        let mut at = 0;
        let mut component = || {
            at += 1;
            (a.key.0[at - 1], b.key.0[at - 1])
        };
        for (place, order) in class.order.iter().enumerate() {
            if class.order[..place].contains(order) {
                continue;
            }
            let ordering = match order {
                AgentOrder::LeastLoaded | AgentOrder::LongestIdle | AgentOrder::RoundRobin => {
                    let (x, y) = component();
                    x.cmp(&y)
                }
                AgentOrder::BestLevel => {
                    let requirement = &self.board.reqs[requirement as usize].requirement;
                    requirement
                        .level_sum(profile(right.0))
                        .cmp(&requirement.level_sum(profile(left.0)))
                }
                AgentOrder::SpareGeneralists => profile(left.0).skills.len().cmp(&profile(right.0).skills.len()),
            };
            if ordering != Ordering::Equal {
                return ordering == Ordering::Less;
            }
        }
        a.key.1 < b.key.1
    }
}

/// Keeps the better of two.
fn offer(best: &mut Option<(Rank, u32)>, rank: Rank, ticket: u32) {
    if best.is_none_or(|(known, _)| rank > known) {
        *best = Some((rank, ticket));
    }
}
