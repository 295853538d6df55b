//! Introductions, limits, and keeping a connection alive.

use std::time::Duration;

use fastapi_pulsar_core::broker::config::{BrokerOptions, Limits};
use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::options::ClientOptions;
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::protocol::proto::{CommandConnect, CommandPing, CommandPong, ServerError};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::expect;
use crate::house::{House, receive, send, subscription, text};
use crate::support::peer::soon;
use crate::support::raw::{connect, dial, greet, introduction, produce_on};
use crate::support::setup::{client_with, options};

pub fn limits(limits: Limits) -> BrokerOptions {
    BrokerOptions { limits, ..BrokerOptions::default() }
}

#[tokio::test]
async fn both_sides_speak_the_older_version() {
    let house = House::new();
    for (ours, agreed) in [(Some(21), 21), (Some(99), 21), (Some(12), 12), (None, 0)] {
        let mut wire = dial(house.broker.address()).await;
        let connect = CommandConnect { protocol_version: ours, ..introduction() };
        assert_eq!(greet(&mut wire, connect).await.protocol_version, Some(agreed));
    }
    house.close().await;
}

#[tokio::test]
async fn the_broker_says_what_it_is_able_to_do() {
    let house = House::with(limits(Limits { max_message_size: 4321, ..Limits::default() }));
    let mut wire = dial(house.broker.address()).await;
    let connected = greet(&mut wire, introduction()).await;
    let flags = connected.feature_flags.unwrap();
    assert_eq!(connected.max_message_size, Some(4321));
    assert!(flags.supports_auth_refresh() && flags.supports_topic_watchers());
    assert!(!flags.supports_broker_entry_metadata(), "deliveries carry the producer's metadata alone");
    house.close().await;
}

#[tokio::test]
async fn the_first_command_is_an_introduction() {
    let house = House::new();
    let mut wire = dial(house.broker.address()).await;
    wire.send(CommandPing {}).await;
    wire.closed().await;
    house.close().await;
}

#[tokio::test]
async fn a_client_that_does_not_introduce_itself_is_dropped() {
    let short = Limits { handshake_timeout: Duration::from_millis(50), ..Limits::default() };
    let house = House::with(limits(short));
    dial(house.broker.address()).await.closed().await;
    house.close().await;
}

#[tokio::test]
async fn a_ping_is_answered_and_a_silent_client_is_pinged_then_dropped() {
    let short = Limits { keep_alive_interval: Duration::from_millis(100), ..Limits::default() };
    let house = House::with(limits(short));
    let mut wire = connect(house.broker.address()).await;
    wire.send(CommandPing {}).await;
    expect!(wire, Pong);
    for _ in 0..3 {
        expect!(wire, Ping);
        wire.send(CommandPong {}).await;
    }
    expect!(wire, Ping);
    wire.closed().await;
    house.close().await;
}

#[tokio::test]
async fn moving_the_clock_drops_nobody() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    house.broker.advance(Duration::from_hours(24));
    wire.send(CommandPing {}).await;
    expect!(wire, Pong);
    house.close().await;
}

#[tokio::test]
async fn connections_over_the_limit_are_closed() {
    let house = House::with(limits(Limits { connections: 1, ..Limits::default() }));
    let first = connect(house.broker.address()).await;
    let mut second = soon("a connection", TcpStream::connect(house.broker.address())).await.unwrap();
    let read = soon("the end", second.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(0) | Err(_)));
    drop(first);
    // The first one's place becomes free when the broker has noticed.
    soon("a free place", async {
        loop {
            let mut socket = TcpStream::connect(house.broker.address()).await.unwrap();
            let end = tokio::time::timeout(Duration::from_millis(50), socket.read(&mut [0; 1])).await;
            if end.is_err() {
                break; // nothing to read, and not closed
            }
        }
    })
    .await;
    house.close().await;
}

#[tokio::test]
async fn a_connection_has_so_many_producers_and_consumers() {
    let house = House::with(limits(Limits { handles_per_connection: 1, ..Limits::default() }));
    let mut wire = connect(house.broker.address()).await;
    produce_on(&mut wire, "t").await;
    wire.send(crate::support::raw::subscribe("t")).await;
    assert_eq!(expect!(wire, Error).error, ServerError::TooManyRequests as i32);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_have_several_connections() {
    let house = House::new();
    let several = ClientOptions { connections_per_broker: 4, ..options(&house.broker.service_url()) };
    let client = client_with(several, NoAuthentication, &Clock::default());
    let producer = house.producer("t").await;
    let mut consumers = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let mut options = subscription("t");
        options.subscription = name.into();
        consumers.push(soon("a consumer", client.consumer(options)).await.unwrap());
    }
    send(&producer, "hello").await;
    for consumer in &consumers {
        assert_eq!(text(&receive(consumer).await), "hello");
    }
    assert!(house.broker.core().unwrap().connections() > 2);
    soon("the client's end", client.close()).await.unwrap();
    house.close().await;
}

#[tokio::test]
async fn several_brokers_live_in_one_process() {
    let (one, two) = (House::new(), House::new());
    let in_one = one.producer("t").await;
    let in_two = two.producer("t").await;
    send(&in_one, "one").await;
    send(&in_two, "two").await;
    assert_eq!(text(&receive(&one.consumer("t").await).await), "one");
    assert_eq!(text(&receive(&two.consumer("t").await).await), "two");
    one.close().await;
    two.close().await;
}
