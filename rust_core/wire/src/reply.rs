//! Replies to writes: one result an item, in order, encoded as the items are answered.

use csroute_engine::{Answer, Code, Engine, Rejection, TicketState};

use crate::proto::Put;
use crate::view::{put_rejection, put_route};
use crate::{Method, Write};

/// Collects the results of a request's items, and encodes the method's reply as it goes.
#[derive(Debug)]
pub struct Replies {
    shape: Shape,
    out: Vec<u8>,
    item: usize,
    refused: Option<Rejection>,
}

/// The method's reply message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Route,
    RouteBatch,
    Ticket,
    Action,
    /// `ActionResult`s in this field.
    Actions(u32),
    Install,
    Reclassify,
    Table,
}

/// A guess at a result's length, so that a batch's reply seldom moves.
const RESULT_BYTES: usize = 128;

impl Replies {
    /// For this request.
    pub fn new(write: &Write<'_>) -> Self {
        let shape = match write.method() {
            Method::Route => Shape::Route,
            Method::RouteBatch => Shape::RouteBatch,
            Method::Update | Method::Cancel | Method::Suspend | Method::Resume => Shape::Ticket,
            Method::UpsertAgents | Method::RemoveAgents | Method::Act => Shape::Actions(1),
            Method::WorkAct => Shape::Actions(2),
            Method::InstallPolicy => Shape::Install,
            Method::Reclassify => Shape::Reclassify,
            Method::PolicySetTable => Shape::Table,
            _ => Shape::Action,
        };
        Self {
            shape,
            out: Vec::with_capacity(RESULT_BYTES * write.len()),
            item: 0,
            refused: None,
        }
    }

    /// The next item's result, at the moment of its answer. Items are pushed in order, each once.
    pub fn push(&mut self, write: &Write<'_>, engine: &Engine, result: Result<Answer, Rejection>) {
        let item = self.item;
        self.item += 1;
        let out = &mut self.out;
        match (self.shape, result) {
            (Shape::RouteBatch, Ok(answer)) => out.put_message(1, |out| {
                out.put_message(1, |out| put_route_answer(out, engine, write.ticket(item), answer));
            }),
            (Shape::RouteBatch, Err(no)) => out.put_message(1, |out| put_rejection(out, 2, &no)),
            (Shape::Actions(field), Ok(answer)) => out.put_message(field, |out| {
                out.put_message(1, |out| put_action(out, engine, answer));
                out.put_u64(3, write.item_tag(item));
            }),
            (Shape::Actions(field), Err(no)) => out.put_message(field, |out| {
                put_rejection(out, 2, &no);
                out.put_u64(3, write.item_tag(item));
            }),
            (Shape::Route, Ok(answer)) => put_route_answer(out, engine, write.ticket(item), answer),
            (Shape::Ticket, Ok(answer)) => {
                out.put_str(1, write.ticket(item));
                out.put_u32(2, state_number(answer.state));
                out.put_bool(3, answer.replayed);
                out.put_u64(4, engine.sequence());
            }
            (Shape::Action, Ok(answer)) => put_action(out, engine, answer),
            (Shape::Install, Ok(answer)) => {
                out.put_fixed64(1, write.policy_version());
                out.put_u64(2, answer.reclassified);
                out.put_u64(3, engine.sequence());
            }
            (Shape::Reclassify, Ok(answer)) => {
                out.put_u64(1, answer.reclassified);
                out.put_u64(2, engine.sweep_left());
            }
            (Shape::Table, Ok(answer)) => {
                out.put_u64(1, engine.table_keys(write.table()) as u64);
                out.put_bool(2, answer.replayed);
                out.put_u64(3, answer.reclassified);
                out.put_u64(4, engine.sweep_left());
                out.put_u64(5, engine.sequence());
            }
            (_, Err(no)) => self.refused = Some(no),
        }
        if self.shape == Shape::RouteBatch && self.item == write.len() {
            self.out.put_u64(2, write.tag());
        }
    }

    /// The reply message. For a method of one item, its rejection is the whole answer.
    pub fn finish(self) -> Result<Vec<u8>, Rejection> {
        match self.refused {
            Some(no) => Err(no),
            None => Ok(self.out),
        }
    }
}

fn state_number(state: Option<TicketState>) -> u32 {
    state.map_or(0, |state| u32::from(state as u8))
}

fn put_action(out: &mut Vec<u8>, engine: &Engine, answer: Answer) {
    out.put_bool(1, answer.replayed);
    out.put_u32(2, state_number(answer.state));
    out.put_u64(3, engine.sequence());
}

fn put_route_answer(out: &mut Vec<u8>, engine: &Engine, ticket: &str, answer: Answer) {
    if let Some(view) = engine.route_view(ticket) {
        return put_route(out, &view, answer.replayed, engine.sequence());
    }
    // Ended and forgotten in the same command.
    out.put_str(1, ticket);
    out.put_u32(2, state_number(answer.state));
    out.put_bool(3, answer.replayed);
    out.put_u64(14, engine.sequence());
}

/// The `RouteReply` of a known ticket, for a Route that waited. `TICKET_UNKNOWN` if it is not known any more.
pub fn route_reply(engine: &Engine, ticket: &str, replayed: bool) -> Result<Vec<u8>, Rejection> {
    let unknown = || Rejection::about(Code::TicketUnknown, ticket, "the ticket is not known, or is forgotten");
    let view = engine.route_view(ticket).ok_or_else(unknown)?;
    let mut out = Vec::with_capacity(RESULT_BYTES);
    put_route(&mut out, &view, replayed, engine.sequence());
    Ok(out)
}

/// The reply to `Drain`.
pub fn drain_reply(open_tickets: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u64(1, open_tickets);
    out
}
