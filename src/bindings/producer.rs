//! `Producer`, as Python sees it.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::convert::{Moment, Span, plain};
use super::errors::OrRaise;
use super::fork::Owned;
use super::operation::Operation;
use super::sending::{Send, SendMany};
use super::task;
use crate::client::producer::{self, Key, OutgoingMessage};

/// Publishes to one topic. Made by `PulsarClient.producer`.
#[pyclass(frozen, generic, weakref, module = "fastapi_pulsar")]
pub(super) struct Producer {
    engine: Owned<producer::Producer>,
    /// Makes the payload of a value; without it only bytes are sent.
    encode: Option<Py<PyAny>>,
    /// Bytes are payloads already.
    takes_bytes: bool,
    /// Chooses the partition of a message from its key and the number of partitions.
    route: Option<Py<PyAny>>,
    /// Raises if nothing may be published now; asked by every call that publishes.
    permit: Option<Py<PyAny>>,
}

impl Producer {
    pub(super) fn new(
        engine: producer::Producer,
        encode: Option<Py<PyAny>>,
        takes_bytes: bool,
        route: Option<Py<PyAny>>,
        permit: Option<Py<PyAny>>,
    ) -> Self {
        Self { engine: Owned::new(engine), encode, takes_bytes, route, permit }
    }

    fn check_permission(&self, py: Python<'_>) -> PyResult<()> {
        self.permit.as_ref().map_or(Ok(()), |permit| permit.call0(py).map(|_| ()))
    }

    /// The partition that the caller's own function chooses, if there is one.
    fn routed(&self, py: Python<'_>, key: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u32>> {
        let Some(route) = &self.route else { return Ok(None) };
        let partitions = self.engine(py)?.partitions();
        route.call1(py, (key, partitions))?.extract(py).map(Some)
    }

    fn engine(&self, py: Python<'_>) -> PyResult<&producer::Producer> {
        self.engine.get().or_raise(py)
    }

    fn payload<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let py = value.py();
        if self.takes_bytes && value.is_exact_instance_of::<PyBytes>() {
            return Ok(value.cast_into()?);
        }
        match &self.encode {
            Some(encode) => Ok(encode.bind(py).call1((value,))?.cast_into()?),
            None => Err(PyTypeError::new_err("this producer sends bytes")),
        }
    }

    /// One message with all that may go with it; its payload apart, since it is not copied before it is sent.
    fn outgoing<'py>(
        &self,
        value: Bound<'py, PyAny>,
        with: With<'_, '_>,
    ) -> PyResult<(Bound<'py, PyBytes>, OutgoingMessage<'static>)> {
        let py = value.py();
        self.check_permission(py)?;
        let tombstone = value.is_none();
        let payload = if tombstone { PyBytes::new(py, &[]) } else { self.payload(value)? };
        let partition = match with.partition {
            None => self.routed(py, with.key)?,
            partition => partition,
        };
        let message = OutgoingMessage {
            key: with.key.map(key).transpose()?,
            ordering_key: with.ordering_key.map(|key| bytes_of("ordering_key", key)).transpose()?,
            properties: with.properties.map(properties).transpose()?.unwrap_or_default(),
            event_time: with.event_time.map(|moment| moment.0),
            deliver_at: deliver_at(with.deliver_at, with.deliver_after)?,
            sequence_id: with.sequence_id,
            partition,
            tombstone,
            ..OutgoingMessage::default()
        };
        Ok((payload, message))
    }
}

/// What may go with a message.
struct With<'a, 'py> {
    key: Option<&'a Bound<'py, PyAny>>,
    ordering_key: Option<&'a Bound<'py, PyAny>>,
    properties: Option<&'a Bound<'py, PyDict>>,
    event_time: Option<Moment>,
    deliver_at: Option<Moment>,
    deliver_after: Option<Span>,
    sequence_id: Option<u64>,
    partition: Option<u32>,
}

fn key(value: &Bound<'_, PyAny>) -> PyResult<Key> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Key::Text(text.extract()?));
    }
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(Key::Bytes(bytes.as_bytes().to_vec().into())),
        Err(_) => Err(PyTypeError::new_err("key must be text or bytes")),
    }
}

fn bytes_of(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bytes::Bytes> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.extract::<String>()?.into());
    }
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes().to_vec().into()),
        Err(_) => Err(PyTypeError::new_err(format!("{name} must be text or bytes"))),
    }
}

fn properties(dict: &Bound<'_, PyDict>) -> PyResult<Vec<(String, String)>> {
    let pair = |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        name.extract().and_then(|name| Ok((name, value.extract()?)))
    };
    let pairs: PyResult<_> = dict.iter().map(pair).collect();
    pairs.map_err(|_| PyTypeError::new_err("properties must map text to text"))
}

/// Milliseconds since 1970.
fn deliver_at(at: Option<Moment>, after: Option<Span>) -> PyResult<Option<i64>> {
    let millis = match (at, after) {
        (None, None) => return Ok(None),
        (Some(at), None) => Some(at.0),
        (None, Some(after)) => {
            let since_epoch =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            since_epoch.checked_add(after.0).and_then(|at| at.as_millis().try_into().ok())
        }
        (Some(_), Some(_)) => {
            return Err(PyValueError::new_err("give deliver_at or deliver_after, not both"));
        }
    };
    let millis = millis.and_then(|millis| i64::try_from(millis).ok());
    millis.map(Some).ok_or_else(|| PyValueError::new_err("deliver_after is too far away"))
}

