//! A process's generator: a thread with a runtime of its own, seen from outside.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};

use crate::board::Board;
use crate::client::Client;
use crate::floor::Floor;
use crate::ledger::{Ledger, Told};
use crate::{Settings, desk, gateway};

const RUN_BYTES_MAX: usize = 32;
const PROCESSES_MAX: u16 = 100;
/// Past the end and the patience, what is not answered never will be.
const GRACE: Duration = Duration::from_secs(5);

/// A generator: connected, and waiting for `begin`.
pub struct Generator {
    board: Arc<Mutex<Board>>,
    begin: Option<oneshot::Sender<u64>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a generator leaves.
#[derive(Debug)]
pub struct Ended {
    /// The counts, once more.
    pub counts: Value,
    /// The histograms of `board::MEASURES`, in ns, V2.
    pub histograms: Vec<Vec<u8>>,
    /// A mark for each of its tickets: the state answered, or one of `ledger`'s.
    pub given: Vec<u8>,
    /// What its desk heard of whose tickets.
    pub told: BTreeMap<u16, Told>,
}

fn wrong(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn resolved(address: &str) -> io::Result<SocketAddr> {
    address
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| wrong("no such address"))
}

impl Generator {
    /// Connects. `samples`: `NewTicket` messages without id and context, sent in turn; `recorded`: when each call is due, ns
    /// after the beginning, where the loop is as recorded.
    pub fn open(settings: Settings, samples: Vec<Vec<u8>>, recorded: Vec<u64>) -> io::Result<Self> {
        if samples.is_empty() {
            return Err(wrong("there is no ticket to send"));
        }
        if settings.run.len() > RUN_BYTES_MAX || settings.process >= PROCESSES_MAX {
            return Err(wrong(
                "a run's name has at most 32 bytes, and a run at most 100 processes",
            ));
        }
        let counts = [
            settings.batch,
            settings.connections,
            settings.streams,
            settings.in_flight_max,
        ];
        if counts.contains(&0) {
            return Err(wrong("batch, connections, streams and in_flight_max are at least 1"));
        }
        let gateways = resolved(&settings.address)?;
        let desks = match settings.desk_address.as_str() {
            "" => gateways,
            address => resolved(address)?,
        };
        let board = Arc::new(Mutex::new(Board::new(Ledger::new(&settings.run, settings.process))));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (begin, begins) = oneshot::channel();
        let (stop, stops) = oneshot::channel();
        let (connected, connection) = std::sync::mpsc::channel();
        let shown = board.clone();
        let thread = thread::Builder::new().name("csroute-load".into()).spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                match connect(&settings, gateways, desks).await {
                    Err(error) => drop(connected.send(Err(error))),
                    Ok(clients) => {
                        drop(connected.send(Ok(())));
                        let Ok(begin_ns) = begins.await else { return };
                        let floor = Rc::new(Floor::new(settings, samples, shown, begin_ns));
                        live(floor, clients, recorded, stops).await;
                    }
                }
            });
        })?;
        connection.recv().map_err(io::Error::other)??;
        Ok(Self {
            board,
            begin: Some(begin),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Begins, by `pace::now_ns`; only the first time counts.
    pub fn begin(&mut self, at_ns: u64) {
        if let Some(begin) = self.begin.take() {
            // It waits for nothing else.
            let _ = begin.send(at_ns);
        }
    }

    /// Counts so far, latencies since the last look.
    pub fn look(&self) -> Value {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).look()
    }

    /// Ends it, desks and all.
    pub fn finish(mut self) -> Ended {
        self.end();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        Ended {
            counts: board.look(),
            histograms: board.histograms(),
            given: board.ledger.of_own().to_vec(),
            told: board.ledger.told().clone(),
        }
    }

    fn end(&mut self) {
        self.begin = None;
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // Nothing in it may panic; had it, its board says how far it came.
            let _ = thread.join();
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.end();
    }
}

async fn connect(settings: &Settings, gateways: SocketAddr, desks: SocketAddr) -> io::Result<Vec<Client>> {
    // The desk's is the last.
    let mut clients = Vec::new();
    for number in 0..=settings.connections {
        let address = if number == settings.connections {
            desks
        } else {
            gateways
        };
        clients.push(Client::connect(address, &settings.metadata).await?);
    }
    Ok(clients)
}

async fn live(floor: Rc<Floor>, mut clients: Vec<Client>, recorded: Vec<u64>, stop: oneshot::Receiver<()>) {
    gateway::keep_count(floor.clone());
    if let Some(client) = clients.pop() {
        spawn_local(desk::run(floor.clone(), client));
    }
    let sending = floor.clone();
    spawn_local(async move {
        let ends_ns = sending.times_ns[2].saturating_sub(crate::pace::now_ns());
        let most = Duration::from_nanos(ends_ns) + sending.patience() + GRACE;
        // Whoever is not answered by then stays NO_ANSWER in the ledger.
        let _ = tokio::time::timeout(most, gateway::run(sending.clone(), clients, recorded)).await;
        sending.board().over = true;
    });
    // Told to stop, or given up: either is the end.
    let _ = stop.await;
}
