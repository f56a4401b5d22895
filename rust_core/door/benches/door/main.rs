//! The native door against an echo on the same door, in one run: unary calls, one-ticket stream messages, batches, and
//! overload. The node and the door have a thread each, the client one: on two cores they share.
//!
//!     cargo bench -p csroute-door                     # in memory
//!     cargo bench -p csroute-door -- --data DIR       # with a journal there, fsync
//!     cargo bench -p csroute-door -- --only stream    # unary, stream, batches or overload
//!
//! Prints min / median / max of the rounds. Left out: TLS, the network, other languages' clients; the requests' bytes are
//! made before the clock starts. Tickets are assigned at once (10,000 agents, 300 profiles, 100 queues), and completed
//! outside of the clock except where whole lifecycles are counted.

mod work;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use csroute_door::{Door, ECHO, Inbox, Mail, NATIVE, Settings};
use csroute_journal::OsDisk;
use csroute_load::client::{Client, Ended, put};
use csroute_node::{Call, Keeping, Limits, Node, Settings as NodeSettings, Stage};
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};

const CALLERS: usize = 256;
const CONNECTIONS: usize = 4;
const STREAMS: usize = 4;
const STREAM_WINDOW: usize = 512;
/// What is gathered of small messages before it is handed to HTTP/2.
const GATHER_BYTES: usize = 16 << 10;
const BATCH: usize = 256;
const BATCHES_IN_FLIGHT: usize = 16;
const PATIENCE: Duration = Duration::from_millis(100);
const RESOURCE_EXHAUSTED: u16 = 8;

struct Options {
    short: bool,
    data: Option<PathBuf>,
    only: Option<String>,
}

fn options() -> Options {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    Options {
        short: arguments.iter().any(|argument| argument == "--test"),
        data: value("--data").map(PathBuf::from),
        only: value("--only"),
    }
}

/// The node behind its door, and connections to it.
struct Bench {
    door: Door,
    node: Arc<Node>,
    clients: Rc<[Client]>,
    ids: Cell<usize>,
}

impl Bench {
    async fn start(options: &Options) -> Self {
        let mail = Arc::new(Mail::default());
        let settings = NodeSettings {
            limits: Limits::default(),
            keeping: options
                .data
                .as_ref()
                .map(|data| Keeping::on(Arc::new(OsDisk::open(data).expect("a folder")))),
            ..NodeSettings::default()
        };
        let node = Arc::new(Node::open(settings, Inbox(mail.clone())).expect("a node"));
        while node.life().stage() == Stage::Recovering {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let settings = Settings {
            echo: true,
            rejections_logged_per_s: 0,
            ..Settings::default()
        };
        // The door begins with a runtime of its own, which may not be within another's.
        let behind = node.clone();
        let opening = thread::spawn(move || Door::open("127.0.0.1:0", settings, behind, mail).expect("a port"));
        let door = opening.join().expect("a door");
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(Client::connect(door.address(), &[]).await.expect("the door listens"));
        }
        let bench = Self {
            door,
            node,
            clients: clients.into(),
            ids: Cell::new(0),
        };
        bench.staff().await;
        bench
    }

    /// The policy goes in beside the door: it has no RPC.
    async fn staff(&self) {
        let policy = pb::InstallPolicyRequest {
            policy: work::policy(),
            reclassify: false,
            ..pb::InstallPolicyRequest::default()
        };
        let call = Call {
            method: Method::InstallPolicy.number(),
            tenant: "default",
            caller: "bench",
            request: &policy.encode_to_vec(),
        };
        self.node.submit(&call, NATIVE | u64::from(u32::MAX), 0);
        let session = pb::OpenSessionRequest {
            session: "desk".into(),
            lease_ms: 3_600_000,
        };
        self.one(Method::OpenSession, &session.encode_to_vec()).await;
        let (upserts, logins) = work::agents();
        for (method, requests) in [(Method::UpsertAgents, upserts), (Method::Act, logins)] {
            for request in requests {
                let reply = self.one(method, &request).await;
                let results = pb::ActionResults::decode(reply).expect("results").results;
                let well = |one: &pb::ActionResult| matches!(one.result, Some(pb::action_result::Result::Reply(_)));
                assert!(results.iter().all(well));
            }
        }
    }

    async fn one(&self, method: Method, request: &[u8]) -> Bytes {
        match self.clients[0].unary(method.path(), request, None).await {
            Ended::Well(reply) => reply,
            ended => panic!("{method:?}: {ended:?}"),
        }
    }

    fn new_ids(&self, tickets: usize) -> Vec<String> {
        self.ids.set(self.ids.get() + 1);
        work::ids(self.ids.get(), tickets)
    }

