//! Damage at rest, by seed: it is found or it is where nothing was promised; nothing wrong is ever served; nothing
//! panics; a repair keeps what it changes and leaves a journal that starts.

mod common;

use std::collections::BTreeMap;

use common::{OPTIONS, Owner, each_seed, state_of};
use csroute_journal::{
    Disk, Error, Faults, Folder, Reader, SnapshotReader, Start, newest_good, repair, snapshot_names, verify_snapshot,
};

/// A journal of some segments and snapshots, ended cleanly.
fn closed(seed: u64) -> Owner {
    let mut owner = Owner::new(seed);
    owner.recover().expect("an empty folder");
    for _ in 0..20 + owner.disk.below(80) {
        owner.act().expect("a sound disk");
    }
    owner.close().expect("a sound disk");
    owner.log = None;
    owner
}

/// Files that count, and their bytes.
fn files(owner: &Owner) -> BTreeMap<String, Vec<u8>> {
    let names = owner.disk.list().expect("a sound disk").into_iter();
    let counts = |name: &String| name.ends_with(".journal") || name.ends_with(".snapshot");
    names
        .filter(counts)
        .map(|name| (name.clone(), owner.disk.bytes(&name)))
        .collect()
}

/// An empty block: it vouches for all before it.
const CLOSING_BYTES: usize = 64;

/// One accident. True if it took away the end, which a torn tail does, too.
fn accident(owner: &Owner) -> bool {
    let files = files(owner);
    let (name, bytes) = files
        .iter()
        .nth(owner.disk.below(files.len() as u64) as usize)
        .expect("a file");
    let at = owner.disk.below(bytes.len() as u64 + 1) as usize;
    match owner.disk.below(7) {
        0..=2 => {
            owner.disk.flip(name, at, owner.disk.below(8) as u8);
            false
        }
        3 => {
            let length = [64, 512, 4096][owner.disk.below(3) as usize];
            owner.disk.damage(name, |bytes| {
                let end = bytes.len().min(at + length);
                bytes[at..end].fill(0);
            });
            at + length + CLOSING_BYTES > bytes.len()
        }
        4 => {
            owner.disk.damage(name, |bytes| bytes.truncate(at));
            true
        }
        5 => {
            let more = owner.disk.random_bytes(owner.disk.below(600) as usize);
            owner.disk.damage(name, |bytes| {
                bytes.splice(at..at, more.iter().copied());
            });
            false
        }
        _ => {
            // A piece is missing, or another stands in its place.
            let length = owner.disk.below(800) as usize;
            let other = owner.disk.below(bytes.len() as u64 + 1) as usize;
            let piece = bytes[other..bytes.len().min(other + length)].to_vec();
            owner.disk.damage(name, |bytes| {
                let end = bytes.len().min(at + length);
                bytes.splice(at..end, piece.iter().copied());
            });
            at + length + CLOSING_BYTES > bytes.len()
        }
    }
}

/// What an owner may be told instead of a state.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Damaged { .. }
            | Error::Format { .. }
            | Error::Foreign { .. }
            | Error::Missing { .. }
            | Error::Ahead { .. }
    )
}

/// Reads all there is; how many blocks the journal ends with if it is taken for whole.
fn read(owner: &Owner) -> Result<usize, Error> {
    let mut reader = Reader::open(owner.shared(), Start::Oldest)?;
    while let Some(block) = reader.next_block()? {
        let number = block.position.block as usize;
        let written = owner.blocks.get(number - 1).expect("a block that nobody wrote");
        assert!(
            block.records().eq(written.iter().map(Vec::as_slice)),
            "a wrong record was served"
        );
    }
    Ok(reader.position().block as usize)
}

#[test]
fn damage_is_found_and_never_served() {
    each_seed("damage damage_is_found_and_never_served", 3000, |seed| {
        let mut owner = closed(seed);
        let total = owner.blocks.len();
        assert_eq!(read(&owner).expect("nothing is wrong yet"), total);
        let torn = accident(&owner);
        match read(&owner) {
            // Only the closing block is not vouched for by a later one.
            Ok(read) => assert!(torn || read + 1 >= total, "{read} of {total} blocks, and no word of it"),
            Err(error) => assert!(is_refusal(&error), "{error}"),
        }
        for name in snapshot_names(&owner.disk).expect("a sound disk") {
            let Ok(snapshot) = verify_snapshot(&owner.disk, &name) else {
                continue;
            };
            let mut reader = SnapshotReader::open(&owner.disk, &name).expect("it was verified");
            reader.next_part().expect("it was verified");
            let state = reader.read_part().expect("it was verified");
            assert_eq!(state, state_of(&owner.blocks[..snapshot.position.block as usize]));
        }
        owner.acked = if torn { 0 } else { total - 1 };
        if let Err(error) = owner.recover() {
            assert!(is_refusal(&error), "{error}");
        }
    });
}

#[test]
fn many_accidents_neither_panic_nor_lie() {
    each_seed("damage many_accidents_neither_panic_nor_lie", 1500, |seed| {
        let mut owner = closed(seed);
        for _ in 0..=owner.disk.below(6) {
            accident(&owner);
            if let Err(error) = read(&owner) {
                assert!(is_refusal(&error), "{error}");
            }
        }
        owner.acked = 0;
        if let Err(error) = owner.recover() {
            assert!(is_refusal(&error), "{error}");
        }
    });
}

