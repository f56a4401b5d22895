//! Settling: while an eligible (waiting ticket, agent) pair exists, match the pair of greatest urgency.
//!
//! The state before a command is settled, so a pair can only have come up on the side of something that changed:
//! a *dirty* ticket (new in line, relaxed, no longer held) or a dirty agent (freed, back, re-skilled). Matching takes
//! room away and gives none, so each side's best only gets worse while settling: a heap that looks again at what it pops
//! is exact.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::board::Head;
use crate::class::Class;
use crate::command::{Presence, TicketState};
use crate::event::{EventKind, MatchReason};
use crate::heap::Item;
use crate::limits::SENIORITY_US_MAX;
use crate::policy::AgentOrder;
use crate::ticket::{NONE, Ticket, Work, verb};
use crate::{Engine, Micros, Millis, round_up};

/// What changed since the last settling.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    tickets: Vec<u32>,
    agents: Vec<u32>,
    /// Who is logged in, or as what, changed.
    pub(crate) roster: bool,
}

impl Dirty {
    pub(crate) fn ticket(&mut self, ticket: u32) {
        self.tickets.push(ticket);
    }

    pub(crate) fn agent(&mut self, agent: u32) {
        if !self.agents.contains(&agent) || self.agents.len() > 8 {
            self.agents.push(agent);
        }
    }
}

/// How a ticket ranks for an agent: greatest urgency, then seniority, then the earlier submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    urgency: i64,
    seniority: i64,
    earlier: std::cmp::Reverse<u64>,
}

/// The agent chosen for a ticket.
#[derive(Debug, Clone, Copy)]
struct Pick {
    agent: u32,
    fit: Millis,
    candidates: u32,
    preferred: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Ticket(u32),
    Agent(u32),
}

impl Engine {
    /// See the module. Called after each item and each timer.
    pub(crate) fn settle(&mut self) {
        self.lift_declines();
        let mut heap: BinaryHeap<(Rank, Side)> = BinaryHeap::new();
        loop {
            match (
                heap.is_empty(),
                self.dirty.tickets.as_slice(),
                self.dirty.agents.as_slice(),
            ) {
                (true, [], []) => break,
                // The two usual cases need no heap.
                (true, &[ticket], []) => {
                    self.dirty.tickets.clear();
                    if let Some(pick) = self.best_agent(ticket) {
                        self.match_pair(ticket, pick, false);
                    }
                    continue;
                }
                (true, [], &[agent]) => {
                    self.dirty.agents.clear();
                    if let Some((_, ticket)) = self.best_ticket(agent) {
                        // Nobody else could take it: the state was settled.
                        let preferred = self.prefers_able(ticket, agent);
                        let fit = self.fit(&self.classes[self.tickets[ticket].class], self.agents[agent].profile);
                        self.match_pair(
                            ticket,
                            Pick {
                                agent,
                                fit,
                                candidates: 1,
                                preferred,
                            },
                            false,
                        );
                        self.dirty.agent(agent);
                    }
                    continue;
                }
                _ => {}
            }
            for ticket in std::mem::take(&mut self.dirty.tickets) {
                if let Some(rank) = self.rank_of_ticket(ticket) {
                    heap.push((rank, Side::Ticket(ticket)));
                }
            }
            for agent in std::mem::take(&mut self.dirty.agents) {
                if let Some((rank, _)) = self.best_ticket(agent) {
                    heap.push((rank, Side::Agent(agent)));
                }
            }
            let Some((rank, side)) = heap.pop() else { continue };
            let (now_rank, ticket) = match side {
                Side::Ticket(ticket) => match self.rank_of_ticket(ticket) {
                    Some(now_rank) => (now_rank, ticket),
                    None => continue,
                },
                Side::Agent(agent) => match self.best_ticket(agent) {
                    Some(best) => best,
                    None => continue,
                },
            };
            if now_rank < rank {
                heap.push((now_rank, side));
                continue;
            }
            // The pair of greatest urgency has this ticket; its agent is the ticket's choice among all.
            let Some(pick) = self.best_agent(ticket) else {
                debug_assert!(false, "both sides agree on who is eligible");
                continue;
            };
            self.match_pair(ticket, pick, false);
            if let Side::Agent(_) = side {
                heap.push((rank, side));
            }
        }
        self.dirty.roster = false;
    }

