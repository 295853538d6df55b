//! Errors cross here: one kind of the table, one exception class of `fastapi_pulsar.exceptions.pulsar`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyModule};

use crate::error::{Error, ErrorKind, Result};

/// The exception that stands for an error.
pub(super) fn to_py(py: Python<'_>, error: &Error) -> PyErr {
    raise(py, error).unwrap_or_else(|failure| failure)
}

fn raise(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module =
        MODULE.get_or_try_init(py, || py.import("fastapi_pulsar.exceptions.pulsar").map(Bound::unbind))?;
    let class = module.bind(py).getattr(format!("{}Error", error.kind().name()))?;
    let mut message = error.context().to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let keywords = [("topic", error.topic())].into_py_dict(py)?;
    Ok(PyErr::from_value(class.call((message,), Some(&keywords))?))
}

/// `map_err` for everything that the engine answers at once.
pub(super) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| to_py(py, &error))
    }
}

/// The table of kinds: name, whether retryable, one sentence. Each is the class `<name>Error`.
#[pyfunction]
pub(super) fn error_kinds() -> Vec<(&'static str, bool, &'static str)> {
    ErrorKind::ALL.iter().map(|kind| (kind.name(), kind.retryable(), kind.doc())).collect()
}
