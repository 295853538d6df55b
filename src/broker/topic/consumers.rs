//! The topic's subscriptions, as sessions use them.

use std::sync::Arc;

use super::Topic;
use super::lifecycle::tell_end;
use super::state::{Attached, State};
use crate::broker::outlet::Outlet;
use crate::broker::subscription::{NewConsumer, SeekTo, Subscription};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{
    CommandAck, CommandAckResponse, CommandConsumerStatsResponse, CommandRedeliverUnacknowledgedMessages,
    MessageIdData, SubscriptionType,
};

/// Where compaction keeps its place in Pulsar; nobody else may.
const RESERVED: &str = "__compaction";

impl Topic {
    /// Adds a consumer, and the subscription if there is none yet.
    pub fn subscribe(self: &Arc<Self>, request: NewConsumer, outlet: Arc<dyn Outlet>) -> Result<()> {
        let now = self.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        self.check_new_consumer(state, &request).map_err(|error| error.on_topic(&self.name))?;
        let key = (outlet.id(), request.consumer_id);
        let name = request.subscription.clone();
        let is_new = !state.subscriptions.contains_key(&name);
        if is_new {
            let start = request.start_in(&state.log, now);
            let options = self.subscription_options(state);
            let mut subscription = Subscription::new(&name, request.kind, request.durable, start, options);
            subscription.set_properties(request.subscription_properties.clone());
            state.subscriptions.insert(name.clone(), subscription);
        }
        let Some(subscription) = state.subscriptions.get_mut(&name) else { return Ok(()) };
        let attached = Attached { subscription: name.clone(), outlet: Arc::clone(&outlet), knows_end: false };
        if let Err(error) = subscription.add_consumer(&state.log, request, outlet, now) {
            if is_new {
                state.subscriptions.remove(&name);
            }
            return Err(error.on_topic(&self.name));
        }
        state.consumers.insert(key, attached);
        if is_new {
            self.store_cursor(state, &name, None);
        }
        self.plan(state, now);
        Ok(())
    }

    fn check_new_consumer(&self, state: &State, request: &NewConsumer) -> Result<()> {
        self.check_alive(state)?;
        let refused = |kind, context: String| Err(Error::new(kind, context));
        if request.subscription.is_empty() || request.subscription == RESERVED {
            let context = format!("a subscription cannot be called {:?}", request.subscription);
            return refused(ErrorKind::NotAllowed, context);
        }
        let single = matches!(request.kind, SubscriptionType::Exclusive | SubscriptionType::Failover);
        if request.read_compacted && !single {
            let context = "a compacted topic is read by Exclusive and Failover subscriptions only";
            return refused(ErrorKind::NotAllowed, context.into());
        }
        let policies = &state.policies;
        let reached = |count: usize, max: Option<u32>| max.filter(|max| *max > 0 && count >= *max as usize);
        if let Some(max) = reached(state.consumers.len(), policies.max_consumers) {
            let context = format!("the topic has {max} consumers, as many as its policies allow");
            return refused(ErrorKind::ConsumerBusy, context);
        }
        let Some(subscription) = state.subscriptions.get(&request.subscription) else {
            let allowed = policies
                .auto_subscription_creation
                .is_none_or(|creation| creation.allow_auto_subscription_creation);
            if request.durable && !allowed {
                let context = "the subscription does not exist, and policies forbid that consumers make it";
                return refused(ErrorKind::SubscriptionNotFound, context.into());
            }
            return match reached(state.subscriptions.len(), policies.max_subscriptions) {
                Some(max) if request.durable => {
                    let context = format!("the topic has {max} subscriptions, as many as its policies allow");
                    refused(ErrorKind::NotAllowed, context)
                }
                _ => Ok(()),
            };
        };
        if subscription.is_durable() != request.durable {
            let context =
                "a subscription of this name exists, and one of the two is durable, the other is not";
            return refused(ErrorKind::NotAllowed, context.into());
        }
        let consumers = state.consumers.values().filter(|other| other.subscription == request.subscription);
        match reached(consumers.count(), policies.max_consumers_per_subscription) {
            Some(max) => {
                let context = format!("the subscription has {max} consumers, as many as policies allow");
                refused(ErrorKind::ConsumerBusy, context)
            }
            None => Ok(()),
        }
    }

    /// The consumer was closed, or its connection is gone. A subscription that is not durable goes with its last one.
    pub fn remove_consumer(self: &Arc<Self>, outlet_id: u64, consumer_id: u64) {
        let now = self.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(attached) = state.consumers.remove(&(outlet_id, consumer_id)) else { return };
        let Some(subscription) = state.subscriptions.get_mut(&attached.subscription) else { return };
        subscription.remove_consumer(&state.log, outlet_id, consumer_id, now);
        if !subscription.is_durable() && !subscription.has_consumers() {
            self.drop_subscription(state, &attached.subscription);
        }
    }

    pub fn flow(&self, outlet_id: u64, consumer_id: u64, permits: u32) {
        let now = self.now();
        if let Some((subscription, log)) = self.lock().subscription_of((outlet_id, consumer_id)) {
            subscription.flow(log, outlet_id, consumer_id, permits, now);
        }
    }

