//! The routing engine: state changes only by a command and a time; what comes out is events.
//!
//! It reads no clock, does no IO, draws no random number, starts no thread. The same commands at the same
//! times give the same events and the same state hash on every machine.

mod code;
pub mod command;
pub mod event;
pub mod limits;
pub mod policy;
pub mod view;

pub use code::{Code, Rejection};
pub use command::{Answer, Command, Presence, TicketState};
pub use event::{Event, EventKind};

/// Unix time in µs.
pub type Micros = i64;
/// A duration in ms.
pub type Millis = i64;

use view::*;

/// What `Engine::advance` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advanced {
    /// Timers fired.
    pub fired: u32,
    /// Nothing due is left; `now` is `until`.
    pub done: bool,
}

/// The engine of one tenant.
pub struct Engine {
    _todo: (),
}

#[allow(unused_variables, clippy::all, clippy::pedantic)]
impl Engine {
    /// An empty engine, without a policy.
    pub fn new() -> Self { todo!() }

    /// The time of the last command or timer.
    pub fn now(&self) -> Micros { todo!() }

    /// The last event's sequence.
    pub fn sequence(&self) -> u64 { todo!() }

    /// Begins a command at `now`: fires every timer due until then, in order, each at its own due time.
    /// `Code::TimeBackward` if `now` is before the last command's; then nothing fires.
    pub fn begin(&mut self, now: Micros, events: &mut Vec<Event>) -> Result<(), Rejection> { todo!() }

    /// Applies one item of the command begun last, and settles. A rejection changes nothing and raises no event.
    pub fn apply(&mut self, command: &Command<'_>, events: &mut Vec<Event>) -> Result<Answer, Rejection> { todo!() }

    /// Fires at most `timers_max` timers due until `until`.
    pub fn advance(&mut self, until: Micros, timers_max: u32, events: &mut Vec<Event>) -> Result<Advanced, Rejection> { todo!() }

    /// The node came back after a stop: no lease or offer ends before `now + grace`; then the timers due fire.
    pub fn resume(&mut self, now: Micros, grace: Millis, events: &mut Vec<Event>) -> Result<(), Rejection> { todo!() }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Micros> { todo!() }

    /// The answer to a route, for a ticket that is known.
    pub fn route_view(&self, id: &str) -> Option<RouteView<'_>> { todo!() }

    /// A ticket, whole.
    pub fn ticket(&self, id: &str) -> Option<TicketView> { todo!() }

    /// Open tickets with a sequence past `after`, in order of submission, at most `limit`; the second value is the
    /// sequence to go on from, None at the end. Looks at no more than 16 × `limit` tickets a call, so that a page may come back short.
    /// Ended tickets are listed too while they are remembered, when `filter.states` asks for them.
    pub fn tickets(&self, filter: &TicketFilter<'_>, after: u64, limit: usize) -> (Vec<TicketView>, Option<u64>) { todo!() }

    /// Agents whose number is past `after`, at most `limit`; the second value goes on.
    pub fn agents(&self, filter: &AgentFilter<'_>, after: u64, limit: usize) -> (Vec<AgentView>, Option<u64>) { todo!() }

    /// Places in line, in the order asked; ids that are not known are left out.
    pub fn positions(&self, ids: &[&str]) -> Vec<PositionView> { todo!() }

    /// Ids of a source's waiting and suspended tickets, in order of submission, past `after`, looking at no more than `look_max` tickets.
    pub fn waiting_of_source(&self, source: &str, after: u64, look_max: usize) -> (Vec<smol_str::SmolStr>, Option<u64>) { todo!() }

    /// Why a ticket is where it is.
    pub fn explain(&self, id: &str) -> Option<ExplainView> { todo!() }

    /// Whether a session is open.
    pub fn session_open(&self, session: &str) -> bool { todo!() }

    /// Figures.
    pub fn stats(&self) -> StatsView { todo!() }

    /// Nothing is held: no ticket, agent, session or policy.
    pub fn is_empty(&self) -> bool { todo!() }

    /// A hash over the whole state: equal states, equal hashes.
    pub fn state_hash(&self) -> u64 { todo!() }

    /// The whole state as bytes; `restore` gives an engine with the same hash and the same future.
    pub fn snapshot(&self) -> Vec<u8> { todo!() }

    /// The engine whose `snapshot` these bytes are.
    pub fn restore(bytes: &[u8]) -> Result<Self, Rejection> { todo!() }
}