    /// Declines lift when everyone logged in who could serve the ticket has declined.
    fn lift_declines(&mut self) {
        if self.declined.is_empty() {
            return;
        }
        let mut look: Vec<(u64, u32)> = if self.dirty.roster {
            self.declined.iter().copied().collect()
        } else {
            let of = |&ticket: &u32| self.tickets.get(ticket).map(|found| (found.sequence, ticket));
            self.dirty
                .tickets
                .iter()
                .filter_map(of)
                .filter(|entry| self.declined.contains(entry))
                .collect()
        };
        look.sort_unstable();
        look.dedup();
        for (_, ticket) in look {
            if self.all_declined(ticket) {
                self.leave_line(ticket);
                self.tickets[ticket].extra().declined.clear();
                self.place_in_line(ticket);
                self.emit(Some(ticket), None, 0, EventKind::AllDeclined);
            }
        }
    }

    fn all_declined(&self, ticket_key: u32) -> bool {
        let ticket = &self.tickets[ticket_key];
        let Some(extra) = ticket.extra.as_deref() else {
            return false;
        };
        let class = &self.classes[ticket.class];
        let requirement = self.board.lines[ticket.line as usize].requirement;
        let fits = |profile: u32| {
            let key = &self.board.profiles[profile as usize].key;
            key.limit(class.channel) > 0 && key.capacity >= class.cost
        };
        let mut able: u32 = self.board.reqs[requirement as usize]
            .profiles
            .iter()
            .filter(|&&profile| fits(profile))
            .map(|&profile| self.board.profiles[profile as usize].logged_in)
            .sum();
        let is_able = |slot: u32| {
            let agent = &self.agents[slot];
            agent.logged_in() && self.board.meets(agent.profile, requirement) && fits(agent.profile)
        };
        let mut named: Vec<u32> = extra
            .named
            .iter()
            .filter_map(|&agent| self.live(agent))
            .filter(|&slot| is_able(slot))
            .collect();
        named.sort_unstable();
        named.dedup();
        able -= named.len() as u32;
        let declined = extra.declined.iter().filter_map(|&(agent, _)| self.live(agent));
        let declined = declined.filter(|slot| is_able(*slot) && !named.contains(slot)).count() as u32;
        able == declined
    }

    /// The urgency of the front of a line, fit aside.
    fn urgency(head: &Head, arrival: Micros, now: Micros) -> i64 {
        head.slope_milli * (now - arrival).min(SENIORITY_US_MAX) + head.base
    }

    fn rank(&self, head: &Head, arrival: Micros, sequence: u64, fit: Millis) -> Rank {
        Rank {
            urgency: Self::urgency(head, arrival, self.now) + fit * 1_000_000,
            seniority: self.now - arrival + head.boost_us,
            earlier: std::cmp::Reverse(sequence),
        }
    }

