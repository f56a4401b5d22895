//! What a process has measured and been told so far; whoever watches reads it while the generator writes.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};
use serde_json::{Value, json};

use crate::ledger::Ledger;

/// Latencies are told apart to a thousandth.
const DIGITS: u8 = 3;
const PERCENTILES: [f64; 7] = [50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// What is measured, in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// From when a call was due to its answer.
    Call,
    /// From when a ticket's call was due until its agent's desk hears of it.
    Assigned,
    /// From when a call was due until the generator took it up: its own lateness.
    Late,
}

/// The names of the measures, in their order.
pub const MEASURES: [&str; 3] = ["call", "assigned", "late"];

/// Counts, of the whole run.
#[derive(Debug, Default)]
pub struct Counts {
    /// Calls, messages or batches sent.
    pub calls: u64,
    /// Tickets in them.
    pub sent: u64,
    /// Tickets that were taken.
    pub taken: u64,
    /// Tickets taken within their patience, of calls due while it was measured.
    pub good: u64,
    /// Tickets of calls due while it was measured.
    pub offered: u64,
    /// Tickets known before: ids were not new.
    pub replayed: u64,
    /// Calls not answered within their time.
    pub unanswered: u64,
    /// Calls that were due and not sent, since as many as may be were under way.
    pub unsent: u64,
    /// Completions acknowledged.
    pub completed: u64,
    /// The same, while it was measured.
    pub completed_measured: u64,
    /// Refusals of calls and of tickets, by gRPC code.
    pub refused: BTreeMap<u16, u64>,
    /// Refusals of a desk's actions, by gRPC code.
    pub actions_refused: BTreeMap<u16, u64>,
}

/// The figures and the ledger.
#[derive(Debug)]
pub struct Board {
    whole: [Histogram<u64>; 3],
    since: [Histogram<u64>; 3],
    /// Counts, of the whole run.
    pub counts: Counts,
    /// What was told of each ticket.
    pub ledger: Ledger,
    /// All calls are sent, and answered or given up.
    pub over: bool,
    /// Why it cannot go on.
    pub trouble: Option<String>,
    /// The generator's own use of a core, ns.
    pub cpu_ns: u64,
    /// Calls under way.
    pub in_flight: usize,
}

fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new(DIGITS).unwrap_or_else(|_| unreachable!("three digits are allowed"));
    histogram.auto(true);
    histogram
}

impl Board {
    /// Nothing yet.
    pub fn new(ledger: Ledger) -> Self {
        Self {
            whole: std::array::from_fn(|_| histogram()),
            since: std::array::from_fn(|_| histogram()),
            counts: Counts::default(),
            ledger,
            over: false,
            trouble: None,
            cpu_ns: 0,
            in_flight: 0,
        }
    }

    /// Notes a latency; one of the time measured also for the whole run.
    pub fn note(&mut self, measure: Measure, ns: u64, measured: bool) {
        // They grow as they must, so nothing is out of range.
        let _ = self.since[measure as usize].record(ns);
        if measured {
            let _ = self.whole[measure as usize].record(ns);
        }
    }

    /// Notes what went wrong first.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.trouble.get_or_insert_with(|| why.into());
    }

    /// Counts so far, and latencies in µs since the last look.
    pub fn look(&mut self) -> Value {
        let counts = &self.counts;
        let since: serde_json::Map<_, _> = MEASURES
            .iter()
            .zip(&mut self.since)
            .map(|(name, histogram)| {
                let found = json!({
                    "count": histogram.len(),
                    "p50_us": us(histogram.value_at_percentile(50.0)),
                    "p99_us": us(histogram.value_at_percentile(99.0)),
                    "max_us": us(histogram.max()),
                });
                histogram.reset();
                ((*name).to_owned(), found)
            })
            .collect();
        json!({
            "calls": counts.calls, "sent": counts.sent, "taken": counts.taken, "good": counts.good,
            "offered": counts.offered, "replayed": counts.replayed, "unanswered": counts.unanswered,
            "unsent": counts.unsent, "completed": counts.completed, "completed_measured": counts.completed_measured,
            "refused": counts.refused, "actions_refused": counts.actions_refused, "strangers": self.ledger.strangers,
            "in_flight": self.in_flight, "cpu_s": self.cpu_ns as f64 / 1e9, "over": self.over,
            "trouble": self.trouble, "since": since,
        })
    }

    /// The histograms of the time measured, in ns, as `HdrHistogram` writes them (V2).
    pub fn histograms(&self) -> Vec<Vec<u8>> {
        self.whole.iter().map(serialized).collect()
    }
}

fn us(ns: u64) -> f64 {
    (ns / 100) as f64 / 10.0
}

fn serialized(histogram: &Histogram<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing into memory does not fail.
    let _ = V2Serializer::new().serialize(histogram, &mut bytes);
    bytes
}

/// Adds up histograms that `Board::histograms` wrote: the sum, likewise, and as JSON: count, mean, percentiles in µs, and
/// [value in µs, count] of each bucket that is not empty.
///
/// ```
/// use csroute_load::board::{Board, Measure, merged};
/// use csroute_load::ledger::Ledger;
/// let mut board = Board::new(Ledger::new("run", 0));
/// board.note(Measure::Call, 2_000, true);
/// let (_, figures) = merged(&[board.histograms()[0].clone(), board.histograms()[0].clone()]).unwrap();
/// assert_eq!((figures["count"].as_u64(), figures["p50_us"].as_f64()), (Some(2), Some(2.0)));
/// ```
pub fn merged(parts: &[Vec<u8>]) -> Result<(Vec<u8>, Value), String> {
    let mut sum = histogram();
    for part in parts {
        let one: Histogram<u64> = hdrhistogram::serialization::Deserializer::new()
            .deserialize(&mut &part[..])
            .map_err(|error| format!("no histogram: {error:?}"))?;
        sum.add(&one).map_err(|error| error.to_string())?;
    }
    let mut figures = serde_json::Map::new();
    figures.insert("count".into(), json!(sum.len()));
    figures.insert("mean_us".into(), json!(us(sum.mean() as u64)));
    for percentile in PERCENTILES {
        figures.insert(
            format!("p{percentile}_us"),
            json!(us(sum.value_at_percentile(percentile))),
        );
    }
    let buckets = sum
        .iter_recorded()
        .map(|one| json!([us(one.value_iterated_to()), one.count_at_value()]));
    figures.insert("buckets".into(), buckets.collect());
    Ok((serialized(&sum), Value::Object(figures)))
}
