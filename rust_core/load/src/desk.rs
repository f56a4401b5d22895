//! Desks: their agents accept what they are offered and complete what they have, by a Work stream or by `Act`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use csroute_wire::Method;
use prost::Message;
use tokio::task::spawn_local;

use crate::board::Measure;
use crate::client::{Client, Ended, Receiver, Sender, framed};
use crate::floor::{Action, Floor};
use crate::message::{
    ACT, ActionResult, ActionResults, Event, Verb, WORK, WRAPPING, WorkReply, WorkRequest, due_ns, put_action,
};
use crate::pace::{Alarm, now_ns};
use crate::{Desk, How, Loop};

/// Actions in one message.
const ACTIONS_MAX: usize = 256;
/// gRPC's `RESOURCE_EXHAUSTED`.
const BUSY: u16 = 8;
const PAUSE: Duration = Duration::from_millis(5);
/// `Act` calls under way.
const ACTORS: usize = 4;

/// Works for as long as it is let.
pub async fn run(floor: Rc<Floor>, client: Client) {
    spawn_local(release(floor.clone()));
    match floor.settings.desk {
        Desk::None => {}
        // In a closed loop the gateways do it themselves.
        Desk::Act if floor.settings.r#loop == Loop::Closed && floor.settings.how != How::Stream => {}
        Desk::Act => {
            for _ in 0..ACTORS {
                spawn_local(act_on(floor.clone(), client.clone()));
            }
        }
        Desk::Work => {
            if let Err(ended) = work(&floor, client).await {
                floor.board().fail(format!("the desk's stream ended: {ended:?}"));
            }
        }
    }
    std::future::pending::<()>().await;
}

/// Takes up what agents kept long enough.
async fn release(floor: Rc<Floor>) {
    let Ok(alarm) = Alarm::new() else {
        return floor.board().fail("no timer");
    };
    loop {
        let first = floor.held.borrow().front().map(|(until, _)| *until);
        let Some(until) = first else {
            floor.has_held.notified().await;
            continue;
        };
        if alarm.until(until).await.is_err() {
            return floor.board().fail("no timer");
        }
        if let Some((_, action)) = floor.held.borrow_mut().pop_front() {
            floor.todo.borrow_mut().push_back(action);
            floor.has_todo.notify_one();
        }
    }
}

/// The next actions, and a request's bytes of them.
async fn gathered(floor: &Floor, field: u8) -> (Vec<Action>, Vec<u8>) {
    while floor.todo.borrow().is_empty() {
        floor.has_todo.notified().await;
    }
    let mut todo = floor.todo.borrow_mut();
    let count = todo.len().min(ACTIONS_MAX);
    let actions: Vec<Action> = todo.drain(..count).collect();
    if !todo.is_empty() {
        floor.has_todo.notify_one();
    }
    let mut bytes = Vec::with_capacity(40 * count);
    for action in &actions {
        put_action(&mut bytes, field, action.verb, &action.ticket, action.attempt);
    }
    (actions, bytes)
}

fn acknowledged(floor: &Floor, action: &Action, result: ActionResult) {
    let mut board = floor.board();
    let Some(reply) = result.reply else {
        let code = result.rejection.map_or(2, |status| status.code as u16);
        *board.counts.actions_refused.entry(code).or_default() += 1;
        return;
    };
    if action.verb != Verb::Complete || reply.replayed {
        return;
    }
    let named = board.ledger.named(&action.ticket);
    if let Some((process, number)) = named {
        board.ledger.completed(process, number);
        board.counts.completed += 1;
        board.counts.completed_measured += u64::from(floor.is_measured(now_ns()));
    }
    if reply.state == WRAPPING {
        floor.todo.borrow_mut().push_back(Action {
            verb: Verb::EndWrapUp,
            ..action.clone()
        });
        floor.has_todo.notify_one();
    }
}

