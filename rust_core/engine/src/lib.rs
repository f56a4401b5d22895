//! The routing engine: state changes only by a command and a time; what comes out is events.
//!
//! It reads no clock, does no IO, draws no random number, starts no thread. The same commands at the same
//! times give the same events and the same state hash on every machine. `rust_core/DESIGN.md` says what it does.
//!
//! ```
//! use std::sync::Arc;
//! use csroute_engine::command::{AgentSpec, Submit};
//! use csroute_engine::policy::{ChannelSpec, Effects, LayerSpec, PolicySpec, RuleSpec};
//! use csroute_engine::{Command, Engine, EventKind, Presence};
//!
//! let everyone = RuleSpec { name: "everyone".into(), why: "".into(), when: None, effects: Effects::default() };
//! let policy = PolicySpec {
//!     layers: vec![LayerSpec { name: "who".into(), every: false, rules: vec![everyone] }],
//!     channels: vec![ChannelSpec { name: "chat".into(), cost: 20, limit: 5 }],
//!     ..PolicySpec::default()
//! };
//! let (mut engine, mut events) = (Engine::new(), Vec::new());
//! engine.begin(1_000_000, &mut events)?;
//! for command in [
//!     Command::InstallPolicy { policy: Arc::new(policy), reclassify: false },
//!     Command::UpsertAgent(AgentSpec { id: "ana", capacity: 100, ..AgentSpec::default() }),
//!     Command::OpenSession { session: "desk", lease: 30_000 },
//!     Command::Login { session: "desk", agent: "ana", presence: Presence::Available, reason: "" },
//!     Command::Submit(Submit { id: "t1", channel: "chat", ..Submit::default() }),
//! ] {
//!     engine.apply(&command, &mut events)?;
//! }
//! assert!(matches!(events.last().map(|event| &event.kind), Some(EventKind::Assigned { .. })));
//! # Ok::<(), csroute_engine::Rejection>(())
//! ```

mod agent;
mod backlog;
mod bits;
mod board;
mod bottleneck;
pub mod canary;
mod choose;
mod class;
mod clocks;
mod code;
pub mod command;
mod compile;
mod conditions;
mod crew;
pub mod event;
mod explain;
mod facts;
mod flow;
mod heap;
mod image;
mod install;
pub mod limits;
mod lines;
pub mod live;
mod load;
mod names;
mod order;
mod owners;
pub mod policy;
mod preview;
mod read;
mod ring;
mod settle;
mod slab;
mod soundness;
mod steps;
mod submit;
pub mod survey;
mod tables;
mod ticket;
mod timers;
pub mod tuning;
pub mod view;
mod warm;
mod wheel;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use code::{Code, Rejection};
pub use command::{Answer, Command, Presence, TicketState};
pub use event::{Event, EventKind};
pub use preview::Candidate;
use smol_str::SmolStr;
pub use warm::WARM_MAX;

use agent::{Agent, Session};
use board::Board;
use class::Classes;
use names::{Counted, Ids, Names};
use ring::Ring;
use slab::Slab;
use tables::Tables;
use ticket::{Ended, Match, Ticket};
use view::QueueStats;

/// Raised by every change of what is decided from the same commands: a journal is replayed under its own number only.
pub const SEMANTICS: u32 = 1;

/// Unix time in µs.
pub type Micros = i64;
/// A duration in ms.
pub type Millis = i64;

/// A due time, rounded up to whole ms.
pub(crate) fn round_up(raw: Micros) -> Micros {
    raw.saturating_add(999).div_euclid(1000) * 1000
}

/// What `Engine::advance` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advanced {
    /// Timers fired.
    pub fired: u32,
    /// Nothing due is left; `now` is `until`.
    pub done: bool,
}

/// The bounds in force: the policy's, or the defaults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) waiting_max: u32,
    pub(crate) classes_max: u32,
    pub(crate) agents_max: u32,
    pub(crate) sessions_max: u32,
    pub(crate) closed_max: u32,
    pub(crate) closed_keep: Millis,
}

/// Figures since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Counters {
    pub(crate) submitted: u64,
    pub(crate) assigned: u64,
    pub(crate) completed: u64,
    pub(crate) closed: u64,
    pub(crate) cancelled: u64,
    pub(crate) overflowed: u64,
}

/// The engine of one tenant.
pub struct Engine {
    now: Micros,
    sequence: u64,
    /// Events of the call under way.
    out: Vec<Event>,
    events_hash: u64,
    policy: Option<Arc<Tables>>,

