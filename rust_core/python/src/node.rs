//! `Node`: the running node, its answers behind a descriptor.

use std::mem;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use csroute_door::Mail;
use csroute_journal::{Durability, OsDisk, Retention};
use csroute_node::access::{Access, Credential};
use csroute_node::privacy::{Privacy, Treatment};
use csroute_node::{Call, Completion, Keeping, Limits, Node as Inner, Settings, Sink};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::event::{EventfdFlags, eventfd};

use crate::rejected::raise;

/// The answers nobody took yet, and the descriptor that says so.
struct Outbox {
    answers: Mutex<Vec<Completion>>,
    ready: OwnedFd,
}

impl Outbox {
    fn take(&self) -> Vec<Completion> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        // Cleared under the lock: whoever adds next makes it readable again.
        let _ = rustix::io::read(&self.ready, &mut [0; 8]);
        mem::take(&mut *answers)
    }
}

/// The sink's own handle of it, and the native door's mail: each door gets its own.
struct Inbox(Arc<Outbox>, Arc<Mail>);

impl Sink for Inbox {
    fn deliver(&self, block: &mut Vec<Completion>) {
        self.1.sort_out(block);
        let mut answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let wake = answers.is_empty() && !block.is_empty();
        answers.append(block);
        if wake {
            // Nobody was told yet. Adding 1 to a counter of 0 cannot fail or wait.
            let _ = rustix::io::write(&self.0.ready, &1u64.to_ne_bytes());
        }
    }
}

/// See the stub.
#[pyclass(module = "csroute._csroute", frozen)]
pub struct Node {
    outbox: Arc<Outbox>,
    mail: Arc<Mail>,
    inner: Arc<Inner>,
}

impl Node {
    /// For another door.
    pub fn shared(&self) -> Arc<Inner> {
        self.inner.clone()
    }

    /// Its answers.
    pub fn mail(&self) -> Arc<Mail> {
        self.mail.clone()
    }
}

#[pymethods]
impl Node {
    #[new]
    #[pyo3(signature = (
        *, in_flight_max = 8192, tenants_max = 64, ring_events_max = 262_144, message_bytes_max = 4_194_304,
        watchers_max = 4096, attributes_drop = Vec::new(), attributes_hash = Vec::new(), attributes_hash_key = Vec::new(),
        data_dir = None, durability = "fsync", durability_interval_ms = 100, resume_grace_ms = 30_000,
        segment_bytes = 268_435_456, disk_reserve_bytes = 67_108_864, pending_bytes_max = 67_108_864,
        snapshot_every_s = 600, snapshot_bytes = 1_073_741_824, snapshot_at_stop = true, snapshots_kept = 3, history_s = 0,
        versions_kept = 0
    ))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools)] // they are named in Python
    fn new(
        in_flight_max: usize,
        tenants_max: usize,
        ring_events_max: usize,
        message_bytes_max: usize,
        watchers_max: usize,
        attributes_drop: Vec<String>,
        attributes_hash: Vec<String>,
        attributes_hash_key: Vec<u8>,
        data_dir: Option<PathBuf>,
        durability: &str,
        durability_interval_ms: u64,
        resume_grace_ms: i64,
        segment_bytes: u64,
        disk_reserve_bytes: u64,
        pending_bytes_max: usize,
        snapshot_every_s: u64,
        snapshot_bytes: u64,
        snapshot_at_stop: bool,
        snapshots_kept: usize,
        history_s: u64,
        versions_kept: u32,
    ) -> PyResult<Self> {
        let ready = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(std::io::Error::from)?;
        let outbox = Arc::new(Outbox {
            answers: Mutex::default(),
            ready,
        });
        let limits = Limits {
            tenants_max,
            ring_events_max,
            message_bytes_max,
            watchers_max,
            in_flight_max,
            versions_kept,
            ..Limits::default()
        };
        let dropped = attributes_drop.into_iter().map(|name| (name, Treatment::Drop));
        let hashed = attributes_hash.into_iter().map(|name| (name, Treatment::Hash));
        let privacy = Privacy::new(dropped.chain(hashed), &attributes_hash_key)
            .map_err(|no| PyValueError::new_err(no.to_string()))?;
        let durability = match durability {
            "fsync" => Durability::Fsync,
            "interval" => Durability::Interval(durability_interval_ms),
            "none" => Durability::None,
            other => {
                let message = format!("durability is \"fsync\", \"interval\" or \"none\", not {other:?}");
                return Err(PyValueError::new_err(message));
            }
        };
        let keeping = data_dir
            .map(|folder| {
                Ok::<_, std::io::Error>(Keeping {
                    durability,
                    grace: resume_grace_ms,
                    segment_bytes,
                    reserve_bytes: disk_reserve_bytes,
                    pending_bytes_max,
                    snapshot_every: Duration::from_secs(snapshot_every_s),
                    snapshot_bytes,
                    snapshot_at_stop,
                    retention: Retention {
                        snapshots: snapshots_kept,
                        history_ms: (history_s > 0).then_some(history_s.saturating_mul(1000)),
                    },
                    ..Keeping::on(Arc::new(OsDisk::open(folder)?))
                })
            })
            .transpose()?;
        let settings = Settings {
            limits,
            privacy,
            keeping,
        };
        let mail = Arc::<Mail>::default();
        let node = Inner::open(settings, Inbox(outbox.clone(), mail.clone()))
            .map_err(|trouble| PyOSError::new_err(trouble.to_string()))?;
        Ok(Self {
            outbox,
            mail,
            inner: Arc::new(node),
        })
    }

    fn fileno(&self) -> RawFd {
        self.outbox.ready.as_raw_fd()
    }

    fn submit(&self, method: u16, tenant: &str, caller: &str, request: &[u8], token: u64, deadline_us: i64) {
        self.inner.submit(
            &Call {
                method,
                tenant,
                caller,
                request,
            },
            token,
            deadline_us,
        );
    }

    fn admit(
        &self,
        py: Python<'_>,
        path: &str,
        authorization: &str,
        names: Vec<String>,
        tenant: Option<&str>,
        caller: &str,
    ) -> PyResult<(String, String)> {
        let credential = Credential {
            authorization,
            names: &names,
        };
        self.inner
            .admit(&credential, path, tenant, caller)
            .map(|who| (who.tenant.to_string(), who.caller.to_string()))
            .map_err(|no| raise(py, &no))
    }

    fn set_access(&self, credentials: &[u8]) -> PyResult<()> {
        self.inner
            .set_access(Access::parse(credentials).map_err(PyValueError::new_err)?);
        Ok(())
    }

    fn set_in_flight_max(&self, calls: usize) {
        self.inner.set_in_flight_max(calls);
    }

    fn completions<'py>(&self, py: Python<'py>) -> Vec<(u64, i32, Bound<'py, PyBytes>)> {
        let answers = self.outbox.take().into_iter();
        answers
            .map(|answer| (answer.token, answer.grpc_code, PyBytes::new(py, &answer.bytes)))
            .collect()
    }

    fn state<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.life().json().to_string().as_bytes())
    }

    fn snapshot(&self) {
        self.inner.snapshot();
    }

    fn drain(&self, on: bool) {
        self.inner.drain(on);
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.inner.stop());
    }

    fn metrics<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.metrics())
    }
}