async fn act_on(floor: Rc<Floor>, client: Client) {
    while floor.board().trouble.is_none() {
        act(&floor, &client).await;
    }
}

/// One `Act` of what there is to do.
pub async fn act(floor: &Floor, client: &Client) {
    let (actions, bytes) = gathered(floor, ACT).await;
    let reply = match client.unary(Method::Act.path(), &bytes, None).await {
        Ended::Well(reply) => reply,
        // Nothing was done: again, a little later.
        Ended::Status(code @ BUSY) => {
            *floor.board().counts.actions_refused.entry(code).or_default() += actions.len() as u64;
            for action in actions.into_iter().rev() {
                floor.todo.borrow_mut().push_front(action);
            }
            tokio::time::sleep(PAUSE).await;
            return floor.has_todo.notify_one();
        }
        ended => return floor.board().fail(format!("the desk was not answered: {ended:?}")),
    };
    let results = ActionResults::decode(&*reply).map_or(Vec::new(), |reply| reply.results);
    if results.len() != actions.len() {
        return floor.board().fail("an answer to a desk's actions is none");
    }
    for (action, result) in actions.iter().zip(results) {
        acknowledged(floor, action, result);
    }
}

async fn work(floor: &Rc<Floor>, client: Client) -> Result<(), Ended> {
    let (mut sender, mut receiver) = client.open(Method::Work.path()).await?;
    let opening = WorkRequest {
        session: floor.settings.session.clone(),
    };
    sender.send(framed(&opening.encode_to_vec())).await?;
    let asked: Rc<RefCell<VecDeque<Action>>> = Rc::default();
    let sending = spawn_local(ask(floor.clone(), sender, asked.clone()));
    let heard = hear(floor, &mut receiver, &asked).await;
    sending.abort();
    heard
}

async fn ask(floor: Rc<Floor>, mut sender: Sender, asked: Rc<RefCell<VecDeque<Action>>>) {
    loop {
        let (actions, bytes) = gathered(&floor, WORK).await;
        asked.borrow_mut().extend(actions);
        if sender.send(framed(&bytes)).await.is_err() {
            return floor.board().fail("the desk's stream broke");
        }
    }
}

async fn hear(floor: &Floor, receiver: &mut Receiver, asked: &RefCell<VecDeque<Action>>) -> Result<(), Ended> {
    while let Some(message) = receiver.next().await? {
        let reply = WorkReply::decode(message).map_err(|error| Ended::Lost(error.to_string()))?;
        for held in reply.opening.into_iter().flat_map(|opening| opening.work) {
            if let Some(ticket) = held.ticket {
                // Harmless where it was accepted before.
                floor.hand_over(&ticket.id, ticket.attempt, true);
            }
        }
        for result in reply.results {
            let action = asked.borrow_mut().pop_front();
            let action = action.ok_or_else(|| Ended::Lost("an answer to no action".into()))?;
            acknowledged(floor, &action, result);
        }
        for event in reply.events {
            told(floor, &event);
        }
    }
    Ok(())
}

/// An event of our agents' work.
fn told(floor: &Floor, event: &Event) {
    let at_once = event.assigned.as_ref().filter(|assigned| assigned.reason.is_some());
    if event.assigned.is_some() {
        let mut board = floor.board();
        match board.ledger.named(&event.ticket) {
            Some((process, number)) => drop(board.ledger.assigned(process, number)),
            None => board.ledger.strangers += 1,
        }
    }
    let context = match (&event.offered, at_once) {
        (Some(offered), _) => &offered.context,
        (None, Some(assigned)) => &assigned.context,
        (None, None) => return,
    };
    if event.attempt == 1
        && let Some(due) = due_ns(context)
    {
        let latency = now_ns().saturating_sub(due);
        let measured = floor.is_measured(due);
        floor.board().note(Measure::Assigned, latency, measured);
    }
    let ticket: Bytes = event.ticket.clone();
    floor.hand_over(&ticket, event.attempt, event.offered.is_some());
}
