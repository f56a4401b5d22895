//! A running node on a folder of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use csroute_journal::{Disk, OsDisk};
use csroute_node::{Call, Completion, Keeping, Limits, Node, Settings, Stage, Trouble};
use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use prost::Message;

use super::Answers;

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("csroute-node-{}-{number}", std::process::id())))
    }

    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(OsDisk::open(&self.0).expect("a folder"))
    }

    /// Its files with this ending, sorted.
    pub fn files(&self, ending: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).expect("a folder");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.retain(|path| path.to_string_lossy().ends_with(ending));
        files.sort();
        files
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Small files, no snapshots but those asked for.
pub fn keeping(disk: Arc<dyn Disk>) -> Keeping {
    Keeping {
        reserve_bytes: 0,
        segment_bytes: 64 << 10,
        snapshot_every: Duration::ZERO,
        snapshot_bytes: 0,
        snapshot_at_stop: false,
        grace: 60_000,
        ..Keeping::on(disk)
    }
}

/// A node that can be asked and waited for.
pub struct Running {
    pub node: Node,
    pub answers: Answers,
    asked: u64,
}

impl Running {
    /// Opened, not yet recovered.
    pub fn begin(keeping: Keeping) -> Result<Self, Trouble> {
        let answers = Answers::default();
        let settings = Settings {
            limits: Limits::default(),
            keeping: Some(keeping),
            ..Settings::default()
        };
        Ok(Self {
            node: Node::open(settings, answers.clone())?,
            answers,
            asked: 0,
        })
    }

    /// Opened and recovered; else why not.
    pub fn open(keeping: Keeping) -> Result<Self, String> {
        let running = Self::begin(keeping).map_err(|trouble| trouble.to_string())?;
        match running.settled() {
            Stage::Failed(why) => Err(why),
            _ => Ok(running),
        }
    }

    /// The stage after recovering.
    pub fn settled(&self) -> Stage {
        let until = Instant::now() + Duration::from_mins(1);
        while self.node.life().stage() == Stage::Recovering {
            assert!(Instant::now() < until, "it does not end recovering");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.node.life().stage()
    }

    /// Submits; the token.
    pub fn submit(&mut self, tenant: &str, method: Method, request: &[u8]) -> u64 {
        self.asked += 1;
        let call = Call {
            method: method.number(),
            tenant,
            caller: "test",
            request,
        };
        self.node.submit(&call, self.asked, 0);
        self.asked
    }

    /// Submits and waits for the answer of this call.
    pub fn ask(&mut self, method: Method, request: &impl Message) -> Completion {
        let token = self.submit("t", method, &request.encode_to_vec());
        self.answers.wait_for_token(token)
    }

    pub fn ok(&mut self, method: Method, request: &impl Message) -> Vec<u8> {
        let answer = self.ask(method, request);
        assert_eq!(
            answer.grpc_code,
            0,
            "{}: {}",
            method.path(),
            String::from_utf8_lossy(&answer.bytes)
        );
        answer.bytes
    }

    pub fn stats(&mut self) -> pb::GetStatsReply {
        let request = pb::GetStatsRequest { with_state_hash: true };
        pb::GetStatsReply::decode(&*self.ok(Method::GetStats, &request)).expect("stats")
    }

    pub fn route(&mut self, id: &str) -> pb::RouteReply {
        let request = pb::RouteRequest {
            ticket: Some(super::ticket(id, "gateway", "vip")),
            wait_ms: 0,
        };
        pb::RouteReply::decode(&*self.ok(Method::Route, &request)).expect("a reply")
    }

    /// A policy, an agent, logged in.
    pub fn staff(&mut self, agent: &str, capacity: u32) {
        let policy = super::policy().encode_to_vec();
        self.ok(
            Method::InstallPolicy,
            &pb::InstallPolicyRequest {
                policy,
                reclassify: false,
                ..pb::InstallPolicyRequest::default()
            },
        );
        let spec = pb::AgentSpec {
            id: agent.into(),
            capacity,
            ..pb::AgentSpec::default()
        };
        self.ok(Method::UpsertAgents, &pb::UpsertAgentsRequest { agents: vec![spec] });
        self.ok(
            Method::OpenSession,
            &pb::OpenSessionRequest {
                session: "desk".into(),
                lease_ms: 3_600_000,
            },
        );
        let login = pb::LoginRequest {
            session: "desk".into(),
            agent: agent.into(),
            ..pb::LoginRequest::default()
        };
        self.ok(Method::Login, &login);
    }

    pub fn complete(&mut self, ticket: &str, attempt: u32) -> pb::ActionReply {
        let request = pb::CompleteRequest {
            ticket: ticket.into(),
            attempt,
            ..pb::CompleteRequest::default()
        };
        pb::ActionReply::decode(&*self.ok(Method::Complete, &request)).expect("a reply")
    }

    /// Asks for a snapshot and waits until it is there: how many there are.
    pub fn snapshot(&self, folder: &Folder) -> usize {
        let before = folder.files(".snapshot").last().cloned();
        self.node.snapshot();
        let until = Instant::now() + Duration::from_mins(1);
        while folder.files(".snapshot").last().cloned() == before {
            assert!(Instant::now() < until, "no snapshot comes");
            std::thread::sleep(Duration::from_millis(5));
        }
        folder.files(".snapshot").len()
    }
}
