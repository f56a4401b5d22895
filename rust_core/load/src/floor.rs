//! What gateways and desks of one process share: the board, the samples, what is to be done.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::sync::Notify;

use crate::board::{Board, Measure};
use crate::client::Ended;
use crate::ledger::{NO_ANSWER, REFUSED};
use crate::message::{ACTIVE, OFFERED, RouteBatchReply, RouteReply, RouteResult, Verb, put_ticket};
use crate::pace::now_ns;
use crate::{Desk, How, Settings};

/// gRPC codes after which a call's tickets may have been taken all the same.
const NOT_KNOWN: [u16; 5] = [1, 2, 4, 13, 14];

/// A call, a message or a batch.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Its first ticket.
    pub first: usize,
    pub count: usize,
    pub due_ns: u64,
}

/// An action that waits to be sent.
#[derive(Debug, Clone)]
pub struct Action {
    pub verb: Verb,
    pub ticket: Bytes,
    pub attempt: u32,
}

pub struct Floor {
    pub settings: Settings,
    pub board: Arc<Mutex<Board>>,
    samples: Vec<Vec<u8>>,
    /// When it began, when it is measured from, when no more calls begin.
    pub times_ns: [u64; 3],
    pub todo: RefCell<VecDeque<Action>>,
    pub has_todo: Notify,
    /// What agents keep for a while, and until when.
    pub held: RefCell<VecDeque<(u64, Action)>>,
    pub has_held: Notify,
}

impl Floor {
    pub fn new(settings: Settings, samples: Vec<Vec<u8>>, board: Arc<Mutex<Board>>, begin_ns: u64) -> Self {
        let from_ns = begin_ns + (settings.warm_up_s * 1e9) as u64;
        let until_ns = from_ns + (settings.seconds * 1e9) as u64;
        Self {
            settings,
            board,
            samples,
            times_ns: [begin_ns, from_ns, until_ns],
            todo: RefCell::default(),
            has_todo: Notify::new(),
            held: RefCell::default(),
            has_held: Notify::new(),
        }
    }

    pub fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_measured(&self, due_ns: u64) -> bool {
        (self.times_ns[1]..self.times_ns[2]).contains(&due_ns)
    }

    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.settings.patience_ms)
    }

    /// Tickets in a call.
    pub fn size(&self) -> usize {
        match self.settings.how {
            How::Unary => 1,
            How::Stream | How::Batch => self.settings.batch,
        }
    }

    /// A new call's tickets. None: as many as can be named were sent, or in an open loop as many as may be are under way.
    pub fn call(&self, due_ns: u64, open: bool) -> Option<Call> {
        let mut board = self.board();
        let count = self.size();
        if open {
            board.note(Measure::Late, now_ns().saturating_sub(due_ns), self.is_measured(due_ns));
        }
        if self.is_measured(due_ns) {
            board.counts.offered += count as u64;
        }
        if open && board.in_flight >= self.settings.in_flight_max {
            board.counts.unsent += 1;
            return None;
        }
        let Some(first) = board.ledger.next(count) else {
            board.fail("there are no more names for tickets: make the run shorter");
            return None;
        };
        board.in_flight += 1;
        board.counts.calls += 1;
        board.counts.sent += count as u64;
        Some(Call { first, count, due_ns })
    }

    /// Its bytes.
    pub fn encode(&self, call: &Call) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 * call.count);
        let ids: Vec<String> = {
            let board = self.board();
            (call.first..call.first + call.count)
                .map(|number| board.ledger.id(number))
                .collect()
        };
        for (number, id) in (call.first..).zip(&ids) {
            put_ticket(
                &mut bytes,
                id.as_bytes(),
                &self.samples[number % self.samples.len()],
                call.due_ns,
            );
        }
        bytes
    }

    /// Notes how a call ended.
    pub fn ended(&self, call: &Call, ended: &Ended) {
        let now = now_ns();
        let mut board = self.board();
        board.in_flight = board.in_flight.saturating_sub(1);
        let results = match ended {
            Ended::Well(bytes) => self.results(bytes, call.count),
            Ended::Status(code) => {
                *board.counts.refused.entry(*code).or_default() += 1;
                let mark = if NOT_KNOWN.contains(code) { NO_ANSWER } else { REFUSED };
                for number in call.first..call.first + call.count {
                    board.ledger.given(number, mark);
                }
                return;
            }
            Ended::Late => {
                board.counts.unanswered += 1;
                return;
            }
            Ended::Lost(why) => {
                board.counts.unanswered += 1;
                return board.fail(format!("the connection broke: {why}"));
            }
        };
        let Some(results) = results else {
            return board.fail(format!("an answer to {} tickets is none", call.count));
        };
        let measured = self.is_measured(call.due_ns);
        let latency = now.saturating_sub(call.due_ns);
        board.note(Measure::Call, latency, measured);
        for (number, result) in (call.first..).zip(results) {
            let Some(reply) = result.reply else {
                let code = result.rejection.map_or(2, |status| status.code as u16);
                *board.counts.refused.entry(code).or_default() += 1;
                board.ledger.given(number, REFUSED);
                continue;
            };
            board
                .ledger
                .given(number, u8::try_from(reply.state).unwrap_or(NO_ANSWER));
            board.counts.taken += 1;
            board.counts.replayed += u64::from(reply.replayed);
            board.counts.good += u64::from(measured && latency <= self.patience().as_nanos() as u64);
            if self.settings.desk == Desk::Act && matches!(reply.state, OFFERED | ACTIVE) {
                let process = self.settings.process;
                if board.ledger.assigned(process, number) {
                    board.note(Measure::Assigned, latency, measured);
                }
                let ticket: Bytes = board.ledger.id(number).into();
                self.hand_over(&ticket, reply.attempt, reply.state == OFFERED);
            }
        }
    }

    fn results(&self, bytes: &Bytes, count: usize) -> Option<Vec<RouteResult>> {
        if self.settings.how == How::Unary {
            let reply = Some(RouteReply::decode(&**bytes).ok()?);
            return Some(vec![RouteResult { reply, rejection: None }]);
        }
        let reply = RouteBatchReply::decode(&**bytes).ok()?;
        (reply.results.len() == count).then_some(reply.results)
    }

    /// An agent has it: it is accepted, if it was offered, and completed when it was kept long enough.
    pub fn hand_over(&self, ticket: &Bytes, attempt: u32, accept: bool) {
        let action = |verb| Action {
            verb,
            ticket: ticket.clone(),
            attempt,
        };
        let mut todo = self.todo.borrow_mut();
        if accept {
            todo.push_back(action(Verb::Accept));
        }
        if self.settings.hold_ms == 0 {
            todo.push_back(action(Verb::Complete));
        } else {
            let until = now_ns() + self.settings.hold_ms * 1_000_000;
            self.held.borrow_mut().push_back((until, action(Verb::Complete)));
            self.has_held.notify_one();
        }
        self.has_todo.notify_one();
    }
}
