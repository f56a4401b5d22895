//! The load generator: gateways that send tickets, desks whose agents accept and complete them, and a ledger of what both
//! were told. One thread, one runtime, no GIL; a load test runs several processes of it.
//!
//! ```no_run
//! use csroute_load::{Generator, Settings, pace};
//! let settings = r#"{"address": "127.0.0.1:7701", "run": "run7", "how": "unary", "loop": "poisson", "rate_per_s": 1000.0,
//!                    "seconds": 10.0, "desk": "none"}"#;
//! let settings: Settings = serde_json::from_str(settings)?;
//! let mut generator = Generator::open(settings, vec![b"\x12\x04chat".to_vec()], Vec::new())?;
//! generator.begin(pace::now_ns());
//! while !generator.look()["over"].as_bool().unwrap_or(true) {
//!     std::thread::sleep(std::time::Duration::from_millis(250));
//! }
//! let ended = generator.finish();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - **Open loop:** calls are due at times that nothing changes, whatever the server does; a latency runs from when its call
//!   was due, so that a stall is felt by all who would have come meanwhile (no coordinated omission). How late the generator
//!   itself was is measured too: past a millisecond at p99 a run says nothing about the server.
//! - **Closed loop:** so many calls under way, the next begins when one ends; a latency runs from its beginning.
//! - **Route to assigned:** a ticket's context carries when its call was due (the clock is the machine's), so that the desk
//!   that hears of it knows how long that took, whichever process sent it.

pub mod board;
pub mod client;
mod desk;
mod floor;
mod gateway;
mod generator;
pub mod ledger;
#[allow(missing_docs)]
mod message;
pub mod pace;

use serde::Deserialize;

pub use generator::{Ended, Generator};

/// How tickets are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// A `Route` each.
    Unary,
    /// Messages of `batch` tickets, on `streams` streams.
    Stream,
    /// A `RouteBatch` of `batch` tickets.
    Batch,
}

/// When the next call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loop {
    /// When one ends.
    Closed,
    /// One like another.
    Constant,
    /// At random.
    Poisson,
    /// As they were recorded.
    Recorded,
}

/// Who completes what is assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desk {
    /// Nobody.
    None,
    /// Agents at a Work stream, who hear of it.
    Work,
    /// Whoever sent it, by `Act`, as soon as the answer says that it has an agent.
    Act,
}

/// What a process is to do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the gateways call, as `host:port`.
    pub address: String,
    /// Where the desks do; empty: there too.
    #[serde(default)]
    pub desk_address: String,
    /// Of every call.
    #[serde(default)]
    pub metadata: Vec<(String, String)>,
    /// What this run's tickets are called; at most 32 bytes.
    pub run: String,
    /// Which process this is.
    #[serde(default)]
    pub process: u16,
    /// How tickets are sent.
    pub how: How,
    /// Tickets in a message, where one has several.
    #[serde(default = "one")]
    pub batch: usize,
    /// Connections to the server.
    #[serde(default = "one")]
    pub connections: usize,
    /// Streams, where tickets go by streams.
    #[serde(default = "one")]
    pub streams: usize,
    /// When the next call comes.
    pub r#loop: Loop,
    /// Tickets a second, in an open loop.
    #[serde(default)]
    pub rate_per_s: f64,
    /// Calls under way: so many in a closed loop, at most so many in an open one.
    #[serde(default = "many")]
    pub in_flight_max: usize,
    /// Not measured at first.
    #[serde(default)]
    pub warm_up_s: f64,
    /// Measured.
    pub seconds: f64,
    /// An answer after more than this is none.
    #[serde(default = "patient")]
    pub patience_ms: u64,
    /// The same seed, the same arrivals.
    #[serde(default)]
    pub seed: u64,
    /// Who completes.
    pub desk: Desk,
    /// The desk's session: open, and its agents logged in.
    #[serde(default)]
    pub session: String,
    /// How long an agent keeps a ticket.
    #[serde(default)]
    pub hold_ms: u64,
}

fn one() -> usize {
    1
}

fn many() -> usize {
    65_536
}

fn patient() -> u64 {
    10_000
}
