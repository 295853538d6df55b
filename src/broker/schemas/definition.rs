//! What a schema's data must be for its type, and when two schemas are the same.

use serde_json::Value;

use super::avro::{self, Definition};
use super::key_value::KeyValueParts;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{Schema, SchemaType};

/// A definition may have this many bytes.
const MAX_BYTES: usize = 1 << 20;

/// The type of a schema; one that this version of the protocol does not know counts as none.
pub(super) fn kind(schema: &Schema) -> SchemaType {
    SchemaType::try_from(schema.r#type).unwrap_or(SchemaType::None)
}

/// Refuses a schema whose data is not what its type asks for.
pub fn validate(schema: &Schema) -> Result<()> {
    check(schema, true).map_err(|reason| {
        let context = format!("invalid schema definition data for {} schema: {reason}", kind(schema).name());
        Error::new(ErrorKind::IncompatibleSchema, context)
    })
}

fn check(schema: &Schema, outer: bool) -> Result<(), String> {
    if schema.schema_data.len() > MAX_BYTES {
        return Err(format!("it has {} bytes, {MAX_BYTES} are allowed", schema.schema_data.len()));
    }
    match kind(schema) {
        SchemaType::Avro | SchemaType::Json | SchemaType::Protobuf => Description::of(schema).map(|_| ()),
        SchemaType::KeyValue if outer => {
            let parts = KeyValueParts::split(schema)?;
            check(&parts.key, false).map_err(|reason| format!("key: {reason}"))?;
            check(&parts.value, false).map_err(|reason| format!("value: {reason}"))
        }
        SchemaType::ProtobufNative => root_message(schema).map(|_| ()),
        SchemaType::AutoConsume => Err("a consumer's wish to adapt is not a schema".into()),
        // Java names the text's encoding there, others leave it empty.
        SchemaType::None | SchemaType::String => Ok(()),
        _ if schema.schema_data.is_empty() => Ok(()),
        _ => Err("a primitive type has no data".into()),
    }
}

/// What describes the records of a topic.
pub(super) enum Description {
    Avro(Definition),
    /// JSON Schema, which clients older than 2.1 and some hand-written ones register for JSON.
    JsonSchema {
        id: Option<String>,
    },
}

impl Description {
    pub(super) fn of(schema: &Schema) -> Result<Self, String> {
        let refused = match avro::parse(&schema.schema_data) {
            Ok(definition) => return Ok(Self::Avro(definition)),
            Err(refused) => refused,
        };
        if kind(schema) == SchemaType::Json {
            json_schema(&schema.schema_data).ok_or(refused)
        } else {
            Err(refused)
        }
    }
}

/// Only what draft 3 of JSON Schema has, as a real broker: it refuses what Pydantic makes.
fn json_schema(data: &[u8]) -> Option<Description> {
    let value: Value = serde_json::from_slice(data).ok()?;
    is_draft_3(&value)
        .then(|| Description::JsonSchema { id: value.get("id").and_then(Value::as_str).map(str::to_owned) })
}

fn is_draft_3(value: &Value) -> bool {
    const TYPES: [&str; 8] = ["object", "array", "string", "number", "integer", "boolean", "null", "any"];
    const WORDS: [&str; 30] = [
        "type",
        "id",
        "$ref",
        "$schema",
        "title",
        "description",
        "default",
        "required",
        "readonly",
        "extends",
        "disallow",
        "enum",
        "format",
        "properties",
        "patternProperties",
        "additionalProperties",
        "dependencies",
        "items",
        "additionalItems",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minLength",
        "maxLength",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "divisibleBy",
    ];
    let Some(object) = value.as_object() else { return false };
    let properties = object.get("properties").and_then(Value::as_object);
    value.get("type").and_then(Value::as_str).is_some_and(|kind| TYPES.contains(&kind))
        && object.keys().all(|word| WORDS.contains(&word.as_str()))
        && object.get("required").is_none_or(Value::is_boolean)
        && properties.is_none_or(|properties| properties.values().all(is_draft_3))
}

/// The name of the message that a Protobuf schema describes.
pub(super) fn root_message(schema: &Schema) -> Result<String, String> {
    let value: Value =
        serde_json::from_slice(&schema.schema_data).map_err(|error| format!("not JSON: {error}"))?;
    let text = |key: &str| {
        let found = value.get(key).and_then(Value::as_str);
        found.map(str::to_owned).ok_or_else(|| format!("it has no `{key}`"))
    };
    text("fileDescriptorSet")?;
    text("rootMessageTypeName")
}

/// Whether a topic that has `old` needs no new version for `new`.
pub(super) fn same(old: &Schema, new: &Schema) -> bool {
    if old.r#type != new.r#type {
        return false;
    }
    if old.schema_data == new.schema_data {
        return true;
    }
    match kind(new) {
        SchemaType::Avro | SchemaType::Json | SchemaType::Protobuf => {
            match (avro::parse(&old.schema_data), avro::parse(&new.schema_data)) {
                (Ok(old), Ok(new)) => old.same_as(&new),
                _ => false,
            }
        }
        _ => false,
    }
}
