//! Schemas: their types, and reading or registering one.

use bytes::Bytes;

use super::{KeyValue, ServerError};

/// A schema as the broker stores it.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Schema {
    #[prost(string, required, tag = "1")]
    pub name: String,
    #[prost(bytes = "bytes", required, tag = "3")]
    pub schema_data: Bytes,
    #[prost(enumeration = "SchemaType", required, tag = "4")]
    pub r#type: i32,
    #[prost(message, repeated, tag = "5")]
    pub properties: Vec<KeyValue>,
}

/// Asks for a topic's schema: the given version, or the latest.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct CommandGetSchema {
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    #[prost(string, required, tag = "2")]
    pub topic: String,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub schema_version: Option<Bytes>,
}

/// A topic's schema and its version.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct CommandGetSchemaResponse {
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    #[prost(enumeration = "ServerError", optional, tag = "2")]
    pub error_code: Option<i32>,
    #[prost(string, optional, tag = "3")]
    pub error_message: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub schema: Option<Schema>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub schema_version: Option<Bytes>,
}

/// Registers a schema, unless the topic has it already.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct CommandGetOrCreateSchema {
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    #[prost(string, required, tag = "2")]
    pub topic: String,
    #[prost(message, required, tag = "3")]
    pub schema: Schema,
}

/// The version of the registered schema.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct CommandGetOrCreateSchemaResponse {
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    #[prost(enumeration = "ServerError", optional, tag = "2")]
    pub error_code: Option<i32>,
    #[prost(string, optional, tag = "3")]
    pub error_message: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub schema_version: Option<Bytes>,
}

/// The type of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum SchemaType {
    None = 0,
    String = 1,
    Json = 2,
    Protobuf = 3,
    Avro = 4,
    Bool = 5,
    Int8 = 6,
    Int16 = 7,
    Int32 = 8,
    Int64 = 9,
    Float = 10,
    Double = 11,
    Date = 12,
    Time = 13,
    Timestamp = 14,
    KeyValue = 15,
    Instant = 16,
    LocalDate = 17,
    LocalTime = 18,
    LocalDateTime = 19,
    ProtobufNative = 20,
    AutoConsume = 21,
}

impl SchemaType {
    /// Every type, in the order of its number, by the name that the REST interface and the clients use.
    const NAMES: [(SchemaType, &'static str); 22] = [
        (Self::None, "NONE"),
        (Self::String, "STRING"),
        (Self::Json, "JSON"),
        (Self::Protobuf, "PROTOBUF"),
        (Self::Avro, "AVRO"),
        (Self::Bool, "BOOLEAN"),
        (Self::Int8, "INT8"),
        (Self::Int16, "INT16"),
        (Self::Int32, "INT32"),
        (Self::Int64, "INT64"),
        (Self::Float, "FLOAT"),
        (Self::Double, "DOUBLE"),
        (Self::Date, "DATE"),
        (Self::Time, "TIME"),
        (Self::Timestamp, "TIMESTAMP"),
        (Self::KeyValue, "KEY_VALUE"),
        (Self::Instant, "INSTANT"),
        (Self::LocalDate, "LOCAL_DATE"),
        (Self::LocalTime, "LOCAL_TIME"),
        (Self::LocalDateTime, "LOCAL_DATE_TIME"),
        (Self::ProtobufNative, "PROTOBUF_NATIVE"),
        (Self::AutoConsume, "AUTO_CONSUME"),
    ];

    /// The type of this name; `BYTES` is a name for no schema.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "BYTES" { "NONE" } else { name };
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("NONE", |(_, name)| name)
    }
}
