//! Without a data directory: nothing outlives the broker.

use super::{Done, Op, Storage, Stored};
use crate::error::Result;

/// Everything is stored at once, since the topics themselves hold it.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryStorage;

impl Storage for MemoryStorage {
    fn is_durable(&self) -> bool {
        false
    }

    fn commit(&self, _ops: Vec<Op>, done: Done) {
        done(Ok(()));
    }

    fn load(&self) -> Result<Stored> {
        Ok(Stored::default())
    }

    fn pending_bytes(&self) -> usize {
        0
    }

    fn close(&self, done: Done) {
        done(Ok(()));
    }
}
