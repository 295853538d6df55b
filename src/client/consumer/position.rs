//! Where an entry is stored, as ordered by its topic.

use crate::protocol::proto::MessageIdData;

/// A ledger and an entry in it. The entry before the first of a ledger is -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    pub(crate) ledger: u64,
    pub(crate) entry: i64,
}

impl Position {
    pub(crate) fn new(ledger: u64, entry: i64) -> Self {
        Self { ledger, entry }
    }

    /// The position just before this one. Whether an entry is stored there does not matter to a cumulative
    /// acknowledgement.
    pub(crate) fn before(self) -> Self {
        Self { ledger: self.ledger, entry: self.entry - 1 }
    }

    pub(crate) fn to_proto(self) -> MessageIdData {
        MessageIdData {
            ledger_id: self.ledger,
            entry_id: self.entry.cast_unsigned(),
            ..MessageIdData::default()
        }
    }
}

impl From<&MessageIdData> for Position {
    fn from(id: &MessageIdData) -> Self {
        Self { ledger: id.ledger_id, entry: id.entry_id.cast_signed() }
    }
}
