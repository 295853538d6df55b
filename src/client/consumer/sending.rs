//! What the task tells the broker of a partition: acknowledgements and redeliveries.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::oneshot;

use super::acks::AckGroup;
use super::partition::{Partition, Unsettled};
use super::position::Position;
use super::queue::ReceiveQueue;
use super::sink::redelivers_singly;
use super::task::has_epoch;
use crate::client::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{AckType, CommandAck, CommandRedeliverUnacknowledgedMessages, MessageIdData};

/// Message ids in one command, far below the size that a broker accepts.
const MAX_IDS: usize = 1000;

impl Partition {
    /// When the task has something to do, if nothing happens before.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let unsettled = self.unsettled.lock();
        let acks = unsettled.grouped_at.map(|at| at + self.options().ack_group_delay);
        [acks, unsettled.redelivery.next()].into_iter().flatten().min()
    }

    /// Sends the grouped acknowledgements if they are due, somebody waits for it, or `all`.
    pub(crate) async fn send_acks(self: &Arc<Self>, connection: &Connection, all: bool) -> Result<()> {
        let (group, flushes) = {
            let mut unsettled = self.unsettled.lock();
            if !all && !self.acks_due(&unsettled) {
                return Ok(());
            }
            unsettled.grouped_at = None;
            (unsettled.acks.take(), std::mem::take(&mut unsettled.flushes))
        };
        let Some(group) = group else {
            answer(flushes);
            return Ok(());
        };
        let commands = group.commands(self.consumer_id);
        if !group.receipts.is_empty() {
            let (partition, connection) = (self.clone(), connection.clone());
            let receipt = async move {
                partition.send_with_receipt(&connection, commands, group).await;
                answer(flushes);
            };
            if all {
                receipt.await;
            } else {
                // The answers must not hold up what comes after.
                tokio::spawn(receipt);
            }
            return Ok(());
        }
        for command in commands {
            if let Err(error) = connection.send_command(&command.into()).await {
                self.unsettled.lock().flushes.extend(flushes);
                self.put_back(group, self.seeks());
                return Err(error);
            }
        }
        answer(flushes);
        Ok(())
    }

    fn acks_due(&self, unsettled: &Unsettled) -> bool {
        let delay = self.options().ack_group_delay;
        !unsettled.flushes.is_empty()
            || unsettled.acks.is_full(self.options().ack_group_max)
            || unsettled.grouped_at.is_some_and(|at| at + delay <= self.common.clock.now())
    }

    async fn send_with_receipt(&self, connection: &Connection, commands: Vec<CommandAck>, group: AckGroup) {
        let seeks = self.seeks();
        for mut command in commands {
            let make = |request_id| {
                command.request_id = Some(request_id);
                command.into()
            };
            match connection.request(make).await {
                Ok(_) => {}
                // It is sent once more on the next connection, and its receipt comes from there.
                Err(error) if error.kind() == ErrorKind::Connection => return self.put_back(group, seeks),
                Err(error) => return group.answer(&Err(error.on_topic(self.topic()))),
            }
        }
        group.answer(&Ok(()));
    }

    /// Keeps what could not be sent for the next connection, unless a seek made it void.
    fn put_back(&self, group: AckGroup, seeks: u64) {
        let mut unsettled = self.unsettled.lock();
        if seeks != self.seeks() {
            drop(unsettled);
            return group.answer(&Ok(()));
        }
        unsettled.acks.restore(group);
        unsettled.grouped_at.get_or_insert_with(|| self.common.clock.now());
    }

    /// Answers everybody who still waits for something.
    pub(crate) fn abandon(&self, error: &Error) {
        let (group, flushes) = {
            let mut unsettled = self.unsettled.lock();
            unsettled.grouped_at = None;
            (unsettled.acks.take(), std::mem::take(&mut unsettled.flushes))
        };
        drop(flushes);
        if let Some(group) = group {
            group.answer(&Err(error.clone()));
        }
    }

    /// Asks for what is due to be delivered again.
    pub(crate) async fn send_redeliveries(
        self: &Arc<Self>,
        connection: &Connection,
        queue: &ReceiveQueue,
    ) -> Result<()> {
        let (due, everything) = {
            let mut unsettled = self.unsettled.lock();
            let due = unsettled.redelivery.due(self.common.clock.now());
            self.common.counters.ack_timeouts.add(due.timed_out as u64);
            (due.positions, std::mem::take(&mut unsettled.redeliver_all))
        };
        if everything || (!due.is_empty() && !redelivers_singly(self.options().r#type)) {
            return self.send_redeliver_all(connection, queue).await;
        }
        if due.is_empty() {
            return Ok(());
        }
        let entries = self.expand(&due);
        self.credit(queue.forget_entries(self, &entries));
        self.common.counters.redeliveries_requested.add(entries.len() as u64);
        let ids: Vec<MessageIdData> = entries.into_iter().map(Position::to_proto).collect();
        for message_ids in ids.chunks(MAX_IDS) {
            let command = CommandRedeliverUnacknowledgedMessages {
                consumer_id: self.consumer_id,
                message_ids: message_ids.to_vec(),
                consumer_epoch: None,
            };
            connection.send_command(&command.into()).await?;
        }
        Ok(())
    }

    /// On Exclusive and Failover this is all that the broker can do: it does not track single messages there.
    async fn send_redeliver_all(
        self: &Arc<Self>,
        connection: &Connection,
        queue: &ReceiveQueue,
    ) -> Result<()> {
        // What was acknowledged must be known to the broker before, or it would come again.
        self.send_acks(connection, true).await?;
        let kind = self.options().r#type;
        let dropped = queue.forget(self, || {
            if has_epoch(kind) {
                self.epoch.fetch_add(1, Ordering::AcqRel);
            }
        });
        self.unsettled.lock().redelivery.clear();
        self.common.counters.redeliveries_requested.add(1);
        let command = CommandRedeliverUnacknowledgedMessages {
            consumer_id: self.consumer_id,
            message_ids: Vec::new(),
            consumer_epoch: has_epoch(kind).then(|| self.epoch.load(Ordering::Acquire)),
        };
        let sent = connection.send_command(&command.into()).await;
        self.credit(dropped);
        sent
    }
}

impl AckGroup {
    /// The commands that tell the broker.
    fn commands(&self, consumer_id: u64) -> Vec<CommandAck> {
        let command = |ack_type: AckType, message_id| CommandAck {
            consumer_id,
            ack_type: ack_type as i32,
            message_id,
            ..CommandAck::default()
        };
        let cumulative = self.cumulative.iter().map(|cumulative| {
            let id = match &cumulative.partial {
                Some(state) => partial_id(state),
                None => cumulative.position.to_proto(),
            };
            command(AckType::Cumulative, vec![id])
        });
        let whole = self.whole.iter().copied().map(Position::to_proto);
        let ids: Vec<MessageIdData> =
            whole.chain(self.partial.values().map(|state| partial_id(state))).collect();
        let individual = ids.chunks(MAX_IDS).map(|ids| command(AckType::Individual, ids.to_vec()));
        cumulative.chain(individual).collect()
    }
}

fn answer(flushes: Vec<oneshot::Sender<()>>) {
    for flush in flushes {
        // Who asked may have given up.
        let _ = flush.send(());
    }
}

/// An entry of which only some messages are acknowledged.
fn partial_id(state: &super::ack_state::AckState) -> MessageIdData {
    MessageIdData {
        ack_set: state.ack_set(),
        batch_size: Some(state.batch_size().cast_signed()),
        ..state.position().to_proto()
    }
}
