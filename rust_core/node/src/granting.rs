//! The node's side of policies: looks, previews, and what installs: one command, journaled with the node's own bound in it.

use std::sync::Arc;
use std::time::Instant;

use csroute_engine::{Code, Command, Engine, Micros, Rejection};
use csroute_journal::Space;
use csroute_wire::pb::csroute::v1 as pb;
use csroute_wire::{Method, Policies, Wish};
use prost::Message as _;

use crate::core::{Call, NodeCore, Outcome, disk_full};
use crate::policies::{Grant, Granted};
use crate::record::{Record, bytes, put_bytes};
use crate::tenant::Tenant;
use crate::versions::Versions;

/// A slice of an install that classifies tickets again: so long, in so few or many tickets.
const SLICE_US: u64 = 4000;
const SLICE_MIN: u32 = 128;
const SLICE_MAX: u32 = 16_384;
/// Tickets that are classified again in the install's own command.
const FIRST_SLICE: u32 = 512;
/// Who asks for the slices.
const CALLER: &str = "csroute";

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

    /// An install that classifies tickets again goes on, a few ms of it for each tenant. True if there is more.
    pub fn sweep(&mut self, now: Micros) -> bool {
        let mut more = false;
        if self.space == Space::Full {
            return false;
        }
        for (name, tenant) in self.tenants.all_mut() {
            if tenant.engine.sweep_left() == 0 {
                continue;
            }
            let tickets_max = tenant.slice.max(SLICE_MIN);
            let started = Instant::now();
            if tenant.sweep(tickets_max, now).is_err() {
                continue; // the time went back: next time
            }
            let took_us = started.elapsed().as_micros().max(1) as u64;
            let fits = u64::from(tickets_max) * SLICE_US / took_us;
            tenant.slice = fits.clamp(SLICE_MIN.into(), SLICE_MAX.into()) as u32;
            let record = Record::Write {
                tenant: name,
                now,
                caller: CALLER,
                method: Method::Reclassify.number(),
                request: &pb::ReclassifyRequest { tickets_max }.encode_to_vec(),
            };
            self.log.note(&record, tenant.engine.events_hash());
            more |= tenant.engine.sweep_left() > 0;
        }
        more
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
        let Granted {
            plan,
            mut spec,
            mut reply,
        } = granted;
        let reclassify = plan.version.reclassify;
        spec.slice = FIRST_SLICE;
        self.begin(now)?;
        self.versions.stage(plan);
        let done = self.one(&Command::InstallPolicy {
            policy: Arc::new(spec),
            reclassify,
        });
        self.versions.unstage();
        done?;
        reply.left = self.engine.sweep_left();
        reply.version = self.versions.current().map(|current| current.told.clone());
        reply.sequence = self.engine.sequence();
        Ok(reply.encode_to_vec())
    }

    /// So many more tickets are classified again.
    pub(crate) fn sweep(&mut self, tickets_max: u32, now: Micros) -> Result<(), Rejection> {
        self.begin(now)?;
        let answer = self.one(&Command::Reclassify { tickets_max })?;
        self.versions.moved(answer.reclassified);
        Ok(())
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
