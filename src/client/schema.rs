//! Schemas of topics, as the broker keeps them.

use bytes::Bytes;

use super::connection::Connection;
use super::options::SchemaOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{
    Command, CommandGetSchema, CommandGetSchemaResponse, KeyValue, Schema, SchemaType,
};
use crate::protocol::topic::TopicName;

/// A schema and its version.
#[derive(Clone, PartialEq, Eq)]
pub struct SchemaInfo {
    pub schema: Schema,
    pub version: Option<Bytes>,
}

/// The schema as it travels.
pub(super) fn to_proto(options: &SchemaOptions) -> Result<Schema> {
    let properties = options.properties.iter();
    Ok(Schema {
        name: options.name.clone(),
        schema_data: Bytes::copy_from_slice(options.data.as_bytes()),
        r#type: schema_type(&options.r#type)? as i32,
        properties: properties.map(|(k, v)| KeyValue { key: k.clone(), value: v.clone() }).collect(),
    })
}

fn schema_type(name: &str) -> Result<SchemaType> {
    let found = SchemaType::from_name(name).filter(|kind| *kind != SchemaType::AutoConsume);
    found.ok_or_else(|| {
        let context = format!("schema.type: {name:?} is not a schema type of Pulsar");
        Error::new(ErrorKind::InvalidOption, context)
    })
}

/// Asks for a version of the topic's schema, or the latest; `None` if the topic has none.
pub(super) async fn get(
    connection: &Connection,
    topic: &TopicName,
    version: Option<Bytes>,
) -> Result<Option<SchemaInfo>> {
    let make = |request_id| {
        CommandGetSchema { request_id, topic: topic.to_string(), schema_version: version }.into()
    };
    match connection.request(make).await {
        Ok(Command::GetSchemaResponse(answer)) => {
            let CommandGetSchemaResponse { schema, schema_version, .. } = *answer;
            Ok(schema.map(|schema| SchemaInfo { schema, version: schema_version }))
        }
        Ok(other) => {
            let context = format!("{} answered with {}", connection.address(), other.name());
            Err(Error::new(ErrorKind::Decode, context))
        }
        // The broker's way to say that there is no schema.
        Err(error) if error.kind() == ErrorKind::TopicNotFound => Ok(None),
        Err(error) => Err(error.on_topic(topic)),
    }
}
