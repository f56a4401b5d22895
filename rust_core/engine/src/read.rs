//! What readers ask: tickets, agents, places in line, figures. Nothing here changes state.

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::backlog::Entry;
use crate::class::Class;
use crate::command::{Presence, TicketState};
use crate::submit::Found;
use crate::ticket::{ClockRun, NONE, Phase, Ticket};
use crate::view::{
    AgentFilter, AgentView, AttributeView, ClockView, PositionView, QueueStats, RouteView, StatsView, TicketFilter,
    TicketView,
};
use crate::{Engine, Micros, Millis, round_up};

impl Engine {
    /// The answer to a route, for a ticket that is known.
    pub fn route_view(&self, id: &str) -> Option<RouteView<'_>> {
        let key = match self.find(id)? {
            Found::Open(key) => key,
            Found::Ended(ended) => {
                let ended = &self.ended[ended];
                return Some(RouteView {
                    id: &ended.id,
                    state: ended.state,
                    class: ended.class,
                    agent: &ended.agent,
                    attempt: ended.attempt,
                    place: 0,
                    wait_low: 0,
                    wait_high: 0,
                    deadlines: SmallVec::new(),
                    due: 0,
                    agent_context: ended.agent_context(),
                    outcome: ended.outcome(),
                });
            }
        };
        let ticket = &self.tickets[key];
        let class = &self.classes[ticket.class];
        let place = self.place(key);
        let (wait_low, wait_high) = self.wait_range(ticket, place);
        let mut deadlines = SmallVec::new();
        if ticket.clocks_live() {
            for clock in &class.clocks {
                let run = ticket
                    .clocks
                    .iter()
                    .find(|run| u32::from(run.clock) == clock.clock && run.phase != Phase::Stopped);
                if let Some(run) = run {
                    deadlines.push((self.clock_names.name(clock.clock).as_str(), due(run, clock.target_us)));
                }
            }
        }
        Some(RouteView {
            id: &ticket.id,
            state: ticket.state,
            class: ticket.class,
            agent: ticket.work.as_ref().map_or("", |work| &self.agents[work.agent].id),
            attempt: ticket.attempt,
            place,
            wait_low,
            wait_high,
            deadlines,
            due: ticket.due,
            agent_context: ticket.extra.as_ref().and_then(|extra| extra.agent_context.as_ref()),
            outcome: ticket.extra.as_ref().map_or("", |extra| &extra.outcome),
        })
    }

    /// Those of the ticket's line ahead + 1; 0 if it does not stand in one.
    pub(crate) fn place(&self, key: u32) -> u32 {
        let ticket = &self.tickets[key];
        if ticket.line == NONE {
            return 0;
        }
        let line = &self.board.lines[ticket.line as usize];
        let entry = ticket.entry(key);
        (line.main.rank(entry) + line.odd.rank(entry) + line.held.rank(entry)) as u32 + 1
    }

    /// The estimated wait from now: the head-of-line delay, that is how long the first of the line has waited, less
    /// what this ticket has; within a band of 1.96 ÷ √(place + 1) of it. (Ibrahim and Whitt 2009: the delay of the
    /// head of the line is a good estimate of a newcomer's, with a relative error of about 1 ÷ √ of those ahead.)
    pub(crate) fn wait_range(&self, ticket: &Ticket, place: u32) -> (Millis, Millis) {
        if place == 0 || ticket.state != TicketState::Waiting {
            return (0, 0);
        }
        let line = &self.board.lines[ticket.line as usize];
        let first = [line.main.first(), line.odd.first()]
            .into_iter()
            .flatten()
            .map(|entry| entry.arrival)
            .min();
        let head_delay = (self.now - first.unwrap_or(ticket.arrival)).max(0);
        let rest = (head_delay - (self.now - ticket.arrival)).max(0) / 1000;
        let band = rest * 196 / (100 * isqrt(i64::from(place) + 1).max(1));
        ((rest - band).max(0), rest + band)
    }

    /// A ticket, whole.
    pub fn ticket(&self, id: &str) -> Option<TicketView> {
        Some(match self.find(id)? {
            Found::Open(key) => self.ticket_view(key),
            Found::Ended(ended) => self.ended_view(ended),
        })
    }

    pub(crate) fn ticket_view(&self, key: u32) -> TicketView {
        let ticket = &self.tickets[key];
        let class = &self.classes[ticket.class];
        let extra = ticket.extra.as_deref();
        let excluded = extra.map_or(0, |extra| {
            extra.named.len() + extra.declined.iter().filter(|declined| declined.1 > self.now).count()
        });
        let held = ticket.state == TicketState::Waiting && ticket.pen == crate::board::Pen::Held;
        TicketView {
            id: ticket.id.clone(),
            state: ticket.state,
            class: ticket.class,
            class_path: self.class_path(class),
            queue: class.queue_name.clone(),
            step: self
                .known_stage(ticket.class, ticket.taken)
                .map_or_else(|| 32 - ticket.taken.leading_zeros(), |stage| stage.step),
            arrival: ticket.arrival,
            queued_at: ticket.queued_at,
            agent: ticket
                .work
                .as_ref()
                .map_or_else(SmolStr::default, |work| self.agents[work.agent].id.clone()),
            attempt: ticket.attempt,
            due: ticket.due,
            revision: ticket.revision(),
            channel: self.channel_names.name(class.channel.into()).clone(),
            customer: SmolStr::new(ticket.content.customer()),
            source: self.sources.name(ticket.source).clone(),
            attributes: ticket
                .content
                .attributes()
                .map(|attribute| AttributeView {
                    name: SmolStr::new(attribute.name),
                    value: SmolStr::new(attribute.value),
                    confidence_milli: attribute.confidence_milli,
                })
                .collect(),
            context: extra.and_then(|extra| extra.context.clone()),
            agent_context: extra.and_then(|extra| extra.agent_context.clone()),
            clocks: self.clock_views(ticket, class),
            outcome: extra.map_or_else(SmolStr::default, |extra| extra.outcome.clone()),
            policy_version: class.tables.spec.version,
            sequence: ticket.sequence,
            excluded: excluded as u32,
            held,
        }
    }

    fn clock_views(&self, ticket: &Ticket, class: &Class) -> Vec<ClockView> {
        let view = |clock: &crate::class::ClassClock| {
            let run = ticket.clocks.iter().find(|run| u32::from(run.clock) == clock.clock);
            let running = run.is_some_and(|run| run.phase == Phase::Running) && ticket.clocks_live();
            ClockView {
                clock: self.clock_names.name(clock.clock).clone(),
                started: run.map_or(0, |run| run.start),
                due: run
                    .filter(|_| running)
                    .map_or(0, |run| round_up(run.when_run(clock.target_us))),
                stopped: run.filter(|run| run.phase == Phase::Stopped).map_or(0, |run| run.since),
                paused: run.is_some_and(|run| run.phase == Phase::Paused),
                breached: run.is_some_and(|run| run.breached),
                warned: run.map_or(0, |run| run.warned.count_ones()),
                target: clock.target_us / 1000,
            }
        };
        class.clocks.iter().map(view).collect()
    }

    fn ended_view(&self, slot: u32) -> TicketView {
        let ended = &self.ended[slot];
        TicketView {
            id: ended.id.clone(),
            state: ended.state,
            class: ended.class,
            class_path: String::new(),
            queue: self.queue_names.name(ended.queue).clone(),
            step: 0,
            arrival: ended.arrival,
            queued_at: 0,
            agent: ended.agent.clone(),
            attempt: ended.attempt,
            due: 0,
            revision: ended.revision(),
            channel: self.channel_names.name(ended.channel.into()).clone(),
            customer: SmolStr::default(),
            source: self.sources.name(ended.source).clone(),
            attributes: Vec::new(),
            context: None,
            agent_context: ended.agent_context().cloned(),
            clocks: Vec::new(),
            outcome: ended.outcome().clone(),
            policy_version: ended.policy_version,
            sequence: ended.sequence,
            excluded: 0,
            held: false,
        }
    }

    /// Open tickets with a sequence past `after`, in order of submission, at most `limit`; the second value is the
    /// sequence to go on from, None at the end. Ended tickets are listed too while they are remembered, when
    /// `filter.states` asks for them. Looks at 16 × `limit` tickets a call at most: a page may come back short.
    pub fn tickets(&self, filter: &TicketFilter<'_>, after: u64, limit: usize) -> (Vec<TicketView>, Option<u64>) {
        let queue = self.queue_names.get(filter.queue);
        let source = self.sources.get(filter.source);
        if (!filter.queue.is_empty() && queue.is_none()) || (!filter.source.is_empty() && source.is_none()) {
            return (Vec::new(), None);
        }
        let fits = |state: TicketState, of_queue: u32, of_source: u32, agent: &str| {
            let open = state < TicketState::Closed;
            (if filter.states.is_empty() {
                open
            } else {
                filter.states.contains(&state)
            }) && (filter.queue.is_empty() || queue == Some(of_queue))
                && (filter.source.is_empty() || source == Some(of_source))
                && (filter.agent.is_empty() || filter.agent == agent)
        };
        let mut views = Vec::new();
        let mut last = after;
        for (looked, (sequence, handle)) in self.order.after(after).enumerate() {
            if views.len() == limit || looked == 16 * limit {
                return (views, Some(last));
            }
            last = sequence;
            if handle & crate::ENDED == 0 {
                let ticket = &self.tickets[handle];
                let agent = ticket.work.as_ref().map_or("", |work| &self.agents[work.agent].id);
                if fits(ticket.state, self.classes[ticket.class].queue, ticket.source, agent) {
                    views.push(self.ticket_view(handle));
                }
            } else {
                let slot = handle & !crate::ENDED;
                let ended = &self.ended[slot];
                if fits(ended.state, ended.queue, ended.source, &ended.agent) {
                    views.push(self.ended_view(slot));
                }
            }
        }
        (views, None)
    }

    /// Agents whose number is past `after`, at most `limit`; the second value goes on.
    pub fn agents(&self, filter: &AgentFilter<'_>, after: u64, limit: usize) -> (Vec<AgentView>, Option<u64>) {
        let skill = self.skill_names.get(filter.skill);
        let session = self.session_ids.get(filter.session).copied();
        if (!filter.skill.is_empty() && skill.is_none()) || (!filter.session.is_empty() && session.is_none()) {
            return (Vec::new(), None);
        }
        let mut slots: Vec<u32> = self
            .agents
            .keys()
            .filter(|&slot| self.agents[slot].number > after)
            .collect();
        slots.retain(|&slot| {
            let agent = &self.agents[slot];
            (filter.presences.is_empty() || filter.presences.contains(&agent.presence))
                && (filter.skill.is_empty() || agent.skills.iter().any(|(has, _)| Some(*has) == skill))
                && (filter.session.is_empty() || agent.session == session)
        });
        slots.sort_unstable_by_key(|&slot| self.agents[slot].number);
        let more = slots.len() > limit;
        slots.truncate(limit);
        let next = if more {
            slots.last().map(|&slot| self.agents[slot].number)
        } else {
            None
        };
        (slots.into_iter().map(|slot| self.agent_view(slot)).collect(), next)
    }

    fn agent_view(&self, slot: u32) -> AgentView {
        let agent = &self.agents[slot];
        let mut tickets = agent.tickets.to_vec();
        tickets.sort_unstable_by_key(|&key| self.tickets[key].sequence);
        AgentView {
            id: agent.id.clone(),
            skills: agent
                .skills
                .iter()
                .map(|&(skill, level)| (self.skill_names.name(skill).clone(), level))
                .collect(),
            capacity: agent.capacity,
            channels: agent.channels.clone(),
            presence: agent.presence,
            reason: agent.reason.clone(),
            session: agent
                .session
                .map_or_else(SmolStr::default, |session| self.sessions[session].name.clone()),
            used: agent.used,
            tickets: tickets.into_iter().map(|key| self.tickets[key].id.clone()).collect(),
            idle_since: agent.idle_since,
            sequence: agent.sequence,
        }
    }

    /// Places in line, in the order asked; ids that are not known are left out. One pass over each line asked for.
    pub fn positions(&self, ids: &[&str]) -> Vec<PositionView> {
        let known: Vec<Found> = ids.iter().filter_map(|id| self.find(id)).collect();
        // By line and place, so that a line is passed over once.
        let mut standing: Vec<(u32, Entry)> = Vec::with_capacity(known.len());
        for found in &known {
            if let Found::Open(key) = *found {
                let ticket = &self.tickets[key];
                if ticket.line != NONE {
                    standing.push((ticket.line, ticket.entry(key)));
                }
            }
        }
        standing.sort_unstable();
        standing.dedup();
        let mut places: rustc_hash::FxHashMap<u32, u32> = rustc_hash::FxHashMap::default();
        for group in standing.chunk_by(|a, b| a.0 == b.0) {
            let line = &self.board.lines[group[0].0 as usize];
            let entries: Vec<Entry> = group.iter().map(|(_, entry)| *entry).collect();
            let ranks = [
                line.main.ranks(&entries),
                line.odd.ranks(&entries),
                line.held.ranks(&entries),
            ];
            for (at, entry) in entries.iter().enumerate() {
                places.insert(entry.ticket, (ranks[0][at] + ranks[1][at] + ranks[2][at]) as u32 + 1);
            }
        }
        known
            .into_iter()
            .map(|found| match found {
                Found::Ended(slot) => {
                    let ended = &self.ended[slot];
                    PositionView {
                        id: ended.id.clone(),
                        state: ended.state,
                        place: 0,
                        age: 0,
                        wait_low: 0,
                        wait_high: 0,
                    }
                }
                Found::Open(key) => {
                    let ticket = &self.tickets[key];
                    let place = places.get(&key).copied().unwrap_or(0);
                    let (wait_low, wait_high) = self.wait_range(ticket, place);
                    let arrived = ticket.state != TicketState::Scheduled;
                    let age = if arrived { (self.now - ticket.arrival) / 1000 } else { 0 };
                    PositionView {
                        id: ticket.id.clone(),
                        state: ticket.state,
                        place,
                        age,
                        wait_low,
                        wait_high,
                    }
                }
            })
            .collect()
    }

    /// Ids of a source's waiting and suspended tickets, in order of submission, past `after`, at most `limit`; the
    /// second value goes on.
    pub fn waiting_of_source(&self, source: &str, after: u64, limit: usize) -> (Vec<SmolStr>, Option<u64>) {
        let filter = TicketFilter {
            states: &[TicketState::Waiting, TicketState::Suspended],
            source,
            ..TicketFilter::default()
        };
        let (views, next) = self.tickets(&filter, after, limit);
        (views.into_iter().map(|view| view.id).collect(), next)
    }

    /// Whether a session is open.
    pub fn session_open(&self, session: &str) -> bool {
        self.session_ids.contains_key(session)
    }

    /// Nothing is held: no ticket, agent, session or policy.
    pub fn is_empty(&self) -> bool {
        self.policy.is_none()
            && self.agent_ids.is_empty()
            && self.session_ids.is_empty()
            && self.tickets.len() == 0
            && self.ended.len() == 0
    }

    /// Figures.
    pub fn stats(&self) -> StatsView {
        let state = |state: TicketState| self.by_state[state as usize];
        let mut queues: Vec<QueueStats> = self.queue_stats.clone();
        for (_, class) in self.classes.iter() {
            for line in class.lines() {
                let line = &self.board.lines[line as usize];
                let entries = [line.main.first(), line.odd.first()].into_iter().flatten();
                // The line is in order of arrival; a transferred ticket behind its head may have queued earlier or later.
                if let Some(oldest) = entries.map(|entry| self.tickets[entry.ticket].queued_at).min() {
                    let queue = &mut queues[class.queue as usize];
                    queue.oldest_wait = queue.oldest_wait.max((self.now - oldest) / 1000);
                }
            }
        }
        let sum = |get: fn(&QueueStats) -> u64| queues.iter().map(get).sum::<u64>();
        let counted = sum(|queue| queue.answered) + sum(|queue| queue.abandoned) + sum(|queue| queue.overflowed)
            - sum(|queue| queue.short_abandoned);
        let met = sum(|queue| queue.met);
        let mut stats = StatsView {
            clocks: self.clock_stats.clone(),
            scheduled: state(TicketState::Scheduled),
            waiting: state(TicketState::Waiting),
            suspended: state(TicketState::Suspended),
            offered: state(TicketState::Offered),
            active: state(TicketState::Active),
            wrapping: state(TicketState::Wrapping),
            submitted: self.counters.submitted,
            assigned: self.counters.assigned,
            completed: self.counters.completed,
            closed: self.counters.closed,
            cancelled: self.counters.cancelled,
            overflowed: self.counters.overflowed,
            remembered: self.ended.len() as u64,
            classes: self.classes.len() as u64,
            profiles: self.board.profile_count() as u64,
            policy_version: self.policy.as_ref().map_or(0, |policy| policy.spec.version),
            policy_name: self
                .policy
                .as_ref()
                .map_or_else(SmolStr::default, |policy| policy.spec.name.clone()),
            service_level_milli: (met * 1000).checked_div(counted).unwrap_or(1000) as u32,
            queues,
            ..StatsView::default()
        };
        for slot in self.agents.keys() {
            let agent = &self.agents[slot];
            match agent.presence {
                Presence::Available => stats.agents_available += 1,
                Presence::Away => stats.agents_away += 1,
                Presence::Draining => stats.agents_draining += 1,
                Presence::Offline => stats.agents_offline += 1,
            }
            if agent.logged_in() {
                stats.units_used += u64::from(agent.used);
                stats.units_total += u64::from(self.board.profiles[agent.profile as usize].key.capacity);
            }
        }
        stats
    }
}

/// When a clock breaches as things stand; 0 while paused.
fn due(run: &ClockRun, target_us: Micros) -> Micros {
    if run.phase == Phase::Running {
        round_up(run.when_run(target_us))
    } else {
        0
    }
}

/// The whole square root, by Newton: no float touches what is answered.
fn isqrt(value: i64) -> i64 {
    if value < 2 {
        return value.max(0);
    }
    let mut root = 1i64 << (64 - value.leading_zeros()).div_ceil(2);
    loop {
        let next = i64::midpoint(root, value / root);
        if next >= root {
            return root;
        }
        root = next;
    }
}
