//! A journal's files, for the offline commands: read, verified, replayed, repaired, copied. Beside any node.

use std::path::PathBuf;
use std::sync::Arc;

use csroute_journal::backup::{How, backup};
use csroute_journal::{
    Disk, Error, Folder, OsDisk, Reader, Start, list_segments, repair, snapshot_names, verify_snapshot,
};
use csroute_node::offline::{Heard, Replay as Inner};
use csroute_node::record::Record;
use csroute_wire::encode_event;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::rejected::raise;

/// Name, first block, semantics, time, bytes.
type SegmentParts = (String, u64, u32, i64, u64);
/// Name, block, semantics, time, bytes, what is wrong.
type SnapshotParts = (String, u64, u32, i64, u64, String);
/// Kind, tenant, caller, time, method, value, request.
type Parts<'py> = (&'static str, String, String, i64, u16, i64, Bound<'py, PyBytes>);
/// Number, segment, offset, bytes, semantics, time, synced, events hash, records.
type BlockParts<'py> = (u64, u64, u64, u64, u32, i64, u64, u64, Vec<Parts<'py>>);
/// Block, tenant, kind, caller, method, event.
type Told<'py> = (u64, String, &'static str, String, u16, Bound<'py, PyBytes>);
/// Blocks, records, events, whether it ended, what was heard.
type StepParts<'py> = (u64, u64, u64, bool, Vec<Told<'py>>);
/// Damage, the last block, files kept, bytes lost.
type RepairParts = (Vec<String>, Option<u64>, Vec<String>, u64);
/// Last block, its time, files, bytes, damaged snapshots.
type CopyParts = (u64, i64, Vec<String>, u64, Vec<String>);

fn failed(error: impl ToString) -> PyErr {
    PyOSError::new_err(error.to_string())
}

fn existing(folder: PathBuf) -> PyResult<Arc<dyn Disk>> {
    Ok(Arc::new(OsDisk::existing(folder).map_err(failed)?))
}

/// See the stub.
#[pyfunction]
pub fn journal_segments(data_dir: PathBuf) -> PyResult<Vec<SegmentParts>> {
    let found = list_segments(existing(data_dir)?.as_ref()).map_err(failed)?;
    Ok(found
        .into_iter()
        .map(|one| (one.name, one.first, one.semantics, one.time_us, one.bytes))
        .collect())
}

/// See the stub.
#[pyfunction]
pub fn journal_snapshots(py: Python<'_>, data_dir: PathBuf) -> PyResult<Vec<SnapshotParts>> {
    let disk = existing(data_dir)?;
    let verified = |name: String| match verify_snapshot(disk.as_ref(), &name) {
        Ok(one) => Ok((
            one.name,
            one.position.block,
            one.semantics,
            one.time_us,
            one.bytes,
            String::new(),
        )),
        Err(error @ (Error::Damaged { .. } | Error::Format { .. })) => Ok((name, 0, 0, 0, 0, error.to_string())),
        Err(error) => Err(error),
    };
    py.detach(|| {
        snapshot_names(disk.as_ref())?
            .into_iter()
            .rev()
            .map(verified)
            .collect::<Result<_, _>>()
    })
    .map_err(failed)
}

/// See the stub.
#[pyfunction]
pub fn journal_repair(py: Python<'_>, data_dir: PathBuf) -> PyResult<RepairParts> {
    let disk = existing(data_dir)?;
    let repaired = py
        .detach(|| Folder::lock(disk).and_then(|folder| repair(&folder)))
        .map_err(failed)?;
    let damage = repaired.damage.iter().map(ToString::to_string).collect();
    Ok((
        damage,
        repaired.ends.map(|end| end.block),
        repaired.kept,
        repaired.lost_bytes,
    ))
}

/// See the stub.
#[pyfunction]
pub fn journal_backup(
    py: Python<'_>,
    data_dir: PathBuf,
    target: PathBuf,
    link: bool,
    until_us: Option<i64>,
) -> PyResult<CopyParts> {
    let from = Arc::new(OsDisk::existing(data_dir).map_err(failed)?);
    let how = if link { How::Link } else { How::Copy };
    let to = Arc::new(OsDisk::open(target).map_err(failed)?);
    let copied = py.detach(|| backup(from, to, how, until_us)).map_err(failed)?;
    Ok((
        copied.position.block,
        copied.time_us,
        copied.files,
        copied.bytes,
        copied.bad,
    ))
}

/// See the stub.
#[pyclass(module = "csroute._csroute")]
pub struct JournalReader {
    reader: Reader,
}

#[pymethods]
impl JournalReader {
    #[new]
    #[pyo3(signature = (data_dir, *, from_block = 0))]
    fn new(data_dir: PathBuf, from_block: u64) -> PyResult<Self> {
        let start = if from_block == 0 {
            Start::Oldest
        } else {
            Start::At(from_block)
        };
        let reader = Reader::open(existing(data_dir)?, start).map_err(failed)?;
        Ok(Self { reader })
    }

