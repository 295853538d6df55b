//! What holds for a subscription from outside: its topic's policies.

/// Policies as they concern one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The topic's complete name, by which a Failover subscription of an unpartitioned topic chooses its active consumer.
    pub topic: String,
    /// Of a partitioned topic, which one this is.
    pub partition: Option<u32>,
    /// Messages that a Shared or `Key_Shared` consumer may have unacknowledged; 0 is any number.
    pub max_unacked_per_consumer: u32,
    /// The same for all consumers of the subscription together.
    pub max_unacked_per_subscription: u32,
    /// Whether parts of batches can be acknowledged.
    pub batch_index_ack: bool,
    /// Whether messages may ask to be delivered later.
    pub delayed_delivery: bool,
    /// Whether messages are kept until they are acknowledged; false on a topic that is not persistent.
    pub persistent: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            topic: String::new(),
            partition: None,
            max_unacked_per_consumer: 50_000,
            max_unacked_per_subscription: 200_000,
            batch_index_ack: true,
            delayed_delivery: true,
            persistent: true,
        }
    }
}
