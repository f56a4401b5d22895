//! Every method: its number, path, kind and effect. One table; doors and node read it, and add nothing.
//!
//! ```
//! use csroute_wire::{Effect, Kind, Method};
//! let method = Method::from_number(1).unwrap();
//! assert_eq!((method, method.path()), (Method::Route, "/csroute.v1.RoutingService/Route"));
//! assert_eq!((method.kind(), method.effect()), (Kind::Unary, Effect::Write));
//! ```

/// How a method's messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One request, one reply.
    Unary,
    /// Requests answered one by one, in order: a door makes unary calls of it.
    Stream,
    /// One request, then replies: a door makes it from `WatchOpen`, `WatchNext`, `WatchClose`.
    Watch,
    /// Both ways at once: a door makes it from `WorkOpen`, `WorkAct`, `WorkNext`, `WorkClose`.
    Work,
    /// No RPC of its own.
    Internal,
}

impl Kind {
    /// In lower case, as the Python boundary says it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Unary => "unary",
            Kind::Stream => "stream",
            Kind::Watch => "watch",
            Kind::Work => "work",
            Kind::Internal => "internal",
        }
    }
}

/// What a method does to an engine: which kind of `Request` it is decoded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Commands: `Request::Write`.
    Write,
    /// A look at the engine: `Request::Read`.
    Read,
    /// The node's own affair: drain, watch, work.
    Node,
    /// The node's own: versions of policies.
    Policy,
    /// A door makes it from others; `decode` says `UNKNOWN_METHOD`.
    Door,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $path:literal, $kind:ident, $effect:ident;)*) => {
        /// A method, by its number. Numbers never change their meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        #[allow(missing_docs)]
        pub enum Method { $($(#[$doc])* $name = $number,)* }

        impl Method {
            /// All methods, by number.
            pub const ALL: &'static [Method] = &[$(Method::$name),*];

            /// The method of this number.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Method::$name),)* _ => None }
            }

            /// The RPC's full path, or `internal/…`.
            pub const fn path(self) -> &'static str {
                match self { $(Method::$name => $path),* }
            }

            /// How its messages go.
            pub const fn kind(self) -> Kind {
                match self { $(Method::$name => Kind::$kind),* }
            }

            /// What it does to an engine.
            pub const fn effect(self) -> Effect {
                match self { $(Method::$name => Effect::$effect),* }
            }
        }
    };
}