    /// A closed loop: so many callers take the messages in turn. Calls a second.
    async fn closed(&self, path: &'static str, messages: &Rc<Vec<Vec<u8>>>, callers: usize) -> f64 {
        let next = Rc::new(Cell::new(0));
        let started = Instant::now();
        let callers: Vec<_> = (0..callers)
            .map(|number| {
                let client = self.clients[number % CONNECTIONS].clone();
                let (messages, next) = (messages.clone(), next.clone());
                spawn_local(async move {
                    while let Some(message) = messages.get(next.replace(next.get() + 1)) {
                        let ended = client.unary(path, message, None).await;
                        assert!(matches!(ended, Ended::Well(_)), "{path}: {ended:?}");
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.expect("a caller");
        }
        messages.len() as f64 / started.elapsed().as_secs_f64()
    }

    async fn complete(&self, ids: &[String]) -> f64 {
        let completes = Rc::new(work::completes(ids, BATCH));
        BATCH as f64 * self.closed(Method::Act.path(), &completes, BATCHES_IN_FLIGHT).await
    }

    async fn unary(&self, rounds: usize, calls: usize) {
        let (mut routes, mut echoes, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let ids = self.new_ids(calls);
            let messages = Rc::new(work::routes(&ids));
            let echo = self.closed(ECHO, &messages, CALLERS).await;
            let route = self.closed(Method::Route.path(), &messages, CALLERS).await;
            self.complete(&ids).await;
            routes.push(route / 1000.0);
            echoes.push(echo / 1000.0);
            shares.push(100.0 * route / echo);
        }
        say("unary Route", "thousand calls/s", routes);
        say("unary echo", "thousand calls/s", echoes);
        say("Route of echo", "%", shares);
        let ids = self.new_ids(calls);
        let messages = Rc::new(work::routes(&ids));
        for path in [ECHO, Method::Route.path()] {
            let before = cpu();
            self.closed(path, &messages, CALLERS).await;
            say_cpu(&before, calls, path);
        }
        self.complete(&ids).await;
    }

    async fn stream(&self, rounds: usize, tickets: usize) {
        let mut rates = Vec::new();
        for _ in 0..rounds {
            let ids = self.new_ids(tickets);
            let messages = Rc::new(work::batches(&ids, 1));
            let before = cpu();
            let started = Instant::now();
            let share = messages.len().div_ceil(STREAMS);
            let streams: Vec<_> = (0..STREAMS)
                .map(|number| {
                    let (client, messages) = (self.clients[number % CONNECTIONS].clone(), messages.clone());
                    spawn_local(async move {
                        let from = (number * share).min(messages.len());
                        let mine = &messages[from..(from + share).min(messages.len())];
                        let answered = stream(&client, mine, STREAM_WINDOW).await;
                        assert_eq!(answered, mine.len(), "each is answered");
                    })
                })
                .collect();
            for stream in streams {
                stream.await.expect("a stream");
            }
            rates.push(tickets as f64 / started.elapsed().as_secs_f64() / 1000.0);
            if rates.len() == rounds {
                say_cpu(&before, tickets, "message");
            }
            self.complete(&ids).await;
        }
        say("one-ticket stream", "thousand messages/s", rates);
    }

    async fn batches(&self, rounds: usize, tickets: usize) {
        let mut rates = Vec::new();
        for _ in 0..rounds {
            let ids = self.new_ids(tickets);
            let routes = Rc::new(work::batches(&ids, BATCH));
            let completes = Rc::new(work::completes(&ids, BATCH));
            let before = cpu();
            let started = Instant::now();
            self.closed(Method::RouteBatch.path(), &routes, BATCHES_IN_FLIGHT).await;
            self.closed(Method::Act.path(), &completes, BATCHES_IN_FLIGHT).await;
            rates.push(60.0 * tickets as f64 / started.elapsed().as_secs_f64() / 1e6);
            if rates.len() == rounds {
                say_cpu(&before, tickets, "lifecycle");
            }
        }
        say("lifecycles, batches of 256", "million/min", rates);
    }

    /// An open loop at a share of the closed loop's peak: calls are due when they are due. What is answered well within
    /// its patience counts; each round is beside a peak of its own.
    async fn overload(&self, rounds: usize, calls: usize) {
        for times in [0.5, 1.0, 2.0] {
            let (mut goods, mut sheds, mut lates) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..rounds {
                let ids = self.new_ids(calls);
                let peak = self
                    .closed(Method::Route.path(), &Rc::new(work::routes(&ids)), CALLERS)
                    .await;
                self.complete(&ids).await;
                let ids = self.new_ids(calls);
                let run = self.open(&Rc::new(work::routes(&ids)), peak * times).await;
                self.complete(&ids).await;
                goods.push(100.0 * run.good / peak);
                sheds.push(100.0 * run.shed);
                lates.push(run.late_ms);
            }
            println!("open loop at {times} of the peak");
            say("  goodput of the peak", "%", goods);
            say("  shed of the calls", "%", sheds);
            say("  generator late by, at most", "ms", lates);
        }
    }

    async fn open(&self, messages: &Rc<Vec<Vec<u8>>>, per_s: f64) -> Run {
        let (good, shed) = (Rc::new(Cell::new(0_usize)), Rc::new(Cell::new(0_usize)));
        let started = Instant::now();
        let mut late = Duration::ZERO;
        let mut calls = Vec::with_capacity(messages.len());
        while calls.len() < messages.len() {
            let due = (started.elapsed().as_secs_f64() * per_s) as usize;
            while calls.len() < due.min(messages.len()) {
                let number = calls.len();
                let at = started + Duration::from_secs_f64(number as f64 / per_s);
                late = late.max(at.elapsed());
                let client = self.clients[number % CONNECTIONS].clone();
                let (messages, good, shed) = (messages.clone(), good.clone(), shed.clone());
                calls.push(spawn_local(async move {
                    let left = PATIENCE.saturating_sub(at.elapsed());
                    match client.unary(Method::Route.path(), &messages[number], Some(left)).await {
                        Ended::Well(_) if at.elapsed() <= PATIENCE => good.set(good.get() + 1),
                        Ended::Status(RESOURCE_EXHAUSTED) => shed.set(shed.get() + 1),
                        _ => {}
                    }
                }));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = started.elapsed().as_secs_f64();
        for call in calls {
            call.await.expect("a call");
        }
        Run {
            good: good.get() as f64 / took,
            shed: shed.get() as f64 / messages.len() as f64,
            late_ms: late.as_secs_f64() * 1000.0,
        }
    }
}

/// All messages over one stream, so many of them in flight: how many were answered.
async fn stream(client: &Client, messages: &[Vec<u8>], window: usize) -> usize {
    let (mut sender, mut receiver) = client.open(Method::RouteStream.path()).await.expect("a stream");
    let (sent, answered, news) = (Cell::new(0), Cell::new(0), Notify::new());
    let sending = async {
        while sent.get() < messages.len() {
            let mut gathered = BytesMut::with_capacity(GATHER_BYTES);
            let until = messages.len().min(answered.get() + window);
            while sent.get() < until && gathered.len() < GATHER_BYTES {
                put(&mut gathered, &messages[sent.replace(sent.get() + 1)]);
            }
            if gathered.is_empty() {
                news.notified().await;
            } else {
                sender.send(gathered.freeze()).await.expect("an open stream");
            }
        }
        sender.end().expect("an open stream");
    };
    let receiving = async {
        while receiver.next().await.expect("it ends well").is_some() {
            answered.set(answered.get() + 1);
            news.notify_one();
        }
    };
    tokio::join!(sending, receiving);
    answered.get()
}

/// What each thread has used of a core, ns: it tells more than a rate does where others use the machine too.
fn cpu() -> BTreeMap<String, u64> {
    let mut used = BTreeMap::new();
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    for task in tasks.flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let ns = read("schedstat")
            .split(' ')
            .next()
            .and_then(|ns| ns.parse::<u64>().ok());
        *used.entry(read("comm").trim().to_owned()).or_default() += ns.unwrap_or(0);
    }
    used
}

fn say_cpu(before: &BTreeMap<String, u64>, per: usize, unit: &str) {
    let after = cpu();
    let used = after
        .iter()
        .map(|(thread, ns)| (thread, ns - before.get(thread).unwrap_or(&0)));
    let parts: Vec<_> = used
        .map(|(thread, ns)| format!("{thread} {:.2}", ns as f64 / 1000.0 / per as f64))
        .collect();
    println!("  of a core, us/{unit}: {}", parts.join(", "));
}

struct Run {
    /// Well answered a second.
    good: f64,
    /// Of all calls.
    shed: f64,
    late_ms: f64,
}

fn say(what: &str, unit: &str, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let [min, median, max] = [0, figures.len() / 2, figures.len() - 1].map(|at| figures[at]);
    println!(
        "{what:28} {min:9.1} / {median:9.1} / {max:9.1} {unit} (min / median / max of {})",
        figures.len()
    );
}

async fn run(options: Options) {
    let bench = Bench::start(&options).await;
    let (rounds, calls) = if options.short { (1, BATCH) } else { (7, 40_000) };
    assert!(calls <= work::HELD_MAX);
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    if wanted("unary") {
        bench.unary(rounds, calls).await;
    }
    if wanted("stream") {
        bench.stream(rounds, calls).await;
    }
    if wanted("batches") {
        bench.batches(rounds, calls).await;
    }
    if wanted("overload") {
        bench.overload(rounds.div_ceil(2), calls).await;
    }
    let stats = bench
        .one(Method::GetStats, &pb::GetStatsRequest::default().encode_to_vec())
        .await;
    let stats = pb::GetStatsReply::decode(stats).expect("stats");
    assert_eq!(
        stats.active + stats.waiting,
        0,
        "every ticket was assigned and completed"
    );
    bench.door.drain();
    bench.node.stop();
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), run(options()));
}
