//! Strategies for values of the wire, shared by the property tests and the comparison with the crate `pulsar`.

use bytes::Bytes;
use fastapi_pulsar_core::protocol::proto::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

pub fn payload() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..80).prop_map(Bytes::from)
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..8).prop_map(|chars| chars.into_iter().collect())
}

fn properties() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((text(), text()).prop_map(|(key, value)| KeyValue { key, value }), 0..4)
}

fn number<T: TryFrom<i32>>(values: std::ops::Range<i32>) -> impl Strategy<Value = i32> {
    values.prop_filter("a value of the enumeration", |&number| T::try_from(number).is_ok())
}

prop_compose! {
    fn simple_id()(
        (ledger_id, entry_id) in any::<(u64, u64)>(),
        (partition, batch_index, batch_size) in any::<(Option<i32>, Option<i32>, Option<i32>)>(),
        ack_set in vec(any::<i64>(), 0..3),
    ) -> MessageIdData {
        MessageIdData { ledger_id, entry_id, partition, batch_index, ack_set, batch_size, first_chunk_message_id: None }
    }
}

pub fn message_id() -> impl Strategy<Value = MessageIdData> {
    (simple_id(), of(simple_id()))
        .prop_map(|(id, first)| MessageIdData { first_chunk_message_id: first.map(Box::new), ..id })
}

