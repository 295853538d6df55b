//! Faults on demand, and what our own client makes of them.

use std::time::Duration;

use fastapi_pulsar_core::broker::faults::{Action, server_error_named};
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::proto::{CommandFlow, CommandPing, ServerError};

use crate::expect;
use crate::house::{House, acknowledge, receive, send, text};
use crate::support::peer::soon;
use crate::support::raw::{connect, produce_on, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_outlives_the_loss_of_its_connections() {
    let house = House::new();
    let producer = house.producer("t").await;
    let consumer = house.consumer("t").await;
    for number in 0..5 {
        send(&producer, &number.to_string()).await;
        let message = receive(&consumer).await;
        assert_eq!(text(&message), number.to_string());
        acknowledge(&consumer, &message).await;
        assert!(house.broker.drop_connections(None, None).unwrap() > 0);
    }
    house.close().await;
}

#[tokio::test]
async fn connections_are_chosen_by_topic_and_by_client() {
    let house = House::new();
    let mut first = connect(house.broker.address()).await;
    let mut second = connect(house.broker.address()).await;
    produce_on(&mut first, "a").await;
    produce_on(&mut second, "b").await;
    let name = |topic: &str| format!("persistent://public/default/{topic}");
    assert_eq!(house.broker.drop_connections(Some(&name("c")), None).unwrap(), 0);
    assert_eq!(house.broker.drop_connections(None, Some("another client")).unwrap(), 0);
    assert_eq!(house.broker.drop_connections(Some(&name("a")), Some("raw")).unwrap(), 1);
    first.closed().await;
    second.send(CommandPing {}).await;
    expect!(second, Pong);
    house.close().await;
}

#[tokio::test]
async fn the_next_commands_fail_as_asked_and_then_no_more() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    let error = server_error_named("TooManyRequests").unwrap();
    house.broker.faults().on_next("Subscribe", 2, None, Action::Fail(error)).unwrap();
    for _ in 0..2 {
        wire.send(subscribe("t")).await;
        assert_eq!(expect!(wire, Error).error, ServerError::TooManyRequests as i32);
    }
    wire.send(subscribe("t")).await;
    expect!(wire, Success);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_creation_is_our_clients_error() {
    let house = House::new();
    let name = "persistent://public/default/t";
    let error = Action::Fail(ServerError::AuthorizationError);
    house.broker.faults().on_next("Producer", 1, Some(name), error).unwrap();
    house.producer("another").await;
    let options =
        fastapi_pulsar_core::client::options::ProducerOptions { topic: "t".into(), ..Default::default() };
    let refused = soon("an error", house.client.producer(options)).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Authorization);
    house.close().await;
}

#[tokio::test]
async fn a_delay_is_by_the_brokers_clock() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    let hour = Duration::from_hours(1);
    house.broker.faults().on_next("Ping", 1, None, Action::Delay(hour)).unwrap();
    wire.send(CommandPing {}).await;
    assert!(tokio::time::timeout(Duration::from_millis(100), wire.next()).await.is_err());
    // The command may have been read before, or only now.
    house.broker.advance(hour);
    house.broker.advance(hour);
    expect!(wire, Pong);
    house.close().await;
}

#[tokio::test]
async fn an_ignored_command_is_never_answered() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    house.broker.faults().on_next("Lookup", 1, None, Action::Ignore).unwrap();
    wire.send(fastapi_pulsar_core::protocol::proto::CommandLookupTopic {
        topic: "t".into(),
        request_id: 1,
        ..Default::default()
    })
    .await;
    wire.send(CommandPing {}).await;
    expect!(wire, Pong);
    house.close().await;
}

#[tokio::test]
async fn a_delivery_arrives_damaged() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    produce_on(&mut wire, "t").await;
    crate::support::raw::send(&mut wire, 0, b"body").await;
    expect!(wire, SendReceipt);
    house.broker.faults().corrupt_next(1, None);
    wire.send(subscribe("t")).await;
    expect!(wire, Success);
    wire.send(CommandFlow { consumer_id: 1, message_permits: 10 }).await;
    let payload = wire.next().await.payload.unwrap();
    assert_eq!(payload.unwrap_err().kind(), ErrorKind::Checksum);
    house.close().await;
}

#[tokio::test]
async fn what_a_client_says_is_left_unread_until_the_broker_is_healed() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    assert_eq!(house.broker.stop_reading(None, Some("raw")).unwrap(), 1);
    // The first may be read already: the broker was waiting for it.
    wire.send(CommandPing {}).await;
    let first = tokio::time::timeout(Duration::from_millis(100), wire.next()).await;
    wire.send(CommandPing {}).await;
    assert!(tokio::time::timeout(Duration::from_millis(100), wire.next()).await.is_err());
    house.broker.heal().unwrap();
    for _ in 0..if first.is_ok() { 1 } else { 2 } {
        expect!(wire, Pong);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_port_and_the_data_if_asked() {
    let house = House::new();
    let url = house.broker.service_url();
    let producer = house.producer("t").await;
    send(&producer, "kept").await;
    soon("a restart", house.broker.restart(true)).await.unwrap();
    assert_eq!(house.broker.service_url(), url);
    let consumer = house.consumer("t").await;
    assert_eq!(text(&receive(&consumer).await), "kept");
    soon("a restart", house.broker.restart(false)).await.unwrap();
    send(&producer, "new").await;
    assert_eq!(text(&receive(&consumer).await), "new");
    house.close().await;
}
