//! `Rejected`: a rejection as a Python exception, `args = (grpc_code, status)`.

use csroute_engine::Rejection;
use csroute_wire::{grpc_code, status};
use prost::Message;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyType};

/// The class. Made at run time: a native class cannot extend an exception before Python 3.12's stable ABI.
pub fn class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let members = PyDict::new(py);
        members.set_item(
            "grpc_code",
            py.eval(c"property(lambda self: self.args[0])", None, None)?,
        )?;
        members.set_item("status", py.eval(c"property(lambda self: self.args[1])", None, None)?)?;
        let base = py.get_type::<PyException>();
        let doc = c"A numbered no. `args` is `(grpc_code, status)`, status a serialized google.rpc.Status.";
        // A copy: `new_type` lets go of the dictionary before it uses it.
        let dict = members.clone().into_any().unbind();
        PyErr::new_type(py, c"csroute._csroute.Rejected", Some(doc), Some(&base), Some(dict))
    })?;
    Ok(class.bind(py))
}

/// As an exception to raise.
pub fn raise(py: Python<'_>, rejection: &Rejection) -> PyErr {
    let status = PyBytes::new(py, &status(rejection).encode_to_vec()).unbind();
    match class(py) {
        Ok(class) => PyErr::from_type(class.clone(), (grpc_code(rejection.code), status)),
        Err(error) => error,
    }
}
