//! Reading and registering schemas.

use std::sync::Arc;

use bytes::Bytes;

use super::{once_settled, refuse};
use crate::broker::core::Core;
use crate::broker::outlet::Outlet;
use crate::broker::policies::Policies;
use crate::broker::schemas::{CompatibilityStrategy, SchemaVersion};
use crate::broker::session::Session;
use crate::broker::session::server_error::server_error;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{
    Command, CommandGetOrCreateSchema, CommandGetOrCreateSchemaResponse, CommandGetSchema,
    CommandGetSchemaResponse, Schema, SchemaType, ServerError,
};
use crate::protocol::topic::TopicName;

pub(super) fn get(session: &Session, question: &CommandGetSchema) {
    let found = TopicName::parse(&question.topic).and_then(|topic| {
        // An empty version stands for the latest.
        let version = question.schema_version.as_ref().filter(|version| !version.is_empty());
        let version = version.map(|version| SchemaVersion::from_bytes(version)).transpose()?;
        let found = session.core.registry.schemas().get(&topic, version);
        found.ok_or_else(|| {
            Error::new(ErrorKind::TopicNotFound, "the topic has no schema, or not this version of one")
        })
    });
    match found {
        Ok(stored) => {
            let response = CommandGetSchemaResponse {
                request_id: question.request_id,
                schema: Some(stored.schema),
                schema_version: Some(stored.version.to_bytes()),
                ..CommandGetSchemaResponse::default()
            };
            session.send(&response.into());
        }
        Err(error) => {
            let command = Command::GetSchema(question.clone());
            refuse(session, &command, server_error(error.kind()), error.context());
        }
    }
}

pub(super) fn get_or_create(session: &Arc<Session>, command: Box<CommandGetOrCreateSchema>) {
    let registered = TopicName::parse(&command.topic)
        .and_then(|topic| for_producer(&session.core, &topic, &command.schema));
    let version = match registered {
        Ok(version) => version.unwrap_or_default(),
        Err(error) => return refuse_schema(session, command, &error),
    };
    once_settled(session, move |session, stored| match stored {
        Ok(()) => {
            let response = CommandGetOrCreateSchemaResponse {
                request_id: command.request_id,
                schema_version: Some(version),
                ..CommandGetOrCreateSchemaResponse::default()
            };
            session.send(&response.into());
        }
        Err(error) => refuse_schema(session, command, &error),
    });
}

fn refuse_schema(session: &Session, command: Box<CommandGetOrCreateSchema>, error: &Error) {
    let code = match error.kind() {
        ErrorKind::IncompatibleSchema => ServerError::IncompatibleSchema,
        kind => server_error(kind),
    };
    refuse(session, &Command::GetOrCreateSchema(command), code, error.context());
}

/// The version of a producer's schema: a new one, if it may be made.
pub(super) fn for_producer(core: &Core, topic: &TopicName, schema: &Schema) -> Result<Option<Bytes>> {
    if !describes(schema) {
        return without_schema(core, topic);
    }
    let policies = core.registry.effective_policies(topic.namespace_path())?;
    if !policies.allow_auto_update_schema.unwrap_or(true) {
        let known = core.registry.schemas().version_of(topic, schema);
        let version = known.ok_or_else(|| {
            let context = "the schema is not one of the topic's, and policies forbid that clients add it";
            Error::new(ErrorKind::IncompatibleSchema, context).on_topic(topic)
        })?;
        return Ok(Some(version.to_bytes()));
    }
    core.registry.register_schema(topic, schema, strategy(&policies)).map(|version| Some(version.to_bytes()))
}

/// A producer without a schema may publish what it likes, unless policies insist on the topic's schema.
pub(super) fn without_schema(core: &Core, topic: &TopicName) -> Result<Option<Bytes>> {
    let policies = core.registry.effective_policies(topic.namespace_path())?;
    if policies.schema_validation_enforced.unwrap_or_default()
        && core.registry.schemas().get(topic, None).is_some()
    {
        let context = "policies forbid producers without a schema on a topic that has one";
        return Err(Error::new(ErrorKind::IncompatibleSchema, context).on_topic(topic));
    }
    Ok(None)
}

/// A consumer's schema must read the topic's; of a topic that nobody has used yet it becomes the schema.
pub(super) fn for_consumer(core: &Core, topic: &TopicName, schema: &Schema) -> Result<()> {
    if !describes(schema) {
        return Ok(());
    }
    let policies = core.registry.effective_policies(topic.namespace_path())?;
    if core.registry.schemas().get(topic, None).is_some() {
        return core.registry.schemas().check_consumer(topic, schema, strategy(&policies));
    }
    for_producer(core, topic, schema).map(drop)
}

/// Raw bytes are no schema, and a consumer may take whatever there is.
fn describes(schema: &Schema) -> bool {
    !matches!(SchemaType::try_from(schema.r#type), Ok(SchemaType::None | SchemaType::AutoConsume))
}

fn strategy(policies: &Policies) -> CompatibilityStrategy {
    policies.schema_compatibility.unwrap_or_default()
}