#[test]
fn a_repaired_journal_starts() {
    each_seed("damage a_repaired_journal_starts", 1500, |seed| {
        let mut owner = closed(seed);
        accident(&owner);
        let before = files(&owner);
        let again = owner.disk.below(3) == 0;
        if again {
            // A repair that a crash interrupts is done again.
            let crash_after = Some(owner.disk.below(80));
            owner.disk.set_faults(Faults {
                crash_after,
                ..Faults::default()
            });
            let _ = Folder::lock(owner.shared()).and_then(|folder| repair(&folder));
            owner.disk.cut_power();
        }
        let folder = Folder::lock(owner.shared()).expect("nobody has it");
        let repaired = match repair(&folder) {
            Err(Error::Missing { .. } | Error::Format { .. }) => return assert_eq!(files(&owner), before),
            repaired => repaired.expect("damage is what it is for"),
        };
        drop(folder);
        if !again {
            let after = files(&owner);
            let changed = before.iter().filter(|(name, bytes)| after.get(*name) != Some(bytes));
            for (name, bytes) in changed {
                let kept = repaired.kept.iter().filter(|kept| kept.starts_with(name.as_str()));
                assert!(
                    kept.into_iter().any(|kept| owner.disk.bytes(kept) == *bytes),
                    "{name} was not kept"
                );
            }
            assert_eq!(repaired.damage.is_empty(), repaired.kept.is_empty());
        }
        owner.acked = 0;
        owner.recover().expect("it was repaired");
        owner.write().expect("it is written on");
        owner.sync().expect("a sound disk");
        owner.log = None;
        owner.recover().expect("and read again");
    });
}

#[test]
fn two_do_not_write_and_others_journals_are_refused() {
    let owner = closed(1);
    let folder = Folder::lock(owner.shared()).expect("nobody has it");
    assert!(matches!(Folder::lock(owner.shared()), Err(Error::Locked { .. })));
    drop(folder);
    let (snapshot, _) = newest_good(&owner.disk).expect("a sound disk");
    let mut position = snapshot.map_or(csroute_journal::Position::beginning([1; 16]), |snapshot| {
        snapshot.position
    });
    position.journal = [9; 16];
    let folder = Folder::lock(owner.shared()).expect("nobody has it");
    assert!(matches!(
        folder.recover(OPTIONS, Some(position)).err(),
        Some(Error::Foreign { .. } | Error::Missing { .. })
    ));
}

#[test]
fn another_semantics_is_not_replayed_but_follows_a_snapshot() {
    let mut owner = Owner::new(5);
    owner.recover().expect("an empty folder");
    for _ in 0..10 {
        owner.write().expect("a sound disk");
    }
    owner.sync().expect("a sound disk");
    let end = owner.log.take().expect("recovered").position();
    let newer = csroute_journal::Options {
        semantics: OPTIONS.semantics + 1,
        ..OPTIONS
    };
    let start = |from| Folder::lock(owner.shared()).and_then(|folder| folder.recover(newer, from)?.finish());
    let refused = start(None).err();
    assert!(
        matches!(refused, Some(Error::Semantics { found: 3, ours: 4, .. })),
        "{refused:?}"
    );
    let (mut log, _) = start(Some(end)).expect("nothing is left to replay");
    log.write(&mut owner.block(vec![b"under the new rules".to_vec()]))
        .expect("a sound disk");
    log.sync().expect("a sound disk");
    assert_eq!(log.segment_first(), end.block + 1);
    drop(log);
    let (_, recovered) = start(Some(end)).expect("its own");
    assert_eq!(recovered.blocks, 1);
}

/// Two histories of one journal: every checksum of either is right, only the chain tells them apart.
#[test]
fn a_block_of_another_history_is_found() {
    let history = |third: u8| {
        let mut owner = Owner::new(9);
        owner.recover().expect("an empty folder");
        let mut ends = Vec::new();
        for record in [1, 2, third, 4] {
            let mut block = owner.block(vec![vec![record; 50]]);
            let log = owner.log.as_mut().expect("recovered");
            log.write(&mut block).and_then(|()| log.sync()).expect("a sound disk");
            owner.blocks.push(vec![vec![record; 50]]);
            ends.push(owner.disk.bytes("segment-00000000000000000001.journal").len());
        }
        (owner, ends)
    };
    let ((ours, ends), (theirs, _)) = (history(3), history(33));
    let name = "segment-00000000000000000001.journal";
    let other = theirs.disk.bytes(name);
    ours.disk.damage(name, |bytes| {
        bytes[ends[1]..ends[2]].copy_from_slice(&other[ends[1]..ends[2]]);
    });
    let mut reader = Reader::open(ours.shared(), Start::Beginning).expect("its head is right");
    for _ in 0..3 {
        reader
            .next_block()
            .expect("by itself each of them is right")
            .expect("it is there");
    }
    // It is the last block, so nothing vouches for it: the reading ends there, and says why.
    assert!(reader.next_block().expect("as a torn tail").is_none());
    assert!(
        reader
            .tail()
            .is_some_and(|tail| tail.block == 4 && tail.what.contains("chain"))
    );
}
