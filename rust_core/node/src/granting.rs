//! The node's side of policies: looks, previews, and what installs: one command, journaled with the node's own bound in it.

use csroute_engine::{Code, Command, Engine, Micros, Rejection};
use csroute_journal::Space;
use csroute_wire::{Policies, Wish};
use prost::Message as _;

use crate::core::{Call, NodeCore, Outcome, disk_full};
use crate::policies::{Grant, Granted};
use crate::record::{Record, bytes, put_bytes};
use crate::tenant::Tenant;
use crate::versions::Versions;

impl NodeCore {
    pub(crate) fn policies(&mut self, call: &Call<'_>, asked: Policies, now: Micros) -> Result<Outcome, Rejection> {
        let (kept, full) = (self.limits.versions_kept, self.space == Space::Full);
        let tenant = self.at(call.tenant, now)?;
        let wish = match asked {
            Policies::Look(look) => return tenant.versions.look(&look).map(Outcome::done),
            Policies::Wish(wish) => wish.kept(kept),
        };
        let granted = match tenant.versions.grant(&wish, call.caller, now)? {
            Grant::Replayed(mut reply) => {
                reply.sequence = tenant.engine.sequence();
                return Ok(Outcome::done(reply.encode_to_vec()));
            }
            Grant::New(granted) => *granted,
        };
        if wish.terms().dry_run {
            return granted.preview().map(Outcome::Reading);
        }
        if full {
            return Err(disk_full());
        }
        let reply = tenant.granted(granted, now)?;
        let events_hash = tenant.engine.events_hash();
        let record = Record::Write {
            tenant: call.tenant,
            now,
            caller: call.caller,
            method: call.method,
            request: &wish.encode(),
        };
        self.log.note(&record, events_hash);
        Ok(Outcome::done(reply))
    }
}

impl Tenant {
    /// A program installs tables as they are: its request, kept as a version if the engine takes it.
    pub(crate) fn installs(&mut self, request: &[u8], caller: &str, now: Micros) -> Result<(), Rejection> {
        self.begin(now)?;
        if let Some(plan) = self.versions.plain(request, caller, now) {
            self.versions.stage(plan);
        }
        Ok(())
    }

    /// The tenant's state as bytes: the engine's, and the versions of its policies.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, &self.versions.save());
        bytes.extend_from_slice(&self.engine.snapshot());
        bytes
    }

    /// The tenant whose `snapshot` these bytes are; nobody watches it.
    pub fn restore(snapshot: &[u8], ring_events_max: usize) -> Result<Self, Rejection> {
        let damaged =
            |what: &dyn std::fmt::Display| Rejection::new(Code::Malformed, format!("the snapshot is damaged: {what}"));
        let mut from = snapshot;
        let versions = bytes(&mut from).map_err(|wrong| damaged(&wrong))?;
        let mut tenant = Self::new(Engine::restore(from)?, ring_events_max);
        tenant.versions = Versions::load(versions).map_err(|wrong| damaged(&wrong))?;
        Ok(tenant)
    }

    /// Does what was granted.
    fn granted(&mut self, granted: Granted, now: Micros) -> Result<Vec<u8>, Rejection> {
        let Granted { plan, spec, mut reply } = granted;
        let reclassify = plan.version.reclassify;
        self.begin(now)?;
        self.versions.stage(plan);
        let done = self.one(&Command::InstallPolicy {
            policy: spec,
            reclassify,
        });
        self.versions.unstage();
        done?;
        reply.version = self.versions.current().map(|current| current.told.clone());
        reply.sequence = self.engine.sequence();
        Ok(reply.encode_to_vec())
    }

    /// A wish that was granted once, again.
    pub(crate) fn regrant(&mut self, wish: &Wish, caller: &str, now: Micros) -> Result<(), Rejection> {
        self.begin(now)?;
        match self.versions.grant(wish, caller, now)? {
            Grant::Replayed(_) => Ok(()),
            Grant::New(granted) => self.granted(*granted, now).map(|_| ()),
        }
    }
}
