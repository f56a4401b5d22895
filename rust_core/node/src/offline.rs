//! Replay beside the node: what a journal decided, from its files alone, with every event for whoever asks.
//!
//! It begins at the oldest place from which all can be replayed, or at the newest snapshot not after a time; it compares
//! the hash of the events at every block, and the state at every snapshot it passes. No lock is needed, nothing is changed.
//!
//! ```no_run
//! use std::sync::Arc;
//! use csroute_journal::OsDisk;
//! use csroute_node::offline::Replay;
//!
//! let mut replay = Replay::open(Arc::new(OsDisk::existing("data")?), 0)?;
//! while !replay.step(1 << 20, i64::MAX, |heard| println!("{} {:?}", heard.block, heard.event.kind))?.done {}
//! assert!(replay.compared().iter().all(|compared| compared.differences.is_empty()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use csroute_engine::{Event, Micros, SEMANTICS};
use csroute_journal as journal;
use csroute_journal::{Disk, Reader, SnapshotReader, Start};

use crate::core::{Call, Limits, NodeCore, Reply};
use crate::image;
use crate::record::Record;
use crate::recovery::agrees;
use crate::trouble::Trouble;

/// Events that one record may raise; they are looked at, and gone, before the next record.
const RECORD_EVENTS_MAX: usize = 1 << 24;

/// An event, and what raised it.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// The block of the record.
    pub block: u64,
    /// The record that raised it.
    pub by: &'a Record<'a>,
    /// What happened.
    pub event: &'a Event,
}

/// What a step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Blocks replayed.
    pub blocks: u64,
    /// Their records.
    pub records: u64,
    /// Events that they raised.
    pub events: u64,
    /// Nothing is left.
    pub done: bool,
}

/// A state compared with that of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The snapshot's file.
    pub snapshot: String,
    /// Its block.
    pub block: u64,
    /// What is not the same; empty: nothing.
    pub differences: Vec<String>,
}

/// A replay under way.
pub struct Replay {
    disk: Arc<dyn Disk>,
    core: NodeCore,
    reader: Reader,
    /// Snapshots not reached yet, by block.
    ahead: VecDeque<(u64, String)>,
    compared: Vec<Compared>,
    began: u64,
    damaged: Vec<String>,
}

impl Replay {
    /// At the newest snapshot not after `since` (Unix µs); 0, or where there is none: at the oldest place that there is.
    pub fn open(disk: Arc<dyn Disk>, since: Micros) -> Result<Self, Trouble> {
        let mut core = empty();
        let (mut good, mut damaged) = (Vec::new(), Vec::new());
        for name in journal::snapshot_names(disk.as_ref())?.into_iter().rev() {
            match journal::verify_snapshot(disk.as_ref(), &name) {
                Ok(snapshot) => good.push(snapshot),
                Err(error @ journal::Error::Damaged { .. }) => damaged.push(error.to_string()),
                Err(error) => return Err(error.into()),
            }
        }
        let first = replayable(disk.as_ref())?;
        // From the very first block, or from a snapshot that the blocks go on from.
        let from_first = first == Some(1);
        let mut usable = good
            .iter()
            .filter(|one| first.is_none_or(|first| one.position.block + 1 >= first));
        let begin = match usable.clone().rfind(|one| since > 0 && one.time_us <= since) {
            None if !from_first => usable.next(),
            found => found,
        };
        let start = match begin {
            Some(snapshot) => {
                image::load(&mut core, &mut SnapshotReader::open(disk.as_ref(), &snapshot.name)?)?;
                Start::After(snapshot.position)
            }
            None => Start::Beginning,
        };
        let began = begin.map_or(0, |snapshot| snapshot.position.block);
        let later = good.iter().filter(|one| one.position.block > began);
        Ok(Self {
            reader: Reader::open(disk.clone(), start)?,
            ahead: later.map(|one| (one.position.block, one.name.clone())).collect(),
            disk,
            core,
            compared: Vec::new(),
            began,
            damaged,
        })
    }

