//! `LoadGenerator`: gateways and desks at native speed, without the GIL.

use csroute_load::board::{MEASURES, merged};
use csroute_load::{Generator, Settings, pace};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Process, how often each ticket was assigned, how often completed.
type Told<'py> = (u16, Bound<'py, PyBytes>, Bound<'py, PyBytes>);
/// Counts as JSON, histograms by name, marks of its tickets, what its desk was told.
type Left<'py> = (
    String,
    Vec<(&'static str, Bound<'py, PyBytes>)>,
    Bound<'py, PyBytes>,
    Vec<Told<'py>>,
);

/// See the stub.
#[pyclass(module = "csroute._csroute")]
pub struct LoadGenerator {
    generator: Option<Generator>,
}

fn over() -> PyErr {
    PyValueError::new_err("the generator is finished")
}

#[pymethods]
impl LoadGenerator {
    #[new]
    #[pyo3(signature = (settings, samples, recorded_ns = Vec::new()))]
    fn new(py: Python<'_>, settings: &str, samples: Vec<Vec<u8>>, recorded_ns: Vec<u64>) -> PyResult<Self> {
        let settings: Settings =
            serde_json::from_str(settings).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let address = settings.address.clone();
        let generator = py
            .detach(|| Generator::open(settings, samples, recorded_ns))
            .map_err(|error| PyOSError::new_err((error.raw_os_error(), format!("{address}: {error}"))))?;
        Ok(Self {
            generator: Some(generator),
        })
    }

    fn begin(&mut self) -> PyResult<()> {
        self.generator.as_mut().ok_or_else(over)?.begin(pace::now_ns());
        Ok(())
    }

    fn look(&self) -> PyResult<String> {
        Ok(self.generator.as_ref().ok_or_else(over)?.look().to_string())
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Left<'py>> {
        let generator = self.generator.take().ok_or_else(over)?;
        let ended = py.detach(|| generator.finish());
        let bytes = |bytes: &[u8]| PyBytes::new(py, bytes);
        let histograms = MEASURES
            .iter()
            .copied()
            .zip(ended.histograms.iter().map(|one| bytes(one)));
        let told = ended
            .told
            .iter()
            .map(|(&process, told)| (process, bytes(&told.assigned), bytes(&told.completed)));
        Ok((
            ended.counts.to_string(),
            histograms.collect(),
            bytes(&ended.given),
            told.collect(),
        ))
    }
}

/// See the stub.
#[pyfunction]
pub fn histograms_merged(py: Python<'_>, parts: Vec<Vec<u8>>) -> PyResult<(Bound<'_, PyBytes>, String)> {
    let (sum, figures) = py.detach(|| merged(&parts)).map_err(PyValueError::new_err)?;
    Ok((PyBytes::new(py, &sum), figures.to_string()))
}
