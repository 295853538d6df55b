//! `Reader`, as Python sees it.

use pyo3::prelude::*;

use super::convert::{Span, plain};
use super::errors::OrRaise;
use super::fork::Owned;
use super::message_id::MessageId;
use super::operation::Operation;
use super::position::Position;
use super::receiving::{Receive, ReceiveMany, Source, Verbs};
use super::task;
use crate::client::reader;

const VERBS: Verbs = Verbs { receive: "Reader.receive", receive_many: "Reader.receive_many" };

/// Reads a topic from a position on, and leaves no trace at the broker. Made by `PulsarClient.reader`.
#[pyclass(frozen, generic, weakref, module = "fastapi_pulsar")]
pub(super) struct Reader {
    engine: Owned<reader::Reader>,
    source: Owned<Source>,
}

impl Reader {
    pub(super) fn new(engine: reader::Reader, decode: Option<Py<PyAny>>) -> Self {
        let source = Source { engine: engine.consumer().clone(), decode, verbs: &VERBS };
        Self { engine: Owned::new(engine), source: Owned::new(source) }
    }

    fn engine(&self, py: Python<'_>) -> PyResult<&reader::Reader> {
        self.engine.get().or_raise(py)
    }

    fn source(&self, py: Python<'_>) -> PyResult<Source> {
        Ok(self.source.get().or_raise(py)?.clone_ref(py))
    }
}

#[pymethods]
impl Reader {
    /// The next message. See `Consumer.receive`.
    #[pyo3(signature = (timeout=None))]
    fn receive(&self, py: Python<'_>, timeout: Option<Span>) -> PyResult<Operation> {
        Ok(Operation::new(Receive::new(self.source(py)?, timeout.map(|timeout| timeout.0))))
    }

    /// Several messages at once. See `Consumer.receive_many`.
    #[pyo3(signature = (max_messages=1000, *, max_bytes=None, max_wait=None))]
    fn receive_many(
        &self,
        py: Python<'_>,
        max_messages: usize,
        max_bytes: Option<usize>,
        max_wait: Option<Span>,
    ) -> PyResult<Operation> {
        let max_wait = max_wait.map(|max_wait| max_wait.0);
        Ok(Operation::new(ReceiveMany::new(self.source(py)?, max_messages, max_bytes, max_wait)?))
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__(&self, py: Python<'_>) -> PyResult<Operation> {
        Ok(Operation::new(Receive::next(self.source(py)?)))
    }

    /// Goes on behind a message (with it if the reader was made inclusive), or with the first message published at a moment or
    /// later. See `Consumer.seek`.
    fn seek(&self, py: Python<'_>, position: Position) -> PyResult<Operation> {
        let engine = self.engine(py)?.clone();
        Ok(task::unit("Reader.seek", async move {
            match position {
                Position::Id(id) => engine.seek_id(&id).await,
                Position::Time(millis) => engine.seek_time(millis).await,
            }
        }))
    }

    /// Whether there is a message that was not read: here, or at the broker.
    fn has_message_available(&self, py: Python<'_>) -> PyResult<Operation> {
        let engine = self.engine(py)?.clone();
        Ok(task::operation(
            "Reader.has_message_available",
            async move { engine.has_message_available().await },
            |py, is_there| Ok(is_there.into_pyobject(py)?.to_owned().into_any().unbind()),
        ))
    }

    /// The id of the last message of the topic; `None` if it has none.
    fn last_message_id(&self, py: Python<'_>) -> PyResult<Operation> {
        let engine = self.engine(py)?.clone();
        Ok(task::operation(
            "Reader.last_message_id",
            async move { engine.last_message_id().await },
            |py, id| Ok(id.map(MessageId).into_pyobject(py)?.unbind()),
        ))
    }

    /// Leaves the topic. May be called again.
    fn close(&self, py: Python<'_>) -> PyResult<Operation> {
        let engine = self.engine(py)?.clone();
        Ok(task::unit("Reader.close", async move { engine.close().await }))
    }

    fn __aenter__(slf: Py<Self>) -> Operation {
        Operation::ready("Reader.__aenter__", slf.into_any())
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<Operation> {
        self.close(py)
    }

    /// The complete name of the topic.
    #[getter]
    fn topic(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.engine(py)?.topic())
    }

    /// Messages that are here, and not read yet.
    #[getter]
    fn queued(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.engine(py)?.queued())
    }

    #[getter]
    fn is_connected(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.engine(py)?.is_connected())
    }

    #[getter]
    fn is_closed(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.engine(py)?.is_closed())
    }

    /// Counts of what happened.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        plain(py, &self.engine(py)?.stats())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<Reader of {}>", self.engine(py)?.topic()))
    }
}
