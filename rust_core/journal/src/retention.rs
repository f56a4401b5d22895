//! What may go: snapshots past their number, and the segments that a verified snapshot covers.
//!
//! A journal can be replayed from any snapshot it keeps, or from its first block. So what goes is always all that is
//! older than one verified snapshot: the anchor. Within the history a few snapshots stay, to begin near a time.

use crate::disk::{Disk, in_folder};
use crate::error::{Error, Result};
use crate::format::{segment_name, snapshot_number};
use crate::segment::segments;
use crate::snapshot::{Snapshot, snapshot_names, verify_snapshot};

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Good snapshots, at least 1.
    pub snapshots: usize,
    /// How far back the journal can be replayed from, ms. None: only as far as the snapshots kept.
    pub history_ms: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            snapshots: 3,
            history_ms: None,
        }
    }
}

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names of files.
    pub files: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
}

/// Snapshots kept within the history, besides the newest: to replay from near a time.
const BETWEEN: i64 = 8;

/// Removes what retention does not ask for, oldest first. Call it after a snapshot was written. `now_us`: Unix µs.
pub fn prune(disk: &dyn Disk, retention: Retention, now_us: i64) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    let history_us = retention
        .history_ms
        .map(|ms| i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX));
    let good = good(
        disk,
        retention,
        history_us.map_or(i64::MAX, |history_us| now_us.saturating_sub(history_us)),
    )?;
    let Some(anchor) = good.last() else {
        return Ok(pruned);
    };
    let wanted = anchor.position.block + 1;
    let firsts = segments(disk)?;
    // A segment is covered when the next one begins at or before what is still wanted.
    let covered = firsts
        .iter()
        .zip(firsts.iter().skip(1))
        .filter(|(_, next)| **next <= wanted);
    let old = snapshot_names(disk)?.into_iter().rev();
    let old = old.filter(|name| snapshot_number(name).is_some_and(|block| block < anchor.position.block));
    let close = too_close(&good, retention, history_us.unwrap_or(0) / BETWEEN);
    let names = covered.map(|(&first, _)| segment_name(first)).chain(old).chain(close);
    for name in names.collect::<Vec<String>>() {
        let failed = |source| Error::fatal("removing", &in_folder(disk, &name), source);
        pruned.bytes += disk.open(&name).and_then(|file| file.len()).map_err(failed)?;
        // One by one, durable in this order: a crash in between leaves no gap.
        disk.remove(&name).and_then(|()| disk.sync_folder()).map_err(failed)?;
        pruned.files.push(name);
    }
    Ok(pruned)
}

/// The good snapshots, newest first, down to the anchor: enough of them, and the last is old enough. None without one.
fn good(disk: &dyn Disk, retention: Retention, old_enough_us: i64) -> Result<Vec<Snapshot>> {
    let mut good = Vec::new();
    for name in snapshot_names(disk)? {
        match verify_snapshot(disk, &name) {
            Ok(snapshot) => good.push(snapshot),
            Err(Error::Damaged { .. }) => continue,
            Err(error) => return Err(error),
        }
        let is_old = good.last().is_some_and(|snapshot| snapshot.time_us <= old_enough_us);
        if is_old && good.len() >= retention.snapshots.max(1) {
            return Ok(good);
        }
    }
    Ok(Vec::new())
}

/// Of the snapshots between the anchor and the newest, those that come too soon after the one before.
fn too_close(good: &[Snapshot], retention: Retention, apart_us: i64) -> Vec<String> {
    let mut kept_us = good.last().map_or(0, |anchor| anchor.time_us);
    let mut close = Vec::new();
    for snapshot in good.iter().skip(retention.snapshots.max(1)).rev().skip(1) {
        if snapshot.time_us.saturating_sub(kept_us) < apart_us {
            close.push(snapshot.name.clone());
        } else {
            kept_us = snapshot.time_us;
        }
    }
    close
}
