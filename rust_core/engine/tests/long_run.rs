//! A long random run: millions of commands from a seed, the invariants checked all along, by public views alone.
//!
//! `CSROUTE_SEED` repeats a run, `CSROUTE_COMMANDS` sets its length (default 5,000,000).
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    missing_docs
)]

mod walk;

use std::collections::{BTreeMap, BTreeSet};

use csroute_engine::view::{AgentFilter, TicketFilter};
use csroute_engine::{Answer, Command, Engine, Event, EventKind, Rejection, TicketState};
use walk::{Rng, later, peek, started, with_command};

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn apply(engine: &mut Engine, now: i64, command: &Command<'_>, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    engine.begin(now, events)?;
    engine.apply(command, events)
}

/// What the events said so far, kept apart from the engine.
#[derive(Default)]
struct Auditor {
    last_sequence: u64,
    last_at: i64,
    arrivals: BTreeMap<(String, i64), i64>,
    fired: BTreeSet<(String, String, u32)>,
    open: BTreeSet<String>,
    ended: u64,
    submitted: u64,
}

impl Auditor {
    fn hear(&mut self, events: &[Event]) {
        for event in events {
            assert_eq!(event.sequence, self.last_sequence + 1, "sequences rise by one");
            assert!(event.at >= self.last_at, "time never goes back (I6)");
            (self.last_sequence, self.last_at) = (event.sequence, event.at);
            let ticket = event.ticket.to_string();
            match &event.kind {
                EventKind::Scheduled { .. } => self.begin(&ticket),
                EventKind::Queued {
                    cause: csroute_engine::event::QueueCause::Arrived,
                    ..
                } if !self.open.contains(&ticket) => self.begin(&ticket),
                EventKind::Closed { .. } | EventKind::Cancelled { .. } | EventKind::Overflowed { .. } => {
                    assert!(self.open.remove(&ticket), "{ticket} ended twice (I1)");
                    self.ended += 1;
                }
                EventKind::ClockWarned { clock, point } => {
                    assert!(
                        self.fired.insert((ticket, clock.to_string(), *point)),
                        "a warning fired twice (I6)"
                    );
                }
                EventKind::ClockBreached { clock } => {
                    assert!(
                        self.fired.insert((ticket, clock.to_string(), 99)),
                        "a breach fired twice (I6)"
                    );
                }
                _ => {}
            }
        }
    }

    fn begin(&mut self, ticket: &str) {
        assert!(self.open.insert(ticket.to_string()), "{ticket} is there twice (I1)");
        self.submitted += 1;
        self.fired.retain(|(fired, _, _)| fired != ticket);
        self.arrivals.retain(|(known, _), _| known != ticket);
    }

    /// The engine's views against what the events said.
    fn check(&mut self, engine: &Engine) {
        let (tickets, more) = engine.tickets(&TicketFilter::default(), 0, 10_000);
        assert!(more.is_none());
        let ids: BTreeSet<String> = tickets.iter().map(|ticket| ticket.id.to_string()).collect();
        assert_eq!(ids, self.open, "every ticket is in exactly one state, none lost (I1)");
        let stats = engine.stats();
        let open = stats.scheduled + stats.waiting + stats.suspended + stats.offered + stats.active + stats.wrapping;
        assert_eq!((open as usize, stats.submitted), (self.open.len(), self.submitted));
        assert_eq!(stats.closed + stats.cancelled + stats.overflowed, self.ended);
        assert_eq!(
            stats.queues.iter().map(|queue| queue.waiting).sum::<u64>(),
            stats.waiting
        );
        for ticket in &tickets {
            if ticket.state == TicketState::Waiting {
                let explain = engine.explain(&ticket.id).expect("it is known");
                assert_eq!(
                    explain.eligible, 0,
                    "{} waits beside an eligible agent (I4): {}",
                    ticket.id, explain.text
                );
            }
            if ticket.state != TicketState::Scheduled {
                let arrival = *self
                    .arrivals
                    .entry((ticket.id.to_string(), 0))
                    .or_insert(ticket.arrival);
                assert_eq!(arrival, ticket.arrival, "the arrival survives (I9)");
            }
        }
        let (agents, _) = engine.agents(&AgentFilter::default(), 0, 10_000);
        let held: usize = agents.iter().map(|agent| agent.tickets.len()).sum();
        assert_eq!(
            held as u64,
            stats.offered + stats.active + stats.wrapping,
            "each working ticket has one agent (I1)"
        );
    }
}

