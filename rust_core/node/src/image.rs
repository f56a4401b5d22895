//! The node's state in a snapshot, and back.
//!
//! | part | holds |
//! |---|---|
//! | `node` | format (number, 1), hash of all events so far (8 bytes) |
//! | `tenant/NAME`, by name | draining (0 or 1), when last used (number), state hash (8 bytes), then the engine's own snapshot |
//! | `policies/NAME`, right after it, if there are any | versions of its policies, as [`crate::versions`] keeps them: protobuf |
//! | `events/NAME`, after that | the newest events of its ring, at most 16,384, each as [`crate::ring`] keeps it |
//!
//! Numbers as in [`crate::record`]; hashes are little-endian. Watchers, parked calls and counts of rejections are not in
//! it: they decide nothing.
//!
//! ```
//! use std::sync::Arc;
//! use csroute_journal::{OsDisk, Position, SnapshotReader, SnapshotWriter};
//! use csroute_node::{Limits, NodeCore, image};
//!
//! let path = std::env::temp_dir().join(format!("csroute-image-{}", std::process::id()));
//! let disk = Arc::new(OsDisk::open(&path)?);
//! let mut writer = SnapshotWriter::create(disk.clone(), Position::beginning([7; 16]), 1, 0)?;
//! image::save(&NodeCore::new(Limits::default()), &mut writer)?;
//! let snapshot = writer.finish()?;
//! let mut core = NodeCore::new(Limits::default());
//! image::load(&mut core, &mut SnapshotReader::open(disk.as_ref(), &snapshot.name)?)?;
//! std::fs::remove_dir_all(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use csroute_engine::Engine;
use csroute_journal::{SnapshotReader, SnapshotWriter};

use crate::core::NodeCore;
use crate::record::{BadRecord, number, put, take};
use crate::ring::Item;
use crate::tenant::Tenant;
use crate::trouble::Trouble;
use crate::versions::Versions;

const FORMAT: u64 = 1;
const NODE: &str = "node";
const TENANT: &str = "tenant/";
const POLICIES: &str = "policies/";
const EVENTS: &str = "events/";
/// Events of a tenant that a snapshot keeps.
pub(crate) const EVENTS_MAX: usize = 16_384;

/// Writes all parts.
pub fn save(core: &NodeCore, snapshot: &mut SnapshotWriter) -> Result<(), Trouble> {
    snapshot.part(NODE)?;
    let mut head = Vec::new();
    put(&mut head, FORMAT as i64);
    head.extend_from_slice(&core.log.hash().to_le_bytes());
    snapshot.write(&head)?;
    for (name, tenant) in core.states() {
        snapshot.part(&format!("{TENANT}{name}"))?;
        head.clear();
        head.push(tenant.draining.into());
        put(&mut head, tenant.used_at);
        head.extend_from_slice(&tenant.engine().state_hash().to_le_bytes());
        snapshot.write(&head)?;
        snapshot.write(&tenant.engine().snapshot())?;
        if !tenant.versions.is_empty() {
            snapshot.part(&format!("{POLICIES}{name}"))?;
            snapshot.write(&tenant.versions.save())?;
        }
        snapshot.part(&format!("{EVENTS}{name}"))?;
        for event in tenant.feed.newest(EVENTS_MAX) {
            head.clear();
            event.save(&mut head);
            snapshot.write(&head)?;
        }
    }
    Ok(())
}

/// Reads all parts into a core without tenants. The state hashes that the snapshot says its tenants have, by name:
/// comparing costs as much as making a snapshot, so it is for those who have the time.
pub fn load(core: &mut NodeCore, snapshot: &mut SnapshotReader) -> Result<Vec<(String, u64)>, Trouble> {
    let file = snapshot.snapshot().name.clone();
    let bad = |what: String| Trouble::Image {
        file: file.clone(),
        what,
    };
    let mut hashes = Vec::new();
    while let Some(part) = snapshot.next_part()? {
        let bytes = snapshot.read_part()?;
        let mut from = &bytes[..];
        if part == NODE {
            let read = |from: &mut &[u8]| Ok::<_, BadRecord>((number::<u64>(from)?, take::<8>(from)?));
            let (format, hash) = read(&mut from).map_err(|wrong| bad(wrong.to_string()))?;
            if format != FORMAT {
                return Err(bad(format!("its format is {format}, this version reads {FORMAT}")));
            }
            core.log.resume_from(u64::from_le_bytes(hash));
        } else if let Some(name) = part.strip_prefix(TENANT) {
            let read = |from: &mut &[u8]| {
                let (draining, used_at) = (number::<u8>(from)? != 0, number::<i64>(from)?);
                Ok::<_, BadRecord>((draining, used_at, take::<8>(from)?))
            };
            let (draining, used_at, state) = read(&mut from).map_err(|wrong| bad(wrong.to_string()))?;
            let engine = Engine::restore(from).map_err(|no| bad(no.to_string()))?;
            let mut tenant = Tenant::new(engine, core.limits.ring_events_max);
            (tenant.draining, tenant.used_at) = (draining, used_at);
            core.tenants.put(name.into(), tenant);
            hashes.push((name.to_owned(), u64::from_le_bytes(state)));
        } else if let Some(tenant) = part.strip_prefix(POLICIES).and_then(|name| core.tenants.known(name)) {
            tenant.versions = Versions::load(from).map_err(|wrong| bad(format!("its policies: {wrong}")))?;
        } else if let Some(tenant) = part.strip_prefix(EVENTS).and_then(|name| core.tenants.known(name)) {
            let mut events = Vec::new();
            while !from.is_empty() {
                events.push(Item::load(&mut from).map_err(|wrong| bad(wrong.to_string()))?);
            }
            if events
                .last()
                .is_some_and(|event| event.sequence() != tenant.engine.sequence())
            {
                return Err(bad("its events do not end where its tenant does".to_owned()));
            }
            tenant.feed.restore(events);
        } else {
            return Err(bad(format!("it has a part {part:?}, which this version does not know")));
        }
    }
    Ok(hashes)
}
