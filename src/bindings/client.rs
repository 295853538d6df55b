//! `Client`: the engine's handle. `PulsarClient` in Python makes it from settings.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::auth::authentication;
use super::clock;
use super::consumer::Consumer;
use super::convert::{options, plain};
use super::errors::OrRaise;
use super::fork::Owned;
use super::operation::Operation;
use super::producer::Producer;
use super::reader::Reader;
use super::{runtime, task};
use crate::client::options::{ClientOptions, ConsumerOptions, ProducerOptions, ReaderOptions};
use crate::client::{self, SchemaInfo};
use crate::error::Result;
use crate::protocol::proto::SchemaType;
use crate::protocol::topic::TopicName;

/// Connections to one Pulsar, and what is made on them. Makes none before they are needed.
#[pyclass(frozen, weakref, module = "fastapi_pulsar._core")]
pub(super) struct Client(Owned<client::Client>);

impl Client {
    fn engine(&self) -> Result<client::Client> {
        self.0.get().cloned()
    }
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (settings, authentication=None))]
    fn new(
        py: Python<'_>,
        settings: &Bound<'_, PyDict>,
        authentication: Option<(String, Bound<'_, PyAny>)>,
    ) -> PyResult<Self> {
        let settings: ClientOptions = options("client", settings)?;
        let authentication = self::authentication(authentication)?;
        let engine = client::Client::new(settings, authentication, clock::of_clients(), runtime::handle()?);
        Ok(Self(Owned::new(engine.or_raise(py)?)))
    }

    /// A producer. `encode` makes a payload of a value, `takes_bytes` says that bytes are payloads already, `route` chooses
    /// the partition from the key and the number of partitions, `permit` raises if nothing may be published now.
    #[pyo3(signature = (settings, encode=None, takes_bytes=true, route=None, permit=None))]
    fn producer(
        &self,
        py: Python<'_>,
        settings: &Bound<'_, PyDict>,
        encode: Option<Py<PyAny>>,
        takes_bytes: bool,
        route: Option<Py<PyAny>>,
        permit: Option<Py<PyAny>>,
    ) -> PyResult<Operation> {
        let settings: ProducerOptions = options("producer", settings)?;
        let engine = self.engine().or_raise(py)?;
        Ok(task::operation(
            "Client.producer",
            async move { engine.producer(settings).await },
            move |py, producer| {
                Ok(Py::new(py, Producer::new(producer, encode, takes_bytes, route, permit))?.into_any())
            },
        ))
    }

    /// A consumer; `decode` makes a value of a payload.
    #[pyo3(signature = (settings, decode=None))]
    fn consumer(
        &self,
        py: Python<'_>,
        settings: &Bound<'_, PyDict>,
        decode: Option<Py<PyAny>>,
    ) -> PyResult<Operation> {
        let settings: ConsumerOptions = options("consumer", settings)?;
        let engine = self.engine().or_raise(py)?;
        Ok(task::operation(
            "Client.consumer",
            async move { engine.consumer(settings).await },
            |py, consumer| Ok(Py::new(py, Consumer::new(consumer, decode))?.into_any()),
        ))
    }

    /// A reader; `decode` makes a value of a payload.
    #[pyo3(signature = (settings, decode=None))]
    fn reader(
        &self,
        py: Python<'_>,
        settings: &Bound<'_, PyDict>,
        decode: Option<Py<PyAny>>,
    ) -> PyResult<Operation> {
        let settings: ReaderOptions = options("reader", settings)?;
        let engine = self.engine().or_raise(py)?;
        Ok(task::operation("Client.reader", async move { engine.reader(settings).await }, |py, reader| {
            Ok(Py::new(py, Reader::new(reader, decode))?.into_any())
        }))
    }

    /// The number of partitions; 0 is a topic without partitions.
    fn partitions(&self, py: Python<'_>, topic: &str) -> PyResult<Operation> {
        let topic = TopicName::parse(topic).or_raise(py)?;
        let engine = self.engine().or_raise(py)?;
        Ok(task::operation(
            "Client.partitions",
            async move { engine.partitions(&topic).await },
            |py, count| Ok(count.into_pyobject(py)?.into_any().unbind()),
        ))
    }

    /// The topic's latest schema, or the version asked for; `None` if it has none.
    #[pyo3(signature = (topic, version=None))]
    fn schema(&self, py: Python<'_>, topic: &str, version: Option<Vec<u8>>) -> PyResult<Operation> {
        let topic = TopicName::parse(topic).or_raise(py)?;
        let engine = self.engine().or_raise(py)?;
        let version = version.map(Into::into);
        Ok(task::operation(
            "Client.schema",
            async move { engine.schema(&topic, version).await },
            |py, info| info.map_or_else(|| Ok(py.None()), |info| schema(py, &info)),
        ))
    }

    /// Closes everything made on it in an orderly way, then the connections. May be called again.
    fn close(&self, py: Python<'_>) -> PyResult<Operation> {
        let engine = self.engine().or_raise(py)?;
        Ok(task::unit("Client.close", async move { engine.close().await }))
    }

    /// What happened since the last call, for a log.
    fn take_events(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        plain(py, &self.0.get().or_raise(py)?.take_events())
    }

    /// Counts of what happened.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        plain(py, &self.0.get().or_raise(py)?.stats())
    }
}

fn schema(py: Python<'_>, info: &SchemaInfo) -> PyResult<Py<PyAny>> {
    let dict = PyDict::new(py);
    let schema = &info.schema;
    dict.set_item("name", &schema.name)?;
    dict.set_item("type", SchemaType::try_from(schema.r#type).map_or("UNKNOWN", schema_type))?;
    dict.set_item("data", &schema.schema_data[..])?;
    let properties = PyDict::new(py);
    for property in &schema.properties {
        properties.set_item(&property.key, &property.value)?;
    }
    dict.set_item("properties", properties)?;
    dict.set_item("version", info.version.as_deref())?;
    Ok(dict.into_any().unbind())
}

/// Pulsar's own name of a type, as in the admin interface.
fn schema_type(kind: SchemaType) -> &'static str {
    match kind {
        SchemaType::None => "NONE",
        SchemaType::String => "STRING",
        SchemaType::Json => "JSON",
        SchemaType::Protobuf => "PROTOBUF",
        SchemaType::Avro => "AVRO",
        SchemaType::Bool => "BOOLEAN",
        SchemaType::Int8 => "INT8",
        SchemaType::Int16 => "INT16",
        SchemaType::Int32 => "INT32",
        SchemaType::Int64 => "INT64",
        SchemaType::Float => "FLOAT",
        SchemaType::Double => "DOUBLE",
        SchemaType::Date => "DATE",
        SchemaType::Time => "TIME",
        SchemaType::Timestamp => "TIMESTAMP",
        SchemaType::KeyValue => "KEY_VALUE",
        SchemaType::Instant => "INSTANT",
        SchemaType::LocalDate => "LOCAL_DATE",
        SchemaType::LocalTime => "LOCAL_TIME",
        SchemaType::LocalDateTime => "LOCAL_DATE_TIME",
        SchemaType::ProtobufNative => "PROTOBUF_NATIVE",
        SchemaType::AutoConsume => "AUTO_CONSUME",
    }
}
