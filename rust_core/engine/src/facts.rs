//! The hour's facts, filled by a command of their own; and caps: how many may wait for each value of an attribute.
//!
//! A table's facts are kept by its name, from one policy to the next that has it. A ticket counts for the caps of the policy
//! that its class is of, with its attributes as they are; so nothing of that needs to be saved.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use crate::command::{Answer, Submit, TableFacts, TicketState};
use crate::install::Sweep;
use crate::policy::CapSpec;
use crate::tables::Tables;
use crate::ticket::Content;
use crate::{Code, Engine, Rejection};

/// Tickets that a table's change classifies again at once.
const FIRST_SLICE: u32 = 512;

/// What each table says: a value a key.
#[derive(Debug, Default)]
pub(crate) struct Facts(BTreeMap<SmolStr, FxHashMap<SmolStr, SmolStr>>);

/// A table, its facts by key.
pub(crate) type TableImage = (SmolStr, Vec<(SmolStr, SmolStr)>);

impl Facts {
    /// What a table says of a key.
    pub(crate) fn of(&self, table: &str, key: &str) -> Option<&SmolStr> {
        self.0.get(table)?.get(key)
    }

    pub(crate) fn image(&self) -> Vec<TableImage> {
        let sorted = |facts: &FxHashMap<SmolStr, SmolStr>| {
            let mut facts: Vec<_> = facts.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            facts.sort_unstable();
            facts
        };
        self.0
            .iter()
            .map(|(name, facts)| (name.clone(), sorted(facts)))
            .collect()
    }

    pub(crate) fn load(&mut self, image: Vec<TableImage>) {
        self.0 = image
            .into_iter()
            .map(|(name, facts)| (name, facts.into_iter().collect()))
            .collect();
    }

    /// Another policy: tables that it has not got are forgotten, and values that it does not allow.
    pub(crate) fn follow(&mut self, tables: &Tables) {
        self.0.retain(|name, facts| {
            let Some(declared) = tables.spec.tables.iter().find(|table| table.name == *name) else {
                return false;
            };
            if !declared.values.is_empty() {
                facts.retain(|_, value| declared.values.contains(value));
            }
            !facts.is_empty()
        });
    }
}

/// How many stand in line for each value: by attribute and value.
#[derive(Debug, Default)]
pub(crate) struct Caps {
    /// Some policy that tickets have states caps.
    used: bool,
    counts: FxHashMap<(SmolStr, SmolStr), u32>,
}

/// A ticket's value of a cap's attribute, if it has one that counts.
fn value_of<'a>(
    tables: &Tables,
    cap: &CapSpec,
    channel: &'a str,
    customer: &'a str,
    mut attributes: impl Iterator<Item = (&'a str, &'a str, u16)>,
) -> Option<&'a str> {
    match cap.attribute.as_str() {
        "channel" => Some(channel),
        "customer" => Some(customer).filter(|customer| !customer.is_empty()),
        name => attributes
            .find(|&(attribute, _, confidence_milli)| attribute == name && tables.counts(name, confidence_milli))
            .map(|(_, value, _)| value),
    }
}

