//! `Node`: the running node, its answers behind a descriptor.

use std::mem;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use csroute_node::{Call, Completion, Limits, Node as Inner, Sink};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::event::{EventfdFlags, eventfd};

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

/// The sink's own handle of it.
struct Inbox(Arc<Outbox>);

impl Sink for Inbox {
    fn deliver(&self, block: &mut Vec<Completion>) {
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
    node: Inner,
}

#[pymethods]
impl Node {
    #[new]
    #[pyo3(signature = (
        *, in_flight_max = 8192, tenants_max = 64, ring_events_max = 262_144, message_bytes_max = 4_194_304,
        watchers_max = 4096
    ))]
    fn new(
        in_flight_max: usize,
        tenants_max: usize,
        ring_events_max: usize,
        message_bytes_max: usize,
        watchers_max: usize,
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
            ..Limits::default()
        };
        let node = Inner::start(limits, Inbox(outbox.clone()))?;
        Ok(Self { outbox, node })
    }

    fn fileno(&self) -> RawFd {
        self.outbox.ready.as_raw_fd()
    }

    fn submit(&self, method: u16, tenant: &str, caller: &str, request: &[u8], token: u64, deadline_us: i64) {
        self.node.submit(
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

    fn completions<'py>(&self, py: Python<'py>) -> Vec<(u64, i32, Bound<'py, PyBytes>)> {
        let answers = self.outbox.take().into_iter();
        answers
            .map(|answer| (answer.token, answer.grpc_code, PyBytes::new(py, &answer.bytes)))
            .collect()
    }

    fn drain(&self, on: bool) {
        self.node.drain(on);
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.node.stop());
    }

    fn metrics<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.node.metrics())
    }
}
