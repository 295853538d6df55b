//! The tables of the data file, and what each operation does to them.

use std::collections::HashMap;

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::{Op, record};
use crate::protocol::topic::TopicName;

/// What the data file is; a file of a later format is refused.
pub(super) const FORMAT: u64 = 1;

pub(super) type Failure = redb::Error;

/// `FORMAT`, `NEXT_LEDGER` and `NEXT_TOPIC`.
pub(super) const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");
/// Value by path.
pub(super) const METADATA: TableDefinition<&str, &[u8]> = TableDefinition::new("metadata");
/// A topic's number, which stands for its name in the other tables, and what it says of itself.
pub(super) const TOPICS: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("topics");
/// By topic, ledger and entry.
pub(super) const ENTRIES: TableDefinition<(u64, u64, u64), &[u8]> = TableDefinition::new("entries");
/// By topic and subscription.
pub(super) const CURSORS: TableDefinition<(u64, &str), &[u8]> = TableDefinition::new("cursors");
/// By topic and producer.
pub(super) const SEQUENCES: TableDefinition<(u64, &str), u64> = TableDefinition::new("sequences");
/// By the name of the topic as a whole, and version.
pub(super) const SCHEMAS: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("schemas");

pub(super) const FORMAT_OF_FILE: &str = "format";
pub(super) const NEXT_LEDGER: &str = "next ledger";
const NEXT_TOPIC: &str = "next topic";

/// The numbers of topics, as far as they were needed.
pub(super) type Numbers = HashMap<TopicName, u64>;

/// All tables, open in one transaction.
pub(super) struct Tables<'t> {
    counters: Table<'t, &'static str, u64>,
    metadata: Table<'t, &'static str, &'static [u8]>,
    topics: Table<'t, &'static str, (u64, &'static [u8])>,
    entries: Table<'t, (u64, u64, u64), &'static [u8]>,
    cursors: Table<'t, (u64, &'static str), &'static [u8]>,
    sequences: Table<'t, (u64, &'static str), u64>,
    schemas: Table<'t, (&'static str, u64), &'static [u8]>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Failure> {
        Ok(Self {
            counters: transaction.open_table(COUNTERS)?,
            metadata: transaction.open_table(METADATA)?,
            topics: transaction.open_table(TOPICS)?,
            entries: transaction.open_table(ENTRIES)?,
            cursors: transaction.open_table(CURSORS)?,
            sequences: transaction.open_table(SEQUENCES)?,
            schemas: transaction.open_table(SCHEMAS)?,
        })
    }

    /// The format of the file; a new file gets ours.
    pub(super) fn format(&mut self) -> Result<u64, Failure> {
        if let Some(format) = self.counters.get(FORMAT_OF_FILE)? {
            return Ok(format.value());
        }
        self.counters.insert(FORMAT_OF_FILE, FORMAT)?;
        Ok(FORMAT)
    }

    pub(super) fn apply(&mut self, op: &Op, numbers: &mut Numbers) -> Result<(), Failure> {
        match op {
            Op::PutMetadata { path, value } => {
                self.metadata.insert(path.as_str(), value.as_ref())?;
            }
            Op::DeleteMetadata { path } => {
                self.metadata.remove(path.as_str())?;
            }
            Op::PutTopic { topic, value } => {
                let number = self.number(topic, numbers)?;
                self.topics.insert(topic.as_str(), (number, value.as_ref()))?;
            }
            Op::DeleteTopic { topic } => self.delete_topic(topic, numbers)?,
            Op::OpenLedger { topic, ledger } => {
                self.number(topic, numbers)?;
                self.raise(NEXT_LEDGER, ledger.saturating_add(1))?;
            }
            Op::Append { topic, entry } => {
                let number = self.number(topic, numbers)?;
                let key = (number, entry.position.ledger, entry.position.entry);
                record::write(entry, self.entries.insert_reserve(key, record::len(entry))?.as_mut());
            }
            Op::Trim { topic, before } => {
                let number = self.number(topic, numbers)?;
                let trimmed = (number, 0, 0)..(number, before.ledger, before.entry);
                self.entries.retain_in(trimmed, |_, _| false)?;
            }
            Op::PutCursor { topic, subscription, value } => {
                let number = self.number(topic, numbers)?;
                self.cursors.insert((number, subscription.as_str()), value.as_ref())?;
            }
            Op::DeleteCursor { topic, subscription } => {
                let number = self.number(topic, numbers)?;
                self.cursors.remove((number, subscription.as_str()))?;
            }
            Op::PutSequence { topic, producer, sequence_id } => {
                let number = self.number(topic, numbers)?;
                self.sequences.insert((number, producer.as_str()), sequence_id)?;
            }
            Op::DeleteSequence { topic, producer } => {
                let number = self.number(topic, numbers)?;
                self.sequences.remove((number, producer.as_str()))?;
            }
            Op::PutSchema { topic, version, value } => {
                self.schemas.insert((topic.as_str(), *version), value.as_ref())?;
            }
            Op::DeleteSchemas { topic } => {
                self.schemas.retain_in((topic.as_str(), 0)..=(topic.as_str(), u64::MAX), |_, _| false)?;
            }
        }
        Ok(())
    }

    /// The number of a topic, which is made if there is none.
    fn number(&mut self, topic: &TopicName, numbers: &mut Numbers) -> Result<u64, Failure> {
        if let Some(number) = numbers.get(topic) {
            return Ok(*number);
        }
        let stored = self.topics.get(topic.as_str())?.map(|row| row.value().0);
        let number = match stored {
            Some(number) => number,
            None => self.make_topic(topic)?,
        };
        numbers.insert(topic.clone(), number);
        Ok(number)
    }

    fn make_topic(&mut self, topic: &TopicName) -> Result<u64, Failure> {
        let number = self.counters.get(NEXT_TOPIC)?.map_or(0, |next| next.value());
        self.counters.insert(NEXT_TOPIC, number + 1)?;
        self.topics.insert(topic.as_str(), (number, [].as_slice()))?;
        Ok(number)
    }

    fn delete_topic(&mut self, topic: &TopicName, numbers: &mut Numbers) -> Result<(), Failure> {
        numbers.remove(topic);
        let Some(number) = self.topics.remove(topic.as_str())?.map(|row| row.value().0) else {
            return Ok(());
        };
        self.entries.retain_in((number, 0, 0)..=(number, u64::MAX, u64::MAX), |_, _| false)?;
        self.cursors.retain_in((number, "")..(number + 1, ""), |_, _| false)?;
        self.sequences.retain_in((number, "")..(number + 1, ""), |_, _| false)?;
        Ok(())
    }

    fn raise(&mut self, counter: &'static str, to: u64) -> Result<(), Failure> {
        let now = self.counters.get(counter)?.map_or(0, |value| value.value());
        if now < to {
            self.counters.insert(counter, to)?;
        }
        Ok(())
    }
}
