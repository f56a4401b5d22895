//! Why a ticket is where it is: its rules, its step, and for each logged-in agent the first reason why not.

use std::fmt::Write;

use smol_str::SmolStr;

use crate::board::{Requirement, SkillAt};
use crate::class::When;
use crate::command::{Presence, TicketState};
use crate::submit::Found;
use crate::view::{ExplainView, NotEligible};
use crate::{Engine, limits};

impl Engine {
    /// Why a ticket is where it is. Looks at every logged-in agent once.
    pub fn explain(&self, id: &str) -> Option<ExplainView> {
        let Found::Open(key) = self.find(id)? else {
            let ticket = self.ticket(id)?;
            let text = format!(
                "{id} ended: {:?}, {}.",
                ticket.state,
                if ticket.outcome.is_empty() {
                    "no outcome"
                } else {
                    &ticket.outcome
                }
            );
            return Some(ExplainView {
                ticket,
                rules: Vec::new(),
                needs: Vec::new(),
                none_of: Vec::new(),
                next_step_at: 0,
                next_step: 0,
                place: 0,
                wait_low: 0,
                wait_high: 0,
                wait_method: "",
                eligible: 0,
                able: 0,
                not_eligible: NotEligible::default(),
                urgency_milli_us: 0,
                head_start: 0,
                boost: 0,
                slope_milli: 0,
                assigned: None,
                text,
            });
        };
        let ticket = &self.tickets[key];
        let class = &self.classes[ticket.class];
        let spec = &class.tables.spec;
        let rules = class
            .key
            .applied
            .iter()
            .map(|&(layer, rule)| {
                let layer = &spec.layers[layer as usize];
                let rule = &layer.rules[rule as usize];
                (layer.name.clone(), rule.name.clone(), rule.why.clone())
            })
            .collect();
        let requirement = class.requirement_at(ticket.taken, &self.conditions);
        let boost_us = class.boost_at(ticket.taken);
        let waits = ticket.state == TicketState::Waiting;
        let next = if waits {
            (0..class.steps.len())
                .filter_map(|step| self.step_due(key, step).map(|due| (due, step)))
                .min()
        } else {
            None
        };
        let (eligible, able, not_eligible) = self.eligibility(key, &requirement);
        let place = self.place(key);
        let (wait_low, wait_high) = self.wait_range(ticket, place);
        let view = self.ticket_view(key);
        let assigned = ticket.work.map(|work| self.matches[work.made].reason);
        let urgency_milli_us = if matches!(ticket.state, TicketState::Waiting | TicketState::Suspended) {
            class.slope_milli * ((self.now - ticket.arrival).min(limits::SENIORITY_US_MAX) + boost_us)
                + class.head_start * 1_000_000
        } else {
            0
        };
        let (needs, none_of) = self.requirement_in_words(&requirement);
        let mut explain = ExplainView {
            ticket: view,
            rules,
            needs,
            none_of,
            next_step_at: next.map_or(0, |(due, _)| crate::round_up(due)),
            next_step: next.map_or(0, |(_, step)| step as u32 + 1),
            place,
            wait_low,
            wait_high,
            wait_method: if place > 0 {
                "head-of-line delay (Ibrahim and Whitt 2009)"
            } else {
                ""
            },
            eligible,
            able,
            not_eligible,
            urgency_milli_us,
            head_start: class.head_start,
            boost: boost_us / 1000,
            slope_milli: class.slope_milli as u32,
            assigned,
            text: String::new(),
        };
        explain.text = in_a_paragraph(&explain, next.and_then(|(_, step)| age_of(class.steps[step].when)));
        Some(explain)
    }

    /// A requirement's groups and what it rules out, in words.
    pub(crate) fn requirement_in_words(&self, requirement: &Requirement) -> (Vec<String>, Vec<String>) {
        let groups = requirement.groups.iter().map(|group| self.in_words(group, " | "));
        let ruled_out = requirement.none_of.iter().map(|skill| self.in_words(&[*skill], ""));
        (groups.collect(), ruled_out.collect())
    }

    fn in_words(&self, group: &[SkillAt], or: &str) -> String {
        let skill = |&(skill, level): &SkillAt| {
            let name = self.skill_names.name(skill);
            if level > 1 {
                format!("{name}>={level}")
            } else {
                name.to_string()
            }
        };
        if group.is_empty() {
            "nobody (a skill's attribute is missing)".into()
        } else {
            group.iter().map(skill).collect::<Vec<_>>().join(or)
        }
    }

