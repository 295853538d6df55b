//! Where an entry is: ledger and number, in the order of the log.

use std::fmt;

use crate::protocol::proto::MessageIdData;

/// The place of an entry in its topic. Ledgers ascend; entries count from 0 in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub ledger: u64,
    pub entry: u64,
}

impl Position {
    pub const fn new(ledger: u64, entry: u64) -> Self {
        Self { ledger, entry }
    }

    /// The place right behind this one in the same ledger.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.ledger, self.entry.saturating_add(1))
    }

    /// As clients name it, without partition and batch.
    pub fn to_proto(self) -> MessageIdData {
        MessageIdData { ledger_id: self.ledger, entry_id: self.entry, ..MessageIdData::default() }
    }
}

impl From<&MessageIdData> for Position {
    fn from(id: &MessageIdData) -> Self {
        Self::new(id.ledger_id, id.entry_id)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.ledger, self.entry)
    }
}