impl Engine {
    /// The command: facts of a table are set, those with an empty value taken away; `replace`: all others too.
    pub(crate) fn set_table(&mut self, facts: &TableFacts, reclassify: bool) -> Result<Answer, Rejection> {
        let tables = Arc::clone(self.current()?);
        let names = || tables.spec.tables.iter().map(|table| table.name.as_str());
        let Some(declared) = tables.spec.tables.iter().find(|table| table.name == facts.table) else {
            let has = names().collect::<Vec<_>>().join(", ");
            let has = if has.is_empty() { "none".to_owned() } else { has };
            let message = format!("the policy has no table {:?}: it has {has}", facts.table);
            return Err(Rejection::about(Code::UnknownValue, "table", message));
        };
        for (place, (key, value)) in facts.entries.iter().enumerate() {
            if !value.is_empty() && !declared.values.is_empty() && !declared.values.contains(value) {
                let allowed = declared.values.join(", ");
                let message = format!("{} says {value:?} of {key:?}; it may say {allowed}", facts.table);
                return Err(Rejection::about(
                    Code::UnknownValue,
                    format!("entries[{place}].value"),
                    message,
                ));
            }
        }
        // The last of a key counts.
        let given: FxHashMap<&SmolStr, &SmolStr> = facts.entries.iter().map(|(key, value)| (key, value)).collect();
        let known = self.facts.0.get(&facts.table);
        let before = |key: &SmolStr| known.and_then(|known| known.get(key));
        let kept = if facts.replace {
            0
        } else {
            known.map_or(0, FxHashMap::len)
        };
        let gone = if facts.replace {
            known.is_some_and(|known| known.keys().any(|key| !given.contains_key(key)))
        } else {
            false
        };
        let mut keys = kept;
        let mut changes = gone;
        for (&key, &value) in &given {
            let was = before(key);
            changes |= was.map_or("", |was| was.as_str()) != value.as_str();
            keys += usize::from(!value.is_empty() && (facts.replace || was.is_none()));
            keys -= usize::from(value.is_empty() && !facts.replace && was.is_some());
        }
        if keys > declared.keys_max as usize {
            let message = format!(
                "{} would have {keys} keys, and may have {}",
                facts.table, declared.keys_max
            );
            return Err(Rejection::about(Code::TooMany, "entries", message));
        }
        if !changes {
            return Ok(Answer {
                replayed: true,
                ..Answer::default()
            });
        }
        let table = self.facts.0.entry(facts.table.clone()).or_default();
        if facts.replace {
            table.clear();
        }
        for (key, value) in given {
            if value.is_empty() {
                table.remove(key);
            } else {
                table.insert(key.clone(), value.clone());
            }
        }
        if table.is_empty() {
            self.facts.0.remove(&facts.table);
        }
        let mut reclassified = 0;
        if reclassify {
            self.sweep = Some(Sweep {
                after: 0,
                last: self.ticket_sequence,
            });
            reclassified = self.reclassify_more(FIRST_SLICE).reclassified;
        }
        Ok(Answer {
            reclassified,
            ..Answer::default()
        })
    }

    /// Keys that a table has.
    pub fn table_keys(&self, table: &str) -> usize {
        self.facts.0.get(table).map_or(0, FxHashMap::len)
    }

    /// Whether counting is worth a look: after another policy came, or a state was restored.
    pub(crate) fn caps_follow(&mut self) {
        let all = self
            .policy
            .iter()
            .chain(self.canary.as_ref().map(|canary| &canary.tables))
            .chain(self.classes.iter().map(|(_, class)| &class.tables));
        self.caps.used = all.into_iter().any(|tables| !tables.spec.caps.is_empty());
    }

    /// A ticket in this state and of this class counts for caps, or no longer.
    pub(crate) fn count_caps(&mut self, key: u32, class: u32, state: TicketState, comes: bool) {
        if self.caps.used {
            let content = self.tickets[key].content.clone();
            self.count_caps_of(&content, class, state, comes);
        }
    }

    pub(crate) fn count_caps_of(&mut self, content: &Content, class: u32, state: TicketState, comes: bool) {
        let lined = matches!(
            state,
            TicketState::Scheduled | TicketState::Waiting | TicketState::Suspended
        );
        let class = &self.classes[class];
        let channel = self.channel_names.name(class.channel.into());
        for cap in class.tables.spec.caps.iter().filter(|_| lined) {
            let attributes = content
                .attributes()
                .map(|attribute| (attribute.name, attribute.value, attribute.confidence_milli));
            let Some(value) = value_of(&class.tables, cap, channel, content.customer(), attributes) else {
                continue;
            };
            let name = (cap.attribute.clone(), SmolStr::new(value));
            if comes {
                *self.caps.counts.entry(name).or_default() += 1;
            } else if let Some(count) = self.caps.counts.get_mut(&name) {
                *count -= 1;
                if *count == 0 {
                    self.caps.counts.remove(&name);
                }
            }
        }
    }

    /// Whether one more may wait with a submit's values.
    pub(crate) fn room_in_caps(&self, tables: &Tables, submit: &Submit<'_>) -> Result<(), Rejection> {
        for (cap, own) in tables.caps() {
            let attributes = submit
                .attributes
                .iter()
                .map(|attribute| (attribute.name, attribute.value, attribute.confidence_milli));
            let Some(value) = value_of(tables, cap, submit.channel, submit.customer, attributes) else {
                continue;
            };
            let most = own.get(value).copied().unwrap_or(cap.waiting_max);
            let name = (cap.attribute.clone(), SmolStr::new(value));
            let there = self.caps.counts.get(&name).copied().unwrap_or(0);
            if there >= most {
                let message = format!(
                    "{there} tickets whose {} is {value} are waiting, as many as may",
                    cap.attribute
                );
                return Err(Rejection::about(Code::WaitingFull, cap.attribute.clone(), message));
            }
        }
        Ok(())
    }
}
