//! Reads back all that is stored.

use std::collections::HashMap;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable};

use super::tables::{COUNTERS, CURSORS, ENTRIES, Failure, METADATA, NEXT_LEDGER, SCHEMAS, SEQUENCES, TOPICS};
use super::{Stored, StoredTopic, record};
use crate::broker::position::Position;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::topic::TopicName;

/// Topics by their number, while they are gathered.
type Numbered = HashMap<u64, (TopicName, StoredTopic)>;

pub(super) fn read(database: &Database) -> Result<Stored> {
    let mut stored = Stored::default();
    let mut topics = Numbered::new();
    let transaction = database.begin_read().map_err(unreadable)?;

    let counters = transaction.open_table(COUNTERS).map_err(unreadable)?;
    stored.next_ledger = counters.get(NEXT_LEDGER).map_err(unreadable)?.map_or(0, |next| next.value());

    for row in transaction.open_table(METADATA).map_err(unreadable)?.iter().map_err(unreadable)? {
        let (path, value) = row.map_err(unreadable)?;
        stored.metadata.insert(path.value().to_owned(), Bytes::copy_from_slice(value.value()));
    }
    for row in transaction.open_table(TOPICS).map_err(unreadable)?.iter().map_err(unreadable)? {
        let (name, value) = row.map_err(unreadable)?;
        let (number, value) = value.value();
        let topic = StoredTopic { value: Bytes::copy_from_slice(value), ..StoredTopic::default() };
        topics.insert(number, (TopicName::parse(name.value())?, topic));
    }
    for row in transaction.open_table(ENTRIES).map_err(unreadable)?.iter().map_err(unreadable)? {
        let (key, value) = row.map_err(unreadable)?;
        let (number, ledger, entry) = key.value();
        let entry = record::read(Position::new(ledger, entry), value.value())?;
        if let Some((_, topic)) = topics.get_mut(&number) {
            topic.entries.push(entry);
        }
    }
    for row in transaction.open_table(CURSORS).map_err(unreadable)?.iter().map_err(unreadable)? {
        let (key, value) = row.map_err(unreadable)?;
        let (number, subscription) = key.value();
        if let Some((_, topic)) = topics.get_mut(&number) {
            topic.cursors.insert(subscription.to_owned(), Bytes::copy_from_slice(value.value()));
        }
    }
    for row in transaction.open_table(SEQUENCES).map_err(unreadable)?.iter().map_err(unreadable)? {
        let (key, value) = row.map_err(unreadable)?;
        let (number, producer) = key.value();
        if let Some((_, topic)) = topics.get_mut(&number) {
            topic.sequences.insert(producer.to_owned(), value.value());
        }
    }
    for row in transaction.open_table(SCHEMAS).map_err(unreadable)?.iter().map_err(unreadable)? {
        let (key, value) = row.map_err(unreadable)?;
        let (name, version) = key.value();
        let schemas = stored.schemas.entry(TopicName::parse(name)?).or_default();
        schemas.insert(version, Bytes::copy_from_slice(value.value()));
    }
    stored.topics = topics.into_values().collect();
    Ok(stored)
}

fn unreadable(source: impl Into<Failure>) -> Error {
    Error::new(ErrorKind::Persistence, "the data directory cannot be read").caused_by(source.into())
}
