//! A canary: a candidate that part of the tickets is classified by, beside the policy, on the same agents.
//!
//! Which part goes by a hash of the customer, else of the ticket: stable, so that a customer stays on one side. Classes of
//! both live side by side, each under its own version; whatever is installed ends a canary. Both sides are counted from
//! its beginning, by the classes of their tickets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::{Answer, TicketState};
use crate::event::ClassCause;
use crate::limits::CANARY_SHARE_MILLI_MAX;
use crate::policy::PolicySpec;
use crate::tables::Tables;
use crate::{Code, Engine, Micros, Rejection};

/// What came of one side's tickets since the canary began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Tally {
    pub arrived: u64,
    pub answered: u64,
    pub met: u64,
    pub abandoned: u64,
    pub short_abandoned: u64,
    pub overflowed: u64,
    pub wait_total: i64,
}

/// What a canary is told at its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CanaryTerms {
    /// The candidate's share of the tickets, thousandths.
    pub share_milli: u32,
    /// For whoever watches it: how far its service level may fall behind, thousandths; how sure to be; from how many
    /// tickets on. Nothing here is decided by them.
    pub margin_milli: u32,
    pub error_milli: u32,
    pub tickets_min: u32,
}

/// A canary that is on, for readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CanaryView {
    pub version: u64,
    pub terms: CanaryTerms,
    pub since: Micros,
    /// The policy's side, and the candidate's.
    pub stable: Tally,
    pub canary: Tally,
}

/// For a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CanaryImage {
    policy: PolicySpec,
    terms: CanaryTerms,
    since: Micros,
    tallies: [Tally; 2],
}

#[derive(Debug)]
pub(crate) struct Canary {
    pub(crate) tables: Arc<Tables>,
    terms: CanaryTerms,
    since: Micros,
    /// The policy's, the candidate's.
    tallies: [Tally; 2],
}

impl Canary {
    pub(crate) fn image(&self) -> CanaryImage {
        CanaryImage {
            policy: PolicySpec::clone(&self.tables.spec),
            terms: self.terms,
            since: self.since,
            tallies: self.tallies,
        }
    }
}

/// Where a customer, or a ticket without one, falls: 0..1000, the same on every machine.
fn bucket(customer: &str, ticket: &str) -> u64 {
    let name = if customer.is_empty() { ticket } else { customer };
    xxhash_rust::xxh3::xxh3_64(name.as_bytes()) % 1000
}

impl Engine {
    /// The tables that a ticket is classified by, and whether they are the candidate's.
    #[inline]
    pub(crate) fn tables_for(&self, customer: &str, ticket: &str) -> Result<(&Arc<Tables>, bool), Rejection> {
        let current = self.current()?;
        Ok(match &self.canary {
            Some(canary) if bucket(customer, ticket) < u64::from(canary.terms.share_milli) => (&canary.tables, true),
            _ => (current, false),
        })
    }

    /// The same for one that is known.
    pub(crate) fn tables_of(&self, key: u32) -> Result<Arc<Tables>, Rejection> {
        let ticket = &self.tickets[key];
        let found = self.tables_for(ticket.content.customer(), &ticket.id)?;
        Ok(Arc::clone(found.0))
    }

    /// The candidate's tables, if a class is of it.
    pub(crate) fn canary_of(&self, class: u32) -> Option<Arc<Tables>> {
        let tables = &self.canary.as_ref()?.tables;
        (self.classes[class].key.policy == tables.spec.version).then(|| Arc::clone(tables))
    }

    /// The command: a candidate for part of what comes from now on. Whoever waits stays as they are.
    pub(crate) fn start_canary(&mut self, spec: &Arc<PolicySpec>, terms: CanaryTerms) -> Result<Answer, Rejection> {
        let current = Arc::clone(self.current()?);
        let no = |what: &'static str| Rejection::about(Code::PolicyInvalid, "canary", what);
        if spec.version == current.spec.version {
            return Err(no("it is the policy that is installed: give another one"));
        }
        if self.canary.is_some() {
            let message = "a canary is on already: stop it, or install a policy, first";
            return Err(Rejection::about(Code::Conflict, "canary", message));
        }
        if !(1..=CANARY_SHARE_MILLI_MAX).contains(&terms.share_milli) {
            let message = format!("1 to {CANARY_SHARE_MILLI_MAX} thousandths of the tickets may be a canary's");
            return Err(Rejection::about(Code::OutOfRange, "share_milli", message));
        }
        if spec.channels != current.spec.channels {
            return Err(no(
                "its channels, costs or limits are not those of the policy: agents have them from one alone",
            ));
        }
        self.check_names(&[spec])?;
        let tables = Arc::new(Tables::new(Arc::clone(spec))?);
        self.set_canary(tables, terms, self.now, [Tally::default(); 2]);
        Ok(Answer::default())
    }

    fn set_canary(&mut self, tables: Arc<Tables>, terms: CanaryTerms, since: Micros, tallies: [Tally; 2]) {
        self.meet_clocks(&tables);
        self.forget_values();
        self.canary = Some(Canary {
            tables,
            terms,
            since,
            tallies,
        });
        self.caps_follow();
    }

    pub(crate) fn load_canary(&mut self, image: CanaryImage) -> Result<(), Rejection> {
        let tables = Arc::new(Tables::new(Arc::new(image.policy))?);
        self.set_canary(tables, image.terms, image.since, image.tallies);
        Ok(())
    }

    /// The command: no more tickets for the candidate. `reclassify`: those that wait go back to the policy, and keep
    /// their seniority; else they keep their class until they leave.
    pub(crate) fn stop_canary(&mut self, reclassify: bool) -> Result<Answer, Rejection> {
        let tables = Arc::clone(self.current()?);
        let Some(canary) = self.canary.take() else {
            return Ok(Answer {
                replayed: true,
                ..Answer::default()
            });
        };
        let version = canary.tables.spec.version;
        let theirs = |key: &u32| {
            let ticket = &self.tickets[*key];
            ticket.state != TicketState::Wrapping && self.classes[ticket.class].key.policy == version
        };
        let mut keys: Vec<u32> = self.tickets.keys().filter(|key| reclassify && theirs(key)).collect();
        keys.sort_unstable_by_key(|&key| self.tickets[key].sequence);
        let mut reclassified = 0;
        for key in keys {
            // One that no longer fits keeps its class.
            if let Ok(class) = self.natural_class(key, &tables, None, true) {
                self.reclassify(key, class, ClassCause::Installed);
                reclassified += 1;
            }
        }
        Ok(Answer {
            reclassified,
            ..Answer::default()
        })
    }

    /// Counts for the side that a class is of.
    #[inline]
    pub(crate) fn tally(&mut self, class: u32, count: impl FnOnce(&mut Tally)) {
        if let Some(canary) = &mut self.canary {
            let version = self.classes[class].key.policy;
            let current = self.policy.as_ref().map(|policy| policy.spec.version);
            if version == canary.tables.spec.version {
                count(&mut canary.tallies[1]);
            } else if Some(version) == current {
                count(&mut canary.tallies[0]);
            }
        }
    }

    /// The canary that is on.
    pub fn canary(&self) -> Option<CanaryView> {
        self.canary.as_ref().map(|canary| CanaryView {
            version: canary.tables.spec.version,
            terms: canary.terms,
            since: canary.since,
            stable: canary.tallies[0],
            canary: canary.tallies[1],
        })
    }
}