    fn blocks<'py>(&mut self, py: Python<'py>, bytes: u64) -> PyResult<Vec<BlockParts<'py>>> {
        let (mut found, mut read) = (Vec::new(), 0);
        while read < bytes {
            let Some(block) = self.reader.next_block().map_err(failed)? else {
                break;
            };
            read += block.bytes();
            let mut records = Vec::with_capacity(block.records as usize);
            for bytes in block.records() {
                let record = Record::decode(bytes);
                let unknown = ("unknown", "", "", 0, 0, 0, bytes);
                let (kind, tenant, caller, now, method, value, request) = record.as_ref().map_or(unknown, parts);
                let request = PyBytes::new(py, request);
                records.push((kind, tenant.to_owned(), caller.to_owned(), now, method, value, request));
            }
            found.push((
                block.position.block,
                block.segment,
                block.offset,
                block.bytes(),
                block.semantics,
                block.time_us,
                block.synced,
                block.events_hash,
                records,
            ));
        }
        Ok(found)
    }

    fn count(&mut self, py: Python<'_>, bytes: u64) -> PyResult<(u64, u64, u64)> {
        let reader = &mut self.reader;
        py.detach(|| {
            let mut counts = (0, 0, 0);
            while counts.2 < bytes {
                let Some(block) = reader.next_block()? else { break };
                counts.0 += 1;
                counts.1 += u64::from(block.records);
                counts.2 += block.bytes();
            }
            Ok::<_, Error>(counts)
        })
        .map_err(failed)
    }

    fn position(&self) -> u64 {
        self.reader.position().block
    }

    fn tail(&self) -> String {
        tail(self.reader.tail())
    }

    fn progress(&self) -> PyResult<(u64, u64)> {
        self.reader.progress().map_err(failed)
    }
}

/// (kind, tenant, caller, `now_us`, method, value, request): what a kind does not have is empty or 0.
fn parts<'a>(record: &Record<'a>) -> (&'static str, &'a str, &'a str, i64, u16, i64, &'a [u8]) {
    let (kind, caller, method, value, request): (_, _, _, _, &[u8]) = match *record {
        Record::Write {
            caller,
            method,
            request,
            ..
        } => ("write", caller, method, 0, request),
        Record::Advance { timers_max, .. } => ("advance", "", 0, i64::from(timers_max), b""),
        Record::Resume { grace, .. } => ("resume", "", 0, grace, b""),
        Record::Drain { caller, on, .. } => ("drain", caller, 0, i64::from(on), b""),
        Record::GiveBack { .. } => ("give_back", "", 0, 0, b""),
    };
    (
        kind,
        record.tenant(),
        caller,
        record.now().unwrap_or(0),
        method,
        value,
        request,
    )
}

fn tail(tail: Option<&csroute_journal::Tail>) -> String {
    tail.map_or_else(String::new, |tail| {
        format!(
            "{} ends with {} unfinished bytes, from byte {} on (block {}): {}",
            tail.file, tail.bytes, tail.offset, tail.block, tail.what
        )
    })
}

/// See the stub.
#[pyclass(module = "csroute._csroute")]
pub struct Replay {
    replay: Inner,
}

#[pymethods]
impl Replay {
    #[new]
    #[pyo3(signature = (data_dir, *, since_us = 0))]
    fn new(py: Python<'_>, data_dir: PathBuf, since_us: i64) -> PyResult<Self> {
        let disk = existing(data_dir)?;
        let replay = py.detach(|| Inner::open(disk, since_us)).map_err(failed)?;
        Ok(Self { replay })
    }

    #[pyo3(signature = (bytes, *, until_us = None, events = false, tenant = None, ticket = None))]
    fn step<'py>(
        &mut self,
        py: Python<'py>,
        bytes: u64,
        until_us: Option<i64>,
        events: bool,
        tenant: Option<&str>,
        ticket: Option<&str>,
    ) -> PyResult<StepParts<'py>> {
        let mut heard = Vec::new();
        let hear = |one: Heard<'_>| {
            let wanted = events
                && tenant.is_none_or(|tenant| tenant == one.by.tenant())
                && ticket.is_none_or(|ticket| one.event.ticket == ticket);
            if wanted {
                let mut event = Vec::new();
                encode_event(one.event, 1, &mut event);
                let (kind, tenant, caller, _, method, ..) = parts(one.by);
                heard.push((
                    one.block,
                    tenant.to_owned(),
                    kind,
                    caller.to_owned(),
                    method,
                    PyBytes::new(py, &event),
                ));
            }
        };
        let step = self
            .replay
            .step(bytes, until_us.unwrap_or(i64::MAX), hear)
            .map_err(failed)?;
        Ok((step.blocks, step.records, step.events, step.done, heard))
    }

    fn compared(&self) -> Vec<(String, u64, Vec<String>)> {
        let compared = self.replay.compared().iter().cloned();
        compared.map(|one| (one.snapshot, one.block, one.differences)).collect()
    }

    fn states(&self) -> Vec<(String, u64)> {
        self.replay.states()
    }

    fn began(&self) -> u64 {
        self.replay.began()
    }

    fn block(&self) -> u64 {
        self.replay.block()
    }

    fn damaged(&self) -> Vec<String> {
        self.replay.damaged().to_vec()
    }

    fn tail(&self) -> String {
        tail(self.replay.tail())
    }

    fn progress(&self) -> PyResult<(u64, u64)> {
        self.replay.progress().map_err(failed)
    }

    fn ask<'py>(
        &mut self,
        py: Python<'py>,
        method: u16,
        tenant: &str,
        request: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let reply = self.replay.ask(method, tenant, request);
        reply.map(|bytes| PyBytes::new(py, &bytes)).map_err(|no| raise(py, &no))
    }
}
