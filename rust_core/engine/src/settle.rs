//! Settling: while an eligible (waiting ticket, agent) pair exists, match the pair of greatest urgency.
//!
//! The state before a command is settled, so a pair can only have come up on the side of something that changed:
//! a *dirty* ticket (new in line, relaxed, no longer held) or a dirty agent (freed, back, re-skilled). Matching takes
//! room away and gives none, so each side's best only gets worse while settling: a heap that looks again at what it pops
//! is exact.

use std::collections::BinaryHeap;

use crate::choose::{Pick, Rank};
use crate::command::TicketState;
use crate::event::{EventKind, MatchReason};
use crate::ticket::{Match, Work, verb};
use crate::{Engine, round_up};

/// What changed since the last settling.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    tickets: Vec<u32>,
    agents: Vec<u32>,
    /// Who is logged in, or as what, changed.
    pub(crate) roster: bool,
    /// A dirty ticket that stands in no pen yet: the first of a command.
    pub(crate) newcomer: Option<u32>,
}

impl Dirty {
    pub(crate) fn is_clean(&self) -> bool {
        self.tickets.is_empty() && self.agents.is_empty()
    }

    pub(crate) fn ticket(&mut self, ticket: u32) {
        self.tickets.push(ticket);
    }

    pub(crate) fn agent(&mut self, agent: u32) {
        if !self.agents.contains(&agent) || self.agents.len() > 8 {
            self.agents.push(agent);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Ticket(u32),
    Agent(u32),
    /// The front of a line's main pen, whoever that is.
    Line(u32),
}

/// More dirty agents than these (a reserve is released) are matched ticket by ticket: each of them would look again at
/// every line whenever one of them takes the ticket that all of them want.
const AGENTS_FEW: usize = 3;

impl Engine {
    /// See the module. Called after each item and each timer. What queues decide is read before, and again when no pair is
    /// left: a condition that turns changes who is eligible.
    pub(crate) fn settle(&mut self) {
        loop {
            self.read_conditions();
            self.match_all();
            if !self.conditions_turn() {
                break;
            }
        }
        self.dirty.roster = false;
    }

    fn match_all(&mut self) {
        self.lift_declines();
        if self.dirty.newcomer.is_some() && (self.dirty.tickets.len() > 1 || !self.dirty.agents.is_empty()) {
            self.place_newcomer();
        }
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
                    match self.best_agent(ticket) {
                        Some(pick) => self.match_pair(ticket, pick, false),
                        None => self.place_newcomer(),
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
            let agents = std::mem::take(&mut self.dirty.agents);
            if agents.len() > AGENTS_FEW {
                self.sides_of_lines(&agents, &mut heap);
            } else {
                for agent in agents {
                    if let Some((rank, _)) = self.best_ticket(agent) {
                        heap.push((rank, Side::Agent(agent)));
                    }
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
                Side::Line(line) => match self.front_rank(line) {
                    Some(front) => front,
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
            if let Side::Agent(_) | Side::Line(_) = side {
                heap.push((rank, side));
            }
        }
    }

    /// Every ticket that one of these agents could take: the fronts of the main pens, for those behind a front can be taken
    /// by nobody else, and each ticket of the odd pens.
    fn sides_of_lines(&self, agents: &[u32], heap: &mut BinaryHeap<(Rank, Side)>) {
        let live = |&slot: &u32| self.agents.get(slot).map(|agent| agent.profile);
        let mut profiles: Vec<u32> = agents.iter().filter_map(live).collect();
        profiles.sort_unstable();
        profiles.dedup();
        let mut lines: Vec<u32> = profiles
            .iter()
            .flat_map(|&profile| self.board.lines_for(profile))
            .collect();
        lines.sort_unstable();
        lines.dedup();
        for line in lines {
            if let Some((rank, _)) = self.front_rank(line) {
                heap.push((rank, Side::Line(line)));
            }
            for entry in self.board.lines[line as usize].odd.iter() {
                if let Some(rank) = self.rank_of_ticket(entry.ticket) {
                    heap.push((rank, Side::Ticket(entry.ticket)));
                }
            }
        }
        // Their preferring tickets may wait in lines that their profiles do not serve.
        for slot in agents {
            for &ticket in self.agents.get(*slot).map_or(&[][..], |agent| &agent.preferring) {
                if let Some(rank) = self.rank_of_ticket(ticket) {
                    heap.push((rank, Side::Ticket(ticket)));
                }
            }
        }
    }

    /// The front of a line's main pen, if somebody could take it.
    fn front_rank(&self, line: u32) -> Option<(Rank, u32)> {
        let head = &self.board.heads[line as usize];
        if head.arrival == i64::MAX {
            return None;
        }
        self.rank_of_ticket(head.ticket).map(|rank| (rank, head.ticket))
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
        let reason = MatchReason {
            step: self
                .known_stage(ticket.class, ticket.taken)
                .map_or(0, |stage| stage.step),
            urgency_milli_us: self.rank(&head, ticket.arrival, ticket.sequence, pick.fit).urgency,
            slope_milli: head.slope_milli,
            seniority_us: self.now - ticket.arrival + head.boost_us,
            head_start: class.head_start,
            fit: pick.fit,
            boost: head.boost_us / 1000,
            candidates: pick.candidates,
            preferred: pick.preferred,
            supervisor,
        };
        let made = self.matches.insert(Match {
            reason,
            decline_exclude: class.decline_exclude,
        });
        let work = Work {
            agent: pick.agent,
            cost,
            wrap_up: class.wrap_up,
            made,
            away_on_expiry: class.offer.away_on_expiry,
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
        ticket.work = Some(work);
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
        reason: Option<MatchReason>,
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
        let (attempt, waited) = (ticket.attempt, (now - ticket.arrival) / 1000);
        let agent = ticket.work.as_ref().map(|work| work.agent);
        if let Some(agent) = agent {
            self.remember_owner(key, agent);
        }
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
    pub(crate) fn release_work(&mut self, key: u32, accepted: bool) -> Option<Work> {
        let work = self.tickets[key].work.take()?;
        self.matches.discard(work.made);
        let channel = self.classes[self.tickets[key].class].channel;
        self.free_units(work.agent, key, channel, work.cost, accepted);
        Some(work)
    }
}
