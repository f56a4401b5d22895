//! The hand-off between the writer and the committer's thread: what it calls durable is on the disk, in order, whatever
//! the bounds, the settings and the moment; an end is heard by everybody.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::OPTIONS;
use csroute_journal::{
    BlockBuilder, CommitOptions, Committer, Disk, Durability, Error, Faults, Folder, Op, Options, Reader, Sealed,
    SimDisk, Space, Start,
};
use proptest::prelude::*;

fn start(disk: &SimDisk, options: Options, commit: CommitOptions) -> (Committer, Arc<AtomicU64>) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let recovery = Folder::lock(shared).and_then(|folder| folder.recover(options, None));
    let (log, _) = recovery
        .and_then(csroute_journal::Recovery::finish)
        .expect("a sound disk");
    let calls = Arc::new(AtomicU64::new(0));
    let called = calls.clone();
    let notify = move || {
        called.fetch_add(1, Ordering::SeqCst);
    };
    (Committer::start(log, commit, notify).expect("a thread"), calls)
}

fn block(number: u64, bytes: usize) -> Sealed {
    let mut builder = BlockBuilder::default();
    builder
        .push(&[&number.to_le_bytes(), &vec![7; bytes]])
        .expect("it is small");
    builder.seal(number, number as i64)
}

/// The numbers in the records of all blocks.
fn numbers(disk: &SimDisk) -> Vec<u64> {
    let mut reader = Reader::open(Arc::new(disk.clone()), Start::Beginning).expect("a sound disk");
    let mut numbers = Vec::new();
    while let Some(block) = reader.next_block().expect("a sound disk") {
        numbers.extend(
            block
                .records()
                .map(|record| record.first_chunk().map_or(0, |head| u64::from_le_bytes(*head))),
        );
    }
    numbers
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what} never came");
        std::thread::yield_now();
    }
}

#[derive(Debug, Clone)]
enum Step {
    Submit(usize),
    Rotate,
    Wait,
    Look,
    Pause,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3000_usize).prop_map(Step::Submit),
        1 => Just(Step::Rotate),
        1 => Just(Step::Wait),
        2 => Just(Step::Look),
        1 => Just(Step::Pause),
    ];
    prop::collection::vec(step, 1..60)
}

