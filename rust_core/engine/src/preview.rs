//! What a policy would change, before it is installed: how many open tickets would be classified otherwise. Changes nothing.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::command::TicketState;
use crate::policy::PolicySpec;
use crate::tables::{Applied, RuleAt, Tables};
use crate::{Engine, Rejection};

/// A policy that is not installed, and what was counted so far.
#[derive(Debug)]
pub struct Candidate {
    tables: Arc<Tables>,
    /// Whether a ticket changes, by what applies to it now and what then would: (version, channel, now, then).
    known: FxHashMap<(u64, u8, Applied, Applied), bool>,
    /// Tickets scheduled, waiting or suspended.
    pub waiting: u64,
    /// Of those: other rules would apply to them, or the same ones and say something else.
    pub changed: u64,
    /// Of those: their channel is gone, or they lack what the policy requires: they would keep their class.
    pub unfit: u64,
}

impl Candidate {
    /// Checks a policy whole.
    pub fn new(spec: Arc<PolicySpec>) -> Result<Self, Rejection> {
        Ok(Self {
            tables: Arc::new(Tables::new(spec)?),
            known: FxHashMap::default(),
            waiting: 0,
            changed: 0,
            unfit: 0,
        })
    }
}

impl Engine {
    /// Looks at so many open tickets past a sequence, from 0; where to go on, None: that was all.
    pub fn preview(&self, candidate: &mut Candidate, after: u64, looks_max: usize) -> Option<u64> {
        let mut last = None;
        for (sequence, key) in self.order.after(after).take(looks_max) {
            last = Some(sequence);
            if key & crate::ENDED == 0 {
                self.preview_one(candidate, key);
            }
        }
        last
    }

    fn preview_one(&self, candidate: &mut Candidate, key: u32) {
        let ticket = &self.tickets[key];
        if !matches!(
            ticket.state,
            TicketState::Scheduled | TicketState::Waiting | TicketState::Suspended
        ) {
            return;
        }
        candidate.waiting += 1;
        let (class, then) = (&self.classes[ticket.class], &candidate.tables);
        let channel = self.channel_names.name(class.channel.into());
        let Some(place) = then.channel_place(channel) else {
            candidate.unfit += 1;
            return;
        };
        let attributes = ticket
            .content
            .attributes()
            .map(|attribute| (attribute.name, attribute.value, attribute.confidence_milli));
        let Ok(values) = then.read(Some(place), ticket.content.customer(), attributes, &self.facts, true) else {
            candidate.unfit += 1;
            return;
        };
        let applied = then.classify(&values, None);
        let moves = (
            class.tables.spec.version,
            class.channel,
            class.key.applied.clone(),
            applied,
        );
        let changes = if let Some(&changes) = candidate.known.get(&moves) {
            changes
        } else {
            let changes = differs(&class.tables, then, channel, &moves.2, &moves.3);
            candidate.known.insert(moves, changes);
            changes
        };
        candidate.changed += u64::from(changes);
    }
}

/// Whether what applies now and what would apply then say different things.
fn differs(now: &Tables, then: &Tables, channel: &str, applied: &[RuleAt], would: &[RuleAt]) -> bool {
    fn said<'a>(
        tables: &'a Tables,
        applied: &'a [RuleAt],
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a crate::policy::Effects)> {
        applied.iter().map(|&(layer, rule)| {
            let layer = &tables.spec.layers[layer as usize];
            let rule = &layer.rules[rule as usize];
            (layer.name.as_str(), rule.name.as_str(), &rule.effects)
        })
    }
    let shared = |tables: &Tables| {
        let spec = &tables.spec;
        let cost = tables.channel(channel).map(|channel| channel.cost);
        (
            spec.defaults.clone(),
            spec.clocks.clone(),
            spec.reserves.clone(),
            spec.answer_target,
            cost,
        )
    };
    !said(now, applied).eq(said(then, would)) || shared(now) != shared(then)
}
