//! `NativeDoor`: gRPC in front of a node, without the GIL.

use std::time::Duration;

use csroute_door::{Door, Settings, Tls};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::node::Node;

/// Certificate, key, and who signs the clients' certificates.
type Pems = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

fn certificates((certificate, key, client_ca): Pems) -> Tls {
    Tls {
        certificate,
        key,
        client_ca,
    }
}

/// See the stub.
#[pyclass(module = "csroute._csroute", frozen)]
pub struct NativeDoor {
    door: Door,
}

#[pymethods]
impl NativeDoor {
    #[new]
    #[pyo3(signature = (
        node, listen, *, calls_max = 4096, connections_max = 4096, connection_calls_max = 1024, streams_max = 2048,
        stream_window = 512, message_bytes_max = 4_194_304, write_timeout_ms = 30_000, rejections_logged_per_s = 20,
        echo = false, tls = None
    ))]
    #[allow(clippy::too_many_arguments)] // they are named in Python
    fn new(
        node: &Node,
        listen: &str,
        calls_max: usize,
        connections_max: usize,
        connection_calls_max: u32,
        streams_max: usize,
        stream_window: usize,
        message_bytes_max: usize,
        write_timeout_ms: u64,
        rejections_logged_per_s: u32,
        echo: bool,
        tls: Option<Pems>,
    ) -> PyResult<Self> {
        let settings = Settings {
            calls_max,
            connections_max,
            connection_calls_max,
            streams_max,
            stream_window,
            message_bytes_max,
            write_timeout: Duration::from_millis(write_timeout_ms.max(1)),
            rejections_logged_per_s,
            echo,
            tls: tls.map(certificates),
        };
        let door = Door::open(listen, settings, node.shared(), node.mail())
            .map_err(|error| PyOSError::new_err((error.raw_os_error(), error.to_string())))?;
        Ok(Self { door })
    }

    fn set_tls(&self, tls: Option<Pems>) -> PyResult<()> {
        let tls = tls.map(certificates);
        self.door
            .set_tls(tls.as_ref())
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn set_limits(&self, calls_max: usize, streams_max: usize) {
        self.door.set_limits(calls_max, streams_max);
    }

    fn port(&self) -> u16 {
        self.door.address().port()
    }

    fn serving(&self, on: bool) {
        self.door.serving(on);
    }

    fn drain(&self) {
        self.door.drain();
    }

    fn stop_reading(&self) {
        self.door.stop_reading();
    }

    #[pyo3(signature = (patience_ms, *, streams = false))]
    fn quiet(&self, py: Python<'_>, patience_ms: u64, streams: bool) -> bool {
        py.detach(|| self.door.quiet(streams, Duration::from_millis(patience_ms)))
    }

    fn stop(&self, py: Python<'_>, patience_ms: u64) {
        py.detach(|| self.door.stop(Duration::from_millis(patience_ms)));
    }

    fn figures<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.door.figures().to_string().as_bytes())
    }
}
