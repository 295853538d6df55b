//! What a connection tells its producers and consumers.

use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::frame;
use fastapi_pulsar_core::protocol::proto::{
    BaseCommand, CommandActiveConsumerChange, CommandCloseConsumer, CommandCloseProducer, CommandMessage,
    CommandReachedEndOfTopic, CommandSendError, CommandTopicMigrated, MigratedResource, ServerError,
};

use crate::recorder::{Event, recorder};
use crate::support::peer::{message_id, metadata};
use crate::wired::{Wired, wired};

fn delivery(entry: u64) -> CommandMessage {
    CommandMessage { consumer_id: 1, message_id: message_id(1, entry), ..CommandMessage::default() }
}

#[tokio::test]
async fn deliveries_and_receipts_reach_whom_they_are_for_and_no_one_else() {
    let Wired { connection, mut wire, client: _client, .. } = wired().await;
    let (producer, mut sent) = recorder();
    let (consumer, mut received) = recorder();
    connection.register_producer(1, producer);
    connection.register_consumer(1, consumer);
    for id in [9, 1] {
        wire.receipt(id, 5, message_id(1, 1)).await;
        wire.deliver(CommandMessage { consumer_id: id, ..delivery(id) }, &metadata("p", 1), b"body").await;
    }
    let error = ServerError::ChecksumError as i32;
    wire.send(CommandSendError { producer_id: 1, sequence_id: 6, error, message: "damaged".into() }).await;
    wire.send(CommandActiveConsumerChange { consumer_id: 1, is_active: Some(true) }).await;
    wire.send(CommandReachedEndOfTopic { consumer_id: 1 }).await;
    assert_eq!(sent.next().await, Event::Receipt(5));
    assert_eq!(sent.next().await, Event::SendError(6, ErrorKind::Checksum));
    assert_eq!(received.next().await, Event::Message(1, Ok(b"body".to_vec())));
    assert_eq!(received.next().await, Event::Active(true));
    assert_eq!(received.next().await, Event::EndOfTopic);
    connection.unregister_producer(1);
    connection.unregister_consumer(1);
    sent.ended().await;
    received.ended().await;
}

#[tokio::test]
async fn a_damaged_message_is_data_and_the_connection_lives_on() {
    let Wired { connection, mut wire, client: _client, .. } = wired().await;
    let (consumer, mut received) = recorder();
    connection.register_consumer(1, consumer);
    let command: BaseCommand = delivery(1).into();
    let header = frame::encode_delivery_header(&command, None, &metadata("p", 1), b"body");
    wire.raw(&[&header[..], b"bodx"].concat()).await;
    wire.deliver(delivery(2), &metadata("p", 2), b"body").await;
    // Without a payload at all.
    wire.send(delivery(3)).await;
    assert_eq!(received.next().await, Event::Message(1, Err(ErrorKind::Checksum)));
    assert_eq!(received.next().await, Event::Message(2, Ok(b"body".to_vec())));
    assert_eq!(received.next().await, Event::Message(3, Err(ErrorKind::Decode)));
    assert!(connection.is_open());
}

#[tokio::test]
async fn the_loss_of_the_connection_is_told_once_to_each() {
    let Wired { connection, wire, client: _client, .. } = wired().await;
    let (producer, mut sent) = recorder();
    let (consumer, mut received) = recorder();
    connection.register_producer(1, producer);
    connection.register_consumer(1, consumer);
    drop(wire);
    assert_eq!(sent.next().await, Event::Lost(ErrorKind::Connection));
    assert_eq!(received.next().await, Event::Lost(ErrorKind::Connection));
    sent.ended().await;
    received.ended().await;
    let (late, mut nothing) = recorder();
    connection.register_producer(2, late);
    nothing.ended().await;
}

#[tokio::test]
async fn the_broker_closes_one_producer_and_names_its_successor() {
    let Wired { connection, mut wire, client: _client, .. } = wired().await;
    let (producer, mut sent) = recorder();
    let (consumer, mut received) = recorder();
    connection.register_producer(1, producer);
    connection.register_consumer(1, consumer);
    wire.send(CommandCloseProducer {
        producer_id: 1,
        request_id: 0,
        assigned_broker_service_url: Some("pulsar://other:6650".into()),
        assigned_broker_service_url_tls: Some("pulsar+ssl://other:6651".into()),
    })
    .await;
    wire.send(CommandCloseConsumer { consumer_id: 1, request_id: 0, ..CommandCloseConsumer::default() })
        .await;
    assert_eq!(sent.next().await, Event::ClosedByBroker(Some("pulsar://other:6650".into())));
    assert_eq!(received.next().await, Event::ClosedByBroker(None));
    sent.ended().await;
    received.ended().await;
    assert!(connection.is_open());
}

#[tokio::test]
async fn a_migrated_topic_names_the_new_cluster() {
    let Wired { connection, mut wire, client: _client, .. } = wired().await;
    let (producer, mut sent) = recorder();
    let (consumer, mut received) = recorder();
    connection.register_producer(1, producer);
    connection.register_consumer(2, consumer);
    let migrated = |resource_id, resource: MigratedResource| CommandTopicMigrated {
        resource_id,
        resource_type: resource as i32,
        broker_service_url: Some("pulsar://new:6650".into()),
        broker_service_url_tls: None,
    };
    wire.send(migrated(1, MigratedResource::Producer)).await;
    wire.send(migrated(2, MigratedResource::Consumer)).await;
    assert_eq!(sent.next().await, Event::Migrated(Some("pulsar://new:6650".into())));
    assert_eq!(received.next().await, Event::Migrated(Some("pulsar://new:6650".into())));
}