fn durability() -> impl Strategy<Value = Durability> {
    prop_oneof![
        2 => Just(Durability::Fsync),
        1 => (0..3_u64).prop_map(Durability::Interval),
        1 => Just(Durability::None),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_called_durable_is_on_the_disk(
        seed: u64, steps in steps(), durability in durability(), blocks_max in 1..8_usize, bytes_max in 1..5000_usize,
        orderly: bool,
    ) {
        let disk = SimDisk::new(seed);
        let commit = CommitOptions { durability, queue_blocks_max: blocks_max, queue_bytes_max: bytes_max };
        let (committer, calls) = start(&disk, OPTIONS, commit);
        let (mut submitted, mut durable) = (0, 0);
        for step in steps {
            match step {
                Step::Submit(bytes) => {
                    let number = committer.submit(block(submitted + 1, bytes)).expect("a sound disk");
                    prop_assert_eq!(number, submitted + 1);
                    submitted = number;
                }
                Step::Rotate => {
                    let next = committer.rotate(0).expect("a sound disk");
                    prop_assert_eq!(next, submitted + 1);
                    committer.wait_rotated(next).expect("a sound disk");
                    prop_assert!(committer.progress().synced >= submitted, "a closed segment is on the disk");
                }
                Step::Wait => committer.wait(submitted).expect("a sound disk"),
                Step::Look => {
                    let progress = committer.progress();
                    prop_assert!(progress.durable >= durable && progress.durable <= submitted);
                    prop_assert!(progress.synced <= progress.durable && progress.submitted == submitted);
                    durable = progress.durable;
                }
                Step::Pause => std::thread::sleep(Duration::from_micros(200)),
            }
        }
        let promised = committer.progress();
        if orderly {
            let end = committer.close(submitted + 1, 0).expect("a sound disk");
            prop_assert_eq!(end.block, submitted + 1, "the closing block is the last");
        } else {
            drop(committer);
        }
        prop_assert!(submitted == 0 || calls.load(Ordering::SeqCst) > 0);
        prop_assert_eq!(numbers(&disk), (1..=submitted).collect::<Vec<_>>());
        disk.cut_power();
        let kept = numbers(&disk);
        prop_assert!(kept.len() as u64 >= promised.synced);
        // Ended either way, everything is on the disk.
        prop_assert_eq!(kept.len() as u64, submitted);
    }

    #[test]
    fn a_power_cut_under_way_takes_nothing_that_was_promised(seed: u64, crash_after in 0..200_u64, rotate: bool) {
        let disk = SimDisk::new(seed);
        let (committer, _) = start(&disk, OPTIONS, CommitOptions { queue_blocks_max: 4, ..CommitOptions::default() });
        disk.set_faults(Faults { crash_after: Some(crash_after), ..Faults::default() });
        let mut number = 0;
        let error = loop {
            number += 1;
            if rotate && number % 7 == 0 && let Err(error) = committer.rotate(0) {
                break error;
            }
            if let Err(error) = committer.submit(block(number, 500)) {
                break error;
            }
        };
        prop_assert!(matches!(error, Error::Io { .. }), "{}", error);
        let progress = committer.progress();
        prop_assert!(progress.failed.is_some());
        prop_assert!(committer.wait(progress.durable + 1).is_err() && committer.wait(progress.durable).is_ok());
        prop_assert!(committer.close(0, 0).is_err());
        disk.cut_power();
        let kept = numbers(&disk);
        prop_assert!(kept.len() as u64 >= progress.durable, "promised {}, kept {}", progress.durable, kept.len());
        prop_assert_eq!(&kept, &(1..=kept.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn a_failed_fsync_is_final_and_everybody_hears() {
    let disk = SimDisk::new(3);
    let (committer, calls) = start(&disk, OPTIONS, CommitOptions::default());
    committer.submit(block(1, 10)).expect("a sound disk");
    committer.wait(1).expect("a sound disk");
    let eio_per_mille = [(Op::Sync, 1000)].into();
    disk.set_faults(Faults {
        eio_per_mille,
        ..Faults::default()
    });
    let heard = calls.load(Ordering::SeqCst);
    committer.submit(block(2, 10)).expect("it is queued");
    let error = committer.wait(2).expect_err("it is not durable");
    assert!(matches!(error, Error::Io { what: "fsync of", .. }), "{error}");
    disk.set_faults(Faults::default());
    assert!(committer.submit(block(3, 10)).is_err(), "a second fsync could lie");
    until("the notification", || calls.load(Ordering::SeqCst) > heard);
    assert_eq!(committer.progress().durable, 1);
    until("the lock", || Folder::lock(Arc::new(disk.clone())).is_ok());
}

#[test]
fn a_full_disk_uses_the_reserve_waits_and_heals() {
    let disk = SimDisk::new(4);
    let full = |capacity| {
        disk.set_faults(Faults {
            capacity: Some(capacity),
            ..Faults::default()
        });
    };
    full(20_000);
    let options = Options {
        segment_bytes: 1 << 20,
        ..OPTIONS
    };
    let (committer, _) = start(
        &disk,
        options,
        CommitOptions {
            queue_blocks_max: 4,
            ..CommitOptions::default()
        },
    );
    assert_eq!(committer.progress().space, Space::Ample);
    let mut number = 0;
    let mut submit = || {
        number += 1;
        committer.submit(block(number, 900)).expect("a full disk is no failure")
    };
    until("the reserve", || {
        let block = submit();
        committer.wait(block).is_ok() && committer.progress().space == Space::Low
    });
    // The reserve lets some more through: who asks for nothing new can finish.
    until("the end of it", || {
        if committer.has_room() {
            submit();
        }
        committer.progress().space == Space::Full
    });
    let progress = committer.progress();
    assert!(progress.failed.is_none() && progress.figures.full > 0);
    committer.wait(progress.durable).expect("what fitted was answered");
    full(200_000);
    committer.wait(progress.submitted).expect("space returned");
    until("the healing", || committer.progress().space == Space::Ample);
    let last = committer.submit(block(number + 1, 10)).expect("as before");
    committer.close(0, 0).expect("a sound disk");
    assert_eq!(numbers(&disk), (1..=last).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_ends_cleanly() {
    let disk = SimDisk::new(5);
    disk.set_faults(Faults {
        capacity: Some(12_000),
        ..Faults::default()
    });
    let (committer, _) = start(&disk, OPTIONS, CommitOptions::default());
    let mut number = 0;
    until("the end of space", || {
        number += 1;
        let queued = number < 40;
        if queued {
            committer.submit(block(number, 900)).expect("it is queued");
        }
        committer.progress().space == Space::Full
    });
    let promised = committer.progress().durable;
    assert!(matches!(committer.close(0, 0), Err(Error::Full { .. })));
    assert!(numbers(&disk).len() as u64 >= promised);
    let (committer, _) = start(&disk, OPTIONS, CommitOptions::default());
    assert!(committer.progress().durable >= promised);
}