prop_compose! {
    fn schema()(
        name in text(),
        schema_data in payload(),
        r#type in number::<SchemaType>(0..21),
        properties in properties(),
    ) -> Schema {
        Schema { name, schema_data, r#type, properties }
    }
}

prop_compose! {
    pub fn broker_metadata()(
        (broker_timestamp, index) in any::<(Option<u64>, Option<u64>)>(),
    ) -> BrokerEntryMetadata {
        BrokerEntryMetadata { broker_timestamp, index }
    }
}

prop_compose! {
    fn encryption_keys()(key in text(), value in payload(), metadata in properties()) -> EncryptionKeys {
        EncryptionKeys { key, value, metadata }
    }
}

prop_compose! {
    pub fn message_metadata()(
        producer_name in text(),
        (sequence_id, publish_time, event_time, highest_sequence_id) in any::<(u64, u64, Option<u64>, Option<u64>)>(),
        properties in properties(),
        (replicated_from, partition_key, uuid, encryption_algo) in (of(text()), of(text()), of(text()), of(text())),
        replicate_to in vec(text(), 0..3),
        compression in of(number::<CompressionType>(0..5)),
        (uncompressed_size, num_messages_in_batch, deliver_at_time) in any::<(Option<u32>, Option<i32>, Option<i64>)>(),
        encryption_keys in vec(encryption_keys(), 0..2),
        (encryption_param, schema_version, ordering_key) in (of(payload()), of(payload()), of(payload())),
        (marker_type, num_chunks_from_msg, total_chunk_msg_size, chunk_id) in
            any::<(Option<i32>, Option<i32>, Option<i32>, Option<i32>)>(),
        (txnid_least_bits, txnid_most_bits) in any::<(Option<u64>, Option<u64>)>(),
        (partition_key_b64_encoded, null_value, null_partition_key) in
            any::<(Option<bool>, Option<bool>, Option<bool>)>(),
    ) -> MessageMetadata {
        MessageMetadata {
            producer_name, sequence_id, publish_time, properties, replicated_from, partition_key, replicate_to,
            compression, uncompressed_size, num_messages_in_batch, event_time, encryption_keys, encryption_algo,
            encryption_param, schema_version, partition_key_b64_encoded, ordering_key, deliver_at_time, marker_type,
            txnid_least_bits, txnid_most_bits, highest_sequence_id, null_value, uuid, num_chunks_from_msg,
            total_chunk_msg_size, chunk_id, null_partition_key,
        }
    }
}

prop_compose! {
    pub fn single_metadata()(
        properties in properties(),
        (partition_key, ordering_key) in (of(text()), of(payload())),
        (payload_size, event_time, sequence_id) in any::<(i32, Option<u64>, Option<u64>)>(),
        (compacted_out, partition_key_b64_encoded, null_value, null_partition_key) in
            any::<(Option<bool>, Option<bool>, Option<bool>, Option<bool>)>(),
    ) -> SingleMessageMetadata {
        SingleMessageMetadata {
            properties, partition_key, payload_size, compacted_out, event_time, partition_key_b64_encoded,
            ordering_key, sequence_id, null_value, null_partition_key,
        }
    }
}

prop_compose! {
    fn send()(
        (producer_id, sequence_id, num_messages) in any::<(u64, u64, Option<i32>)>(),
        (txnid_least_bits, txnid_most_bits, highest_sequence_id) in any::<(Option<u64>, Option<u64>, Option<u64>)>(),
        (is_chunk, marker) in any::<(Option<bool>, Option<bool>)>(),
    ) -> CommandSend {
        CommandSend {
            producer_id, sequence_id, num_messages, txnid_least_bits, txnid_most_bits, highest_sequence_id, is_chunk,
            marker, message_id: None,
        }
    }
}

prop_compose! {
    fn message()(
        (consumer_id, redelivery_count, consumer_epoch) in any::<(u64, Option<u32>, Option<u64>)>(),
        message_id in message_id(),
        ack_set in vec(any::<i64>(), 0..3),
    ) -> CommandMessage {
        CommandMessage { consumer_id, message_id, redelivery_count, ack_set, consumer_epoch }
    }
}

/// The commands that carry a payload.
pub fn payload_command() -> impl Strategy<Value = BaseCommand> {
    prop_oneof![send().prop_map(Into::into), message().prop_map(Into::into)]
}

prop_compose! {
    fn subscribe()(
        (topic, subscription, consumer_name) in (text(), text(), of(text())),
        sub_type in number::<SubscriptionType>(0..4),
        (consumer_id, request_id, consumer_epoch) in any::<(u64, u64, Option<u64>)>(),
        (priority_level, start_message_rollback_duration_sec) in any::<(Option<i32>, Option<u64>)>(),
        (durable, read_compacted, replicate_subscription_state, force_topic_creation) in
            any::<(Option<bool>, Option<bool>, Option<bool>, Option<bool>)>(),
        start_message_id in of(message_id()),
        (metadata, subscription_properties) in (properties(), properties()),
        schema in of(schema()),
        initial_position in of(number::<InitialPosition>(0..2)),
        key_shared_meta in of(key_shared_meta()),
    ) -> CommandSubscribe {
        CommandSubscribe {
            topic, subscription, sub_type, consumer_id, request_id, consumer_name, priority_level, durable,
            start_message_id, metadata, read_compacted, schema, initial_position, replicate_subscription_state,
            force_topic_creation, start_message_rollback_duration_sec, key_shared_meta, subscription_properties,
            consumer_epoch,
        }
    }
}

prop_compose! {
    fn key_shared_meta()(
        key_shared_mode in number::<KeySharedMode>(0..2),
        hash_ranges in vec(any::<(i32, i32)>().prop_map(|(start, end)| IntRange { start, end }), 0..3),
        allow_out_of_order_delivery in any::<Option<bool>>(),
    ) -> KeySharedMeta {
        KeySharedMeta { key_shared_mode, hash_ranges, allow_out_of_order_delivery }
    }
}

prop_compose! {
    fn producer()(
        (topic, producer_name, initial_subscription_name) in (text(), of(text()), of(text())),
        (producer_id, request_id, epoch, topic_epoch) in any::<(u64, u64, Option<u64>, Option<u64>)>(),
        (encrypted, user_provided_producer_name, txn_enabled) in any::<(Option<bool>, Option<bool>, Option<bool>)>(),
        metadata in properties(),
        schema in of(schema()),
        producer_access_mode in of(number::<ProducerAccessMode>(0..4)),
    ) -> CommandProducer {
        CommandProducer {
            topic, producer_id, request_id, producer_name, encrypted, metadata, schema, epoch,
            user_provided_producer_name, producer_access_mode, topic_epoch, txn_enabled, initial_subscription_name,
        }
    }
}

prop_compose! {
    fn ack()(
        consumer_id in any::<u64>(),
        ack_type in number::<AckType>(0..2),
        message_id in vec(message_id(), 0..4),
        validation_error in of(number::<ValidationError>(0..5)),
        properties in vec((text(), any::<u64>()).prop_map(|(key, value)| KeyLongValue { key, value }), 0..2),
        (txnid_least_bits, txnid_most_bits, request_id) in any::<(Option<u64>, Option<u64>, Option<u64>)>(),
    ) -> CommandAck {
        CommandAck {
            consumer_id, ack_type, message_id, validation_error, properties, txnid_least_bits, txnid_most_bits,
            request_id,
        }
    }
}

prop_compose! {
    fn lookup_response()(
        (broker_service_url, broker_service_url_tls, message) in (of(text()), of(text()), of(text())),
        response in of(number::<LookupType>(0..3)),
        request_id in any::<u64>(),
        (authoritative, proxy_through_service_url) in any::<(Option<bool>, Option<bool>)>(),
        error in of(number::<ServerError>(0..26)),
    ) -> CommandLookupTopicResponse {
        CommandLookupTopicResponse {
            broker_service_url, broker_service_url_tls, response, request_id, authoritative, error, message,
            proxy_through_service_url,
        }
    }
}

prop_compose! {
    fn consumer_stats()(
        (request_id, available_permits, unacked_messages, msg_backlog) in
            any::<(u64, Option<u64>, Option<u64>, Option<u64>)>(),
        (msg_rate_out, message_ack_rate) in any::<(Option<f64>, Option<f64>)>(),
        (consumer_name, address) in (of(text()), of(text())),
    ) -> CommandConsumerStatsResponse {
        CommandConsumerStatsResponse {
            request_id, available_permits, unacked_messages, msg_backlog, msg_rate_out, message_ack_rate,
            consumer_name, address, ..CommandConsumerStatsResponse::default()
        }
    }
}

/// A command that has many fields, or lists, or another command's values inside.
pub fn command() -> impl Strategy<Value = BaseCommand> {
    prop_oneof![
        subscribe().prop_map(Into::into),
        producer().prop_map(Into::into),
        ack().prop_map(Into::into),
        lookup_response().prop_map(Into::into),
        consumer_stats().prop_map(Into::into),
        (any::<(u64, u64)>(), schema()).prop_map(|((request_id, _), schema)| {
            CommandGetOrCreateSchema { request_id, topic: "t".into(), schema }.into()
        }),
        (any::<u64>(), vec(text(), 0..3), text()).prop_map(|(watcher_id, new_topics, topics_hash)| {
            CommandWatchTopicUpdate { watcher_id, new_topics, topics_hash, deleted_topics: vec![] }.into()
        }),
        (any::<(u64, u64)>(), message_id()).prop_map(|((producer_id, sequence_id), id)| {
            let message_id = Some(id);
            CommandSendReceipt { producer_id, sequence_id, message_id, highest_sequence_id: None }.into()
        }),
        (any::<u64>(), vec(message_id(), 0..3)).prop_map(|(consumer_id, message_ids)| {
            CommandRedeliverUnacknowledgedMessages { consumer_id, message_ids, consumer_epoch: None }.into()
        }),
    ]
}
