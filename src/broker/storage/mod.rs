//! What outlives the broker: metadata, topics, entries, cursors, deduplication state and schemas.
//!
//! Topics and the registry describe what changed as operations ([`Op`]) and hand them over with what is to happen once
//! they are stored. In memory nothing outlives the broker, and all is stored at once; with a data directory, one thread
//! writes whatever has come meanwhile as one transaction, waits for the disk once, and reports in order.

mod directory;
mod durable;
mod memory;
mod op;
mod reading;
mod record;
mod stored;
mod tables;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod test_disk;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;

pub use self::durable::{DurableStorage, Opened};
pub use self::memory::MemoryStorage;
pub use self::op::Op;
pub use self::stored::{Stored, StoredTopic};
use crate::error::Result;

/// What happens once operations are stored, or could not be.
pub type Done = Box<dyn FnOnce(Result<()>) + Send>;

/// Where the broker keeps what must outlive it.
pub trait Storage: Send + Sync {
    /// Whether anything outlives the broker. If not, callers on the hot path need not describe what they change.
    fn is_durable(&self) -> bool;

    /// Stores all of the operations, or none of them, after all that was handed over before; never waits. `done` runs
    /// after those of earlier commits: on the storage's own thread if durable, so that callers may hold what it locks;
    /// otherwise in place.
    ///
    /// After an error nothing more is stored: every later commit fails too, so that no gap can come to be.
    fn commit(&self, ops: Vec<Op>, done: Done);

    /// All that is stored.
    fn load(&self) -> Result<Stored>;

    /// Bytes handed over and not stored yet. Whoever reads from clients stops reading while this is large.
    fn pending_bytes(&self) -> usize;

    /// Stores what was handed over, lets go of the data directory, and then runs `done`. Later commits fail.
    fn close(&self, done: Done);
}
