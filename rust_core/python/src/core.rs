//! `Core`: the node without a thread or a clock.

use csroute_engine::Rejection;
use csroute_node::{Call, Limits, NodeCore};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::rejected::raise;

/// See the stub.
#[pyclass(module = "csroute._csroute")]
pub struct Core {
    core: NodeCore,
}

/// What every method needs: the tenant, or an exception.
macro_rules! tenant {
    ($self:ident, $py:ident, $name:expr, $now:expr) => {
        $self
            .core
            .tenant($name, $now)
            .map_err(|rejection| raise($py, &rejection))?
    };
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (*, tenants_max = 64, ring_events_max = 262_144, message_bytes_max = 4_194_304))]
    fn new(tenants_max: usize, ring_events_max: usize, message_bytes_max: usize) -> Self {
        let limits = Limits {
            tenants_max,
            ring_events_max,
            message_bytes_max,
            ..Limits::default()
        };
        Self {
            core: NodeCore::new(limits),
        }
    }

    fn call<'py>(
        &mut self,
        py: Python<'py>,
        method: u16,
        tenant: &str,
        caller: &str,
        request: &[u8],
        now_us: i64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let call = Call {
            method,
            tenant,
            caller,
            request,
        };
        reply(py, self.core.call(&call, now_us))
    }

    fn advance(&mut self, py: Python<'_>, tenant: &str, until_us: i64, timers_max: u32) -> PyResult<(u32, bool)> {
        tenant!(self, py, tenant, until_us)
            .advance(until_us, timers_max)
            .map_err(|rejection| raise(py, &rejection))
    }

    fn resume(&mut self, py: Python<'_>, tenant: &str, now_us: i64, grace_ms: i64) -> PyResult<()> {
        tenant!(self, py, tenant, now_us)
            .resume(now_us, grace_ms)
            .map_err(|rejection| raise(py, &rejection))
    }

    fn events<'py>(
        &mut self,
        py: Python<'py>,
        tenant: &str,
        after_sequence: u64,
        events_max: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let events = tenant!(self, py, tenant, 0).events(after_sequence, events_max);
        reply(py, events)
    }

    fn next_due_us(&mut self, py: Python<'_>, tenant: &str) -> PyResult<Option<i64>> {
        Ok(tenant!(self, py, tenant, 0).engine().next_due())
    }

    fn state_hash(&mut self, py: Python<'_>, tenant: &str) -> PyResult<u64> {
        Ok(tenant!(self, py, tenant, 0).engine().state_hash())
    }

    fn snapshot<'py>(&mut self, py: Python<'py>, tenant: &str) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &tenant!(self, py, tenant, 0).snapshot()))
    }

    fn restore(&mut self, py: Python<'_>, tenant: &str, snapshot: &[u8]) -> PyResult<()> {
        self.core
            .restore(tenant, snapshot)
            .map_err(|rejection| raise(py, &rejection))
    }
}

fn reply(py: Python<'_>, reply: Result<Vec<u8>, Rejection>) -> PyResult<Bound<'_, PyBytes>> {
    reply
        .map(|bytes| PyBytes::new(py, &bytes))
        .map_err(|rejection| raise(py, &rejection))
}
