//! Installing a policy: one command; nothing is lost, whoever waits keeps their seniority.

use std::collections::BTreeSet;
use std::iter::once;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::command::{Answer, TicketState};
use crate::event::{ClassCause, EventKind};
use crate::policy::{Later, PolicySpec};
use crate::soundness::check;
use crate::tables::Tables;
use crate::{Code, Engine, Rejection, round_up};

/// An install that classifies tickets again, piece by piece: those past `after`, up to `last`, are still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Sweep {
    pub(crate) after: u64,
    pub(crate) last: u64,
}

/// Channel names that one engine may meet over its life: a bit each in an agent's record.
const CHANNEL_NAMES_MAX: usize = 64;

/// The policy alone.
fn plain(spec: &Arc<PolicySpec>) -> Arc<PolicySpec> {
    if spec.later.is_empty() && spec.slice == 0 {
        return Arc::clone(spec);
    }
    Arc::new(PolicySpec {
        later: Vec::new(),
        slice: 0,
        ..PolicySpec::clone(spec)
    })
}

impl Engine {
    /// The command: what was to follow the policy before is dropped, what is to follow this one is kept.
    pub(crate) fn install(&mut self, spec: &Arc<PolicySpec>, reclassify: bool) -> Result<Answer, Rejection> {
        let all: Vec<&PolicySpec> = once(&**spec)
            .chain(spec.later.iter().map(|later| &later.policy))
            .collect();
        self.check_names(&all)?;
        for (place, later) in spec.later.iter().enumerate() {
            check(&later.policy).map_err(|no| Rejection {
                subject: format!("later[{place}]: {}", no.subject),
                ..no
            })?;
        }
        let later = spec.later.iter().map(|later| Later {
            at: round_up(later.at.max(self.now)),
            ..later.clone()
        });
        let (later, plain) = (later.collect(), plain(spec));
        let slice_before = std::mem::replace(&mut self.slice, spec.slice);
        let installed = self.install_now(&plain, reclassify);
        if installed.is_err() {
            self.slice = slice_before;
        }
        let answer = installed?;
        self.later = later;
        self.timers.due_at(0);
        Ok(answer)
    }

    /// A policy's time has come.
    pub(crate) fn install_later(&mut self) {
        let Some(later) = self.later.pop_front() else { return };
        // What ended before goes by the policy before.
        while self.forget_next().is_some_and(|due| due <= self.now) {
            self.forget_oldest();
        }
        self.forget_owners_due();
        let installed = self.install_now(&Arc::new(later.policy), later.reclassify);
        debug_assert!(installed.is_ok(), "it was checked when it was put down");
    }

    fn install_now(&mut self, spec: &Arc<PolicySpec>, reclassify: bool) -> Result<Answer, Rejection> {
        // The same policy again, or one that tickets still have: the same tables, so the same classes.
        let known = self
            .policy
            .iter()
            .chain(self.classes.iter().map(|(_, class)| &class.tables));
        let known = known
            .into_iter()
            .find(|tables| tables.spec.version == spec.version)
            .cloned();
        let tables = known.map_or_else(|| Tables::new(Arc::clone(spec)).map(Arc::new), Ok)?;
        self.end_tuning();
        self.canary = None;
        self.make_current(&tables);
        self.facts.follow(&tables);
        self.drop_empty_classes();
        self.caps_follow();
        self.emit(
            None,
            None,
            0,
            EventKind::PolicyInstalled {
                name: spec.name.clone(),
                reclassified: 0,
            },
        );
        let told = self.out.len() - 1;
        self.sweep = reclassify.then_some(Sweep {
            after: 0,
            last: self.ticket_sequence,
        });
        let count = self.sweep_on(self.slice);
        if let EventKind::PolicyInstalled { reclassified, .. } = &mut self.out[told].kind {
            *reclassified = count;
        }
        let reclassified = count;
        Ok(Answer {
            reclassified,
            ..Answer::default()
        })
    }

    pub(crate) fn check_names(&self, specs: &[&PolicySpec]) -> Result<(), Rejection> {
        let channels = specs
            .iter()
            .flat_map(|spec| &spec.channels)
            .map(|channel| &channel.name);
        let new_channels: BTreeSet<_> = channels.filter(|name| self.channel_names.get(name).is_none()).collect();
        if self.channel_names.len() + new_channels.len() > CHANNEL_NAMES_MAX {
            return Err(Rejection::about(
                Code::PolicyInvalid,
                "channels",
                format!("more than {CHANNEL_NAMES_MAX} channel names over all policies"),
            ));
        }
        let clocks = specs.iter().flat_map(|spec| &spec.clocks);
        let moments = clocks.flat_map(|clock| [&clock.starts, &clock.stops]);
        let new_moments: BTreeSet<_> = moments.filter(|moment| self.moments.get(moment).is_none()).collect();
        if self.moments.len() + new_moments.len() > crate::limits::MOMENTS_MAX {
            return Err(Rejection::about(
                Code::PolicyInvalid,
                "clocks",
                format!("more than {} moments over all policies", crate::limits::MOMENTS_MAX),
            ));
        }
        Ok(())
    }

