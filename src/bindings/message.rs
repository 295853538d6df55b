//! `Message`, as Python sees it: every field is made when it is asked for.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDateTime, PyDict};

use super::convert::datetime;
use super::errors::OrRaise;
use super::fork::Owned;
use super::message_id::MessageId;
use crate::client::consumer;

/// A received message. `value` is validated when it is first read, everything else is as it was sent.
#[pyclass(frozen, generic, weakref, freelist = 1024, module = "fastapi_pulsar")]
pub(super) struct Message {
    engine: Owned<consumer::Message>,
    decode: Option<Py<PyAny>>,
    value: PyOnceLock<Py<PyAny>>,
}

impl Message {
    pub(super) fn new(py: Python<'_>, engine: consumer::Message, decode: Option<&Py<PyAny>>) -> Self {
        let decode = decode.map(|decode| decode.clone_ref(py));
        Self { engine: Owned::new(engine), decode, value: PyOnceLock::new() }
    }

    pub(super) fn engine(&self, py: Python<'_>) -> PyResult<&consumer::Message> {
        self.engine.get().or_raise(py)
    }
}

#[pymethods]
impl Message {
    /// The payload as the consumer's model; as bytes without one. `None` for a tombstone.
    ///
    /// Raises:
    ///     PayloadValidationError: The payload does not validate.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let value = self.value.get_or_try_init(py, || {
            let data = self.data(py)?;
            if self.engine(py)?.is_tombstone() {
                return Ok(py.None());
            }
            match &self.decode {
                Some(decode) => decode.call1(py, (data,)),
                None => Ok(data.into_any().unbind()),
            }
        })?;
        Ok(value.clone_ref(py))
    }

    /// The payload, uncompressed; empty for a tombstone.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.engine(py)?.payload()))
    }

    #[getter]
    fn message_id(&self, py: Python<'_>) -> PyResult<MessageId> {
        Ok(MessageId(self.engine(py)?.id()))
    }

    /// The complete name of the topic, of a partitioned one with the suffix of the partition.
    #[getter]
    fn topic(&self, py: Python<'_>) -> PyResult<&str> {
        Ok(self.engine(py)?.topic())
    }

    #[getter]
    fn properties<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let properties = PyDict::new(py);
        for property in self.engine(py)?.properties() {
            properties.set_item(&property.key, &property.value)?;
        }
        Ok(properties)
    }

    /// The key; of one given as bytes its base64 text.
    #[getter]
    fn key(&self, py: Python<'_>) -> PyResult<Option<&str>> {
        Ok(self.engine(py)?.key())
    }

    /// The key as bytes: those given, or the text in UTF-8.
    #[getter]
    fn key_bytes<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let engine = self.engine(py)?;
        let Some(key) = engine.key() else { return Ok(None) };
        if engine.key_is_base64() {
            let bytes = py.import(intern!(py, "base64"))?.call_method1(intern!(py, "b64decode"), (key,))?;
            return Ok(Some(bytes.cast_into()?));
        }
        Ok(Some(PyBytes::new(py, key.as_bytes())))
    }

    /// What orders the message on Key_Shared in the key's place.
    #[getter]
    fn ordering_key(&self, py: Python<'_>) -> PyResult<Option<&[u8]>> {
        Ok(self.engine(py)?.ordering_key().map(|key| &key[..]))
    }

    /// When it was published, by the producer's clock; in UTC.
    #[getter]
    fn publish_time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        datetime(py, self.engine(py)?.publish_time())
    }

    /// The time that the producer gave to it, in UTC.
    #[getter]
    fn event_time<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        self.engine(py)?.event_time().map(|millis| datetime(py, millis)).transpose()
    }

    /// The time before which it was not to be delivered, in UTC.
    #[getter]
    fn deliver_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        let millis = self.engine(py)?.deliver_at().and_then(|millis| u64::try_from(millis).ok());
        millis.map(|millis| datetime(py, millis)).transpose()
    }

    /// Times that it was delivered before; always 0 on Exclusive and Failover.
    #[getter]
    fn redelivery_count(&self, py: Python<'_>) -> PyResult<u32> {
        Ok(self.engine(py)?.redelivery_count())
    }

    #[getter]
    fn producer_name(&self, py: Python<'_>) -> PyResult<&str> {
        Ok(self.engine(py)?.producer_name())
    }

    #[getter]
    fn sequence_id(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.engine(py)?.sequence_id())
    }

    /// The version of the topic's schema that it was written with.
    #[getter]
    fn schema_version(&self, py: Python<'_>) -> PyResult<Option<&[u8]>> {
        Ok(self.engine(py)?.schema_version().map(|version| &version[..]))
    }

    /// Whether it has no value, and deletes its key from a compacted topic.
    #[getter]
    fn is_tombstone(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.engine(py)?.is_tombstone())
    }

    /// The cluster that it was published in, if it was replicated.
    #[getter]
    fn replicated_from(&self, py: Python<'_>) -> PyResult<Option<&str>> {
        Ok(self.engine(py)?.replicated_from())
    }

    /// Without payload, key and properties: they may be private.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let engine = self.engine(py)?;
        Ok(format!("<Message {} of {}, {} bytes>", engine.id(), engine.topic(), engine.payload().len()))
    }
}
