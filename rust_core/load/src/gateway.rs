//! Gateways: calls when they are due, or when one ends; by unary calls, batches, or messages of streams.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::BytesMut;
use csroute_wire::Method;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_local};

use crate::client::{Client, Ended, Receiver, Sender, put};
use crate::floor::{Call, Floor};
use crate::pace::{Alarm, Arrivals, Due, now_ns};
use crate::{Desk, How, Loop, desk};

/// What is gathered of small messages before it is handed to HTTP/2.
const GATHER_BYTES: usize = 16 << 10;

/// Sends until the time is over, and waits for the answers.
pub async fn run(floor: Rc<Floor>, clients: Vec<Client>, recorded: Vec<u64>) {
    let settings = &floor.settings;
    let arrivals = match settings.r#loop {
        Loop::Closed => None,
        // A call is due when its last ticket has come.
        Loop::Constant => Some(Arrivals::Constant(settings.rate_per_s / floor.size() as f64)),
        Loop::Poisson => Some(Arrivals::Poisson(settings.rate_per_s / floor.size() as f64)),
        Loop::Recorded => Some(Arrivals::Recorded(recorded)),
    };
    let arrivals = arrivals.map(|arrivals| Due::new(arrivals, settings.seed ^ u64::from(settings.process) << 32));
    if settings.how == How::Stream {
        streams(&floor, &clients, arrivals).await;
    } else {
        calls(&floor, &clients, arrivals).await;
    }
}

/// Hands over each call when it is due, until the time is over.
async fn paced(floor: &Floor, due: Due, mut hand_over: impl FnMut(Call)) {
    let [begin, _, until] = floor.times_ns;
    let alarm = match Alarm::new() {
        Ok(alarm) => alarm,
        Err(error) => return floor.board().fail(format!("no timer: {error}")),
    };
    for offset in due {
        let at = begin + offset;
        if at >= until || floor.board().trouble.is_some() {
            return;
        }
        if let Err(error) = alarm.until(at).await {
            return floor.board().fail(format!("no timer: {error}"));
        }
        if let Some(call) = floor.call(at, true) {
            hand_over(call);
        }
    }
}

/// A new call, in a closed loop; None: it is over.
fn at_once(floor: &Floor) -> Option<Call> {
    let now = now_ns();
    let goes_on = now < floor.times_ns[2] && floor.board().trouble.is_none();
    goes_on.then(|| floor.call(now, false)).flatten()
}

async fn calls(floor: &Rc<Floor>, clients: &[Client], arrivals: Option<Due>) {
    let path = match floor.settings.how {
        How::Unary => Method::Route.path(),
        How::Stream | How::Batch => Method::RouteBatch.path(),
    };
    let one = move |floor: Rc<Floor>, client: Client, call: Call| async move {
        let message = floor.encode(&call);
        // It is due when it is due: what the generator lost is not the server's to have again.
        let spent = std::time::Duration::from_nanos(now_ns().saturating_sub(call.due_ns));
        let patience = floor.patience().saturating_sub(spent);
        floor.ended(&call, &client.unary(path, &message, Some(patience)).await);
    };
    let mut under_way = JoinSet::new();
    if let Some(due) = arrivals {
        let mut turn = clients.iter().cycle();
        paced(floor, due, |call| {
            let Some(client) = turn.next() else { return };
            under_way.spawn_local(one(floor.clone(), client.clone(), call));
            while under_way.try_join_next().is_some() {}
        })
        .await;
    } else {
        for number in 0..floor.settings.in_flight_max {
            let (floor, client) = (floor.clone(), clients[number % clients.len()].clone());
            under_way.spawn_local(async move {
                while let Some(call) = at_once(&floor) {
                    one(floor.clone(), client.clone(), call).await;
                    // Whoever sent tickets completes as many before the next: agents do not run full meanwhile.
                    if floor.settings.desk == Desk::Act && !floor.todo.borrow().is_empty() {
                        desk::act(&floor, &client).await;
                    }
                }
            });
        }
    }
    while under_way.join_next().await.is_some() {}
}

/// A stream's calls.
#[derive(Default)]
struct Line {
    /// Due, and not sent.
    due: RefCell<VecDeque<Call>>,
    /// Sent, and not answered: answers come in this order.
    sent: RefCell<VecDeque<Call>>,
    news: Notify,
    /// No more will be due.
    over: Cell<bool>,
}

async fn streams(floor: &Rc<Floor>, clients: &[Client], arrivals: Option<Due>) {
    let count = floor.settings.streams;
    let window = floor.settings.in_flight_max.div_ceil(count);
    let open = arrivals.is_some();
    let lines: Vec<Rc<Line>> = (0..count).map(|_| Rc::default()).collect();
    let mut under_way = JoinSet::new();
    for (number, line) in lines.iter().enumerate() {
        let client = &clients[number % clients.len()];
        let (sender, receiver) = match client.open(Method::RouteStream.path()).await {
            Ok(stream) => stream,
            Err(ended) => return floor.board().fail(format!("no stream: {ended:?}")),
        };
        under_way.spawn_local(send(floor.clone(), line.clone(), sender, (!open).then_some(window)));
        under_way.spawn_local(receive(floor.clone(), line.clone(), receiver));
    }
    if let Some(due) = arrivals {
        let mut turn = lines.iter().cycle();
        paced(floor, due, |call| {
            let Some(line) = turn.next() else { return };
            line.due.borrow_mut().push_back(call);
            line.news.notify_one();
        })
        .await;
        for line in &lines {
            line.over.set(true);
            line.news.notify_one();
        }
    }
    while under_way.join_next().await.is_some() {}
}

impl Line {
    /// The next call to send now.
    fn next(&self, floor: &Floor, window: Option<usize>) -> Option<Call> {
        let Some(window) = window else {
            return self.due.borrow_mut().pop_front();
        };
        if self.sent.borrow().len() >= window {
            return None;
        }
        let call = at_once(floor);
        self.over.set(call.is_none());
        call
    }
}

/// Sends what is due, or in a closed loop as much as the window lets.
async fn send(floor: Rc<Floor>, line: Rc<Line>, mut sender: Sender, window: Option<usize>) {
    loop {
        let mut gathered = BytesMut::new();
        while gathered.len() < GATHER_BYTES
            && let Some(call) = line.next(&floor, window)
        {
            put(&mut gathered, &floor.encode(&call));
            line.sent.borrow_mut().push_back(call);
        }
        if !gathered.is_empty() {
            if sender.send(gathered.freeze()).await.is_err() {
                return floor.board().fail("a stream broke");
            }
        } else if line.over.get() {
            break;
        } else {
            line.news.notified().await;
        }
    }
    if sender.end().is_err() {
        floor.board().fail("a stream broke");
    }
}

async fn receive(floor: Rc<Floor>, line: Rc<Line>, mut receiver: Receiver) {
    loop {
        match receiver.next().await {
            Ok(Some(message)) => {
                let call = line.sent.borrow_mut().pop_front();
                let Some(call) = call else {
                    return floor.board().fail("an answer that nobody asked for");
                };
                floor.ended(&call, &Ended::Well(message));
                line.news.notify_one();
            }
            Ok(None) => return,
            Err(ended) => {
                line.over.set(true);
                return floor.board().fail(format!("a stream ended: {ended:?}"));
            }
        }
    }
}

/// Keeps count of the generator's own use of a core.
pub fn keep_count(floor: Rc<Floor>) {
    spawn_local(async move {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            ticks.tick().await;
            let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            floor.board().cpu_ns = used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64;
        }
    });
}