    /// Clocks and moments have their numbers from here on.
    pub(crate) fn meet_clocks(&mut self, tables: &Tables) {
        for clock in &tables.spec.clocks {
            self.clock_names.intern(&clock.name);
            self.moments.intern(&clock.starts);
            self.moments.intern(&clock.stops);
        }
    }

    /// Agents follow the policy's channels and limits.
    pub(crate) fn make_current(&mut self, tables: &Arc<Tables>) {
        self.meet_clocks(tables);
        self.timers.due_at(0);
        let numbers = tables
            .spec
            .channels
            .iter()
            .map(|channel| self.channel_names.intern(&channel.name));
        self.channel_numbers = numbers.map(|number| number as u8).collect();
        let mut costs = vec![0; self.channel_names.len()];
        for (channel, &number) in tables.spec.channels.iter().zip(&self.channel_numbers) {
            costs[number as usize] = channel.cost;
        }
        self.board.channel_costs = costs;
        self.policy = Some(Arc::clone(tables));
        // Heaps first: `open` has a place a channel.
        self.rebuild_heaps();
        for slot in self.agents.keys().collect::<Vec<_>>() {
            let agent = &self.agents[slot];
            let key = self.profile_key_lenient(&agent.skills, agent.capacity, &agent.channels);
            if key != self.board.profiles[agent.profile as usize].key {
                self.change_profile(slot, key);
            }
        }
    }

    /// The command: so many more tickets of an install that goes on.
    pub(crate) fn reclassify_more(&mut self, tickets_max: u32) -> Answer {
        let reclassified = self.sweep_on(tickets_max);
        Answer {
            reclassified,
            ..Answer::default()
        }
    }

    /// How many tickets an install has still to look at, at most; 0: none goes on.
    pub fn sweep_left(&self) -> u64 {
        self.sweep.map_or(0, |sweep| (sweep.last - sweep.after).max(1))
    }

    /// Classifies open tickets again, by ticket sequence, so many (0: all) from where it left off; how many changed their
    /// class. Those that ended since are looked at too.
    fn sweep_on(&mut self, tickets_max: u32) -> u64 {
        let Some(Sweep { after, last }) = self.sweep else {
            return 0;
        };
        let Some(tables) = self.policy.clone() else { return 0 };
        let max = if tickets_max == 0 {
            usize::MAX
        } else {
            tickets_max as usize
        };
        let mut looked: Vec<(u64, u32)> = self
            .order
            .after(after)
            .take_while(|&(sequence, _)| sequence <= last)
            .take(max)
            .collect();
        self.sweep = match looked.last() {
            Some(&(after, _)) if looked.len() == max && after < last => Some(Sweep { after, last }),
            _ => None,
        };
        looked.retain(|&(_, key)| key & crate::ENDED == 0);
        let mut changed = 0;
        for (_, key) in looked {
            let Some(ticket) = self
                .tickets
                .get(key)
                .filter(|ticket| ticket.state != TicketState::Wrapping)
            else {
                continue;
            };
            let before = ticket.class;
            // One that no longer fits keeps its class.
            // A canary's stay the canary's.
            let canary = self.canary_of(before);
            if let Some(class) = self.class_anew(key, canary.as_ref().unwrap_or(&tables), canary.is_some())
                && class != before
            {
                self.reclassify(key, class, ClassCause::Installed);
                changed += 1;
            }
        }
        changed
    }

    /// A ticket's natural class under a policy; most have the same values as another.
    fn class_anew(&mut self, key: u32, tables: &Arc<Tables>, canary: bool) -> Option<u32> {
        let ticket = &self.tickets[key];
        let class = &self.classes[ticket.class];
        let channel = class.channel;
        let place = tables.channel_place(self.channel_names.name(channel.into()))?;
        if class.key.own.is_empty() {
            let attributes = ticket
                .content
                .attributes()
                .map(|attribute| (attribute.name, attribute.value, attribute.confidence_milli));
            let values = tables
                .read(Some(place), ticket.content.customer(), attributes, &self.facts, true)
                .ok()?;
            if let Some(class) = self.classes.memo(channel, canary, &values) {
                return Some(class);
            }
            let content = ticket.content.clone();
            let attributes = content
                .attributes()
                .map(|attribute| (attribute.name, attribute.value, attribute.confidence_milli));
            let name = self.channel_names.name(channel.into()).clone();
            let own = SmallVec::new();
            let (class_key, simple) = Self::class_key(
                tables,
                &name,
                channel,
                content.customer(),
                attributes,
                &values,
                own,
                None,
                &self.facts,
            );
            let class = self.intern_class(tables, class_key).ok()?;
            if simple {
                self.classes.remember(channel, canary, values, class);
            }
            return Some(class);
        }
        self.natural_class(key, tables, None, true).ok()
    }
}
