//! Journals of every version of the semantics, as they were written then (`tests/journals/vN`): this version's own comes to
//! the state and the events of its writer, from its beginning and from its snapshot; an older one's tail is refused.
//!
//! `CSROUTE_WRITE_JOURNAL=1 cargo test -p csroute-node --test journals` writes this version's anew: before a release, and
//! never after one. A change of decision raises `SEMANTICS`, and gets a folder of its own.
#![allow(missing_docs)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::T0;
use common::kept::Folder;
use common::load::Load;
use csroute_engine::SEMANTICS;
use csroute_journal::{BlockBuilder, Error, OsDisk, SnapshotWriter};
use csroute_node::recovery::{Report, options, recover};
use csroute_node::{Call, Limits, NodeCore, Trouble, image};
use serde_json::{Value, json};

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/journals")
}

fn core() -> NodeCore {
    NodeCore::new(Limits::default())
}

fn read(folder: &Path) -> Result<(NodeCore, Report), Trouble> {
    let mut core = core();
    let disk = Arc::new(OsDisk::open(folder).expect("a folder"));
    let (_, report) = recover(
        &mut core,
        csroute_journal::Folder::lock(disk)?,
        options(16 << 10, 0),
        |_| (),
    )?;
    Ok((core, report))
}

/// Hashes as text: JSON's numbers are too short for them.
fn state(core: &NodeCore) -> Value {
    let tenants = core.states().map(|(name, tenant)| {
        let engine = tenant.engine();
        (
            name.to_string(),
            json!([format!("{:016x}", engine.state_hash()), engine.sequence()]),
        )
    });
    json!({"events": format!("{:016x}", core.log.hash()), "tenants": tenants.collect::<serde_json::Map<_, _>>()})
}

/// A day of the random load, in blocks; a snapshot in the middle.
fn write(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
    let disk = Arc::new(OsDisk::open(folder).expect("a folder"));
    let (mut core, mut load, mut now) = (core(), Load::new(1), T0);
    let alone = csroute_journal::Folder::lock(disk.clone()).expect("nobody has it");
    let (mut journal, _) = recover(&mut core, alone, options(16 << 10, 0), |_| ()).expect("an empty folder");
    core.log.keep(true);
    let mut before = core.log.hash();
    for request in 0..600 {
        now += load.rng.below(100_000) as i64;
        if request == 400 {
            core.resume(now, 1000).expect("it goes on");
        }
        let asked = load.next();
        let call = Call {
            method: asked.method.number(),
            tenant: asked.tenant,
            caller: "test",
            request: &asked.request,
        };
        while !core.advance_due(now, 3) {}
        let _ = core.call(&call, now);
        if load.rng.chance(20) {
            let mut block = BlockBuilder::default();
            core.log
                .records()
                .for_each(|record| block.push(&[record]).expect("it fits"));
            journal.write(&mut block.seal(before, now)).expect("it is written");
            core.log.clear();
            before = core.log.hash();
            if request > 300
                && folder
                    .read_dir()
                    .expect("a folder")
                    .all(|entry| !is_snapshot(&entry.expect("an entry").path()))
            {
                journal.sync().expect("it is durable");
                let mut snapshot =
                    SnapshotWriter::create(disk.clone(), journal.position(), SEMANTICS, now).expect("it begins");
                image::save(&core, &mut snapshot).expect("it is written");
                snapshot.finish().expect("it is whole");
            }
        }
    }
    let mut block = BlockBuilder::default();
    core.log
        .records()
        .for_each(|record| block.push(&[record]).expect("it fits"));
    journal.write(&mut block.seal(before, now)).expect("it is written");
    journal.close(core.log.hash(), now).expect("it is closed");
    drop(journal);
    std::fs::remove_file(folder.join("lock")).expect("it was free");
    let text = serde_json::to_string_pretty(&state(&core)).expect("JSON");
    std::fs::write(folder.join("expected.json"), text + "\n").expect("it is written");
}

fn is_snapshot(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "snapshot")
}

/// A copy, since recovering writes.
fn copied(from: &Path, snapshots: bool) -> Folder {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).expect("a folder");
    for entry in from.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        if snapshots || !is_snapshot(&path) {
            std::fs::copy(&path, folder.0.join(path.file_name().expect("a name"))).expect("it is copied");
        }
    }
    folder
}

#[test]
fn journals_of_every_version() {
    if std::env::var_os("CSROUTE_WRITE_JOURNAL").is_some() {
        write(&kept().join(format!("v{SEMANTICS}")));
    }
    for version in 1..=SEMANTICS {
        let folder = kept().join(format!("v{version}"));
        if version == SEMANTICS {
            let text = std::fs::read(folder.join("expected.json")).expect("what it comes to");
            let expected: Value = serde_json::from_slice(&text).expect("JSON");
            let (whole, report) = read(&copied(&folder, false).0).unwrap_or_else(|trouble| panic!("{trouble}"));
            assert_eq!(state(&whole), expected, "from the beginning");
            assert_eq!((report.snapshot, report.cut), (0, None));
            assert!(report.progress.records > 400);
            let (rest, report) = read(&copied(&folder, true).0).unwrap_or_else(|trouble| panic!("{trouble}"));
            assert_eq!(state(&rest), expected, "from the snapshot");
            assert!(report.snapshot > 0 && report.progress.records > 100);
        } else {
            let refused = read(&copied(&folder, false).0).err();
            assert!(
                matches!(refused, Some(Trouble::Journal(Error::Semantics { .. }))),
                "{refused:?}"
            );
        }
    }
}

/// A journal whose rules are not this version's: refused, with what to do; but from a snapshot with nothing after it, it goes on.
#[test]
fn another_version_is_refused_and_a_drained_one_is_taken_over() {
    let folder = copied(&kept().join(format!("v{SEMANTICS}")), false);
    let other = csroute_journal::Options {
        semantics: SEMANTICS + 1,
        ..options(16 << 10, 0)
    };
    let disk = || Arc::new(OsDisk::open(&folder.0).expect("a folder"));
    let alone = || csroute_journal::Folder::lock(disk()).expect("nobody has it");
    let mut later = core();
    let refused = recover(&mut later, alone(), other, |_| ())
        .err()
        .expect("it is refused")
        .to_string();
    assert!(
        refused.contains("was written under semantics") && refused.contains("drain it"),
        "{refused}"
    );

    // Its writer drains, and leaves a snapshot of all there is.
    let mut writer = core();
    let (journal, _) = recover(&mut writer, alone(), options(16 << 10, 0), |_| ()).expect("its own version");
    let mut snapshot = SnapshotWriter::create(disk(), journal.position(), SEMANTICS, T0).expect("it begins");
    image::save(&writer, &mut snapshot).expect("it is written");
    snapshot.finish().expect("it is whole");
    drop(journal);
    let mut later = core();
    let (_, report) = recover(&mut later, alone(), other, |_| ()).expect("it is taken over");
    assert_eq!(report.progress.records, 0);
    assert_eq!(state(&later), state(&writer));
}
