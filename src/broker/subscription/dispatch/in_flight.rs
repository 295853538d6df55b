//! Which consumer has entries of a hash.

use std::collections::HashMap;

#[derive(Default)]
pub(super) struct InFlight(HashMap<u16, Holder>);

struct Holder {
    /// The consumer's serial number.
    consumer: u64,
    /// How many entries of the hash it has.
    entries: usize,
}

impl InFlight {
    /// The serial number of the consumer that has entries of a hash.
    pub(super) fn holder(&self, hash: u16) -> Option<u64> {
        self.0.get(&hash).map(|holder| holder.consumer)
    }

    /// One more entry of a hash went to the consumer that has its others, or to the first.
    pub(super) fn add(&mut self, hash: u16, consumer: u64) {
        self.0.entry(hash).or_insert(Holder { consumer, entries: 0 }).entries += 1;
    }

    /// One entry fewer; whether that was the last.
    pub(super) fn remove(&mut self, hash: u16) -> bool {
        let Some(holder) = self.0.get_mut(&hash) else { return false };
        holder.entries = holder.entries.saturating_sub(1);
        holder.entries == 0 && self.0.remove(&hash).is_some()
    }
}
