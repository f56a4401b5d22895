//! Tickets through the running node: each submitted in a `RouteBatch` of 256, assigned, completed in an `Act` of 256.
//!
//! One caller thread beside the writer, a window of requests in flight. Left out: gRPC, Python, the network, the journal, and
//! the making of the requests. Prints min / median / max over the rounds; `-- --test` runs a short one once.

mod common;

use std::time::Instant;

use common::{BATCH, requests, start};
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;

fn main() {
    let short = std::env::args().any(|argument| argument == "--test");
    let (rounds, tickets) = if short { (1, BATCH) } else { (7, 40_000) };
    let mut bench = start(None);
    let mut figures: [Vec<f64>; 3] = Default::default();
    for round in 0..rounds {
        let (routes, completes) = requests(round, tickets);
        let started = Instant::now();
        bench.run(Method::RouteBatch, &routes);
        let until_assigned = started.elapsed();
        let assigned = Instant::now();
        bench.run(Method::Act, &completes);
        for (figures, took) in figures
            .iter_mut()
            .zip([until_assigned, assigned.elapsed(), started.elapsed()])
        {
            figures.push(tickets as f64 / took.as_secs_f64());
        }
    }
    let stats = bench.one(Method::GetStats, &pb::GetStatsRequest::default());
    let stats = pb::GetStatsReply::decode(&*stats).expect("stats");
    assert_eq!(
        stats.completed,
        (rounds * tickets) as u64,
        "every ticket was assigned and completed"
    );
    for (name, figures) in ["RouteBatch 256", "Act 256 (complete)", "both"]
        .iter()
        .zip(&mut figures)
    {
        figures.sort_by(f64::total_cmp);
        let [min, median, max] = [0, figures.len() / 2, figures.len() - 1].map(|at| figures[at] / 1000.0);
        println!("{name:20} {min:8.0} / {median:8.0} / {max:8.0} thousand tickets/s (min / median / max of {rounds})");
    }
}
