//! The schemas of topics.

use super::Registry;
use crate::broker::schemas::{CompatibilityStrategy, SchemaRegistry, SchemaVersion};
use crate::error::Result;
use crate::protocol::proto::Schema;
use crate::protocol::topic::TopicName;

impl Registry {
    /// To look at. What changes them goes through the registry.
    pub fn schemas(&self) -> &SchemaRegistry {
        &self.schemas
    }

    /// The version of a topic's schema: a new one, if it is not known and compatible.
    pub fn register_schema(
        &self,
        topic: &TopicName,
        schema: &Schema,
        strategy: CompatibilityStrategy,
    ) -> Result<SchemaVersion> {
        let now = self.services.clock.unix_millis();
        let registered = self.schemas.register(topic, schema, strategy, now)?;
        if let Some(added) = &registered.added {
            self.schema_added(topic, added);
        }
        Ok(registered.version)
    }

    /// Deletes a topic's schema; later ones count on. The version of the deletion, unless there was none.
    pub fn delete_schema(&self, topic: &TopicName) -> Option<SchemaVersion> {
        let now = self.services.clock.unix_millis();
        let deleted = self.schemas.delete(topic, now)?;
        self.schema_added(topic, &deleted);
        Some(deleted.version)
    }
}
