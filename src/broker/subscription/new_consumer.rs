//! What a consumer asks for when it subscribes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sticky::HashRange;
use crate::broker::entry::Entry;
use crate::broker::position::Position;
use crate::broker::topic::log::Log;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{
    CommandSubscribe, InitialPosition, KeySharedMeta, KeySharedMode, KeyValue, MessageIdData,
    SubscriptionType,
};

/// A request for a consumer, as `CommandSubscribe` makes it.
#[derive(Clone, Debug)]
pub struct NewConsumer {
    pub subscription: String,
    pub consumer_id: u64,
    pub request_id: u64,
    pub name: String,
    pub kind: SubscriptionType,
    /// 0 is served first.
    pub priority: i32,
    pub durable: bool,
    /// Where a subscription that is not durable starts.
    pub start: Option<MessageIdData>,
    /// Where a durable one starts, if it is new.
    pub initial_position: InitialPosition,
    /// Start this many seconds before now; 0 is none.
    pub rollback_seconds: u64,
    pub read_compacted: bool,
    pub properties: BTreeMap<String, String>,
    pub subscription_properties: BTreeMap<String, String>,
    pub key_shared: KeyShared,
    /// Written into deliveries, so that the client knows those from before a redelivery.
    pub epoch: Option<u64>,
    pub replicated: bool,
}

/// How a `Key_Shared` consumer wants its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyShared {
    /// None: the broker decides.
    pub ranges: Option<Vec<HashRange>>,
    /// The order of a key may break while consumers come and go.
    pub out_of_order: bool,
}

impl TryFrom<&CommandSubscribe> for NewConsumer {
    type Error = Error;

    fn try_from(command: &CommandSubscribe) -> Result<Self> {
        let kind = SubscriptionType::try_from(command.sub_type).map_err(|_| {
            let context = format!("subscription type {} is unknown", command.sub_type);
            Error::new(ErrorKind::NotAllowed, context)
        })?;
        Ok(Self {
            subscription: command.subscription.clone(),
            consumer_id: command.consumer_id,
            request_id: command.request_id,
            name: command.consumer_name().to_owned(),
            kind,
            priority: command.priority_level().max(0),
            durable: command.durable(),
            start: command.start_message_id.clone(),
            initial_position: command.initial_position(),
            rollback_seconds: command.start_message_rollback_duration_sec(),
            read_compacted: command.read_compacted(),
            properties: map(&command.metadata),
            subscription_properties: map(&command.subscription_properties),
            key_shared: command.key_shared_meta.as_ref().map(key_shared).transpose()?.unwrap_or_default(),
            epoch: command.consumer_epoch,
            replicated: command.replicate_subscription_state(),
        })
    }
}

impl NewConsumer {
    /// The first entry that a new subscription with this consumer delivers. `now` is in milliseconds since 1970.
    pub fn start_in(&self, log: &Log, now: u64) -> Position {
        if self.rollback_seconds > 0 {
            return SeekTo::Time(now.saturating_sub(self.rollback_seconds.saturating_mul(1000)))
                .place_in(log);
        }
        match (&self.start, self.durable) {
            // A start id is the last message that is not wanted; of a batch, the client skips what it does not want.
            (Some(id), false) if is_place(id) && id.batch_index() < 0 => Position::from(id).next(),
            (Some(id), false) => SeekTo::Message(id.clone()).place_in(log),
            _ if self.initial_position == InitialPosition::Earliest => first(log),
            _ => log.next_position(),
        }
    }
}

/// Where a subscription is to go.
#[derive(Clone, Debug, PartialEq)]
pub enum SeekTo {
    /// To this message; of a batch, its bit set says what not to deliver.
    Message(MessageIdData),
    /// To the first message published at this time or later, in milliseconds since 1970.
    Time(u64),
}

impl SeekTo {
    /// The first entry to deliver.
    pub fn place_in(&self, log: &Log) -> Position {
        match self {
            // Negative numbers are "earliest", the largest ones "latest".
            Self::Message(id) if id.ledger_id.cast_signed() < 0 => first(log),
            Self::Message(id) if is_place(id) => Position::from(id).min(log.next_position()),
            Self::Message(id) if id.entry_id.cast_signed() < 0 => Position::new(id.ledger_id, 0),
            Self::Message(_) => log.next_position(),
            Self::Time(time) => {
                let start = Position::new(0, 0);
                let is_before = |entry: &&Arc<Entry>| entry.facts.publish_time < *time;
                let last = log.from(start).filter(is_before).last();
                let last = last.or_else(|| log.from_compacted(start).filter(is_before).last());
                last.map_or_else(|| first(log), |entry| entry.position.next())
            }
        }
    }
}

fn is_place(id: &MessageIdData) -> bool {
    const LATEST: i64 = i64::MAX;
    let numbers = [id.ledger_id.cast_signed(), id.entry_id.cast_signed()];
    numbers.iter().all(|number| (0..LATEST).contains(number))
}

/// What compaction kept may be older than what is left of the log.
fn first(log: &Log) -> Position {
    let start = log.start();
    log.first_compacted().map_or(start, |entry| entry.position.min(start))
}

fn map(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect()
}

fn key_shared(meta: &KeySharedMeta) -> Result<KeyShared> {
    let ranges = match meta.key_shared_mode() {
        KeySharedMode::AutoSplit => None,
        KeySharedMode::Sticky => {
            Some(meta.hash_ranges.iter().map(HashRange::try_from).collect::<Result<_>>()?)
        }
    };
    Ok(KeyShared { ranges, out_of_order: meta.allow_out_of_order_delivery() })
}