methods! {
    Route = 1, "/csroute.v1.RoutingService/Route", Unary, Write;
    RouteBatch = 2, "/csroute.v1.RoutingService/RouteBatch", Unary, Write;
    /// Each message is a `RouteBatch`.
    RouteStream = 3, "/csroute.v1.RoutingService/RouteStream", Stream, Door;
    Update = 4, "/csroute.v1.RoutingService/Update", Unary, Write;
    Cancel = 5, "/csroute.v1.RoutingService/Cancel", Unary, Write;
    Suspend = 6, "/csroute.v1.RoutingService/Suspend", Unary, Write;
    Resume = 7, "/csroute.v1.RoutingService/Resume", Unary, Write;
    GetTicket = 8, "/csroute.v1.RoutingService/GetTicket", Unary, Read;
    ListTickets = 9, "/csroute.v1.RoutingService/ListTickets", Unary, Read;
    GetPositions = 10, "/csroute.v1.RoutingService/GetPositions", Unary, Read;
    Explain = 11, "/csroute.v1.RoutingService/Explain", Unary, Read;
    Watch = 12, "/csroute.v1.RoutingService/Watch", Watch, Door;
    ExplainQueue = 13, "/csroute.v1.RoutingService/ExplainQueue", Unary, Read;

    UpsertAgents = 101, "/csroute.v1.AgentService/UpsertAgents", Unary, Write;
    RemoveAgents = 102, "/csroute.v1.AgentService/RemoveAgents", Unary, Write;
    ListAgents = 103, "/csroute.v1.AgentService/ListAgents", Unary, Read;
    OpenSession = 104, "/csroute.v1.AgentService/OpenSession", Unary, Write;
    RenewLease = 105, "/csroute.v1.AgentService/RenewLease", Unary, Write;
    CloseSession = 106, "/csroute.v1.AgentService/CloseSession", Unary, Write;
    Login = 107, "/csroute.v1.AgentService/Login", Unary, Write;
    SetPresence = 108, "/csroute.v1.AgentService/SetPresence", Unary, Write;
    Accept = 109, "/csroute.v1.AgentService/Accept", Unary, Write;
    Decline = 110, "/csroute.v1.AgentService/Decline", Unary, Write;
    Complete = 111, "/csroute.v1.AgentService/Complete", Unary, Write;
    Transfer = 112, "/csroute.v1.AgentService/Transfer", Unary, Write;
    Mark = 113, "/csroute.v1.AgentService/Mark", Unary, Write;
    PauseClock = 114, "/csroute.v1.AgentService/PauseClock", Unary, Write;
    ResumeClock = 115, "/csroute.v1.AgentService/ResumeClock", Unary, Write;
    EndWrapUp = 116, "/csroute.v1.AgentService/EndWrapUp", Unary, Write;
    Act = 117, "/csroute.v1.AgentService/Act", Unary, Write;
    Work = 118, "/csroute.v1.AgentService/Work", Work, Door;

    Assign = 201, "/csroute.v1.AdminService/Assign", Unary, Write;
    Move = 202, "/csroute.v1.AdminService/Move", Unary, Write;
    GetStats = 203, "/csroute.v1.AdminService/GetStats", Unary, Read;
    Drain = 204, "/csroute.v1.AdminService/Drain", Unary, Node;
    GetLive = 205, "/csroute.v1.AdminService/GetLive", Unary, Read;
    Tune = 206, "/csroute.v1.AdminService/Tune", Unary, Write;

    PolicyApply = 301, "/csroute.v1.PolicyService/Apply", Unary, Policy;
    PolicyList = 302, "/csroute.v1.PolicyService/List", Unary, Policy;
    PolicyGet = 303, "/csroute.v1.PolicyService/Get", Unary, Policy;
    PolicyDiff = 304, "/csroute.v1.PolicyService/Diff", Unary, Policy;
    PolicyScene = 305, "/csroute.v1.PolicyService/ActivateScene", Unary, Policy;
    PolicyRollback = 306, "/csroute.v1.PolicyService/Rollback", Unary, Policy;
    PolicyOverride = 307, "/csroute.v1.PolicyService/Override", Unary, Policy;
    PolicySetTable = 308, "/csroute.v1.PolicyService/SetTable", Unary, Write;
    PolicyCanary = 311, "/csroute.v1.PolicyService/Canary", Unary, Write;
    PolicyGetCanary = 312, "/csroute.v1.PolicyService/GetCanary", Unary, Read;
    PolicyStopCanary = 313, "/csroute.v1.PolicyService/StopCanary", Unary, Write;

    /// `InstallPolicyRequest` → `InstallPolicyReply`.
    InstallPolicy = 1000, "internal/InstallPolicy", Internal, Write;
    /// `WatchRequest` → handle.
    WatchOpen = 1001, "internal/WatchOpen", Internal, Node;
    /// Handle → `WatchReply`.
    WatchNext = 1002, "internal/WatchNext", Internal, Node;
    /// Handle → nothing.
    WatchClose = 1003, "internal/WatchClose", Internal, Node;
    /// `WorkRequest` (its session; actions are left to `WorkAct`) → handle, then a `WorkReply` with the opening.
    WorkOpen = 1004, "internal/WorkOpen", Internal, Node;
    /// `WorkRequest` (its actions) → `WorkReply` with results.
    WorkAct = 1005, "internal/WorkAct", Internal, Write;
    /// Handle → `WorkReply` with events.
    WorkNext = 1006, "internal/WorkNext", Internal, Node;
    /// Handle → nothing.
    WorkClose = 1007, "internal/WorkClose", Internal, Node;
    /// `ReclassifyRequest` → `ReclassifyReply`.
    Reclassify = 1008, "internal/Reclassify", Internal, Write;
}

impl Method {
    /// The number that doors pass.
    pub const fn number(self) -> u16 {
        self as u16
    }
}