    fn rank_of_ticket(&self, key: u32) -> Option<Rank> {
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

    fn prefers_able(&self, key: u32, agent: u32) -> bool {
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
    fn best_ticket(&self, slot: u32) -> Option<(Rank, u32)> {
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
        let mut offer = |rank: Rank, ticket: u32| {
            if best.is_none_or(|(known, _)| rank > known) {
                best = Some((rank, ticket));
            }
        };
        for line in self.board.lines_for(agent.profile) {
            let head = &self.board.heads[line as usize];
            if head.cost > units || open >> head.channel & 1 == 0 {
                continue;
            }
            let fit = if head.fits {
                self.fit(&self.classes[head.class], agent.profile)
            } else {
                0
            };
            if head.arrival != i64::MAX {
                offer(self.rank(head, head.arrival, head.sequence, fit), head.ticket);
            }
            if head.odd {
                // Whoever came after the front of the main pen cannot win.
                let before =
                    |entry: &crate::backlog::Entry| (entry.arrival, entry.sequence) < (head.arrival, head.sequence);
                let main_empty = head.arrival == i64::MAX;
                let mut odd = self.board.lines[line as usize]
                    .odd
                    .iter()
                    .take_while(|entry| main_empty || before(entry));
                if let Some(entry) = odd.find(|entry| self.open_to(entry.ticket, slot)) {
                    offer(self.rank(head, entry.arrival, entry.sequence, fit), entry.ticket);
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
                    self.rank(head, ticket.arrival, ticket.sequence, self.fit(class, agent.profile)),
                    key,
                );
            }
        }
        best
    }

    /// The agent for a ticket that waits, and how many could take it.
    fn best_agent(&self, key: u32) -> Option<Pick> {
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
        let channels = self.board.channel_costs.len();
        let usual_cost = self.board.channel_costs[class.channel as usize] == class.cost;
        let picky = ticket.extra.is_some();
        let plain = usual_cost && !picky;
        let fits = |item: &Item| {
            let agent = &self.agents[item.agent];
            self.has_room(agent, class.channel, class.cost) && !(picky && ticket.excludes(agent.number))
        };
        let tops = &self.board.tops[class.heap as usize];
        let profiles = &self.board.reqs[requirement as usize].profiles;
        if plain && class.usual_order && class.fits.is_empty() {
            return self.least_loaded_longest_idle(class, profiles, tops);
        }
        let mut best: Option<(Millis, u32, Item)> = None;
        let mut candidates = 0;
        for &number in profiles {
            let top = tops[number as usize];
            if top.agent == NONE {
                continue;
            }
            let heap = || &self.board.profiles[number as usize].heaps[class.heap as usize];
            if plain {
                let open = self.board.open[number as usize * channels + class.channel as usize];
                if open == 0 {
                    continue;
                }
                candidates += open;
            } else {
                candidates += heap().items().iter().filter(|item| fits(item)).count() as u32;
            }
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
    fn least_loaded_longest_idle(&self, class: &Class, profiles: &[u32], tops: &[Item]) -> Option<Pick> {
        let channels = self.board.channel_costs.len();
        let channel = class.channel as usize;
        let mut candidates = 0;
        let mut best = &Item::NOBODY;
        for &number in profiles {
            let open = self.board.open[number as usize * channels + channel];
            if open == 0 {
                continue;
            }
            candidates += open;
            let mut item = &tops[number as usize];
            if item.open >> channel & 1 == 0 {
                let heap = &self.board.profiles[number as usize].heaps[class.heap as usize];
                match heap.first(|item| item.open >> channel & 1 == 1) {
                    Some(found) => item = found,
                    None => continue,
                }
            }
            let (load, best_load) = (
                item.key.0[0] * i64::from(best.capacity),
                best.key.0[0] * i64::from(item.capacity),
            );
            if load < best_load || (load == best_load && (item.key.0[1], item.key.1) < (best.key.0[1], best.key.1)) {
                best = item;
            }
        }
        (candidates > 0).then_some(Pick {
            agent: best.agent,
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
                AgentOrder::LeastLoaded => {
                    let (used_a, used_b) = component();
                    (used_a * i64::from(b.capacity)).cmp(&(used_b * i64::from(a.capacity)))
                }
                AgentOrder::LongestIdle | AgentOrder::RoundRobin => {
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

    /// A supervisor's match.
    pub(crate) fn match_by_supervisor(&mut self, ticket: u32, agent: u32) {
        let class = &self.classes[self.tickets[ticket].class];
        let fit = self.fit(class, self.agents[agent].profile);
        self.match_pair(
            ticket,
            Pick {
                agent,
                fit,
                candidates: 0,
                preferred: false,
            },
            true,
        );
    }

    fn match_pair(&mut self, key: u32, pick: Pick, supervisor: bool) {
        let ticket = &self.tickets[key];
        let class = &self.classes[ticket.class];
        let head = self.board.heads[ticket.line as usize];
        let (channel, cost, ttl) = (class.channel, class.cost, class.offer.ttl);
        let reason = Arc::new(MatchReason {
            step: self
                .known_stage(ticket.class, ticket.taken)
                .map_or(0, |stage| stage.step),
            urgency_milli_us: self.rank(&head, ticket.arrival, ticket.sequence, pick.fit).urgency,
            slope_milli: head.slope_milli as u32,
            seniority_us: self.now - ticket.arrival + head.boost_us,
            head_start: class.head_start,
            fit: pick.fit,
            boost: head.boost_us / 1000,
            candidates: pick.candidates,
            preferred: pick.preferred,
            supervisor,
        });
        let work = Work {
            agent: pick.agent,
            cost,
            wrap_up: class.wrap_up,
            decline_exclude: class.decline_exclude,
            away_on_expiry: class.offer.away_on_expiry,
            reason: Arc::clone(&reason),
        };
        self.leave_line(key);
        let due = if ttl == 0 {
            0
        } else {
            round_up(self.now + ttl * 1000).max(self.timers.floor)
        };
        let ticket = &mut self.tickets[key];
        ticket.attempt += 1;
        ticket.verbs = 0;
        ticket.work = Some(Box::new(work));
        ticket.due = due;
        let mut context = None;
        if let Some(extra) = ticket.extra.as_deref_mut() {
            extra.marks = 0;
            context.clone_from(&extra.context);
        }
        let attempt = ticket.attempt;
        if ttl == 0 {
            self.set_state(key, TicketState::Active);
            self.count_assignment(key, pick.agent);
            self.take_units(pick.agent, key, channel, cost);
            self.accepted(key, Some(reason), context, None);
        } else {
            self.set_state(key, TicketState::Offered);
            self.take_units(pick.agent, key, channel, cost);
            self.emit(
                Some(key),
                Some(pick.agent),
                attempt,
                EventKind::Offered {
                    expires: due,
                    reason,
                    context,
                },
            );
        }
        self.arm(key);
        // Whoever prefers this agent without a hold is open to others, once there is no room here.
        for at in 0..self.agents[pick.agent].preferring.len() {
            let preferring = self.agents[pick.agent].preferring[at];
            self.dirty.ticket(preferring);
        }
    }

    fn count_assignment(&mut self, key: u32, agent: u32) {
        self.assignments += 1;
        self.agents[agent].last_assignment = self.assignments;
        self.counters.assigned += 1;
        self.count_answer(key);
    }

    /// An offer was accepted, or none was needed.
    pub(crate) fn accepted(
        &mut self,
        key: u32,
        reason: Option<Arc<MatchReason>>,
        context: Option<crate::event::Bytes>,
        agent_context: Option<crate::event::Bytes>,
    ) {
        let now = self.now;
        let ticket = &mut self.tickets[key];
        ticket.verbs |= verb::ACCEPT;
        let first = ticket.assigned_at == 0;
        if first {
            ticket.assigned_at = now;
        }
        let (agent, attempt, waited) = (
            ticket.work.as_ref().map(|work| work.agent),
            ticket.attempt,
            (now - ticket.arrival) / 1000,
        );
        self.emit(
            Some(key),
            agent,
            attempt,
            EventKind::Assigned {
                reason,
                context,
                agent_context,
                waited,
            },
        );
        if first {
            self.moment(key, crate::clocks::ASSIGNMENT);
        }
    }

    /// An explicit acceptance.
    pub(crate) fn accept_offer(&mut self, key: u32, agent_context: Option<crate::event::Bytes>) {
        let Some(agent) = self.tickets[key].work.as_ref().map(|work| work.agent) else {
            return;
        };
        self.set_state(key, TicketState::Active);
        self.tickets[key].due = 0;
        self.count_assignment(key, agent);
        self.refresh_agent(agent);
        self.accepted(key, None, None, agent_context);
        self.arm(key);
    }

    /// Gives back what an offered, active or wrapping ticket holds: (agent, its terms). `accepted`: the agent is idle from now.
    pub(crate) fn release_work(&mut self, key: u32, accepted: bool) -> Option<Box<Work>> {
        let work = self.tickets[key].work.take()?;
        let channel = self.classes[self.tickets[key].class].channel;
        self.free_units(work.agent, key, channel, work.cost, accepted);
        Some(work)
    }
}
