//! What goes, and what never does: the newest good snapshots, one old enough for the history, all blocks after it.

mod common;

use common::{OPTIONS, Owner};
use csroute_journal::{
    Disk, Folder, Reader, Retention, SnapshotReader, SnapshotWriter, Start, list_segments, newest_good, prune,
    snapshot_names, verify_snapshot,
};

const MINUTE_US: i64 = 60_000_000;

/// So many minutes pass, each with a block, a segment and a snapshot.
fn minutes(owner: &mut Owner, count: i64, retention: Retention) {
    let now = owner.blocks.len() as i64;
    for minute in now + 1..=now + count {
        owner.write().expect("a sound disk");
        owner.sync().expect("a sound disk");
        let log = owner.log.as_mut().expect("recovered");
        let position = log.position();
        log.rotate(minute * MINUTE_US).expect("a sound disk");
        let snapshot = SnapshotWriter::create(owner.shared(), position, OPTIONS.semantics, minute * MINUTE_US);
        snapshot.and_then(SnapshotWriter::finish).expect("a sound disk");
        prune(&owner.disk, retention, minute * MINUTE_US).expect("a sound disk");
    }
}

fn times(owner: &Owner) -> Vec<i64> {
    let names = snapshot_names(&owner.disk).expect("a sound disk").into_iter().rev();
    let minute = |name: String| verify_snapshot(&owner.disk, &name).expect("it is whole").time_us / MINUTE_US;
    names.map(minute).collect()
}

fn started() -> Owner {
    let mut owner = Owner::new(1);
    owner.recover().expect("an empty folder");
    owner
}

#[test]
fn without_a_history_the_newest_stay() {
    let mut owner = started();
    let retention = Retention {
        snapshots: 3,
        history_ms: None,
    };
    minutes(&mut owner, 20, retention);
    assert_eq!(times(&owner), [18, 19, 20]);
    // From the oldest snapshot on every block is there, and none before.
    let segments = list_segments(&owner.disk).expect("a sound disk");
    assert_eq!(segments[0].first, 19);
    let (newest, bad) = newest_good(&owner.disk).expect("a sound disk");
    assert!(bad.is_empty() && newest.is_some_and(|newest| newest.position.block == 20));
}

#[test]
fn a_history_is_kept_with_few_snapshots() {
    let mut owner = started();
    let retention = Retention {
        snapshots: 2,
        history_ms: Some(80 * 60_000),
    };
    for more in [100, 57, 1, 1, 1, 200] {
        minutes(&mut owner, more, retention);
        let (now, times) = (owner.blocks.len() as i64, times(&owner));
        assert!(times[0] <= now - 80, "one to begin the history with: {times:?}");
        assert!(times[0] > now - 80 - 2 * 10, "and not much older: {times:?}");
        assert!(times.ends_with(&[now - 1, now]), "{times:?}");
        assert!(times.len() <= 2 + 10, "{times:?}");
        let segments = list_segments(&owner.disk).expect("a sound disk");
        assert_eq!(segments[0].first as i64, times[0] + 1, "all blocks since, and no more");
    }
}

#[test]
fn a_damaged_snapshot_covers_nothing() {
    let mut owner = started();
    let keep_all = Retention {
        snapshots: 100,
        history_ms: None,
    };
    minutes(&mut owner, 6, keep_all);
    let names = snapshot_names(&owner.disk).expect("a sound disk");
    for name in &names[..5] {
        owner.disk.flip(name, 100, 3);
    }
    let keep_one = Retention {
        snapshots: 1,
        history_ms: None,
    };
    prune(&owner.disk, keep_one, 7 * MINUTE_US).expect("a sound disk");
    // Only the oldest is good: everything after it stays.
    assert_eq!(snapshot_names(&owner.disk).expect("a sound disk"), names);
    assert_eq!(list_segments(&owner.disk).expect("a sound disk")[0].first, 2);
    owner.log = None;
    let folder = Folder::lock(owner.shared()).expect("nobody has it");
    let (good, bad) = newest_good(folder.disk().as_ref()).expect("a sound disk");
    let good = good.expect("the oldest");
    assert_eq!((good.position.block, bad.len()), (1, 5));
    let (_, recovered) = folder
        .recover(OPTIONS, Some(good.position))
        .and_then(csroute_journal::Recovery::finish)
        .expect("it starts");
    assert_eq!(recovered.blocks, 5);
}

#[test]
fn parts_of_any_size_come_back() {
    let owner = started();
    let position = owner.log.as_ref().expect("recovered").position();
    let mut snapshot = SnapshotWriter::create(owner.shared(), position, 1, 0).expect("a sound disk");
    let sizes = [0, 1, 262_143, 262_144, 262_145, 1_000_000, 0];
    for (at, &size) in sizes.iter().enumerate() {
        snapshot.part(&format!("part {at}")).expect("a sound disk");
        for piece in owner_bytes(at, size).chunks(70_001) {
            snapshot.write(piece).expect("a sound disk");
        }
    }
    let made = snapshot.finish().expect("a sound disk");
    let mut reader = SnapshotReader::open(&owner.disk, &made.name).expect("a sound disk");
    for (at, &size) in sizes.iter().enumerate() {
        assert_eq!(reader.next_part().expect("it is whole"), Some(format!("part {at}")));
        assert!(reader.read_part().expect("it is whole") == owner_bytes(at, size));
    }
    assert_eq!(reader.next_part().expect("it is whole"), None);
    // Parts may be skipped, too.
    let mut reader = SnapshotReader::open(&owner.disk, &made.name).expect("a sound disk");
    let names = std::iter::from_fn(|| reader.next_part().expect("it is whole"));
    assert_eq!(names.count(), sizes.len());
    assert!(
        owner
            .disk
            .list()
            .expect("a sound disk")
            .iter()
            .all(|name| !name.ends_with(".partial"))
    );
    drop(Reader::open(owner.shared(), Start::Beginning).expect("a sound disk"));
}

fn owner_bytes(seed: usize, size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + seed) as u8).collect()
}
