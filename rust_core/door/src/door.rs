//! The door's life: listen, serve, drain, end. One thread, with a runtime of its own.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use csroute_node::Node;
use csroute_wire::Method;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tonic_health::server::HealthReporter;

use crate::Settings;
use crate::desk::Desk;
use crate::mail::Mail;
use crate::service::{Service, methods};
use crate::standard::{self, Standard};
use crate::tls::{Tls, greet};
use crate::who::Peer;

/// A batch of 1024 tickets, with room to spare; HTTP/2's own default is 64 KiB.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
const FRAME_BYTES_MAX: u32 = 64 << 10;
const SEND_BUFFER_BYTES: usize = 1 << 20;
const RESETS_MAX: usize = 65_536;
const METADATA_BYTES_MAX: u32 = 16_384;
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How often a client that does not read is looked for, within its time.
const CUT_TICKS: u64 = 4;
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Where the door is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// No new connections or calls; what is under way goes on.
    Draining,
    /// The end.
    Ended,
}

/// A running door. Dropping it ends it at once.
pub struct Door {
    desk: Arc<Desk>,
    address: SocketAddr,
    phase: watch::Sender<Phase>,
    runtime: Handle,
    health: HealthReporter,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Door {
    /// Listens and serves. Health says `NOT_SERVING` until `serving`.
    pub fn open(listen: &str, settings: Settings, node: Arc<Node>, mail: Arc<Mail>) -> io::Result<Self> {
        let addresses: Vec<SocketAddr> = listen.to_socket_addrs()?.collect();
        let listener = StdListener::bind(&*addresses)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let health = HealthReporter::new();
        let standard = Standard::new(&health).map_err(io::Error::other)?;
        let tls = settings.tls.clone();
        let desk = Arc::new(Desk::new(node, settings));
        desk.handshakes.set(tls.as_ref())?;
        let (phase, phases) = watch::channel(Phase::Open);
        let handle = runtime.handle().clone();
        handle.block_on(standard::say(&health, false));
        let house = House {
            desk: desk.clone(),
            methods: Arc::new(methods()),
            standard,
            phases,
        };
        let reporter = health.clone();
        let last = desk.clone();
        let thread = thread::Builder::new().name("csroute-door".into()).spawn(move || {
            runtime.block_on(async move {
                tokio::spawn(tell_of_failure(reporter, house.desk.clone()));
                house.live(listener, mail).await;
            });
            // What its streams say when they are dropped: that their watchers go.
            drop(runtime);
            last.flush();
        })?;
        Ok(Self {
            desk,
            address,
            phase,
            runtime: handle,
            health,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What health says from now on, unless the node has failed.
    pub fn serving(&self, serving: bool) {
        let serving = serving && !self.desk.failed.load(Ordering::Relaxed);
        self.runtime.block_on(standard::say(&self.health, serving));
    }

    /// Other certificates, for the connections that come from now on. Not taken, those there were stay.
    pub fn set_tls(&self, tls: Option<&Tls>) -> io::Result<()> {
        self.desk.handshakes.set(tls)
    }

    /// Other bounds, from now on.
    pub fn set_limits(&self, calls_max: usize, streams_max: usize) {
        self.desk.calls_max.store(calls_max, Ordering::Relaxed);
        self.desk.streams_max.store(streams_max, Ordering::Relaxed);
    }

    /// Takes no new connections, and tells the clients of the old ones to go elsewhere.
    pub fn drain(&self) {
        self.phase.send_if_modified(|phase| {
            let open = *phase == Phase::Open;
            *phase = (*phase).max(Phase::Draining);
            open
        });
    }

    /// Streams take no more messages: what was read is answered, then they end as DRAINING.
    pub fn stop_reading(&self) {
        self.desk.ending.store(true, Ordering::Relaxed);
        self.desk.wake_streams();
    }

    /// Waits until no unary call is in flight; with `streams`: no stream either. False: it took too long.
    pub fn quiet(&self, streams: bool, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while self.desk.calls.load(Ordering::Relaxed) > 0 || (streams && self.desk.streams() > 0) {
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(LOOK_EVERY);
        }
        true
    }

    /// Waits for the last words to leave, then ends.
    pub fn stop(&self, patience: Duration) {
        self.drain();
        let until = Instant::now() + patience;
        while self.desk.connections.load(Ordering::Relaxed) > 0 && Instant::now() < until {
            thread::sleep(LOOK_EVERY);
        }
        self.phase.send_replace(Phase::Ended);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Nothing in it may panic; had it, there is nothing left to end.
            let _ = thread.join();
        }
    }

    /// What it has open now.
    pub fn figures(&self) -> Value {
        json!({
            "calls": self.desk.calls.load(Ordering::Relaxed),
            "streams": self.desk.streams(),
            "connections": self.desk.connections.load(Ordering::Relaxed),
        })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// What the thread has.
struct House {
    desk: Arc<Desk>,
    methods: Arc<FxHashMap<&'static str, Method>>,
    standard: Standard,
    phases: watch::Receiver<Phase>,
}

impl House {
    async fn live(mut self, listener: StdListener, mail: Arc<Mail>) {
        let desk = self.desk.clone();
        tokio::spawn(async move { desk.deliver(mail).await });
        let desk = self.desk.clone();
        tokio::spawn(async move { desk.forward().await });
        let desk = self.desk.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(desk.settings.write_timeout / CUT_TICKS as u32);
            loop {
                ticks.tick().await;
                desk.cut_unread(CUT_TICKS);
            }
        });
        let mut phases = self.phases.clone();
        tokio::select! {
            () = self.accept(listener) => {}
            _ = phases.wait_for(|phase| *phase > Phase::Open) => {}
        }
        // The listener is closed; what is under way goes on.
        let _ = self.phases.wait_for(|phase| *phase == Phase::Ended).await;
    }

    async fn accept(&self, listener: StdListener) {
        let Ok(listener) = TcpListener::from_std(listener) else {
            return;
        };
        loop {
            let Ok((stream, address)) = listener.accept().await else {
                // Out of descriptors, mostly: those that end give theirs back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            if self.desk.connections.load(Ordering::Relaxed) >= self.desk.settings.connections_max {
                continue; // closed at once: the client tries elsewhere
            }
            // A reply that waits for another one's acknowledgement would be a slow one.
            let _ = stream.set_nodelay(true);
            tokio::spawn(self.connection(stream, address));
        }
    }

    /// Greets a connection, and serves it to its end.
    fn connection(&self, stream: TcpStream, address: SocketAddr) -> impl Future<Output = ()> + Send + use<> {
        let acceptor = self.desk.handshakes.acceptor();
        let counted = Connected::new(self.desk.clone());
        let (desk, methods, standard) = (self.desk.clone(), self.methods.clone(), self.standard.clone());
        let phases = self.phases.clone();
        async move {
            let _counted = counted;
            let service = |names| Service {
                desk,
                methods,
                standard,
                peer: Peer::at(address, names),
            };
            let Some(acceptor) = acceptor else {
                return serve(stream, service(Vec::new()), phases).await;
            };
            if let Some((stream, names)) = greet(acceptor, stream).await {
                serve(stream, service(names), phases).await;
            }
        }
    }
}

async fn serve<S>(stream: S, service: Service, mut phases: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = Arc::new(service);
    let calls_max = service.desk.settings.connection_calls_max;
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(METADATA_BYTES_MAX)
        .max_concurrent_streams(calls_max)
        // Calls given up at their deadlines, all at once after a stall, are no attack: it must not cost the connection.
        .max_pending_accept_reset_streams(RESETS_MAX)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE / 3)
        .auto_date_header(false)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| service.clone().call(request)),
        );
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A connection that breaks is its client's affair.
        _ = connection.as_mut() => return,
        _ = phases.wait_for(|phase| *phase > Phase::Open) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// A connection that is counted while it is there.
struct Connected(Arc<Desk>);

impl Connected {
    fn new(desk: Arc<Desk>) -> Self {
        desk.connections.fetch_add(1, Ordering::Relaxed);
        Self(desk)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Once the node has failed, health says so.
async fn tell_of_failure(health: HealthReporter, desk: Arc<Desk>) {
    let mut looks = tokio::time::interval(Duration::from_secs(1));
    while !desk.failed.load(Ordering::Relaxed) {
        looks.tick().await;
    }
    standard::say(&health, false).await;
}
