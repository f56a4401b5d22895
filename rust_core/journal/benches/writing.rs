//! What the disk allows: blocks written and made durable a second, and read and verified again.
//!
//! Each round writes into a fresh folder (of the system's temporary one, or of `CSROUTE_BENCH_DIR`), so it is that disk
//! that is measured; its own fsync latency stands beside, from 4 KiB appended to a file of its own. One writer that
//! never waits, 256 records of 200 bytes a block. Left out: the node, the engine, the making of the records.
//! Prints min / median / max over the rounds; `-- --test` runs a short one once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use csroute_journal::{
    BlockBuilder, CommitOptions, Committer, Disk, Durability, Folder, Options, OsDisk, Reader, Recovery, Start,
};

const RECORDS: usize = 256;
const RECORD_BYTES: usize = 200;
const OPTIONS: Options = Options {
    semantics: 1,
    segment_bytes: 256 << 20,
    reserve_bytes: 0,
};

/// A folder that goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let parent = std::env::var_os("CSROUTE_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        Self(parent.join(format!("csroute-bench-{name}-{}", std::process::id())))
    }

    fn disk(&self) -> Arc<OsDisk> {
        Arc::new(OsDisk::open(&self.0).expect("a folder"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The disk's own: µs an fsync of 4 KiB appended.
fn fsync_us(times: usize) -> Vec<f64> {
    let scratch = Scratch::new("fsync");
    let mut file = scratch.disk().create("file").expect("a file");
    let took = (0..times).map(|_| {
        file.append(&[7; 4096]).expect("space");
        let started = Instant::now();
        file.sync().expect("a sound disk");
        started.elapsed().as_secs_f64() * 1e6
    });
    took.collect()
}

/// What one round came to.
struct Round {
    mb_per_s: f64,
    blocks_per_s: f64,
    blocks_per_sync: f64,
    read_mb_per_s: f64,
}

fn round(durability: Durability, lasting: Duration) -> Round {
    let scratch = Scratch::new("writing");
    let recovery = Folder::lock(scratch.disk()).and_then(|folder| folder.recover(OPTIONS, None));
    let (log, _) = recovery.and_then(Recovery::finish).expect("an empty folder");
    let options = CommitOptions {
        durability,
        ..CommitOptions::default()
    };
    let committer = Committer::start(log, options, || {}).expect("a thread");
    let record = [0x5a; RECORD_BYTES];
    let started = Instant::now();
    let mut last = 0;
    while started.elapsed() < lasting {
        let mut block = BlockBuilder::with_buffer(committer.buffer());
        for _ in 0..RECORDS {
            block.push(&[&record]).expect("it is small");
        }
        last = committer.submit(block.seal(0, 0)).expect("a sound disk");
    }
    committer.wait(last).expect("a sound disk");
    let took = started.elapsed().as_secs_f64();
    let figures = committer.progress().figures;
    committer.close(0, 0).expect("a sound disk");

    let started = Instant::now();
    let mut reader = Reader::open(scratch.disk(), Start::Beginning).expect("a sound disk");
    let mut records = 0;
    while let Some(block) = reader.next_block().expect("a sound disk") {
        records += block.records().count();
    }
    assert_eq!(records, last as usize * RECORDS, "every record came back");
    Round {
        mb_per_s: figures.bytes as f64 / 1e6 / took,
        blocks_per_s: last as f64 / took,
        blocks_per_sync: last as f64 / figures.syncs.max(1) as f64,
        read_mb_per_s: figures.bytes as f64 / 1e6 / started.elapsed().as_secs_f64(),
    }
}

/// Blocks a second when the writer waits for each: one fsync a block.
fn one_by_one(durability: Durability, blocks: u64) -> f64 {
    let scratch = Scratch::new("waiting");
    let recovery = Folder::lock(scratch.disk()).and_then(|folder| folder.recover(OPTIONS, None));
    let (log, _) = recovery.and_then(Recovery::finish).expect("an empty folder");
    let options = CommitOptions {
        durability,
        ..CommitOptions::default()
    };
    let committer = Committer::start(log, options, || {}).expect("a thread");
    let started = Instant::now();
    for _ in 0..blocks {
        let mut block = BlockBuilder::with_buffer(committer.buffer());
        block.push(&[&[0x5a; RECORD_BYTES]]).expect("it is small");
        let number = committer.submit(block.seal(0, 0)).expect("a sound disk");
        committer.wait(number).expect("a sound disk");
    }
    blocks as f64 / started.elapsed().as_secs_f64()
}

fn spread(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    let [min, median, max] = [0, figures.len() / 2, figures.len() - 1].map(|at| figures[at]);
    format!("{min:9.0} / {median:9.0} / {max:9.0}")
}

fn main() {
    let short = std::env::args().any(|argument| argument == "--test");
    let (rounds, lasting, times) = if short {
        (1, Duration::from_millis(20), 3)
    } else {
        (5, Duration::from_secs(1), 200)
    };
    println!("min / median / max of {rounds} rounds; {RECORDS} records of {RECORD_BYTES} bytes a block");
    println!("{:44} {} µs", "the disk's own fsync of 4 KiB", spread(fsync_us(times)));
    for (name, durability) in [
        ("fsync", Durability::Fsync),
        ("interval 100 ms", Durability::Interval(100)),
        ("none", Durability::None),
    ] {
        let found: Vec<Round> = (0..rounds).map(|_| round(durability, lasting)).collect();
        let of = |figure: fn(&Round) -> f64| spread(found.iter().map(figure).collect());
        println!("{:44} {} MB/s", format!("{name}: written"), of(|round| round.mb_per_s));
        println!("{:44} {} blocks/s", "", of(|round| round.blocks_per_s));
        println!("{:44} {} blocks an fsync", "", of(|round| round.blocks_per_sync));
        println!(
            "{:44} {} MB/s",
            format!("{name}: read and verified"),
            of(|round| round.read_mb_per_s)
        );
        let alone = (0..rounds).map(|_| one_by_one(durability, times as u64)).collect();
        println!(
            "{:44} {} blocks/s",
            format!("{name}: one record, waited for"),
            spread(alone)
        );
    }
}
