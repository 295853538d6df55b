//! What a verb returns that has already acted: awaiting it is permitted and does nothing.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// An awaitable that is done. There is one, and it may be awaited any number of times.
#[pyclass(frozen, module = "fastapi_pulsar._core")]
pub(super) struct Done;

/// The one instance.
pub(super) fn done(py: Python<'_>) -> PyResult<Py<PyAny>> {
    static DONE: PyOnceLock<Py<Done>> = PyOnceLock::new();
    Ok(DONE.get_or_try_init(py, || Py::new(py, Done))?.clone_ref(py).into_any())
}

#[pymethods]
impl Done {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Nothing is left to do.
    fn __next__(&self) -> Option<Py<PyAny>> {
        None
    }

    fn __repr__(&self) -> &'static str {
        "<done>"
    }
}
