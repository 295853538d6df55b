//! Acknowledging and its opposite: acts at once, without I/O; the task tells the broker.

use std::sync::Arc;
use std::time::Duration;

use super::ack_state::{AckState, Acked};
use super::acks::Receipt;
use super::partition::{Partition, Unsettled};
use super::position::Position;

impl Partition {
    /// Acknowledges one message of an entry, or with `None` all of it.
    pub(crate) fn acknowledge(&self, state: &Arc<AckState>, index: Option<u32>) -> Option<Receipt> {
        let acked = match index {
            Some(index) => state.acknowledge(index),
            None => state.acknowledge_all(),
        };
        if acked == Acked::Nothing {
            return None;
        }
        self.common.counters.acknowledged.add(1);
        if acked == Acked::Part && !self.options().batch_index_ack {
            return None;
        }
        self.settle(|unsettled| {
            unsettled.acks.individual(state, acked);
            if acked == Acked::Whole {
                unsettled.redelivery.acknowledged(state.position());
            }
        })
    }

    /// Acknowledges everything up to and with this message of an entry, or with `None` all of it.
    pub(crate) fn acknowledge_cumulative(
        &self,
        state: &Arc<AckState>,
        index: Option<u32>,
    ) -> Option<Receipt> {
        match index {
            Some(index) => state.acknowledge_up_to(index),
            None => state.acknowledge_all(),
        };
        self.common.counters.acknowledged.add(1);
        self.settle(|unsettled| {
            let position = unsettled.acks.cumulative(state);
            unsettled.redelivery.acknowledged_up_to(position);
        })
    }

    /// Takes note of an entry whose messages were all left out when it arrived.
    pub(crate) fn settled_elsewhere(&self, state: &Arc<AckState>) {
        self.settle(|unsettled| unsettled.acks.individual(state, Acked::Whole));
    }

    fn settle(&self, change: impl FnOnce(&mut Unsettled)) -> Option<Receipt> {
        let mut unsettled = self.unsettled.lock();
        change(&mut unsettled);
        if unsettled.acks.grouped() > 0 && unsettled.grouped_at.is_none() {
            unsettled.grouped_at = Some(self.common.clock.now());
            self.wake.notify_one();
        } else if unsettled.acks.is_full(self.options().ack_group_max) {
            self.wake.notify_one();
        }
        unsettled.acks.receipt()
    }

    /// Schedules the entry's redelivery.
    pub(crate) fn negative_acknowledge(&self, position: Position, redelivery_count: u32) {
        let now = self.common.clock.now();
        let mut unsettled = self.unsettled.lock();
        unsettled.redelivery.negative_acknowledge(position, redelivery_count, now);
        self.wake.notify_one();
    }

    /// The same after a delay of the caller's choice.
    pub(crate) fn negative_acknowledge_in(&self, position: Position, delay: Duration) {
        let now = self.common.clock.now();
        self.unsettled.lock().redelivery.negative_acknowledge_in(position, delay, now);
        self.wake.notify_one();
    }

    /// Asks for everything unacknowledged again, at once.
    pub(crate) fn redeliver_all(&self) {
        self.unsettled.lock().redeliver_all = true;
        self.wake.notify_one();
    }
}
