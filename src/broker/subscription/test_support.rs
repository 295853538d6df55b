//! A topic's log with a subscription, and clients that keep what they are sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Acked, KeyShared, NewConsumer, Options, Subscription};
use crate::broker::entry::{Entry, Facts};
use crate::broker::outlet::{Outlet, Peer};
use crate::broker::position::Position;
use crate::broker::topic::log::Log;
use crate::error::Result;
use crate::protocol::proto::{
    AckType, BaseCommand, Command, CommandAck, CommandMessage, CommandRedeliverUnacknowledgedMessages,
    InitialPosition, MessageIdData, SubscriptionType,
};

pub(super) struct Client {
    id: u64,
    peer: Peer,
    pub(super) writable: AtomicBool,
    delivered: Mutex<Vec<CommandMessage>>,
    commands: Mutex<Vec<BaseCommand>>,
}

impl Client {
    pub(super) fn new(id: u64) -> Arc<Self> {
        Arc::new(Self {
            id,
            peer: Peer::default(),
            writable: AtomicBool::new(true),
            delivered: Mutex::default(),
            commands: Mutex::default(),
        })
    }

    /// What was delivered since the last call.
    pub(super) fn take(&self) -> Vec<CommandMessage> {
        std::mem::take(&mut self.delivered.lock())
    }

    /// The numbers of the entries that were delivered since the last call.
    pub(super) fn entries(&self) -> Vec<u64> {
        self.take().iter().map(|message| message.message_id.entry_id).collect()
    }

    /// Whether the consumer was told to be active, each time.
    pub(super) fn active_changes(&self) -> Vec<bool> {
        let commands = std::mem::take(&mut *self.commands.lock());
        let change = |command: BaseCommand| match command.command {
            Some(Command::ActiveConsumerChange(change)) => change.is_active,
            _ => None,
        };
        commands.into_iter().filter_map(change).collect()
    }

    pub(super) fn closes(&self) -> usize {
        let commands = self.commands.lock();
        commands.iter().filter(|command| matches!(command.command, Some(Command::CloseConsumer(_)))).count()
    }
}

impl Outlet for Client {
    fn id(&self) -> u64 {
        self.id
    }

    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn send(&self, command: &BaseCommand) {
        self.commands.lock().push(command.clone());
    }

    fn deliver(&self, command: CommandMessage, entry: &Arc<Entry>) {
        assert_eq!(Position::from(&command.message_id), entry.position);
        self.delivered.lock().push(command);
    }

    fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    fn speaks(&self, _: i32) -> bool {
        true
    }
}

/// A topic of one ledger with one subscription. Each client has one consumer, number 0.
pub(super) struct Topic {
    pub(super) log: Log,
    pub(super) subscription: Subscription,
    pub(super) now: u64,
    next_client: u64,
}

pub(super) const LEDGER: u64 = 7;

pub(super) fn at(entry: u64) -> Position {
    Position::new(LEDGER, entry)
}

pub(super) fn id(entry: u64) -> MessageIdData {
    at(entry).to_proto()
}

pub(super) fn subscribe(consumer_id: u64, kind: SubscriptionType) -> NewConsumer {
    NewConsumer {
        subscription: "s".into(),
        consumer_id,
        request_id: 0,
        name: "consumer".into(),
        kind,
        priority: 0,
        durable: true,
        start: None,
        initial_position: InitialPosition::Earliest,
        rollback_seconds: 0,
        read_compacted: false,
        properties: BTreeMap::new(),
        subscription_properties: BTreeMap::new(),
        key_shared: KeyShared::default(),
        epoch: None,
        replicated: false,
    }
}

impl Topic {
    pub(super) fn new(kind: SubscriptionType) -> Self {
        Self::with(kind, Options { topic: "persistent://public/default/t".into(), ..Options::default() })
    }

    pub(super) fn with(kind: SubscriptionType, options: Options) -> Self {
        let subscription = Subscription::new("s", kind, true, at(0), options);
        Self { log: Log::new(LEDGER), subscription, now: 1_000_000, next_client: 1 }
    }

    /// Entries of one message each.
    pub(super) fn publish(&mut self, count: u64) {
        for _ in 0..count {
            self.publish_as(Facts::default());
        }
    }