    /// There is room again for deliveries to this consumer.
    pub fn writable(&self, outlet_id: u64, consumer_id: u64) {
        let now = self.now();
        if let Some((subscription, log)) = self.lock().subscription_of((outlet_id, consumer_id)) {
            subscription.writable(log, now);
        }
    }

    /// Acknowledges; the receipt, if asked for, goes through the outlet once the acknowledgement is stored.
    pub fn acknowledge(self: &Arc<Self>, outlet_id: u64, ack: &CommandAck) -> Result<()> {
        let now = self.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let key = (outlet_id, ack.consumer_id);
        let attached = state.consumers.get(&key).ok_or_else(|| self.unknown_consumer())?;
        let subscription =
            state.subscriptions.get_mut(&attached.subscription).ok_or_else(|| self.unknown_consumer())?;
        let acked = subscription.acknowledge(&state.log, outlet_id, ack, now)?;
        let receipt = ack.request_id.map(|request_id| {
            let response = CommandAckResponse {
                consumer_id: ack.consumer_id,
                request_id: Some(request_id),
                ..CommandAckResponse::default()
            };
            (Arc::clone(&attached.outlet), response)
        });
        if self.is_durable() && (acked.changed || receipt.is_some()) {
            let name = attached.subscription.clone();
            self.store_cursor(state, &name, receipt);
        } else if let Some((outlet, response)) = receipt {
            outlet.send(&response.into());
        }
        if acked.advanced {
            if state.may_trim() || self.services.memory.is_tight() {
                self.trim(state);
            }
            tell_end(state);
        }
        Ok(())
    }

    pub fn redeliver(&self, outlet_id: u64, command: &CommandRedeliverUnacknowledgedMessages) {
        let now = self.now();
        if let Some((subscription, log)) = self.lock().subscription_of((outlet_id, command.consumer_id)) {
            subscription.redeliver(log, outlet_id, command, now);
        }
    }

    /// Moves the consumer's subscription; its consumers are closed, so that they come again from there.
    pub fn seek(self: &Arc<Self>, outlet_id: u64, consumer_id: u64, to: &SeekTo) -> Result<()> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let attached =
            state.consumers.get(&(outlet_id, consumer_id)).ok_or_else(|| self.unknown_consumer())?;
        let name = attached.subscription.clone();
        self.move_subscription(state, &name, to);
        Ok(())
    }

    pub(super) fn move_subscription(self: &Arc<Self>, state: &mut State, name: &str, to: &SeekTo) {
        let Some(subscription) = state.subscriptions.get_mut(name) else { return };
        subscription.seek(&state.log, to);
        state.forget_detached();
        self.store_cursor(state, name, None);
    }

    /// Deletes the consumer's subscription, from under other consumers only by force.
    pub fn unsubscribe(self: &Arc<Self>, outlet_id: u64, consumer_id: u64, force: bool) -> Result<()> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let key = (outlet_id, consumer_id);
        let attached = state.consumers.get(&key).ok_or_else(|| self.unknown_consumer())?;
        let name = attached.subscription.clone();
        let subscription = state.subscriptions.get_mut(&name).ok_or_else(|| self.unknown_consumer())?;
        subscription
            .may_unsubscribe(outlet_id, consumer_id, force)
            .map_err(|error| error.on_topic(&self.name))?;
        // The one that asks knows; the others are told.
        subscription.remove_consumer(&state.log, outlet_id, consumer_id, self.now());
        subscription.disconnect();
        self.drop_subscription(state, &name);
        Ok(())
    }

    /// The last entry's id, and how far the consumer's subscription has acknowledged.
    pub fn last_message_id(
        &self,
        outlet_id: u64,
        consumer_id: u64,
    ) -> Result<(MessageIdData, Option<MessageIdData>)> {
        let mut guard = self.lock();
        let (subscription, log) =
            guard.subscription_of((outlet_id, consumer_id)).ok_or_else(|| self.unknown_consumer())?;
        let mark_delete = subscription.mark_delete();
        let partition = self.name.partition().and_then(|partition| i32::try_from(partition).ok());
        let last = match log.last() {
            Some(entry) => MessageIdData {
                partition,
                batch_index: entry
                    .facts
                    .is_batch
                    .then(|| i32::try_from(entry.facts.messages - 1).unwrap_or_default()),
                ..entry.position.to_proto()
            },
            // Nothing was ever stored here: entry -1 of the ledger.
            None => MessageIdData {
                ledger_id: log.next_position().ledger,
                entry_id: u64::MAX,
                partition,
                ..MessageIdData::default()
            },
        };
        Ok((last, Some(mark_delete)))
    }

    /// What the topic knows of a consumer; the session adds the request's id.
    pub fn consumer_stats(&self, outlet_id: u64, consumer_id: u64) -> Result<CommandConsumerStatsResponse> {
        let now = self.now();
        let mut guard = self.lock();
        let (subscription, log) =
            guard.subscription_of((outlet_id, consumer_id)).ok_or_else(|| self.unknown_consumer())?;
        subscription.consumer_stats(log, outlet_id, consumer_id, now).ok_or_else(|| self.unknown_consumer())
    }

    fn unknown_consumer(&self) -> Error {
        Error::new(ErrorKind::ConsumerNotFound, "the topic does not know this consumer").on_topic(&self.name)
    }
}
