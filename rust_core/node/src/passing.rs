//! Time that passes: timers that fire though nobody asked, or because somebody read; the return after a stop. Each is
//! noted for the journal, as it was cut up.
//!
//! ```
//! use csroute_node::{Limits, NodeCore};
//! let mut core = NodeCore::new(Limits::default());
//! assert!(core.advance_due(1_700_000_000_000_000, 1024)); // nothing is left that is due
//! ```

use csroute_engine::{Micros, Millis, Rejection};

use crate::core::NodeCore;
use crate::log::Log;
use crate::record::Record;
use crate::tenant::Tenant;

impl NodeCore {
    /// Fires at most so many timers of each tenant. True when none is left that is due.
    pub fn advance_due(&mut self, now: Micros, timers_max: u32) -> bool {
        let mut done = true;
        self.note_given_back();
        for (name, tenant) in self.tenants.all_mut() {
            if tenant.engine.next_due().is_some_and(|due| due <= now) {
                let advanced = advance(&mut self.log, name, tenant, now, timers_max);
                done &= advanced.unwrap_or(true);
            }
        }
        done
    }

    /// The tenant of this name, at this time: the timers due have fired.
    pub(crate) fn at(&mut self, name: &str, now: Micros) -> Result<&mut Tenant, Rejection> {
        self.note_given_back();
        let tenant = self.tenants.get(name, &self.limits, now)?;
        if now > tenant.engine.now() {
            advance(&mut self.log, name, tenant, now, u32::MAX)?;
        }
        Ok(tenant)
    }

    /// The node came back after a stop: every tenant, by name.
    pub fn resume(&mut self, now: Micros, grace: Millis) -> Result<(), Rejection> {
        let mut names: Vec<_> = self.tenants.all().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        for name in names {
            let tenant = self.tenants.made(&name, self.limits.ring_events_max);
            tenant.resume(now, grace)?;
            let record = Record::Resume {
                tenant: &name,
                now,
                grace,
            };
            self.log.note(&record, tenant.engine.events_hash());
        }
        Ok(())
    }

    /// Notes the tenants that went, before anything of one that comes again under such a name.
    pub(crate) fn note_given_back(&mut self) {
        for tenant in self.tenants.given_back() {
            self.log.note(&Record::GiveBack { tenant: &tenant }, 0);
        }
    }
}

/// Fires timers, and notes it if any was due. True when none is left.
fn advance(log: &mut Log, name: &str, tenant: &mut Tenant, until: Micros, timers_max: u32) -> Result<bool, Rejection> {
    // Without anything due only the time moves on. Forgetting an id fires nothing, and is something.
    let due = tenant.engine.next_due().is_some_and(|due| due <= until);
    let (_, done) = tenant.advance(until, timers_max)?;
    if due {
        let record = Record::Advance {
            tenant: name,
            until,
            timers_max,
        };
        log.note(&record, tenant.engine.events_hash());
    }
    Ok(done)
}
