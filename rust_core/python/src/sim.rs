//! `Simulation`: a virtual clock around the engine. Arrivals and rows pass as the bytes of numpy's structured arrays.

use std::sync::Arc;

use csroute_engine::Rejection;
use csroute_sim::setup::Setup;
use csroute_sim::{ARRIVAL_BYTES, Arrival, HOURS, ROW_BYTES, Row, SimError, Simulation as Inner};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::rejected::raise;

/// See the stub.
#[pyclass(module = "csroute._csroute")]
pub struct Simulation {
    inner: Inner,
}

fn failed(py: Python<'_>, error: SimError) -> PyErr {
    match error {
        SimError::Setup(message) => PyValueError::new_err(message),
        SimError::Rejected { rejection, at_us, what } => {
            let message = format!("{what}, {at_us} µs after the start: {}", rejection.message).into();
            raise(py, &Rejection { message, ..rejection })
        }
    }
}

fn written<'py>(py: Python<'py>, rows: &[Row]) -> Bound<'py, PyBytes> {
    let mut bytes = Vec::with_capacity(rows.len() * ROW_BYTES);
    for row in rows {
        row.write(&mut bytes);
    }
    PyBytes::new(py, &bytes)
}

#[pymethods]
impl Simulation {
    #[new]
    fn new(py: Python<'_>, policy: &[u8], setup: &str) -> PyResult<Self> {
        let policy = csroute_wire::policy(policy).map_err(|rejection| raise(py, &rejection))?;
        let setup: Setup = serde_json::from_str(setup).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let inner = py.detach(|| Inner::new(Arc::new(policy), setup));
        inner.map(|inner| Self { inner }).map_err(|error| failed(py, error))
    }

    fn feed(&mut self, py: Python<'_>, arrivals: &[u8]) -> PyResult<()> {
        if !arrivals.len().is_multiple_of(ARRIVAL_BYTES) {
            let message = format!("{} bytes are no whole records of {ARRIVAL_BYTES}", arrivals.len());
            return Err(PyValueError::new_err(message));
        }
        self.inner
            .feed(Arrival::read(arrivals))
            .map_err(|error| failed(py, error))
    }

    fn run(&mut self, py: Python<'_>, until_us: i64) -> PyResult<()> {
        py.detach(|| self.inner.run(until_us))
            .map_err(|error| failed(py, error))
    }

    fn take<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        written(py, &self.inner.take())
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        written(py, &self.inner.finish())
    }

    fn seconds<'py>(&self, py: Python<'py>) -> (usize, Bound<'py, PyBytes>) {
        let bytes: Vec<u8> = self.inner.seconds().flat_map(f64::to_le_bytes).collect();
        (HOURS, PyBytes::new(py, &bytes))
    }

    fn under_way(&self) -> (usize, usize) {
        self.inner.under_way()
    }

    fn queue_names(&self) -> Vec<&str> {
        self.inner.queue_names().iter().map(smol_str::SmolStr::as_str).collect()
    }

    fn class_paths(&self) -> Vec<&str> {
        self.inner.class_paths().iter().map(String::as_str).collect()
    }

    fn state_hash(&self) -> u64 {
        self.inner.engine().state_hash()
    }

    fn traced(&self) -> Vec<(i64, &'static str, &str, &str, &str, u64)> {
        let commands = self.inner.trace().map_or(&[][..], |trace| &trace.commands);
        let flat = commands.iter().map(|it| {
            let (id, with, customer) = (it.id.as_str(), it.with.as_str(), it.customer.as_str());
            (it.at, it.verb, id, with, customer, it.number)
        });
        flat.collect()
    }

    fn traced_events<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut bytes = Vec::new();
        for event in self.inner.trace().map_or(&[][..], |trace| &trace.events) {
            csroute_wire::encode_event(event, 1, &mut bytes);
        }
        PyBytes::new(py, &bytes)
    }
}
