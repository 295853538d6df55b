//! Exclusive and Failover: one consumer gets everything, in order.

use std::sync::Arc;

use crate::broker::entry::Entry;
use crate::broker::subscription::consumer::Consumer;
use crate::broker::subscription::state::State;
use crate::broker::topic::log::Log;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::hashing::murmur3;
use crate::protocol::proto::CommandActiveConsumerChange;

/// Places that each consumer has on the ring which chooses the active one.
const PLACES: usize = 100;
/// Since which version of the protocol clients know of active consumers.
const ACTIVE_CONSUMER_VERSION: i32 = 12;

pub(in crate::broker::subscription) struct Single {
    failover: bool,
    /// The serial number of the consumer that gets everything.
    active: Option<u64>,
}

impl Single {
    pub(super) fn exclusive() -> Self {
        Self { failover: false, active: None }
    }

    pub(super) fn failover() -> Self {
        Self { failover: true, active: None }
    }

    pub(super) fn active(&self) -> Option<u64> {
        self.active
    }

    pub(super) fn admit(&self, state: &State) -> Result<()> {
        if self.failover || state.consumers.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ConsumerBusy,
            "the Exclusive subscription has a consumer already; close it, or subscribe as Shared, Failover or Key_Shared",
        ))
    }

    pub(super) fn joined(&mut self, state: &mut State) {
        if !self.choose(state)
            && let Some(consumer) = state.consumers.iter().max_by_key(|consumer| consumer.serial)
        {
            self.tell(consumer);
        }
    }

    pub(super) fn left(&mut self, state: &mut State) {
        self.choose(state);
    }

    /// Chooses the active consumer; whether it is another one now. That one gets all that is unacknowledged.
    fn choose(&mut self, state: &mut State) -> bool {
        state.consumers.sort_by(|a, b| a.priority.cmp(&b.priority).then_with(|| a.name.cmp(&b.name)));
        let best = state.consumers.first().map_or(0, |consumer| consumer.priority);
        let candidates = state.consumers.partition_point(|consumer| consumer.priority == best);
        let candidates = state.consumers.get(..candidates).unwrap_or_default();
        let index = match state.options.partition {
            _ if candidates.len() < 2 => 0,
            Some(partition) => partition as usize % candidates.len(),
            None => on_ring(&state.options.topic, candidates),
        };
        let chosen = candidates.get(index).map(|consumer| consumer.serial);
        if chosen == self.active {
            return false;
        }
        self.active = chosen;
        state.rewind();
        for consumer in &state.consumers {
            self.tell(consumer);
        }
        true
    }

    fn tell(&self, consumer: &Consumer) {
        if self.failover && consumer.outlet.speaks(ACTIVE_CONSUMER_VERSION) {
            let is_active = Some(self.active == Some(consumer.serial));
            consumer.outlet.send(&CommandActiveConsumerChange { consumer_id: consumer.id, is_active }.into());
        }
    }

    pub(super) fn dispatch(&self, state: &mut State, log: &Log) {
        let Some(index) = state.consumers.iter().position(|consumer| Some(consumer.serial) == self.active)
        else {
            return;
        };
        if state.consumers.get(index).is_some_and(|consumer| consumer.read_compacted) {
            serve(state, index, log.from_compacted(state.read));
        } else {
            serve(state, index, log.from(state.read));
        }
    }
}

fn serve<'a>(state: &mut State, index: usize, entries: impl Iterator<Item = &'a Arc<Entry>>) {
    for entry in entries {
        if !state.consumers.get(index).is_some_and(Consumer::takes) {
            return;
        }
        state.read = entry.position.next();
        if !state.cursor.is_acked(entry.position) {
            state.deliver(index, entry);
        }
    }
}

/// As Pulsar chooses on an unpartitioned topic: the first place on the ring at or behind the hash of the topic's name.
fn on_ring(topic: &str, consumers: &[Consumer]) -> usize {
    let places = consumers.iter().enumerate().flat_map(|(index, consumer)| {
        (0..PLACES).map(move |place| (positive(format!("{}{place}", consumer.name).as_bytes()), index))
    });
    let topic = positive(topic.as_bytes());
    // Of two at one place, the later consumer has it.
    places
        .min_by_key(|(place, index)| (*place < topic, *place, usize::MAX - index))
        .map_or(0, |(_, index)| index)
}

fn positive(text: &[u8]) -> u32 {
    murmur3(text) & (u32::MAX >> 1)
}
