//! Power cuts, kills, full disks and errors, by seed: what was acknowledged is there after every recovery, what is
//! served is what was written, recovering twice is recovering once.
//!
//! `CSROUTE_SEEDS` says how many seeds, `CSROUTE_SEED` the first: a failure names its own.

mod common;

use std::cell::Cell;

use common::{Owner, each_seed};
use csroute_journal::{Error, Faults, Op};

/// Ends the process one way or the other.
fn end(owner: &mut Owner) {
    if owner.disk.below(4) == 0 {
        owner.disk.restart();
    } else {
        owner.disk.cut_power();
    }
    owner.log = None;
}

/// Recovers through up to three further crashes in the middle of it.
fn recover_through_crashes(owner: &mut Owner) {
    for _ in 0..owner.disk.below(4) {
        let crash_after = Some(owner.disk.below(60));
        owner.disk.set_faults(Faults {
            crash_after,
            ..Faults::default()
        });
        // What comes before the crash is checked, what fails by it is not held against it.
        if owner.recover().is_ok() && owner.disk.below(2) == 0 {
            let _ = owner.write();
        }
        end(owner);
    }
    let capacity = owner.disk.below(3).eq(&0).then(|| 400_000 + owner.disk.below(200_000));
    owner.disk.set_faults(Faults {
        capacity,
        ..Faults::default()
    });
    if let Err(error) = owner.recover() {
        panic!("the disk is sound and nothing was damaged, yet: {error}");
    }
}

#[test]
fn acknowledged_is_there() {
    each_seed("crash acknowledged_is_there", 2000, |seed| {
        let mut owner = Owner::new(seed);
        for _ in 0..4 {
            recover_through_crashes(&mut owner);
            if owner.disk.below(4) == 0 {
                // Twice is once.
                let once = owner.log.take().expect("recovered").position();
                let again = owner.recover().expect("as before");
                assert_eq!((again.position, again.cut), (once, None));
            }
            let crash_after = Some(owner.disk.below(400));
            owner.disk.set_faults(Faults {
                crash_after,
                short_per_mille: owner.disk.below(2) as u32 * 100,
                ..Faults::default()
            });
            while owner.act().is_ok() {}
            assert!(owner.disk.crashed(), "nothing else was to fail");
            end(&mut owner);
        }
        recover_through_crashes(&mut owner);
    });
}

#[test]
fn errors_are_final() {
    each_seed("crash errors_are_final", 1000, |seed| {
        let mut owner = Owner::new(seed);
        for _ in 0..4 {
            recover_through_crashes(&mut owner);
            let ops = [
                Op::Append,
                Op::Sync,
                Op::SyncFolder,
                Op::Rename,
                Op::Create,
                Op::Truncate,
                Op::Remove,
            ];
            let some = ops.into_iter().filter(|_| owner.disk.below(2) == 0);
            owner.disk.set_faults(Faults {
                eio_per_mille: some.map(|op| (op, 30)).collect(),
                ..Faults::default()
            });
            for _ in 0..200 {
                let acked = owner.acked;
                let Err(error) = owner.act() else { continue };
                assert!(matches!(error, Error::Io { .. }), "{error}");
                let log = owner.log.as_mut().expect("recovered");
                if log.sync().is_err() {
                    // Once the writing failed it goes on failing, and nothing more is acknowledged.
                    owner.disk.set_faults(Faults::default());
                    assert!(owner.write().is_err() && owner.sync().is_err());
                    assert_eq!(owner.acked, acked);
                    break;
                }
                owner.acked = owner.blocks.len(); // a snapshot, a prune: the writing goes on
            }
            end(&mut owner);
        }
        recover_through_crashes(&mut owner);
    });
}

#[test]
fn a_full_disk_heals() {
    let ever = Cell::new(0);
    each_seed("crash a_full_disk_heals", 400, |seed| {
        let mut owner = Owner::new(seed);
        let capacity = 30_000 + owner.disk.below(60_000);
        let set = |owner: &Owner, capacity| {
            owner.disk.set_faults(Faults {
                capacity: Some(capacity),
                ..Faults::default()
            });
        };
        set(&owner, capacity);
        owner.recover().expect("there is room for a beginning");
        let mut fulls = 0;
        for _ in 0..400 {
            match owner.act() {
                Ok(()) => {}
                Err(Error::Full { .. }) => {
                    fulls += 1;
                    // What was written before is sound, and can be made durable.
                    owner.sync().expect("an fsync needs no space");
                    if fulls % 3 == 0 {
                        set(&owner, capacity + fulls * 20_000);
                        owner
                            .log
                            .as_mut()
                            .expect("recovered")
                            .take_reserve()
                            .expect("it may be had or not");
                    }
                    if fulls % 7 == 0 {
                        end(&mut owner);
                        owner.disk.set_faults(Faults::default());
                        owner.recover().expect("nothing is damaged");
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
        ever.set(ever.get() + fulls);
        end(&mut owner);
        owner.disk.set_faults(Faults::default());
        owner.recover().expect("nothing is damaged");
    });
    assert!(ever.get() > 0, "no disk was ever full");
}
