//! What keeping costs: the same work in memory, without fsync, and with it; replay; a million tickets from a snapshot.
//!
//! Rounds of the three alternate, so that they share the machine's moods; compare within a run. Left out: gRPC, Python,
//! the network. The folder is in cargo's own temporary one: its disk is what is measured. `-- --test` runs a short one.

mod common;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{BATCH, Bench, open, policy, requests, start};
use csroute_engine::SEMANTICS;
use csroute_journal::{Durability, Folder, OsDisk, Position, SnapshotReader, SnapshotWriter};
use csroute_node::recovery::{options, recover};
use csroute_node::{Call, Keeping, Limits, NodeCore, image};
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;

/// A folder of the disk that is measured; it goes with the value.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("durable-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn disk(&self) -> Arc<OsDisk> {
        Arc::new(OsDisk::open(&self.0).expect("a folder"))
    }

    fn keeping(&self, durability: Durability) -> Keeping {
        Keeping {
            durability,
            snapshot_every: Duration::ZERO,
            snapshot_bytes: 0,
            snapshot_at_stop: false,
            ..Keeping::on(self.disk())
        }
    }

    fn journal_bytes(&self) -> u64 {
        let files = fs::read_dir(&self.0)
            .expect("a folder")
            .map(|entry| entry.expect("an entry"));
        let segments = files.filter(|entry| entry.file_name().to_string_lossy().ends_with(".journal"));
        segments.map(|entry| entry.metadata().expect("its length").len()).sum()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sorted(mut figures: Vec<f64>) -> Vec<f64> {
    figures.sort_by(f64::total_cmp);
    figures
}

fn spread(figures: &[f64]) -> String {
    let at = |share: f64| figures[((figures.len() - 1) as f64 * share) as usize];
    format!("{:.0} / {:.0} / {:.0}", at(0.0), at(0.5), at(1.0))
}

fn share(figures: &[f64], share: f64) -> f64 {
    figures[((figures.len() - 1) as f64 * share).round() as usize]
}

/// The disk's own: an append of a batch's size and an fsync, µs.
fn fsyncs(times: usize) -> Vec<f64> {
    let place = Place::new("fsync");
    fs::create_dir_all(&place.0).expect("a folder");
    let mut file = fs::File::create(place.0.join("file")).expect("a file");
    let bytes = vec![7; 32 << 10];
    let one = |_| {
        file.write_all(&bytes).expect("it is written");
        let started = Instant::now();
        file.sync_data().expect("it is durable");
        started.elapsed().as_secs_f64() * 1e6
    };
    sorted((0..times).map(one).collect())
}

fn lifecycles(rounds: usize, tickets: usize) {
    let places = [Place::new("none"), Place::new("fsync-node")];
    let mut benches = [
        ("in memory", start(None)),
        ("journal, no fsync", start(Some(places[0].keeping(Durability::None)))),
        ("journal, fsync", start(Some(places[1].keeping(Durability::Fsync)))),
    ];
    let mut figures: [Vec<f64>; 3] = Default::default();
    let before = places[1].journal_bytes();
    let mut own_bytes = 0;
    for round in 0..rounds {
        let (routes, completes) = requests(round, tickets);
        own_bytes += own(&routes);
        for ((_, bench), figures) in benches.iter_mut().zip(&mut figures) {
            let started = Instant::now();
            bench.run(Method::RouteBatch, &routes);
            bench.run(Method::Act, &completes);
            figures.push(tickets as f64 / started.elapsed().as_secs_f64());
        }
    }
    let grown = places[1].journal_bytes() - before;
    let figures = figures.map(sorted);
    for ((name, _), figures) in benches.iter().zip(&figures) {
        println!("lifecycles/s, batches of {BATCH}, {name:18} {}", spread(figures));
    }
    let median = |at: usize| share(&figures[at], 0.5);
    println!(
        "fsync ÷ no fsync {:.0} %, fsync ÷ in memory {:.0} % (medians of {rounds} rounds of {tickets} tickets)",
        100.0 * median(2) / median(1),
        100.0 * median(2) / median(0)
    );
    let all = (rounds * tickets) as f64;
    println!(
        "journal: {:.0} bytes a lifecycle, {:.0} beyond ids and attributes",
        grown as f64 / all,
        (grown as f64 - own_bytes as f64) / all
    );
}

/// The texts of the tickets: ids (twice: submitted and completed), customers, sources, attributes.
fn own(routes: &[Vec<u8>]) -> usize {
    let bytes = |ticket: &pb::NewTicket| {
        let attributes = ticket
            .attributes
            .iter()
            .map(|one| one.name.len() + one.value.len())
            .sum::<usize>();
        2 * ticket.id.len() + ticket.customer.len() + ticket.source.len() + attributes
    };
    let batches = routes
        .iter()
        .map(|route| pb::RouteBatchRequest::decode(&**route).expect("a batch"));
    batches
        .flat_map(|batch| batch.tickets)
        .map(|ticket| bytes(&ticket))
        .sum()
}

/// One call at a time, as a caller sees it: what the group commit adds.
fn latencies(calls: usize, fsync: &[f64]) {
    let places = [Place::new("alone-none"), Place::new("alone-fsync")];
    let durabilities = [Durability::None, Durability::Fsync];
    let mut benches: Vec<Bench> = places
        .iter()
        .zip(durabilities)
        .map(|(place, how)| start(Some(place.keeping(how))))
        .collect();
    let mut figures = [Vec::new(), Vec::new()];
    for call in 0..calls {
        for (bench, figures) in benches.iter_mut().zip(&mut figures) {
            let ticket = pb::NewTicket {
                id: format!("one-{call}"),
                channel: "chat".into(),
                ..pb::NewTicket::default()
            };
            let request = pb::RouteRequest {
                ticket: Some(ticket),
                wait_ms: 0,
            }
            .encode_to_vec();
            let started = Instant::now();
            bench.submit(Method::Route, &request);
            bench.answered();
            figures.push(started.elapsed().as_secs_f64() * 1e6);
        }
    }
    let [none, durable] = figures.map(sorted);
    for (name, figures) in [
        ("no fsync", &none),
        ("fsync", &durable),
        ("the disk's own fsync", &fsync.to_vec()),
    ] {
        println!(
            "one Route at a time, {name:20} p50 {:6.0}  p99 {:6.0} µs",
            share(figures, 0.5),
            share(figures, 0.99)
        );
    }
    println!(
        "group commit adds to p99: {:.0} µs; one fsync + 2 ms is {:.0} µs",
        share(&durable, 0.99) - share(&none, 0.99),
        share(fsync, 0.99) + 2000.0
    );
}

/// A journal of whole lifecycles, read back.
fn replay(tickets: usize) {
    let place = Place::new("replay");
    let mut bench = start(Some(place.keeping(Durability::None)));
    let (routes, completes) = requests(0, tickets);
    for (routes, completes) in routes.chunks(16).zip(completes.chunks(16)) {
        bench.run(Method::RouteBatch, routes);
        bench.run(Method::Act, completes);
    }
    bench.node.stop();
    let mut core = NodeCore::new(Limits::default());
    let folder = Folder::lock(place.disk()).expect("nobody has it");
    let started = Instant::now();
    let (_, report) = recover(&mut core, folder, options(256 << 20, 0), |_| ()).expect("it is replayed");
    let took = started.elapsed().as_secs_f64();
    let commands = 2 * tickets;
    println!(
        "replay: {commands} commands in {} records, {:.0} MB: {took:.2} s, {:.2} M commands/s",
        report.progress.records,
        report.progress.bytes as f64 / 1e6,
        commands as f64 / took / 1e6
    );
}

/// So many tickets wait: a snapshot of them, and back; and what stopping for it would cost.
fn waiting(tickets: usize) {
    let place = Place::new("waiting");
    let mut core = NodeCore::new(Limits::default());
    let mut call = |method: Method, request: &[u8], now: i64| {
        let call = Call {
            method: method.number(),
            tenant: "bench",
            caller: "bench",
            request,
        };
        core.call(&call, now).expect("it is taken");
    };
    let policy = pb::CompiledPolicy {
        limits: Some(pb::LimitsTable {
            waiting_max: 2_000_000,
            ..pb::LimitsTable::default()
        }),
        ..policy()
    };
    let install = pb::InstallPolicyRequest {
        policy: policy.encode_to_vec(),
        reclassify: false,
        ..pb::InstallPolicyRequest::default()
    };
    call(Method::InstallPolicy, &install.encode_to_vec(), 1);
    for (at, batch) in requests(0, tickets).0.iter().enumerate() {
        call(Method::RouteBatch, batch, at as i64 + 2);
    }
    let started = Instant::now();
    let image = core
        .states()
        .map(|(_, tenant)| tenant.engine().snapshot().len())
        .sum::<usize>();
    let imaging = started.elapsed();
    let disk = place.disk();
    let started = Instant::now();
    let mut writer =
        SnapshotWriter::create(disk.clone(), Position::beginning([7; 16]), SEMANTICS, 1).expect("it begins");
    image::save(&core, &mut writer).expect("it is written");
    let snapshot = writer.finish().expect("it is whole");
    let saving = started.elapsed();
    drop(core);
    let mut core = NodeCore::new(Limits::default());
    let started = Instant::now();
    image::load(
        &mut core,
        &mut SnapshotReader::open(disk.as_ref(), &snapshot.name).expect("it is there"),
    )
    .expect("it is loaded");
    let loading = started.elapsed();
    assert_eq!(
        core.states().next().expect("a tenant").1.engine().stats().waiting,
        tickets as u64
    );
    println!(
        "{tickets} waiting: snapshot of {:.0} MB, from it in {:.2} s; written and verified in {:.2} s; imaging the live \
         state alone would stop routing for {:.0} ms ({:.0} MB)",
        snapshot.bytes as f64 / 1e6,
        loading.as_secs_f64(),
        saving.as_secs_f64(),
        imaging.as_secs_f64() * 1e3,
        image as f64 / 1e6
    );
}

/// The longest that one call waits while a snapshot is made beside the writer, and without one.
fn pause(tickets: usize) {
    let place = Place::new("pause");
    let mut bench = open(Some(place.keeping(Durability::None)));
    let policy = pb::CompiledPolicy {
        limits: Some(pb::LimitsTable {
            waiting_max: 2_000_000,
            ..pb::LimitsTable::default()
        }),
        ..policy()
    };
    bench.one(
        Method::InstallPolicy,
        &pb::InstallPolicyRequest {
            policy: policy.encode_to_vec(),
            reclassify: false,
            ..pb::InstallPolicyRequest::default()
        },
    );
    bench.run(Method::RouteBatch, &requests(0, tickets).0);
    let node = bench.node.clone();
    let mut calls = 0;
    let mut longest = |while_so: &mut dyn FnMut(Duration) -> bool| {
        let (begun, mut longest) = (Instant::now(), Duration::ZERO);
        while while_so(begun.elapsed()) {
            calls += 1;
            let ticket = pb::NewTicket {
                id: format!("pause-{calls}"),
                channel: "chat".into(),
                ..pb::NewTicket::default()
            };
            let started = Instant::now();
            bench.one(
                Method::Route,
                &pb::RouteRequest {
                    ticket: Some(ticket),
                    wait_ms: 0,
                },
            );
            longest = longest.max(started.elapsed());
            std::thread::sleep(Duration::from_micros(200));
        }
        (longest, begun.elapsed())
    };
    let (quiet, _) = longest(&mut |passed| passed < Duration::from_secs(2));
    let snapshots = || {
        fs::read_dir(&place.0).expect("a folder").any(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .ends_with(".snapshot")
        })
    };
    node.snapshot();
    let (beside, took) = longest(&mut |_| !snapshots());
    println!(
        "{tickets} waiting: the longest Route while a snapshot is made beside it {:.1} ms ({:.1} s), without one {:.1} ms",
        beside.as_secs_f64() * 1e3,
        took.as_secs_f64(),
        quiet.as_secs_f64() * 1e3
    );
}

fn main() {
    let short = std::env::args().any(|argument| argument == "--test");
    let fsync = fsyncs(if short { 20 } else { 400 });
    println!(
        "the disk's own fsync of 32 KiB: p50 {:.0}, p99 {:.0}, max {:.0} µs",
        share(&fsync, 0.5),
        share(&fsync, 0.99),
        share(&fsync, 1.0)
    );
    let (rounds, tickets) = if short { (1, BATCH) } else { (7, 40_000) };
    lifecycles(rounds, tickets);
    latencies(if short { 20 } else { 2000 }, &fsync);
    replay(if short { 16 * BATCH } else { 500_000 });
    let many = if short { 10_000 } else { 1_000_000 };
    waiting(many);
    pause(many);
}