    /// Replays blocks until so many bytes were read, or the journal or its blocks until a time (Unix µs) end. `hear` is
    /// called with every event.
    pub fn step(&mut self, bytes: u64, until: Micros, mut hear: impl FnMut(Heard<'_>)) -> Result<Step, Trouble> {
        let (mut step, mut read) = (Step::default(), 0);
        let folder = self.disk.folder();
        while read < bytes {
            let Some(block) = self.reader.next_block()?.filter(|block| block.time_us <= until) else {
                step.done = true;
                break;
            };
            read += block.bytes();
            let number = block.position.block;
            agrees(&self.core, block.position, block.events_hash, &folder)?;
            for (at, bytes) in block.records().enumerate() {
                let wrong = |what: String| Trouble::record(&folder, number, at, what);
                let record = Record::decode(bytes).map_err(|error| wrong(error.to_string()))?;
                self.core.replay(&record).map_err(|no| wrong(no.to_string()))?;
                if let Some(tenant) = self.core.tenants.known(record.tenant()) {
                    for event in tenant.feed.take() {
                        step.events += 1;
                        hear(Heard {
                            block: number,
                            by: &record,
                            event: &event,
                        });
                    }
                }
            }
            step.blocks += 1;
            step.records += u64::from(block.records);
            while let Some((_, name)) = self.ahead.pop_front_if(|(block, _)| *block <= number) {
                let compared = self.compare(number, name)?;
                self.compared.push(compared);
            }
        }
        Ok(step)
    }

    /// This state beside a snapshot's.
    fn compare(&self, block: u64, snapshot: String) -> Result<Compared, Trouble> {
        let mut core = empty();
        let written = image::load(&mut core, &mut SnapshotReader::open(self.disk.as_ref(), &snapshot)?)?;
        let mut differences = Vec::new();
        let mut differ = |what: String, ours: u64, theirs: u64| {
            if ours != theirs {
                differences.push(format!("{what}: replayed {ours:016x}, the snapshot's {theirs:016x}"));
            }
        };
        differ("hash of all events".to_owned(), self.core.log.hash(), core.log.hash());
        for (name, state) in &written {
            let ours = self
                .core
                .states()
                .find(|(ours, _)| *ours == name)
                .map(|(_, tenant)| tenant);
            let theirs = core.states().find(|(ours, _)| *ours == name).map(|(_, tenant)| tenant);
            let hash = |tenant: &crate::tenant::Tenant| tenant.engine().state_hash();
            differ(format!("tenant {name}, state"), ours.map_or(0, hash), *state);
            differ(
                format!("tenant {name}, state as it comes back"),
                theirs.map_or(0, hash),
                *state,
            );
        }
        let (ours, theirs) = (self.core.states().count(), written.len());
        differ("number of tenants".to_owned(), ours as u64, theirs as u64);
        Ok(Compared {
            snapshot,
            block,
            differences,
        })
    }

    /// The block of the snapshot that it began with; 0: it began with the first block.
    pub fn began(&self) -> u64 {
        self.began
    }

    /// The last block replayed.
    pub fn block(&self) -> u64 {
        self.reader.position().block
    }

    /// The snapshots passed so far.
    pub fn compared(&self) -> &[Compared] {
        &self.compared
    }

    /// Snapshots that are damaged, and why.
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// What stands unfinished at the journal's end, once that was reached.
    pub fn tail(&self) -> Option<&journal::Tail> {
        self.reader.tail()
    }

    /// Bytes of segments read, and those there are.
    pub fn progress(&self) -> Result<(u64, u64), Trouble> {
        Ok(self.reader.progress()?)
    }

    /// The tenants' names, and the hashes of their states.
    pub fn states(&self) -> Vec<(String, u64)> {
        let states = self.core.states();
        states
            .map(|(name, tenant)| (name.to_string(), tenant.engine().state_hash()))
            .collect()
    }

    /// Answers a read as the node would have answered it then.
    pub fn ask(&mut self, method: u16, tenant: &str, request: &[u8]) -> Reply {
        let now = self
            .core
            .tenants
            .known(tenant)
            .map_or(0, |tenant| tenant.engine().now());
        let call = Call {
            method,
            tenant,
            caller: "",
            request,
        };
        self.core.call(&call, now)
    }
}

fn empty() -> NodeCore {
    NodeCore::new(Limits {
        ring_events_max: RECORD_EVENTS_MAX,
        ..Limits::default()
    })
}

/// The first block from which on all was decided under this version's semantics.
fn replayable(disk: &dyn Disk) -> Result<Option<u64>, Trouble> {
    let segments = journal::list_segments(disk)?;
    let others = segments.iter().rposition(|segment| segment.semantics != SEMANTICS);
    let first = segments.get(others.map_or(0, |at| at + 1)).map(|segment| segment.first);
    match (others, first) {
        (Some(at), None) => Err(journal::Error::Semantics {
            file: segments[at].name.clone(),
            found: segments[at].semantics,
            ours: SEMANTICS,
        }
        .into()),
        _ => Ok(first),
    }
}