#[pymethods]
impl Producer {
    /// Publishes a value; the result is its `MessageId` once the broker has stored it.
    ///
    /// A call that is cancelled while it waits for room is never sent; one that was admitted is.
    ///
    /// Args:
    ///     value: What the producer's model permits; `None` is a tombstone, which deletes its key from a compacted topic.
    ///     key: Text or bytes; chooses the partition, and is kept in order.
    ///     properties: Text by name.
    ///     event_time: A datetime with a time zone, or seconds since 1970.
    ///     deliver_at: On Shared and Key_Shared delivered not before then; a datetime or seconds since 1970.
    ///     deliver_after: The same from now on, in seconds or as a timedelta.
    ///     ordering_key: Text or bytes; orders on Key_Shared in the key's place.
    ///     sequence_id: For deduplication; greater than the last one.
    ///     partition: Which partition, in place of key and routing.
    ///
    /// Raises:
    ///     EncodeError: The value cannot be written.
    ///     MessageTooLargeError: The broker does not accept messages of this size.
    ///     QueueFullError: No room, and the producer was made with `on_full="error"`.
    ///     TimeoutError: Not stored within `send_timeout`.
    ///     ClosedError: The producer is closed.
    ///     AuthorizationError: The topic roles do not permit it, any more.
    #[pyo3(signature = (value, *, key=None, properties=None, event_time=None, deliver_at=None, deliver_after=None,
        ordering_key=None, sequence_id=None, partition=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn send(
        &self,
        py: Python<'_>,
        value: Bound<'_, PyAny>,
        key: Option<&Bound<'_, PyAny>>,
        properties: Option<&Bound<'_, PyDict>>,
        event_time: Option<Moment>,
        deliver_at: Option<Moment>,
        deliver_after: Option<Span>,
        ordering_key: Option<&Bound<'_, PyAny>>,
        sequence_id: Option<u64>,
        partition: Option<u32>,
    ) -> PyResult<Operation> {
        let with = With {
            key,
            ordering_key,
            properties,
            event_time,
            deliver_at,
            deliver_after,
            sequence_id,
            partition,
        };
        let (payload, message) = self.outgoing(value, with)?;
        Ok(Operation::new(Send::new(self.engine(py)?.clone(), payload.unbind(), message)))
    }

    /// `send` for threads without an event loop: returns when the message is stored.
    #[pyo3(signature = (value, *, key=None, properties=None, event_time=None, deliver_at=None, deliver_after=None,
        ordering_key=None, sequence_id=None, partition=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn send_blocking(
        &self,
        py: Python<'_>,
        value: Bound<'_, PyAny>,
        key: Option<&Bound<'_, PyAny>>,
        properties: Option<&Bound<'_, PyDict>>,
        event_time: Option<Moment>,
        deliver_at: Option<Moment>,
        deliver_after: Option<Span>,
        ordering_key: Option<&Bound<'_, PyAny>>,
        sequence_id: Option<u64>,
        partition: Option<u32>,
    ) -> PyResult<Py<PyAny>> {
        let with = With {
            key,
            ordering_key,
            properties,
            event_time,
            deliver_at,
            deliver_after,
            sequence_id,
            partition,
        };
        let (payload, message) = self.outgoing(value, with)?;
        Operation::new(Send::new(self.engine(py)?.clone(), payload.unbind(), message)).block(py)
    }

    /// Publishes many values together; the result is their ids, in order.
    ///
    /// Raises:
    ///     SendManyError: Some were not stored; its `results` holds an id or an error for each value.
    ///     EncodeError: A value cannot be written; then none was sent.
    fn send_many(&self, py: Python<'_>, values: &Bound<'_, PyAny>) -> PyResult<Operation> {
        self.check_permission(py)?;
        let engine = self.engine(py)?.clone();
        let payload = |value: PyResult<Bound<'_, PyAny>>| Ok(self.payload(value?)?.unbind());
        let payloads = values.try_iter()?.map(payload).collect::<PyResult<Vec<_>>>()?;
        let partitions = match &self.route {
            Some(_) => {
                payloads.iter().map(|_| self.routed(py, None)).collect::<PyResult<Option<Vec<_>>>>()?
            }
            None => None,
        };
        Ok(Operation::new(SendMany::new(engine, payloads, partitions)))
    }

    /// Waits until everything sent before is stored, or has failed.
    fn flush(&self, py: Python<'_>) -> PyResult<Operation> {
        let engine = self.engine(py)?.clone();
        Ok(task::unit("Producer.flush", async move { engine.flush().await }))
    }

    /// Flushes, and leaves the topic. May be called again.
    fn close(&self, py: Python<'_>) -> PyResult<Operation> {
        let engine = self.engine(py)?.clone();
        Ok(task::unit("Producer.close", async move { engine.close().await }))
    }

    fn __aenter__(slf: Py<Self>) -> Operation {
        Operation::ready("Producer.__aenter__", slf.into_any())
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<Operation> {
        self.close(py)
    }

    /// The complete name of the topic.
    #[getter]
    fn topic(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.engine(py)?.topic().to_string())
    }

    /// The producer's name, the broker's choice unless it was given.
    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.engine(py)?.name())
    }

    /// The last sequence id that the broker confirmed; -1 if none.
    #[getter]
    fn last_sequence_id(&self, py: Python<'_>) -> PyResult<i64> {
        Ok(self.engine(py)?.last_sequence_id())
    }

    /// Whether every partition is connected.
    #[getter]
    fn is_connected(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.engine(py)?.is_connected())
    }

    /// Counts of what happened.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        plain(py, &self.engine(py)?.stats())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<Producer of {}>", self.engine(py)?.topic()))
    }
}
