//! Commands and events kept, so that the same commands can be given to another engine: behind gRPC, or in a test.

use csroute_engine::{Command, Event, Micros, Presence};
use smol_str::{SmolStr, format_smolstr};

/// Commands kept, at most; past it the simulation stops with an error.
pub const COMMANDS_MAX: usize = 1_000_000;

/// A command as given, flat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traced {
    /// Unix µs.
    pub at: Micros,
    /// `submit`, `cancel`, `upsert`, `login`, …
    pub verb: &'static str,
    /// The ticket, agent or session.
    pub id: SmolStr,
    /// Session, agent, queue, outcome, moment or reason: what the verb needs besides.
    pub with: SmolStr,
    /// A submit's customer.
    pub customer: SmolStr,
    /// The attempt; a presence's number; a lease in ms; of a submit the kind.
    pub number: u64,
}

/// What is kept.
#[derive(Debug, Default)]
pub struct Trace {
    /// In order.
    pub commands: Vec<Traced>,
    /// In order.
    pub events: Vec<Event>,
}

impl Traced {
    /// Flattens one of the commands that a simulation gives.
    pub fn new(at: Micros, command: &Command<'_>, kind: u32) -> Self {
        use Command as C;
        let of = |verb, id: &str, with: &str, number| Self {
            at,
            verb,
            id: id.into(),
            with: with.into(),
            number,
            ..Self::default()
        };
        let presence = |presence: Presence| presence as u64;
        match *command {
            C::Submit(submit) => Self {
                customer: submit.customer.into(),
                ..of("submit", submit.id, submit.preferred_agent, kind.into())
            },
            C::Cancel { id, reason } => of("cancel", id, reason, 0),
            C::UpsertAgent(spec) => of("upsert", spec.id, "", 0),
            C::OpenSession { session, lease } => of("open_session", session, "", lease as u64),
            C::RenewLease { session } => of("renew_lease", session, "", 0),
            C::Login {
                session,
                agent,
                presence: to,
                ..
            } => of("login", agent, session, presence(to)),
            C::SetPresence {
                session,
                agent,
                presence: to,
                ..
            } => of("set_presence", agent, session, presence(to)),
            C::Accept { ticket, attempt, .. } => of("accept", ticket, "", attempt.into()),
            C::Decline { ticket, attempt, .. } => of("decline", ticket, "", attempt.into()),
            C::Complete {
                ticket,
                attempt,
                outcome,
                ..
            } => of("complete", ticket, outcome, attempt.into()),
            C::Mark {
                ticket,
                attempt,
                moment,
            } => of("mark", ticket, moment, attempt.into()),
            C::EndWrapUp { ticket, attempt } => of("end_wrap_up", ticket, "", attempt.into()),
            C::Transfer {
                ticket,
                attempt,
                to: csroute_engine::command::TransferTo::Queue(queue),
            } => of("transfer", ticket, queue, attempt.into()),
            ref other => Self {
                with: format_smolstr!("{other:?}"),
                ..of("other", "", "", 0)
            },
        }
    }
}