    skill_names: Names,
    channel_names: Names,
    /// The channels of the current policy, by their places in it.
    channel_numbers: Vec<u8>,
    clock_names: Names,
    moments: Names,
    queue_names: Names,
    sources: Counted,

    classes: Classes,
    board: Board,
    conditions: conditions::Conditions,
    owners: owners::Owners,
    /// Tickets scheduled, waiting or suspended, by queue.
    lined: Vec<u32>,
    /// Policies still to follow by themselves, in time order.
    later: std::collections::VecDeque<policy::Later>,
    /// The hour's.
    facts: facts::Facts,
    caps: facts::Caps,
    /// An install that still classifies tickets again.
    sweep: Option<install::Sweep>,
    /// Tickets that an install classifies again at once; 0: all.
    slice: u32,
    /// A state is being restored.
    loading: bool,

    tickets: Slab<Ticket>,
    /// Of those that somebody works on.
    matches: Slab<Match>,
    /// Oldest first.
    ended: Ring<Ended>,
    ids: Ids,
    order: order::Order,
    ticket_sequence: u64,
    /// Tickets by state, from Scheduled.
    by_state: [u64; 10],
    /// Waiting tickets with a decline: (sequence, ticket).
    declined: BTreeSet<(u64, u32)>,

    agents: Slab<Agent>,
    agent_ids: rustc_hash::FxHashMap<SmolStr, u32>,
    agents_made: u64,
    agents_seen: u64,
    assignments: u64,
    sessions: Slab<Session>,
    session_ids: rustc_hash::FxHashMap<SmolStr, u32>,
    sessions_opened: u64,

    timers: timers::Timers,
    dirty: settle::Dirty,
    tuning: tuning::Tuning,
    canary: Option<canary::Canary>,
    flow: flow::Flow,
    counters: Counters,
    queue_stats: Vec<QueueStats>,
    clock_stats: Vec<view::ClockStats>,
}

