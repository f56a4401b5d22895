//! Installing a policy: one command; nothing is lost, whoever waits keeps their seniority.

use std::sync::Arc;

use crate::command::{Answer, TicketState};
use crate::event::{ClassCause, EventKind};
use crate::policy::PolicySpec;
use crate::tables::Tables;
use crate::{Code, Engine, Rejection};

/// Channel names that one engine may meet over its life: a bit each in an agent's record.
const CHANNEL_NAMES_MAX: usize = 64;

impl Engine {
    pub(crate) fn install(&mut self, spec: &Arc<PolicySpec>, reclassify: bool) -> Result<Answer, Rejection> {
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
        self.check_names(spec)?;
        self.make_current(&tables);
        self.drop_empty_classes();
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
        let count = if reclassify { self.reclassify_all(&tables) } else { 0 };
        if let EventKind::PolicyInstalled { reclassified, .. } = &mut self.out[told].kind {
            *reclassified = count;
        }
        let reclassified = count;
        Ok(Answer {
            replayed: false,
            state: None,
            reclassified,
        })
    }

    fn check_names(&self, spec: &PolicySpec) -> Result<(), Rejection> {
        let new_channels = spec
            .channels
            .iter()
            .filter(|channel| self.channel_names.get(&channel.name).is_none())
            .count();
        if self.channel_names.len() + new_channels > CHANNEL_NAMES_MAX {
            return Err(Rejection::about(
                Code::PolicyInvalid,
                "channels",
                format!("more than {CHANNEL_NAMES_MAX} channel names over all policies"),
            ));
        }
        let moments = spec.clocks.iter().flat_map(|clock| [&clock.starts, &clock.stops]);
        let new_moments: std::collections::BTreeSet<_> =
            moments.filter(|moment| self.moments.get(moment).is_none()).collect();
        if self.moments.len() + new_moments.len() > crate::limits::MOMENTS_MAX {
            return Err(Rejection::about(
                Code::PolicyInvalid,
                "clocks",
                format!("more than {} moments over all policies", crate::limits::MOMENTS_MAX),
            ));
        }
        Ok(())
    }

    /// Agents follow the policy's channels and limits.
    pub(crate) fn make_current(&mut self, tables: &Arc<Tables>) {
        for clock in &tables.spec.clocks {
            self.clock_names.intern(&clock.name);
            self.moments.intern(&clock.starts);
            self.moments.intern(&clock.stops);
        }
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

    /// Classifies every open ticket again, by ticket sequence; how many changed their class.
    fn reclassify_all(&mut self, tables: &Arc<Tables>) -> u64 {
        let mut keys: Vec<u32> = self
            .tickets
            .keys()
            .filter(|&key| self.tickets[key].state != TicketState::Wrapping)
            .collect();
        keys.sort_unstable_by_key(|&key| self.tickets[key].sequence);
        let mut changed = 0;
        for key in keys {
            let channel = self
                .channel_names
                .name(self.classes[self.tickets[key].class].channel.into())
                .clone();
            if tables.channel(&channel).is_none() {
                continue;
            }
            // One that no longer fits keeps its class.
            if let Ok(class) = self.natural_class(key, tables, None, true)
                && class != self.tickets[key].class
            {
                self.reclassify(key, class, ClassCause::Installed);
                changed += 1;
            }
        }
        changed
    }
}