    /// Agents eligible now, those who would be but for load, and why the others are not.
    fn eligibility(&self, key: u32, requirement: &Requirement) -> (u32, u32, NotEligible) {
        let ticket = &self.tickets[key];
        let class = &self.classes[ticket.class];
        let (mut eligible, mut able, mut why) = (0, 0, NotEligible::default());
        let preferred = ticket.preferred().and_then(|agent| self.live(agent));
        let held_for =
            preferred.filter(|_| ticket.pen == crate::board::Pen::Held && ticket.state == TicketState::Waiting);
        for slot in self.agents.keys() {
            let agent = &self.agents[slot];
            if !agent.logged_in() {
                continue;
            }
            let profile = &self.board.profiles[agent.profile as usize].key;
            let missing = |level_matters: bool| {
                let has = |&(skill, level): &SkillAt| profile.level(skill) >= if level_matters { level } else { 1 };
                requirement.groups.iter().any(|group| !group.iter().any(has))
            };
            let forbidden = requirement
                .none_of
                .iter()
                .any(|&(skill, level)| profile.level(skill) >= level);
            let count = if agent.presence != Presence::Available {
                &mut why.presence
            } else if missing(false) || forbidden {
                &mut why.skill
            } else if missing(true) {
                &mut why.level
            } else if profile.limit(class.channel) == 0 {
                &mut why.channel
            } else if ticket.excludes(agent.number) {
                &mut why.excluded
            } else {
                able += u32::from(profile.capacity >= class.cost);
                if agent.load(class.channel) >= profile.limit(class.channel) {
                    &mut why.channel_limit
                } else if !self.has_room(agent, class.channel, class.cost) {
                    &mut why.capacity
                } else if held_for.is_some_and(|held_for| held_for != slot) {
                    &mut why.held_for_another
                } else {
                    &mut eligible
                }
            };
            *count += 1;
        }
        (eligible, able, why)
    }
}

fn age_of(when: When) -> Option<i64> {
    if let When::Age(age) = when {
        Some(age / 1_000_000)
    } else {
        None
    }
}

fn in_a_paragraph(explain: &ExplainView, next_age_s: Option<i64>) -> String {
    let ticket = &explain.ticket;
    let rules: Vec<String> = explain
        .rules
        .iter()
        .map(|(layer, rule, why)| {
            if why.is_empty() {
                format!("{layer}.{rule}")
            } else {
                format!("{layer}.{rule} ({why})")
            }
        })
        .collect();
    let needs = if explain.needs.is_empty() {
        "anyone".to_string()
    } else {
        explain.needs.join(" and ")
    };
    let mut text = format!(
        "{} is {:?} in the queue {} by {}.",
        ticket.id,
        ticket.state,
        ticket.queue,
        rules.join(", ")
    );
    if let Some(reason) = explain.assigned {
        let why = match (reason.supervisor, reason.preferred) {
            (true, _) => "a supervisor chose this agent".to_string(),
            (_, true) => "this is its preferred agent".to_string(),
            _ => format!(
                "the policy's order chose this agent among {} who could take it",
                reason.candidates
            ),
        };
        let _ = write!(
            text,
            " It went to {} (attempt {}): {why}; its urgency was {} ms: {} ms waited with boost, at slope {:.3}, {} ms head start, {} ms fit.",
            ticket.agent,
            ticket.attempt,
            reason.urgency_milli_us / 1_000_000,
            reason.seniority_us / 1000,
            f64::from(reason.slope_milli) / 1000.0,
            reason.head_start,
            reason.fit
        );
    } else if ticket.state == TicketState::Waiting {
        let why = explain.not_eligible;
        let reasons: [(u32, &str); 8] = [
            (why.presence, "not available"),
            (why.skill, "without the skill"),
            (why.level, "below the level"),
            (why.channel, "with the channel closed"),
            (why.excluded, "excluded"),
            (why.channel_limit, "at the channel's limit"),
            (why.capacity, "without free units"),
            (
                why.held_for_another,
                "passed over while it waits for its preferred agent",
            ),
        ];
        let counts: Vec<String> = reasons
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let counts = if counts.is_empty() {
            "nobody is logged in".to_string()
        } else {
            counts.join(", ")
        };
        let _ = write!(
            text,
            " It asks for {needs}, is number {} in its line and may wait {} to {} s more. {} agents could serve it but for load; of all logged in: {counts}.",
            explain.place,
            explain.wait_low / 1000,
            explain.wait_high / 1000,
            explain.able
        );
        if explain.next_step > 0 {
            let age: SmolStr = next_age_s.map_or_else(SmolStr::default, |age| {
                SmolStr::from(format!(", at the age of {age} s"))
            });
            let _ = write!(text, " Step {} comes next{age}.", explain.next_step);
        }
    }
    text
}
