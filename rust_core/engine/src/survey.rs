//! What holds a queue up: a look at its lines, then at every logged-in agent once, in slices.
//!
//! ```
//! # fn f(engine: &csroute_engine::Engine) {
//! let mut survey = csroute_engine::survey::Survey::new("logistics");
//! while !engine.survey(&mut survey, 256) {
//!     // the writer's other work goes here
//! }
//! println!("{}", engine.surveyed(survey).text);
//! # }
//! ```
//! Between two slices the engine may change: the answer is true piece by piece.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::agent::Agent;
use crate::board::{Requirement, SkillAt};
use crate::command::{Presence, TicketState};
use crate::conditions::Key;
use crate::policy::Measure;
use crate::view::{AgentCounts, QueueLine, QueueReserve, QueueView};
use crate::{Engine, Micros};

/// Lines told of, those with the most waiting tickets.
const LINES_MAX: usize = 32;
/// Different things asked that every agent is looked at for.
const ASKS_MAX: usize = 64;
/// Pairs of an agent and something asked that count as one look.
const PAIRS_PER_LOOK: usize = 8;

/// What a line asks of agents, and how they stand to it.
#[derive(Debug)]
struct Ask {
    requirement: Requirement,
    /// Without what reserves keep.
    unreserved: Requirement,
    channel: u8,
    cost: u32,
    waiting: u64,
    counts: [u32; 8],
}

#[derive(Debug)]
struct Line {
    class: u32,
    taken: u32,
    step: u32,
    waiting: u64,
    held: u64,
    oldest: Micros,
    /// Its place among those asked.
    ask: usize,
}

/// A survey under way.
#[derive(Debug)]
pub struct Survey {
    queue: SmolStr,
    /// Where to go on: a class's number, then an agent's slot.
    next: u32,
    classes_done: bool,
    lines: Vec<Line>,
    asks: Vec<Ask>,
    counts: [u32; 8],
    /// Agents that nothing but a reserve keeps, by their profiles' skills.
    kept: BTreeMap<Vec<SkillAt>, u32>,
}

/// The places of `AgentCounts`, the nearest to serving last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Skill,
    Reserve,
    Presence,
    Channel,
    WrapUp,
    ChannelLimit,
    Capacity,
    Free,
}

fn counts(
    [
        skill,
        reserve,
        presence,
        channel,
        wrap_up,
        channel_limit,
        capacity,
        free,
    ]: [u32; 8],
) -> AgentCounts {
    AgentCounts {
        skill,
        reserve,
        presence,
        channel,
        wrap_up,
        channel_limit,
        capacity,
        free,
    }
}

impl Survey {
    /// Of this queue.
    pub fn new(queue: &str) -> Self {
        Self {
            queue: queue.into(),
            next: 0,
            classes_done: false,
            lines: Vec::new(),
            asks: Vec::new(),
            counts: [0; 8],
            kept: BTreeMap::new(),
        }
    }

    /// The queue's name.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The place of what a line asks; None: as much is asked for already as is looked at.
    fn ask(&mut self, requirement: Requirement, unreserved: Requirement, channel: u8, cost: u32) -> usize {
        let same = |ask: &Ask| ask.channel == channel && ask.cost == cost && ask.requirement == requirement;
        self.asks.iter().position(same).unwrap_or_else(|| {
            self.asks.push(Ask {
                requirement,
                unreserved,
                channel,
                cost,
                waiting: 0,
                counts: [0; 8],
            });
            self.asks.len() - 1
        })
    }

    /// All lines are there: the largest are kept, and what they ask.
    fn begin_agents(&mut self) {
        (self.classes_done, self.next) = (true, 0);
        let waits = self.lines.iter().any(|line| line.waiting + line.held > 0);
        let mut order: Vec<usize> = (0..self.asks.len())
            .filter(|&at| !waits || self.asks[at].waiting > 0)
            .collect();
        order.sort_by_key(|&at| (std::cmp::Reverse(self.asks[at].waiting), at));
        order.truncate(ASKS_MAX);
        let mut asks: Vec<Option<Ask>> = std::mem::take(&mut self.asks).into_iter().map(Some).collect();
        let mut place = vec![usize::MAX; asks.len()];
        for &at in &order {
            place[at] = self.asks.len();
            self.asks.extend(asks[at].take());
        }
        for line in &mut self.lines {
            line.ask = place[line.ask];
        }
    }
}

