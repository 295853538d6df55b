//! The schemas of topics: their versions, and which new ones are accepted.
//!
//! Pure: the time is passed in, and what must be stored is returned.
//!
//! * `registry` — the versions of each topic.
//! * `compatibility` — may this schema follow those? By type: Avro's rules, key and value each, or only the type.
//! * `definition` — what a schema's data must be for its type, and when two are the same.
//! * `key_value` — the two schemas in one of type `KEY_VALUE`.
//! * `avro` — schemas of Avro, and of JSON, which uses the same language.

mod avro;
mod compatibility;
mod definition;
mod key_value;
mod registry;
mod strategy;
mod version;

pub use self::definition::validate;
pub use self::key_value::KeyValueParts;
pub use self::registry::{Registered, SchemaRegistry, StoredSchema};
pub use self::strategy::CompatibilityStrategy;
pub use self::version::SchemaVersion;
