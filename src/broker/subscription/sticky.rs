//! Hash ranges that `Key_Shared` consumers ask for themselves.

use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::IntRange;

/// Hashes of keys, which go from 0 to 65,535, from `start` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashRange {
    pub start: u16,
    pub end: u16,
}

impl HashRange {
    pub fn contains(self, hash: u16) -> bool {
        (self.start..=self.end).contains(&hash)
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

impl TryFrom<&IntRange> for HashRange {
    type Error = Error;

    fn try_from(range: &IntRange) -> Result<Self> {
        match (u16::try_from(range.start), u16::try_from(range.end)) {
            (Ok(start), Ok(end)) if start <= end => Ok(Self { start, end }),
            _ => Err(Error::new(
                ErrorKind::ConsumerAssign,
                format!(
                    "hash range {}-{} is not within 0-65535; give ranges by their first and last hash",
                    range.start, range.end
                ),
            )),
        }
    }
}
