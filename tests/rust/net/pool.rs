//! Connections are shared, replaced when lost, and closed with the client.

use std::sync::Arc;
use std::time::Duration;

use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::{Client, Connection};
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::ErrorKind;

use crate::support::peer::{LIMIT, Peer, Wire, soon};
use crate::support::setup::{client, client_with, options, topic};
use crate::wired::{Wired, connect, wired};

/// Twenty callers at once, as after a restart of the broker.
async fn rush(peer: &Peer, client: &Client) -> (Vec<Connection>, Wire) {
    let callers: Vec<_> = (0..20)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.connect_topic(&topic(&format!("t{number}")), None).await })
        })
        .collect();
    let mut wire = peer.connect().await;
    let mut connections = Vec::new();
    let serve = async { while wire.next().await.command.command.is_some() {} };
    let collect = async {
        for caller in callers {
            connections.push(caller.await.unwrap().unwrap());
        }
    };
    soon("connections", async {
        tokio::select! { () = serve => unreachable!(), () = collect => {} }
    })
    .await;
    (connections, wire)
}

/// Fault 11: after one disconnect, 20 consumers had 19 connections.
#[tokio::test]
async fn callers_share_one_connection_also_after_a_disconnect() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    for round in 1..=3 {
        let (connections, wire) = rush(&peer, &client).await;
        assert!(connections.iter().all(|connection| connection.id() == connections[0].id()));
        assert_eq!(client.stats().connections, 1);
        assert_eq!(client.stats().connections_opened, round);
        peer.assert_idle().await;
        drop(wire);
        soon("the loss", connections[0].closed()).await;
    }
    assert_eq!(client.stats().connections, 0);
}

#[tokio::test]
async fn several_connections_for_each_broker_are_used_in_turn() {
    let peer = Peer::start().await;
    let mut options = options(&peer.url());
    options.connections_per_broker = 3;
    let client = client_with(options, NoAuthentication, &Clock::default());
    let mut ids = std::collections::BTreeSet::new();
    let mut wires = Vec::new();
    for _ in 0..3 {
        let (connection, wire) = connect(&peer, &client).await;
        ids.insert(connection.id());
        wires.push(wire);
    }
    let again = client.connect_topic(&topic("t"), Some(&peer.url())).await.unwrap();
    assert_eq!(ids.len(), 3);
    assert!(ids.contains(&again.id()));
    assert_eq!(client.stats().connections, 3);
}

/// Fault 6: a broker that accepts and closes ended the consumer for good.
#[tokio::test]
async fn a_broker_that_accepts_and_closes_is_tried_again_and_again() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let partitions = tokio::spawn(async move { client.partitions(&topic("t")).await });
    for _ in 0..10 {
        drop(peer.socket().await);
    }
    let mut wire = peer.connect().await;
    wire.closed().await;
    assert_eq!(soon("the answer", partitions).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn creation_gives_up_after_the_operation_timeout_and_says_what_happened() {
    let peer = Peer::start().await;
    let clock = Clock::default();
    let client = client_with(options(&peer.url()), NoAuthentication, &clock);
    let partitions = tokio::spawn(async move { client.partitions(&topic("t")).await });
    drop(peer.socket().await);
    drop(peer.socket().await);
    clock.advance(Duration::from_secs(31));
    let error = soon("the failure", partitions).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains(&peer.authority()), "{error}");
}

#[tokio::test]
async fn a_silent_broker_is_given_up_after_the_connection_timeout() {
    let peer = Peer::start().await;
    let clock = Clock::default();
    let client = client_with(options(&peer.url()), NoAuthentication, &clock);
    let url = peer.url();
    let connected = tokio::spawn(async move { client.connect_topic(&topic("t"), Some(&url)).await });
    let _silent = peer.socket().await;
    clock.advance(Duration::from_secs(10));
    let error = soon("the failure", connected).await.unwrap().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("10s"), "{error}");
}

#[tokio::test]
async fn closing_is_idempotent_and_final() {
    let Wired { client, connection, mut wire, peer } = wired().await;
    client.close().await.unwrap();
    wire.closed().await;
    client.close().await.unwrap();
    assert_eq!(connection.closed().await.kind(), ErrorKind::Closed);
    assert_eq!(client.connect_topic(&topic("t"), None).await.err().unwrap().kind(), ErrorKind::Closed);
    assert_eq!(client.partitions(&topic("t")).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(client.stats().connections, 0);
    peer.assert_idle().await;
}

#[tokio::test]
async fn a_close_stops_an_attempt_to_connect() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let connected = tokio::spawn({
        let client = client.clone();
        async move { client.connect_topic(&topic("t"), None).await }
    });
    let _silent = peer.socket().await;
    client.close().await.unwrap();
    assert_eq!(soon("the end", connected).await.unwrap().err().unwrap().kind(), ErrorKind::Closed);
}

/// Fault 9: dropping outside a runtime panicked.
#[test]
fn a_client_may_be_dropped_on_any_thread_and_closes_its_connections() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (client, mut wire) = runtime.block_on(async {
        let Wired { client, wire, connection, .. } = wired().await;
        drop(connection);
        (client, wire)
    });
    std::thread::spawn(move || drop(client)).join().unwrap();
    runtime.block_on(wire.closed());
}

#[test]
fn a_stopped_runtime_is_an_error_and_not_a_hang() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Wired { client, .. } = runtime.block_on(wired());
    runtime.shutdown_timeout(LIMIT);
    let other = tokio::runtime::Runtime::new().unwrap();
    let error = other.block_on(async { soon("an error", client.connect_topic(&topic("t"), None)).await });
    assert!(matches!(error.err().unwrap().kind(), ErrorKind::Closed | ErrorKind::Connection));
}

#[tokio::test]
async fn clients_left_unclosed_leak_no_socket() {
    let peer = Arc::new(Peer::start().await);
    let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = descriptors();
    for _ in 0..100 {
        let client = client(&peer.url());
        let (connection, mut wire) = connect(&peer, &client).await;
        drop((client, connection));
        wire.closed().await;
    }
    let after = async {
        while descriptors() > before + 5 {
            tokio::task::yield_now().await;
        }
    };
    soon("closed descriptors", after).await;
}
