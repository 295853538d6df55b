//! Schemas of topics.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json as value};

use super::answer::{Answer, Refusal, json, with_status};
use super::request::Request;
use super::routes::unknown;
use crate::broker::schemas::{KeyValueParts, SchemaVersion, StoredSchema};
use crate::protocol::proto::{KeyValue, Schema, SchemaType};
use crate::protocol::topic::TopicName;

#[derive(Deserialize)]
struct Posted {
    r#type: String,
    #[serde(default)]
    schema: String,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

pub fn answer(request: &Request, name: &TopicName, path: &[&str]) -> Answer {
    let registry = &request.core.registry;
    let policies = registry.effective_policies(name.namespace_path())?;
    let strategy = policies.schema_compatibility.unwrap_or_default().effective();
    let missing = || Refusal::new(404, "Schema not found");
    match (request.method.as_str(), path) {
        ("GET", ["schema"]) => json(&shown(&registry.schemas().get(name, None).ok_or_else(missing)?)),
        ("GET", ["schema", version]) => {
            let version = version.parse().map_err(|_| Refusal::new(400, "the version is not a number"))?;
            json(&shown(&registry.schemas().get(name, Some(SchemaVersion(version))).ok_or_else(missing)?))
        }
        ("GET", ["schemas"]) => {
            let all: Vec<Value> = registry.schemas().all(name).iter().map(shown).collect();
            json(&value!({ "getSchemaResponses": all }))
        }
        ("POST", ["schema"]) => {
            let version = registry.register_schema(name, &posted(request)?, strategy).map_err(|error| {
                let invalid = error.context().starts_with("invalid schema");
                Refusal::new(if invalid { 422 } else { 409 }, error.to_string())
            })?;
            json(&value!({ "version": { "version": version.0 } }))
        }
        ("POST", ["version"]) => {
            let version = registry.schemas().version_of(name, &posted(request)?).ok_or_else(missing)?;
            json(&value!({ "version": version.0 }))
        }
        ("POST", ["compatibility"]) => match registry.schemas().check(name, &posted(request)?, strategy) {
            Ok(()) => {
                let answer =
                    value!({ "schemaCompatibilityStrategy": strategy.name(), "compatibility": true });
                Ok(with_status(StatusCode::ACCEPTED, &answer))
            }
            // As a real broker does.
            Err(error) => Err(Refusal::new(500, error.to_string())),
        },
        ("DELETE", ["schema"]) => {
            let version = registry.delete_schema(name).ok_or_else(missing)?;
            json(&value!({ "version": version.0 }))
        }
        _ => Err(unknown(request)),
    }
}

fn posted(request: &Request) -> Result<Schema, Refusal> {
    let posted: Posted = request.body()?;
    let kind = SchemaType::from_name(&posted.r#type);
    let kind = kind.ok_or_else(|| Refusal::new(422, "the type of the schema is unknown"))?;
    let data = match kind {
        SchemaType::KeyValue => joined(&posted.schema)?,
        _ => Bytes::from(posted.schema),
    };
    let properties = posted.properties.into_iter().map(|(key, value)| KeyValue { key, value }).collect();
    Ok(Schema { name: String::new(), schema_data: data, r#type: kind as i32, properties })
}

/// Key and value as one JSON object; a part without data is empty text.
fn joined(text: &str) -> Result<Bytes, Refusal> {
    let parts: Value = serde_json::from_str(text)
        .map_err(|_| Refusal::new(422, "a KEY_VALUE schema is an object with `key` and `value`"))?;
    let part = |name: &str| match parts.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.is_empty() => String::new(),
        Some(other) => other.to_string(),
    };
    Ok(KeyValueParts::join(part("key").as_bytes(), part("value").as_bytes()))
}

fn shown(stored: &StoredSchema) -> Value {
    let schema = &stored.schema;
    let kind = SchemaType::try_from(schema.r#type).unwrap_or(SchemaType::None);
    let text = |data: &[u8]| String::from_utf8_lossy(data).into_owned();
    let data = match KeyValueParts::split(schema) {
        Ok(parts) if kind == SchemaType::KeyValue => {
            let part =
                |data: &[u8]| serde_json::from_slice(data).unwrap_or_else(|_| Value::String(text(data)));
            value!({ "key": part(&parts.key.schema_data), "value": part(&parts.value.schema_data) })
                .to_string()
        }
        _ => text(&schema.schema_data),
    };
    let properties: BTreeMap<&str, &str> =
        schema.properties.iter().map(|pair| (pair.key.as_str(), pair.value.as_str())).collect();
    value!({
        "version": stored.version.0,
        "type": kind.name(),
        "timestamp": stored.created_at,
        "data": data,
        "properties": properties,
    })
}
