//! May a schema follow those that a topic has?

use super::avro::{self, Definition};
use super::definition::{self, Description};
use super::key_value::KeyValueParts;
use super::registry::StoredSchema;
use super::strategy::CompatibilityStrategy;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{Schema, SchemaType};

/// Holds a schema against the versions of a topic, oldest first.
pub(super) fn check(new: &Schema, versions: &[StoredSchema], strategy: CompatibilityStrategy) -> Result<()> {
    let strategy = strategy.effective();
    if strategy == CompatibilityStrategy::AlwaysCompatible {
        return Ok(());
    }
    let newest = if strategy.is_transitive() { versions.len() } else { 1 };
    for old in versions.iter().rev().take(newest) {
        if !definition::same(&old.schema, new) {
            pair(new, &old.schema, strategy).map_err(|reason| {
                let context = format!(
                    "the schema is incompatible with version {} of the topic's under {strategy}: {reason}",
                    old.version.0
                );
                Error::new(ErrorKind::IncompatibleSchema, context)
            })?;
        }
    }
    Ok(())
}

fn pair(new: &Schema, old: &Schema, strategy: CompatibilityStrategy) -> Result<(), String> {
    let kind = definition::kind(new);
    if kind != definition::kind(old) {
        return Err(format!("its type is {}, the topic's is {}", kind.name(), definition::kind(old).name()));
    }
    if strategy == CompatibilityStrategy::AlwaysIncompatible {
        return Err("no change is allowed".into());
    }
    match kind {
        SchemaType::Avro | SchemaType::Json | SchemaType::Protobuf => {
            match (Description::of(new)?, Description::of(old)?) {
                (Description::Avro(new), Description::Avro(old)) => records(&new, &old, strategy),
                (Description::JsonSchema { id: new }, Description::JsonSchema { id: old }) if new != old => {
                    Err("the two JSON Schemas have different ids".into())
                }
                // Moving from one language to the other is allowed, as on a real broker.
                _ => Ok(()),
            }
        }
        SchemaType::KeyValue => {
            let (new, old) = (KeyValueParts::split(new)?, KeyValueParts::split(old)?);
            pair(&new.key, &old.key, strategy).map_err(|reason| format!("key: {reason}"))?;
            pair(&new.value, &old.value, strategy).map_err(|reason| format!("value: {reason}"))
        }
        SchemaType::ProtobufNative => {
            let (new, old) = (definition::root_message(new)?, definition::root_message(old)?);
            if new == old { Ok(()) } else { Err(format!("its message is `{new}`, the topic's is `{old}`")) }
        }
        _ => Ok(()),
    }
}

fn records(new: &Definition, old: &Definition, strategy: CompatibilityStrategy) -> Result<(), String> {
    if strategy.reads_old() {
        avro::can_read(new, old)
            .map_err(|mismatch| format!("it does not read what the older one wrote: {mismatch}"))?;
    }
    if strategy.read_by_old() {
        avro::can_read(old, new)
            .map_err(|mismatch| format!("the older one does not read what it writes: {mismatch}"))?;
    }
    Ok(())
}
