//! Replies to writes: one result an item, in order.
use csroute_engine::{Answer, Engine, Rejection};

use crate::Write;

/// Collects the results of a request's items, and encodes the method's reply as it goes.
#[derive(Debug)]
pub struct Replies {
    _todo: (),
}

impl Replies {
    /// For this request.
    pub fn new(write: &Write<'_>) -> Self {
        let _ = write;
        todo!()
    }

    /// The next item's result, at the moment of its answer. Items are pushed in order, each once.
    pub fn push(&mut self, write: &Write<'_>, engine: &Engine, result: Result<Answer, Rejection>) {
        let _ = (write, engine, result);
        todo!()
    }

    /// The reply message. For a method of one item, its rejection is the whole answer.
    pub fn finish(self) -> Result<Vec<u8>, Rejection> {
        todo!()
    }
}

/// The `RouteReply` of a known ticket, for a Route that waited. None: the ticket is not known (any more).
pub fn route_reply(engine: &Engine, ticket: &str, replayed: bool) -> Option<Vec<u8>> {
    let _ = (engine, ticket, replayed);
    todo!()
}

/// The reply to `Drain`.
pub fn drain_reply(open_tickets: u64) -> Vec<u8> {
    let _ = open_tickets;
    todo!()
}
