//! The boundary to Python: register and convert, no logic. `python/csroute/_csroute.pyi` says what it does.
//!
//! Requests and replies pass as bytes: no Python object is made per ticket. The writer thread never takes the GIL; it
//! leaves its answers in a list and makes a descriptor readable, once a block.

mod core;
mod door;
mod journal;
mod load;
mod node;
mod rejected;
mod sim;

use csroute_engine::Code;
use csroute_wire::{Method, grpc_code};
use pyo3::prelude::*;

/// (number, path, kind) of every method.
#[pyfunction]
fn methods() -> Vec<(u16, &'static str, &'static str)> {
    Method::ALL
        .iter()
        .map(|method| (method.number(), method.path(), method.kind().name()))
        .collect()
}

/// (number, name, grpc code, `retry_after_ms`) of every rejection.
#[pyfunction]
fn codes() -> Vec<(u16, &'static str, i32, Option<u32>)> {
    Code::ALL
        .iter()
        .map(|&code| (code.number(), code.name(), grpc_code(code), code.retry_after_ms()))
        .collect()
}

/// The module `csroute._csroute`.
#[pymodule]
fn _csroute(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<core::Core>()?;
    module.add_class::<node::Node>()?;
    module.add_class::<door::NativeDoor>()?;
    module.add_class::<journal::JournalReader>()?;
    module.add_class::<journal::Replay>()?;
    module.add_function(wrap_pyfunction!(journal::journal_segments, module)?)?;
    module.add_function(wrap_pyfunction!(journal::journal_snapshots, module)?)?;
    module.add_function(wrap_pyfunction!(journal::journal_repair, module)?)?;
    module.add_function(wrap_pyfunction!(journal::journal_backup, module)?)?;
    module.add_class::<sim::Simulation>()?;
    module.add_class::<load::LoadGenerator>()?;
    module.add_function(wrap_pyfunction!(load::histograms_merged, module)?)?;
    module.add("Rejected", rejected::class(module.py())?)?;
    module.add_function(wrap_pyfunction!(methods, module)?)?;
    module.add_function(wrap_pyfunction!(codes, module)?)
}
