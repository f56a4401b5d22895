//! What may go: snapshots past their number, and the segments that a verified snapshot covers.
//!
//! A journal can be replayed from any snapshot it keeps, or from its first block. So what goes is always all that is
//! older than one verified snapshot: the anchor.

use crate::disk::{Disk, in_folder};
use crate::error::{Error, Result};
use crate::format::{segment_name, snapshot_number};
use crate::reader::segments;
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

/// Removes what retention does not ask for, oldest first. Call it after a snapshot was written. `now_us`: Unix µs.
pub fn prune(disk: &dyn Disk, retention: Retention, now_us: i64) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    let Some(anchor) = anchor(disk, retention, now_us)? else {
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
    let snapshots = old.filter(|name| snapshot_number(name).is_some_and(|block| block < anchor.position.block));
    let names: Vec<String> = covered
        .map(|(&first, _)| segment_name(first))
        .chain(snapshots)
        .collect();
    for name in names {
        let failed = |source| Error::fatal("removing", &in_folder(disk, &name), source);
        pruned.bytes += disk.open(&name).and_then(|file| file.len()).map_err(failed)?;
        // One by one, durable in this order: a crash in between leaves no gap.
        disk.remove(&name).and_then(|()| disk.sync_folder()).map_err(failed)?;
        pruned.files.push(name);
    }
    Ok(pruned)
}

/// The oldest snapshot that must stay: enough good ones from it on, and it is old enough.
fn anchor(disk: &dyn Disk, retention: Retention, now_us: i64) -> Result<Option<Snapshot>> {
    let old_enough_us = retention.history_ms.map_or(i64::MAX, |ms| {
        now_us.saturating_sub(i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX))
    });
    let mut good = 0;
    for name in snapshot_names(disk)? {
        match verify_snapshot(disk, &name) {
            Ok(snapshot) => {
                good += 1;
                if good >= retention.snapshots.max(1) && snapshot.time_us <= old_enough_us {
                    return Ok(Some(snapshot));
                }
            }
            Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
