//! Every way in which the engine, the wire or the node can say no: one table of numbered codes.
//!
//! ```
//! use csroute_engine::{Code, Rejection};
//! let no = Rejection::new(Code::Stale, "attempt 1 is not the newest, which is 2");
//! assert_eq!(no.code.number(), 302);
//! assert_eq!(no.code.name(), "STALE");
//! ```

use std::borrow::Cow;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// A rejection's number. Numbers never change their meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Code { $($(#[$doc])* $variant = $number,)* }

        impl Code {
            /// All codes, in order.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The name that goes over the wire (`ErrorInfo.reason`).
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),* }
            }

            /// The number that metrics and logs carry.
            pub const fn number(self) -> u16 { self as u16 }
        }
    };
}

codes! {
    /// The bytes are no message of this method.
    Malformed = 100, "MALFORMED";
    /// A field that must be there is not.
    FieldMissing = 101, "FIELD_MISSING";
    /// A text or bytes field is longer than its bound.
    FieldTooLong = 102, "FIELD_TOO_LONG";
    /// A number is outside of its range.
    OutOfRange = 103, "OUT_OF_RANGE";
    /// An enum, an attribute's value or a name is none of those known.
    UnknownValue = 104, "UNKNOWN_VALUE";
    /// A list has more items than its bound.
    TooMany = 105, "TOO_MANY";
    /// The message is larger than the node takes.
    MessageTooLarge = 106, "MESSAGE_TOO_LARGE";
    /// There is no such method.
    UnknownMethod = 107, "UNKNOWN_METHOD";
    /// The ticket is not known (never was, or is forgotten).
    TicketUnknown = 200, "TICKET_UNKNOWN";
    /// The agent is not known.
    AgentUnknown = 201, "AGENT_UNKNOWN";
    /// The session is not open.
    SessionUnknown = 202, "SESSION_UNKNOWN";
    /// The policy has no such queue.
    QueueUnknown = 203, "QUEUE_UNKNOWN";
    /// The ticket has no such clock.
    ClockUnknown = 204, "CLOCK_UNKNOWN";
    /// The policy has no such channel.
    ChannelUnknown = 205, "CHANNEL_UNKNOWN";
    /// No clock names this moment, or it is not the caller's to mark.
    MomentUnknown = 206, "MOMENT_UNKNOWN";
    /// No version of this number is kept, and no override of it stands.
    VersionUnknown = 207, "VERSION_UNKNOWN";
    /// The policy has no such scene.
    SceneUnknown = 208, "SCENE_UNKNOWN";
    /// The id is known with other content.
    Conflict = 300, "CONFLICT";
    /// Not in this state.
    WrongState = 301, "WRONG_STATE";
    /// The attempt is not the ticket's newest.
    Stale = 302, "STALE";
    /// A newer session has the agent.
    Superseded = 303, "SUPERSEDED";
    /// The agent has too few free units, is at the channel's limit, or has it closed.
    NoCapacity = 304, "NO_CAPACITY";
    /// The agent is not logged in.
    NotLoggedIn = 305, "NOT_LOGGED_IN";
    /// `now` is before the last command's.
    TimeBackward = 306, "TIME_BACKWARD";
    /// No policy is installed yet.
    NoPolicy = 307, "NO_POLICY";
    /// Another version of the policy is in force than the caller expected.
    PolicyConflict = 308, "POLICY_CONFLICT";
    /// `waiting_max` tickets are waiting.
    WaitingFull = 400, "WAITING_FULL";
    /// `classes_max` classes have tickets.
    ClassesFull = 401, "CLASSES_FULL";
    /// `agents_max` agents are there.
    AgentsFull = 402, "AGENTS_FULL";
    /// `skills_max` skill names are known.
    SkillsFull = 403, "SKILLS_FULL";
    /// `sessions_max` sessions are open.
    SessionsFull = 404, "SESSIONS_FULL";
    /// The node has as much work in flight as it may.
    Busy = 405, "BUSY";
    /// The node has as many tenants as it may.
    TenantsFull = 406, "TENANTS_FULL";
    /// The node takes no new tickets: it is stopping.
    Draining = 407, "DRAINING";
    /// The resume token is older than the ring of events.
    SequenceGone = 408, "SEQUENCE_GONE";
    /// The caller's deadline passed before the command was taken.
    DeadlinePassed = 409, "DEADLINE_PASSED";
    /// The watcher was too slow, and was cut.
    WatcherSlow = 410, "WATCHER_SLOW";
    /// The journal has no room for new tickets; agents may still finish.
    DiskFull = 411, "DISK_FULL";
    /// The node reads its journal: nothing is taken before it is done.
    Recovering = 412, "RECOVERING";
    /// The journal failed: whether the call is kept is not known; send it again, with the same ids, once the node is back.
    JournalFailed = 413, "JOURNAL_FAILED";
    /// The policy's tables contradict themselves; the message says where.
    PolicyInvalid = 500, "POLICY_INVALID";
    /// The policy is sound, and says something that this version cannot do.
    PolicyUnsupported = 501, "POLICY_UNSUPPORTED";
    /// The call brought no credential that is known.
    Unauthenticated = 600, "UNAUTHENTICATED";
    /// The credential's role, or its tenant, is not for this.
    Forbidden = 601, "FORBIDDEN";
    /// A fault of the node itself.
    Internal = 900, "INTERNAL";
}

impl Code {
    /// Whether, and after how many ms, the same call may go through.
    pub const fn retry_after_ms(self) -> Option<u32> {
        match self {
            Code::WaitingFull | Code::ClassesFull | Code::Recovering | Code::JournalFailed => Some(1000),
            Code::Busy => Some(50),
            Code::Draining | Code::DiskFull => Some(2000),
            Code::TenantsFull | Code::AgentsFull | Code::SkillsFull | Code::SessionsFull => Some(30_000),
            _ => None,
        }
    }
}

/// A numbered no, with what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} ({}): {message}", code.name(), code.number())]
pub struct Rejection {
    /// The number.
    pub code: Code,
    /// For a person.
    pub message: Cow<'static, str>,
    /// The field or name that it is about; may be empty.
    pub subject: String,
}

impl Rejection {
    /// A rejection about nothing in particular.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            subject: String::new(),
        }
    }

    /// A rejection about one field or name.
    pub fn about(code: Code, subject: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            subject: subject.into(),
        }
    }
}