/// A ticket's handle in `Ids` with this bit is an ended one's.
pub(crate) const ENDED: u32 = 1 << 31;

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An empty engine, without a policy.
    pub fn new() -> Self {
        Self {
            now: 0,
            sequence: 0,
            out: Vec::new(),
            events_hash: 0,
            policy: None,
            skill_names: Names::default(),
            channel_names: Names::default(),
            channel_numbers: Vec::new(),
            clock_names: Names::default(),
            moments: Names::of(&clocks::BUILT_IN),
            queue_names: Names::default(),
            sources: Counted::default(),
            classes: Classes::default(),
            board: Board::default(),
            conditions: conditions::Conditions::default(),
            owners: owners::Owners::default(),
            lined: Vec::new(),
            later: std::collections::VecDeque::new(),
            facts: facts::Facts::default(),
            caps: facts::Caps::default(),
            sweep: None,
            slice: 0,
            loading: false,
            tickets: Slab::default(),
            matches: Slab::default(),
            ended: Ring::default(),
            ids: Ids::default(),
            order: order::Order::default(),
            ticket_sequence: 0,
            by_state: [0; 10],
            declined: BTreeSet::new(),
            agents: Slab::default(),
            agent_ids: rustc_hash::FxHashMap::default(),
            agents_made: 0,
            agents_seen: 0,
            assignments: 0,
            sessions: Slab::default(),
            session_ids: rustc_hash::FxHashMap::default(),
            sessions_opened: 0,
            timers: timers::Timers::new(),
            dirty: settle::Dirty::default(),
            tuning: tuning::Tuning::default(),
            canary: None,
            flow: flow::Flow::default(),
            counters: Counters::default(),
            queue_stats: Vec::new(),
            clock_stats: Vec::new(),
        }
    }

    /// The time of the last command or timer.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// The last event's sequence.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// A digest of all events so far, in order: of each its number, time, kind, ticket, agent, attempt, class, and the
    /// figure that says most of what was decided. A replay that decides otherwise has another one from there on.
    pub fn events_hash(&self) -> u64 {
        self.events_hash
    }

    /// Begins a command at `now`: fires every timer due until then, in order, each at its own due time.
    /// `Code::TimeBackward` if `now` is before the last command's; then nothing fires.
    pub fn begin(&mut self, now: Micros, events: &mut Vec<Event>) -> Result<(), Rejection> {
        self.advance(now, u32::MAX, events).map(|_| ())
    }

    /// Applies one item of the command begun last, and settles. A rejection changes nothing and raises no event.
    pub fn apply(&mut self, command: &Command<'_>, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
        std::mem::swap(&mut self.out, events);
        let mut result = self.dispatch(command);
        if let Ok(answer) = &mut result {
            self.settle();
            // What was put in line may have been matched since; what is gone overflowed.
            if let Some(key) = answer.lined {
                *answer = self.left(key);
                answer.lined = None; // a place in this memory, which nobody else knows
            }
        }
        std::mem::swap(&mut self.out, events);
        result
    }

    fn dispatch(&mut self, command: &Command<'_>) -> Result<Answer, Rejection> {
        use Command as C;
        match command {
            C::Submit(submit) => self.submit(submit),
            C::Update {
                id,
                revision,
                attributes,
            } => self.update(id, *revision, attributes),
            C::Cancel { id, reason } => self.cancel(id, reason),
            C::Suspend { id } => self.suspend(id),
            C::Resume { id } => self.resume_ticket(id),
            C::UpsertAgent(spec) => self.upsert_agent(spec),
            C::RemoveAgent { agent } => self.remove_agent(agent),
            C::OpenSession { session, lease } => self.open_session(session, *lease),
            C::RenewLease { session } => self.renew_lease(session),
            C::CloseSession { session } => self.close_session(session),
            C::Login {
                session,
                agent,
                presence,
                reason,
            } => self.login(session, agent, *presence, reason),
            C::SetPresence {
                session,
                agent,
                presence,
                reason,
            } => self.set_presence(session, agent, *presence, reason),
            C::Accept {
                ticket,
                attempt,
                context,
            } => self.accept(ticket, *attempt, context),
            C::Decline {
                ticket,
                attempt,
                reason,
            } => self.decline(ticket, *attempt, reason),
            C::Complete {
                ticket,
                attempt,
                outcome,
                context,
            } => self.complete(ticket, *attempt, outcome, context),
            C::Transfer { ticket, attempt, to } => self.transfer(ticket, *attempt, to),
            C::Mark {
                ticket,
                attempt,
                moment,
            } => self.mark(ticket, *attempt, moment),
            C::PauseClock { ticket, clock } => self.pause_clock(ticket, clock, true),
            C::ResumeClock { ticket, clock } => self.pause_clock(ticket, clock, false),
            C::EndWrapUp { ticket, attempt } => self.end_wrap_up(ticket, *attempt),
            C::Assign { ticket, agent } => self.assign(ticket, agent),
            C::Move { ticket, queue } => self.move_ticket(ticket, queue),
            C::InstallPolicy { policy, reclassify } => self.install(policy, *reclassify),
            C::StartCanary { policy, terms } => self.start_canary(policy, *terms),
            C::StopCanary { reclassify } => self.stop_canary(*reclassify),
            C::Tune {
                rules,
                lapse,
                policy_version,
            } => self.tune(rules, *lapse, *policy_version),
            C::SetTable { facts, reclassify } => self.set_table(facts, *reclassify),
            C::Reclassify { tickets_max } => Ok(self.reclassify_more(*tickets_max)),
        }
    }

    /// Fires at most `timers_max` timers due until `until`.
    pub fn advance(&mut self, until: Micros, timers_max: u32, events: &mut Vec<Event>) -> Result<Advanced, Rejection> {
        self.check_time(until)?;
        self.flow.tick(until, &self.queue_stats);
        std::mem::swap(&mut self.out, events);
        let advanced = self.fire_timers(until, timers_max);
        std::mem::swap(&mut self.out, events);
        Ok(advanced)
    }

    /// The node came back after a stop: no lease or offer ends before `now + grace`; then the timers due fire.
    pub fn resume(&mut self, now: Micros, grace: Millis, events: &mut Vec<Event>) -> Result<(), Rejection> {
        self.check_time(now)?;
        std::mem::swap(&mut self.out, events);
        self.extend_leases_and_offers(round_up(now.saturating_add(grace * 1000)));
        self.fire_timers(now, u32::MAX);
        self.timers.floor = 0;
        self.emit(None, None, 0, EventKind::NodeResumed { grace });
        std::mem::swap(&mut self.out, events);
        Ok(())
    }

    fn check_time(&self, now: Micros) -> Result<(), Rejection> {
        if now < self.now {
            return Err(Rejection::new(
                Code::TimeBackward,
                format!("the time is {now}, the last was {}", self.now),
            ));
        }
        Ok(())
    }

    pub(crate) fn bounds(&self) -> Bounds {
        let limits = self
            .policy
            .as_ref()
            .map_or_else(Default::default, |policy| policy.spec.limits);
        let or = |value: u32, default: u32| if value == 0 { default } else { value };
        Bounds {
            waiting_max: or(limits.waiting_max, limits::WAITING_DEFAULT),
            classes_max: or(limits.classes_max, limits::CLASSES_DEFAULT),
            agents_max: or(limits.agents_max, limits::AGENTS_DEFAULT),
            sessions_max: or(limits.sessions_max, limits::SESSIONS_DEFAULT),
            closed_max: or(limits.closed_max, limits::CLOSED_DEFAULT),
            closed_keep: if limits.closed_keep == 0 {
                limits::CLOSED_KEEP_MS_DEFAULT
            } else {
                limits.closed_keep
            },
        }
    }

    pub(crate) fn current(&self) -> Result<&Arc<Tables>, Rejection> {
        self.policy
            .as_ref()
            .ok_or_else(|| Rejection::new(Code::NoPolicy, "no policy is installed yet: install one first"))
    }

    /// A skill's number.
    pub(crate) fn skill(&mut self, name: &str) -> Result<u32, Rejection> {
        if self.skill_names.len() >= limits::SKILL_NAMES_MAX && self.skill_names.get(name).is_none() {
            return Err(Rejection::about(
                Code::SkillsFull,
                name,
                format!("{} skill names are known, as many as may be", limits::SKILL_NAMES_MAX),
            ));
        }
        if self.skill_names.get(name).is_none() {
            self.room_in_families(&[name])?;
        }
        Ok(self.skill_names.intern(name))
    }

    /// An open family has a bound of its own: whether names not known yet keep it. What a snapshot brings was let in before.
    pub(crate) fn room_in_families(&self, new: &[&str]) -> Result<(), Rejection> {
        let families = self.policy.as_ref().map_or(&[][..], |policy| &policy.spec.families);
        if self.loading {
            return Ok(());
        }
        for family in families {
            let member = |name: &str| {
                let rest = name.strip_prefix(family.name.as_str());
                rest.is_some_and(|rest| rest.starts_with('['))
            };
            let Some(first) = new.iter().copied().find(|name| member(name)) else {
                continue;
            };
            let known = (0..self.skill_names.len() as u32).filter(|&number| member(self.skill_names.name(number)));
            let more = new.iter().filter(|name| member(name));
            if known.count() + more.count() > family.keys_max as usize {
                let message = format!("{} may have {} members, and has them", family.name, family.keys_max);
                return Err(Rejection::about(Code::SkillsFull, first, message));
            }
        }
        Ok(())
    }

    pub(crate) fn queue_number(&mut self, name: &SmolStr) -> u32 {
        let number = self.queue_names.intern(name);
        if self.queue_stats.len() <= number as usize {
            self.queue_stats.push(QueueStats {
                queue: name.clone(),
                ..QueueStats::default()
            });
            self.lined.push(0);
        }
        number
    }

    /// Raises an event about a ticket, an agent, both or neither.
    #[inline]
    pub(crate) fn emit(&mut self, ticket: Option<u32>, agent: Option<u32>, attempt: u32, kind: EventKind) {
        const NONE: SmolStr = SmolStr::new_static("");
        self.sequence += 1;
        let (kind_number, figure) = kind.essence();
        let mut about = 0;
        let (agent, session) = match agent.map(|agent| &self.agents[agent]) {
            None => (NONE, NONE),
            Some(agent) => {
                about = agent.number;
                let session = agent
                    .session
                    .map_or(NONE, |session| self.sessions[session].name.clone());
                (agent.id.clone(), session)
            }
        };
        let (policy_version, ticket, source, queue, class) = match ticket.map(|ticket| &self.tickets[ticket]) {
            None => {
                let version = self.policy.as_ref().map_or(0, |policy| policy.spec.version);
                (version, NONE, NONE, NONE, 0)
            }
            Some(ticket) => {
                let class = &self.classes[ticket.class];
                about = names::fold(about, ticket.sequence);
                (
                    class.tables.spec.version,
                    ticket.id.clone(),
                    self.sources.name(ticket.source).clone(),
                    class.queue_name.clone(),
                    ticket.class,
                )
            }
        };
        let what = u64::from(kind_number) << 56 ^ u64::from(attempt) << 32 ^ u64::from(class);
        let said = names::fold(figure as u64, what);
        let when = names::fold(self.now as u64, self.sequence);
        self.events_hash = names::fold(self.events_hash ^ when, said ^ about);
        self.out.push(Event {
            sequence: self.sequence,
            at: self.now,
            policy_version,
            ticket,
            source,
            queue,
            class,
            agent,
            session,
            attempt,
            kind,
        });
    }
}
