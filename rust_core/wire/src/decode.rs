//! Requests: bytes to commands.
use csroute_engine::{Command, Event, Rejection};
use smol_str::SmolStr;

use crate::Method;
use crate::query::Query;

/// A request, read and checked.
#[derive(Debug)]
pub enum Request<'a> {
    /// Commands for the engine, in order, under one time.
    Write(Write<'a>),
    /// A look at the engine; owns what it needs, so that it may go on later.
    Read(Query),
    /// The node's own: take no new tickets, or take them again.
    Drain {
        /// Take none.
        on: bool,
    },
    /// A new watcher.
    WatchOpen(Watch),
    /// What a watcher's handle waits for.
    WatchNext(u64),
    /// A watcher goes.
    WatchClose(u64),
    /// A work stream of this session begins; `Query::opening` makes its first message.
    WorkOpen(SmolStr),
    /// What a work stream's handle waits for.
    WorkNext(u64),
    /// A work stream ends.
    WorkClose(u64),
}

/// Reads and checks a request. The rejection is of the whole: a batch's items have theirs in `Write::command`.
pub fn decode(method: Method, bytes: &[u8]) -> Result<Request<'_>, Rejection> {
    let _ = (method, bytes);
    todo!()
}

/// The commands of one request.
#[derive(Debug)]
pub struct Write<'a> {
    _todo: &'a (),
}

impl<'a> Write<'a> {
    /// The method.
    pub fn method(&self) -> Method {
        todo!()
    }

    /// How many commands: 1, or a batch's length.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        todo!()
    }

    /// One command, from 0; its own rejection if its shape is wrong.
    pub fn command(&self, item: usize) -> Result<Command<'_>, Rejection> {
        let _ = item;
        todo!()
    }

    /// `Route`: how long the reply may be held until an assignment, ms; else 0.
    pub fn wait_ms(&self) -> u32 {
        todo!()
    }

    /// `Route`: the ticket's id.
    pub fn ticket(&self) -> &'a str {
        todo!()
    }
}

/// What a watcher asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Events of these sources; with queues: of either; both empty: all.
    pub sources: Vec<SmolStr>,
    /// Events of these queues.
    pub queues: Vec<SmolStr>,
    /// Go on after this; 0: from now.
    pub after_sequence: u64,
    /// Events a message, 1..=4096.
    pub batch_max: u32,
}

impl Watch {
    /// Whether an event passes the filter.
    pub fn matches(&self, event: &Event) -> bool {
        let _ = event;
        todo!()
    }
}