impl Engine {
    /// Whether the current policy, or a ticket, has this queue.
    pub fn knows_queue(&self, queue: &str) -> bool {
        let of_policy = self.policy.as_ref().is_some_and(|policy| policy.queue(queue).is_some());
        of_policy || self.queue_names.get(queue).is_some()
    }

    /// Does a slice of about so many looks. True when the survey is whole.
    pub fn survey(&self, survey: &mut Survey, looks: usize) -> bool {
        if survey.classes_done {
            return self.survey_agents(survey, looks);
        }
        let mut left = looks.max(1);
        while survey.next < self.classes.bound() {
            if left == 0 {
                return false;
            }
            survey.next += 1;
            left = left.saturating_sub(1 + self.survey_class(survey, survey.next) * PAIRS_PER_LOOK);
        }
        survey.begin_agents();
        false
    }

    /// How many lines a class brought.
    fn survey_class(&self, survey: &mut Survey, number: u32) -> usize {
        let Some(class) = self
            .classes
            .get(number)
            .filter(|class| class.queue_name == survey.queue)
        else {
            return 0;
        };
        let kept: Vec<SkillAt> = class.surge.kept_now(&self.conditions).collect();
        for stage in &class.stages {
            let line = &self.board.lines[stage.line as usize];
            let (waiting, held) = ((line.main.len() + line.odd.len()) as u64, line.held.len() as u64);
            let heads = [line.main.first(), line.odd.first(), line.held.first()];
            let oldest = heads
                .into_iter()
                .flatten()
                .map(|entry| self.tickets[entry.ticket].queued_at)
                .min();
            let requirement = class.requirement_at(stage.taken, &self.conditions);
            let mut unreserved = requirement.clone();
            unreserved.none_of.retain(|skill| !kept.contains(skill));
            let ask = survey.ask(requirement, unreserved, class.channel, class.cost);
            survey.asks[ask].waiting += waiting + held;
            survey.lines.push(Line {
                class: number,
                taken: stage.taken,
                step: stage.step,
                waiting,
                held,
                oldest: oldest.unwrap_or(self.now),
                ask,
            });
        }
        class.stages.len()
    }

    fn survey_agents(&self, survey: &mut Survey, looks: usize) -> bool {
        let numbers: Vec<Option<u32>> = (survey.asks.iter())
            .map(|ask| self.board.number_of(&ask.requirement))
            .collect();
        let mut left = looks.saturating_mul(PAIRS_PER_LOOK).max(1);
        while survey.next < self.agents.bound() {
            if left == 0 {
                return false;
            }
            let slot = survey.next;
            survey.next += 1;
            left = left.saturating_sub(1);
            let Some(agent) = self.agents.get(slot).filter(|agent| agent.logged_in()) else {
                continue;
            };
            left = left.saturating_sub(survey.asks.len());
            let mut nearest = Standing::Skill;
            for (ask, number) in survey.asks.iter_mut().zip(&numbers) {
                let standing = self.standing(agent, ask, *number);
                ask.counts[standing as usize] += 1;
                nearest = nearest.max(standing);
            }
            survey.counts[nearest as usize] += 1;
            if nearest == Standing::Reserve {
                let skills = &self.board.profiles[agent.profile as usize].key.skills;
                *survey.kept.entry(skills.clone()).or_default() += 1;
            }
        }
        true
    }

    /// What keeps an agent from a ticket that asks this; `number`: the requirement's, while anybody asks it.
    fn standing(&self, agent: &Agent, ask: &Ask, number: Option<u32>) -> Standing {
        let profile = &self.board.profiles[agent.profile as usize].key;
        let meets = match number {
            Some(number) => self.board.meets(agent.profile, number),
            None => ask.requirement.met_by(profile),
        };
        if !meets {
            let reserved = ask.unreserved.none_of.len() < ask.requirement.none_of.len();
            return if reserved && ask.unreserved.met_by(profile) {
                Standing::Reserve
            } else {
                Standing::Skill
            };
        }
        let (limit, load) = (profile.limit(ask.channel), agent.load(ask.channel));
        if agent.presence != Presence::Available {
            Standing::Presence
        } else if limit == 0 {
            Standing::Channel
        } else if self.has_room(agent, ask.channel, ask.cost) {
            Standing::Free
        } else {
            let (mut tickets, mut units) = (0, 0);
            for &key in &agent.tickets {
                let ticket = &self.tickets[key];
                if ticket.state == TicketState::Wrapping {
                    units += ticket.work.map_or(0, |work| work.cost);
                    tickets += u32::from(self.classes[ticket.class].channel == ask.channel);
                }
            }
            let room = u64::from(agent.used - units) + u64::from(ask.cost) <= u64::from(profile.capacity);
            if load - tickets < limit && room {
                Standing::WrapUp
            } else if load >= limit {
                Standing::ChannelLimit
            } else {
                Standing::Capacity
            }
        }
    }