/// A match never takes an agent above units or limits (I2): looked at right after it.
fn check_matches(engine: &Engine, events: &[Event]) {
    for event in events {
        if !matches!(
            event.kind,
            EventKind::Offered { .. } | EventKind::Assigned { reason: Some(_), .. }
        ) {
            continue;
        }
        let (agents, _) = engine.agents(&AgentFilter::default(), 0, 10_000);
        let Some(agent) = agents.iter().find(|agent| agent.id == event.agent) else {
            continue;
        };
        let chats = |channel: &str| {
            agent
                .tickets
                .iter()
                .filter(|id| engine.ticket(id).is_some_and(|ticket| ticket.channel == channel))
                .count()
        };
        assert!(
            agent.used <= agent.capacity,
            "{} holds {} of {} (I2)",
            agent.id,
            agent.used,
            agent.capacity
        );
        for (channel, limit) in [("chat", 3), ("phone", 1)] {
            let own = agent
                .channels
                .iter()
                .find(|(name, _)| name == channel)
                .map(|(_, limit)| *limit)
                .filter(|limit| *limit > 0);
            assert!(
                chats(channel) as u32 <= own.unwrap_or(limit),
                "{} is above the limit of {channel} (I2)",
                agent.id
            );
        }
    }
}

/// Repeating a command at once does nothing, or is a new thing to do (a second cancel's ticket came back, say): if the
/// engine calls it replayed, nothing may change (I8).
fn check_repeat(engine: &mut Engine, command: &Command<'_>, events: &mut Vec<Event>) {
    if matches!(
        command,
        Command::RenewLease { .. } | Command::OpenSession { .. } | Command::InstallPolicy { .. }
    ) {
        return;
    }
    let (before, at) = (engine.state_hash(), events.len());
    if !engine.apply(command, events).is_ok_and(|answer| !answer.replayed) {
        assert_eq!(
            (engine.state_hash(), events.len()),
            (before, at),
            "a replay or a rejection changed something (I8, I11)"
        );
    }
}

fn run(seed: u64, commands: u64) {
    let mut rng = Rng(seed);
    let mut events = Vec::new();
    let mut engine = started(seed % 3, &mut events);
    let mut auditor = Auditor::default();
    let mut copy: Option<Engine> = None;
    for number in 0..commands {
        let now = later(&mut rng, &engine);
        if rng.below(5000) == 0 {
            engine.resume(now, 50, &mut events).expect("time goes on");
            if let Some(copy) = &mut copy {
                copy.resume(now, 50, &mut Vec::new()).expect("time goes on");
            }
        }
        let at = events.len();
        let mut copied = Vec::new();
        let looked = peek(&mut rng, &engine);
        let applied = with_command(&mut rng, looked, |command| {
            let result = apply(&mut engine, now, command, &mut events);
            if let Some(copy) = &mut copy {
                assert_eq!(
                    apply(copy, now, command, &mut copied),
                    result,
                    "the restored engine answers alike (I7)"
                );
            }
            if number % 101 == 0 {
                check_repeat(&mut engine, command, &mut events);
                if let Some(copy) = &mut copy {
                    check_repeat(copy, command, &mut copied);
                }
            }
            result.is_ok()
        });
        if let Some(copy) = &copy {
            assert_eq!(events[at..], copied, "the restored engine raises the same events (I7)");
            assert_eq!(copy.events_hash(), engine.events_hash(), "and their digest tells it");
        }
        if applied && events.len() - at == 1 {
            check_matches(&engine, &events[at..]);
        }
        auditor.hear(&events);
        events.clear();
        if number % 199 == 0 {
            auditor.check(&engine);
        }
        match number % 10_007 {
            0 => {
                let restored = Engine::restore(&engine.snapshot()).expect("a snapshot restores");
                assert_eq!(
                    restored.state_hash(),
                    engine.state_hash(),
                    "the hash survives a snapshot (I7)"
                );
                copy = Some(restored);
            }
            500 => {
                let copy = copy.take().expect("it was made");
                assert_eq!(copy.state_hash(), engine.state_hash(), "same commands, same state (I7)");
            }
            _ => {}
        }
    }
    forget_all(&mut engine, &mut events);
}

/// Everything ends and is forgotten: nothing is left of the tickets (I12).
fn forget_all(engine: &mut Engine, events: &mut Vec<Event>) {
    let far = engine.now() + 3_600_000_000;
    engine.begin(far, events).expect("time goes on");
    let (tickets, _) = engine.tickets(&TicketFilter::default(), 0, 10_000);
    for ticket in tickets {
        engine
            .apply(
                &Command::Cancel {
                    id: &ticket.id,
                    reason: "",
                },
                events,
            )
            .expect("it is known");
    }
    engine.begin(far + 3_600_000_000, events).expect("time goes on");
    let stats = engine.stats();
    let open = stats.scheduled + stats.waiting + stats.suspended + stats.offered + stats.active + stats.wrapping;
    assert_eq!((open, stats.remembered), (0, 0));
}

#[test]
fn millions_of_commands_keep_the_invariants() {
    let seed = env("CSROUTE_SEED", 20_261_111);
    println!("seed {seed}");
    run(seed, env("CSROUTE_COMMANDS", 5_000_000));
}