    pub(super) fn publish_key(&mut self, key: &str) -> u64 {
        self.publish_as(Facts { key: Some(Bytes::copy_from_slice(key.as_bytes())), ..Facts::default() })
    }

    pub(super) fn publish_batch(&mut self, messages: u32) -> u64 {
        self.publish_as(Facts { messages, is_batch: true, ..Facts::default() })
    }

    pub(super) fn publish_as(&mut self, facts: Facts) -> u64 {
        let position = self.log.next_position();
        let facts = Facts {
            messages: facts.messages.max(1),
            publish_time: self.now,
            sequence_id: facts.sequence_id.max(position.entry),
            ..facts
        };
        let bytes = Bytes::from_static(b"ten bytes.");
        self.log.append(Arc::new(Entry { position, stored_at: self.now, bytes, checksum: 0, facts }));
        self.subscription.appended(&self.log, self.now);
        position.entry
    }

    pub(super) fn join(&mut self, kind: SubscriptionType, permits: u32) -> Arc<Client> {
        self.join_as(subscribe(0, kind), permits).unwrap()
    }

    pub(super) fn join_named(&mut self, kind: SubscriptionType, name: &str, priority: i32) -> Arc<Client> {
        self.join_as(NewConsumer { name: name.into(), priority, ..subscribe(0, kind) }, 100).unwrap()
    }

    pub(super) fn join_as(&mut self, new: NewConsumer, permits: u32) -> Result<Arc<Client>> {
        let client = Client::new(self.next_client);
        self.next_client += 1;
        self.subscription.add_consumer(&self.log, new, client.clone(), self.now)?;
        self.flow(&client, permits);
        Ok(client)
    }

    pub(super) fn flow(&mut self, client: &Client, permits: u32) {
        self.subscription.flow(&self.log, client.id, 0, permits, self.now);
    }

    pub(super) fn leave(&mut self, client: &Client) {
        assert!(self.subscription.remove_consumer(&self.log, client.id, 0, self.now));
    }

    /// Another consumer in place of this one.
    pub(super) fn join_after(&mut self, client: &Client) -> Arc<Client> {
        self.leave(client);
        self.join(self.subscription.kind(), 100)
    }

    pub(super) fn ack(&mut self, client: &Client, entries: &[u64]) -> Acked {
        self.ack_ids(client, AckType::Individual, entries.iter().map(|entry| id(*entry)).collect()).unwrap()
    }

    pub(super) fn ack_bits(&mut self, client: &Client, kind: AckType, entry: u64, bits: i64) -> Acked {
        self.ack_ids(client, kind, vec![MessageIdData { ack_set: vec![bits], ..id(entry) }]).unwrap()
    }

    pub(super) fn ack_ids(
        &mut self,
        client: &Client,
        kind: AckType,
        ids: Vec<MessageIdData>,
    ) -> Result<Acked> {
        let ack =
            CommandAck { consumer_id: 0, ack_type: kind as i32, message_id: ids, ..CommandAck::default() };
        self.subscription.acknowledge(&self.log, client.id, &ack, self.now)
    }

    /// Asks for entries again; for all, if none is named.
    pub(super) fn redeliver(&mut self, client: &Client, entries: &[u64], epoch: Option<u64>) {
        let command = CommandRedeliverUnacknowledgedMessages {
            consumer_id: 0,
            message_ids: entries.iter().map(|entry| id(*entry)).collect(),
            consumer_epoch: epoch,
        };
        self.subscription.redeliver(&self.log, client.id, &command, self.now);
    }

    pub(super) fn tick(&mut self) {
        self.subscription.tick(&self.log, self.now);
    }

    pub(super) fn stats_of(&self, index: usize) -> super::ConsumerStats {
        self.subscription.stats(&self.log).consumers.swap_remove(index)
    }

    pub(super) fn backlog(&self) -> u64 {
        self.subscription.backlog(&self.log)
    }
}

/// The redelivery counts of deliveries, by entry.
pub(super) fn counts(delivered: &[CommandMessage]) -> Vec<(u64, u32)> {
    delivered
        .iter()
        .map(|message| (message.message_id.entry_id, message.redelivery_count.unwrap_or_default()))
        .collect()
}
