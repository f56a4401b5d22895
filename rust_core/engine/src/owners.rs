//! Who is remembered for a customer: the first agent assigned, so that the next ticket may go to the same one.
//!
//! Bounded, and expiring: past `owner_max` the longest unrenewed goes. One who is removed is forgotten. Expiry raises no
//! event and has no turn among the timers, but it is something that is due: who only moves the time on must be told.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::ticket::AgentRef;
use crate::{Engine, Micros, limits, round_up};

#[derive(Debug, Clone, Copy)]
struct Owner {
    agent: AgentRef,
    due: Micros,
    renewal: u64,
}

/// One memory, as a snapshot keeps it; they stand in the order of their renewals.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OwnerImage {
    pub(crate) customer: SmolStr,
    /// The agent's number.
    pub(crate) agent: u64,
    pub(crate) due: Micros,
}

#[derive(Debug, Default)]
pub(crate) struct Owners {
    by_customer: FxHashMap<SmolStr, Owner>,
    by_renewal: BTreeMap<u64, SmolStr>,
    by_due: BTreeSet<(Micros, u64)>,
    renewals: u64,
}

impl Owners {
    fn remove(&mut self, customer: &str) {
        if let Some(owner) = self.by_customer.remove(customer) {
            self.by_renewal.remove(&owner.renewal);
            self.by_due.remove(&(owner.due, owner.renewal));
        }
    }

    pub(crate) fn set(&mut self, customer: &str, agent: AgentRef, due: Micros) {
        self.remove(customer);
        self.renewals += 1;
        let renewal = self.renewals;
        self.by_renewal.insert(renewal, customer.into());
        self.by_due.insert((due, renewal));
        self.by_customer.insert(customer.into(), Owner { agent, due, renewal });
    }

    /// When the next memory is over.
    pub(crate) fn due(&self) -> Option<Micros> {
        self.by_due.first().map(|&(due, _)| due)
    }

    /// Forgets what is over before `until`.
    fn forget_before(&mut self, until: Micros) {
        while let Some(&(due, renewal)) = self.by_due.first()
            && due < until
        {
            let customer = self.by_renewal.get(&renewal).cloned().unwrap_or_default();
            self.remove(&customer);
        }
    }

    fn shrink(&mut self, most: usize) {
        while self.by_customer.len() > most
            && let Some((_, customer)) = self.by_renewal.first_key_value()
        {
            let customer = customer.clone();
            self.remove(&customer);
        }
    }

    /// An agent is removed: nobody's any more.
    pub(crate) fn forget_agent(&mut self, agent: AgentRef) {
        let its = |customer: &&SmolStr| {
            self.by_customer
                .get(*customer)
                .is_some_and(|owner| owner.agent == agent)
        };
        let gone: Vec<SmolStr> = self.by_renewal.values().filter(its).cloned().collect();
        for customer in gone {
            self.remove(&customer);
        }
    }

    pub(crate) fn image(&self) -> Vec<OwnerImage> {
        let one = |customer: &SmolStr| {
            self.by_customer.get(customer).map(|owner| OwnerImage {
                customer: customer.clone(),
                agent: owner.agent.number,
                due: owner.due,
            })
        };
        self.by_renewal.values().filter_map(one).collect()
    }
}

impl Engine {
    /// What is over is forgotten: due now too, but while timers of now still have their turn.
    pub(crate) fn forget_owners(&mut self) {
        if !self.owners.by_due.is_empty() {
            let until = if self.timers.catching_up {
                self.now
            } else {
                self.now + 1
            };
            self.owners.forget_before(until);
        }
    }

    /// Another policy comes at `now`: what is due now is over.
    pub(crate) fn forget_owners_due(&mut self) {
        self.owners.forget_before(self.now + 1);
    }

    /// The agent remembered for a ticket's customer, where its class wants that.
    pub(crate) fn owner_of(&mut self, key: u32) -> Option<AgentRef> {
        let ticket = &self.tickets[key];
        let affinity = self.classes[ticket.class].affinity.as_ref()?;
        if affinity.owner_keep == 0 || ticket.content.customer().is_empty() {
            return None;
        }
        self.forget_owners();
        let customer = self.tickets[key].content.customer();
        self.owners.by_customer.get(customer).map(|owner| owner.agent)
    }

    /// A ticket is assigned: whoever is the customer's first is remembered, and renewed.
    pub(crate) fn remember_owner(&mut self, key: u32, slot: u32) {
        let ticket = &self.tickets[key];
        let keep = self.classes[ticket.class]
            .affinity
            .as_ref()
            .map_or(0, |affinity| affinity.owner_keep);
        if keep == 0 || ticket.content.customer().is_empty() {
            return;
        }
        self.forget_owners();
        let agent = AgentRef {
            slot,
            number: self.agents[slot].number,
        };
        let customer = self.tickets[key].content.customer();
        if self
            .owners
            .by_customer
            .get(customer)
            .is_some_and(|owner| owner.agent != agent)
        {
            return;
        }
        let due = round_up(self.now + keep * 1000);
        self.owners.set(customer, agent, due);
        self.timers.due_at(due / 1000);
        let most = self.policy.as_ref().map_or(0, |policy| policy.spec.limits.owner_max);
        self.owners
            .shrink(if most == 0 { limits::OWNERS_DEFAULT } else { most } as usize);
    }
}
