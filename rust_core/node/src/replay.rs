//! Replay: the node fed with the records of its journal comes to the same state, and raises the same events.

use csroute_engine::{Micros, Rejection};
use csroute_wire::{Method, Policies, Request, decode};

use crate::core::NodeCore;
use crate::record::Record;

impl NodeCore {
    /// Applies a record again. Bounds and refusals of the node are not asked again: what is in the journal passed them.
    pub fn replay(&mut self, record: &Record<'_>) -> Result<(), Rejection> {
        let ring_events_max = self.limits.ring_events_max;
        if let Record::GiveBack { tenant } = *record {
            self.tenants.remove(tenant);
            self.log.note(record, 0);
            return Ok(());
        }
        let tenant = self.tenants.made(record.tenant(), ring_events_max);
        tenant.used_at = tenant.used_at.max(record.now().unwrap_or(0));
        match *record {
            Record::Write {
                now,
                method,
                request,
                caller,
                ..
            } => {
                let method =
                    Method::from_number(method).ok_or_else(|| unreadable("there is no method of this number"))?;
                match decode(method, request)? {
                    Request::Write(write) => {
                        if method == Method::InstallPolicy {
                            tenant.installs(request, caller, now)?;
                        }
                        let replayed = tenant.replay(&write, now);
                        tenant.versions.unstage();
                        replayed?;
                    }
                    Request::Policies(Policies::Wish(wish)) => tenant.regrant(&wish, caller, now)?,
                    _ => return Err(unreadable("its method writes nothing")),
                }
            }
            Record::Advance { until, timers_max, .. } => {
                tenant.advance(until, timers_max)?;
            }
            Record::Resume { now, grace, .. } => tenant.resume(now, grace)?,
            Record::Drain { on, .. } => tenant.draining = on,
            Record::GiveBack { .. } => {}
        }
        let events_hash = tenant.engine.events_hash();
        self.log.note(record, events_hash);
        Ok(())
    }

    /// The newest time that any tenant was told.
    pub fn latest(&self) -> Micros {
        self.tenants
            .all()
            .map(|(_, tenant)| tenant.engine.now())
            .max()
            .unwrap_or(0)
    }

    /// Drops all tenants, and the hash of what they did: to begin again.
    pub fn forget(&mut self) {
        self.tenants.clear();
        self.log.resume_from(0);
    }
}

fn unreadable(message: &'static str) -> Rejection {
    Rejection::about(csroute_engine::Code::Internal, "a record of the journal", message)
}
