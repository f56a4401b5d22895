//! Try it before the night: the engine under a virtual clock.
//!
//! What goes in: a policy, who works when and how (`Setup`), and arrivals, as many as there are, in blocks. What comes
//! out: a `Row` a ticket, as it ends, and hours by group and interval. The engine is the one that serves: every decision
//! is a command to it and the events it answers with; `Simulation` only plays the customers and the agents.
//!
//! Every random number is a function of (seed, purpose, ticket, stage), see `draw`: the same seed gives the same rows, and
//! two policies meet the same customers. Time stands still between events: nothing here reads a clock. Memory is bounded
//! by the tickets under way and by what was fed and not yet taken.
//!
//! ```
//! use std::sync::Arc;
//! use csroute_engine::policy::{ChannelSpec, Effects, LayerSpec, PolicySpec, RuleSpec};
//! use csroute_sim::draw::Distribution;
//! use csroute_sim::{Arrival, Outcome, Simulation, setup};
//!
//! let everyone = RuleSpec { name: "everyone".into(), why: "".into(), when: None, effects: Effects::default() };
//! let policy = PolicySpec {
//!     layers: vec![LayerSpec { name: "who".into(), every: false, rules: vec![everyone] }],
//!     channels: vec![ChannelSpec { name: "phone".into(), cost: 1, limit: 1 }],
//!     ..PolicySpec::default()
//! };
//! let mut simulation = Simulation::new(Arc::new(policy), setup::Setup {
//!     seed: 1,
//!     interval_us: 900_000_000,
//!     intervals: 4,
//!     distributions: vec![Distribution::Fixed { value_us: 60e6 }, Distribution::Never],
//!     kinds: vec![setup::Kind { channel: "phone".into(), work: 0, patience: 1, ..setup::Kind::default() }],
//!     groups: 1,
//!     conducts: vec![setup::Conduct::default()],
//!     agents: vec![setup::Agent { id: "ana".into(), capacity: 1, shifts: vec![(0, 3_600_000_000)], ..setup::Agent::default() }],
//!     pace: vec![vec![1.0]],
//!     ..setup::Setup::default()
//! })?;
//! let call = |at| Arrival { at, kind: 0, customer: 0, patience: -1, work: -1 };
//! simulation.feed([call(1_000_000), call(2_000_000)].into_iter())?;
//! simulation.run(3_600_000_000)?;
//! let rows = simulation.take();
//! assert_eq!((rows[0].wait, rows[1].wait, rows[1].outcome), (0, 59_000_000, Outcome::Done));
//! # Ok::<(), csroute_sim::SimError>(())
//! ```

mod agenda;
mod contact;
mod crew;
pub mod draw;
mod react;
mod row;
pub mod setup;
mod simulation;
pub mod trace;

pub use crew::{HOURS, Hours};
pub use row::{ARRIVAL_BYTES, Arrival, Outcome, ROW_BYTES, Row};
pub use simulation::{NO_QUEUE, PENDING_MAX, SimError, Simulation};
