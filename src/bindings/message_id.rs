//! `MessageId`, as Python sees it.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};

use super::errors::OrRaise;
use crate::protocol::message_id;

/// Where a message is stored. Ordered as in the topic, hashable; `bytes(id)` is what the official clients write.
#[pyclass(frozen, eq, ord, hash, module = "fastapi_pulsar", from_py_object)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MessageId(pub(super) message_id::MessageId);

#[pymethods]
impl MessageId {
    #[new]
    #[pyo3(signature = (ledger, entry, partition=-1, batch_index=-1, batch_size=0))]
    fn new(ledger: u64, entry: u64, partition: i32, batch_index: i32, batch_size: i32) -> Self {
        let id = message_id::MessageId::new(ledger, entry);
        Self(message_id::MessageId { partition, batch_index, batch_size, ..id })
    }

    /// Before the first message of any topic.
    #[classattr]
    const EARLIEST: Self = Self(message_id::MessageId::EARLIEST);

    /// Behind the last message of any topic.
    #[classattr]
    const LATEST: Self = Self(message_id::MessageId::LATEST);

    /// The id that `bytes(id)` or an official client wrote.
    ///
    /// Raises:
    ///     InvalidMessageIdError: The bytes are not a message id.
    #[classmethod]
    fn from_bytes(cls: &Bound<'_, PyType>, data: &[u8]) -> PyResult<Self> {
        message_id::MessageId::from_bytes(data).map(Self).or_raise(cls.py())
    }

    #[getter]
    fn ledger(&self) -> u64 {
        self.0.ledger
    }

    #[getter]
    fn entry(&self) -> u64 {
        self.0.entry
    }

    /// The partition of the topic, or -1.
    #[getter]
    fn partition(&self) -> i32 {
        self.0.partition
    }

    /// The place in the batch, or -1 for a message that was sent alone.
    #[getter]
    fn batch_index(&self) -> i32 {
        self.0.batch_index
    }

    /// The number of messages in the batch, or 0 if it is none or not known.
    #[getter]
    fn batch_size(&self) -> i32 {
        self.0.batch_size
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let from_bytes = py.get_type::<Self>().getattr("from_bytes")?;
        let arguments = (slf.get().__bytes__(py),);
        (from_bytes, arguments).into_pyobject(py)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<MessageId {}>", self.0)
    }
}