    /// What a whole survey found.
    pub fn surveyed(&self, survey: Survey) -> QueueView {
        let Survey {
            queue,
            mut lines,
            asks,
            counts: all,
            kept,
            ..
        } = survey;
        let (waiting, held) = (
            lines.iter().map(|line| line.waiting).sum(),
            lines.iter().map(|line| line.held).sum(),
        );
        let standing = lines.iter().filter(|line| line.waiting + line.held > 0);
        let oldest = standing.clone().map(|line| line.oldest).min();
        let oldest_wait = oldest.map_or(0, |oldest| (self.now - oldest).max(0) / 1000);
        let many = standing.count();
        lines.sort_by_key(|line| (std::cmp::Reverse(line.waiting + line.held), line.class, line.taken));
        lines.retain(|line| line.ask != usize::MAX && self.classes.get(line.class).is_some());
        lines.truncate(LINES_MAX.min(many.max(1)));
        let lines: Vec<QueueLine> = lines
            .iter()
            .map(|line| {
                let (class, ask) = (&self.classes[line.class], &asks[line.ask]);
                let (needs, none_of) = self.requirement_in_words(&ask.requirement);
                QueueLine {
                    class: line.class,
                    class_path: self.class_path(class),
                    step: line.step,
                    waiting: line.waiting,
                    held: line.held,
                    oldest_wait: (self.now - line.oldest).max(0) / 1000,
                    needs,
                    none_of,
                    agents: counts(ask.counts),
                }
            })
            .collect();
        let number = self.queue_names.get(&queue);
        let flow = number.map_or_else(Vec::new, |number| {
            self.flow
                .intervals(number, self.now, &self.queue_stats[number as usize])
        });
        let mut view = QueueView {
            reserves: self.reserves_of(&queue, &kept),
            queue,
            waiting,
            held,
            oldest_wait,
            lines_left: many.saturating_sub(lines.len()) as u64,
            lines,
            agents: counts(all),
            flow,
            expected_wait: 0,
            clears_in: 0,
            policy_version: self.policy.as_ref().map_or(0, |policy| policy.spec.version),
            text: String::new(),
        };
        crate::bottleneck::conclude(&mut view, self.now);
        view
    }

    fn reserves_of(&self, queue: &SmolStr, kept: &BTreeMap<Vec<SkillAt>, u32>) -> Vec<QueueReserve> {
        let Some(policy) = &self.policy else { return Vec::new() };
        let reserves = policy.spec.reserves.iter().map(|reserve| {
            let found = self
                .conditions
                .look(&Key::new(&reserve.open, &reserve.name, queue))
                .unwrap_or((false, 0, None, None));
            let (open, length, oldest, opens_at) = found;
            let skill = self.skill_names.get(&reserve.skill.skill);
            let has = |skills: &Vec<SkillAt>| {
                let at = |&(has, level): &SkillAt| Some(has) == skill && level >= reserve.skill.level;
                skills.iter().any(at)
            };
            let oldest_wait = reserve.open.measure == Measure::OldestWait;
            let mut classes = self.classes.iter().map(|(_, class)| class);
            QueueReserve {
                reserve: reserve.name.clone(),
                skill: reserve.skill.skill.clone(),
                level: reserve.skill.level,
                for_queue: classes
                    .any(|class| class.queue_name == *queue && class.surge.reserves.contains(&reserve.name)),
                open,
                oldest_wait,
                over: reserve.open.over,
                until: reserve.open.until,
                measured: if oldest_wait {
                    oldest.map_or(0, |oldest| (self.now - oldest).max(0) / 1000)
                } else {
                    length as i64
                },
                opens_at: opens_at.filter(|_| !open).unwrap_or(0),
                agents: kept
                    .iter()
                    .filter(|(skills, _)| has(skills))
                    .map(|(_, agents)| agents)
                    .sum(),
            }
        });
        reserves.collect()
    }
}
