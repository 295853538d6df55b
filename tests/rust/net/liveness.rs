//! A connection that is alive, one that only seems so, and one that speaks nonsense.

use std::time::Duration;

use fastapi_pulsar_core::client::OutFrame;
use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::proto::{CommandFlow, CommandPing, CommandPong, CommandSend};

use crate::expect;
use crate::recorder::{Event, recorder};
use crate::support::peer::{Peer, body, metadata, soon};
use crate::support::setup::{client_with, options};
use crate::wired::{Wired, wired, wired_with};

#[tokio::test]
async fn the_brokers_ping_is_answered() {
    let Wired { mut wire, client: _client, .. } = wired().await;
    wire.send(CommandPing {}).await;
    expect!(wire, Pong);
}

#[tokio::test]
async fn silence_brings_a_ping_and_more_silence_the_end() {
    let clock = Clock::default();
    let peer = Peer::start().await;
    let client = client_with(options(&peer.url()), NoAuthentication, &clock);
    let Wired { connection, mut wire, client: _client, .. } = wired_with(peer, client).await;
    wire.automatic = false;
    for _ in 0..3 {
        clock.advance(Duration::from_secs(30));
        expect!(wire, Ping);
        wire.send(CommandPong {}).await;
        // What comes back is behind the pong.
        wire.send(CommandPing {}).await;
        expect!(wire, Pong);
    }
    clock.advance(Duration::from_secs(30));
    expect!(wire, Ping);
    assert!(connection.is_open());
    clock.advance(Duration::from_secs(30));
    let error = soon("the end", connection.closed()).await;
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("no sign of life"), "{error}");
    wire.closed().await;
}

/// Fault 5: with full queues, acks and seeks were not sent.
#[tokio::test]
async fn control_never_waits_behind_data() {
    let Wired { connection, mut wire, client: _client, .. } = wired().await;
    let command =
        CommandSend { producer_id: 1, sequence_id: 1, num_messages: Some(1), ..CommandSend::default() };
    let body = body(1 << 20);
    let header =
        fastapi_pulsar_core::protocol::frame::encode_send_header(&command.into(), &metadata("p", 1), &body);
    let frame = OutFrame { header, body };
    // The peer does not read: first the socket fills, then the queue.
    let mut sent = 0;
    let full = async {
        while tokio::time::timeout(Duration::from_millis(100), connection.send(frame.clone()))
            .await
            .is_ok_and(|sent| sent.is_ok())
        {
            sent += 1;
        }
    };
    soon("a full queue", full).await;
    assert!(sent > 7, "{sent} MiB");
    assert!(connection.try_send(frame.clone()).is_err(), "full");
    assert!(connection.try_send_command(&CommandFlow { consumer_id: 7, message_permits: 1 }.into()));
    let mut before = 0;
    while let Some(command) = wire.next().await.command.command {
        if command.name() == "Flow" {
            break;
        }
        before += 1;
    }
    assert!(before < sent, "the command came after {before} of {sent} data frames");
    for _ in before..sent {
        expect!(wire, Send);
    }
}

#[tokio::test]
async fn what_cannot_be_understood_ends_the_connection() {
    let huge = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1];
    let hollow = [0, 0, 0, 4, 0, 0, 0, 200];
    let scrambled = [0, 0, 0, 8, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff];
    for bytes in [&huge[..], &hollow[..], &scrambled[..]] {
        let Wired { connection, mut wire, client: _client, .. } = wired().await;
        let (producer, mut events) = recorder();
        connection.register_producer(1, producer);
        wire.raw(bytes).await;
        assert_eq!(events.next().await, Event::Lost(ErrorKind::Decode));
        events.ended().await;
        wire.closed().await;
    }
}

#[tokio::test]
async fn random_bytes_never_hang_or_crash_a_connection() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..100 {
        let Wired { connection, mut wire, client: _client, .. } = wired().await;
        let mut bytes: Vec<u8> = (0..random.usize(4..200)).map(|_| random.u8(..)).collect();
        // A plausible size, so that the rest is looked at.
        bytes.splice(..4, u32::try_from(bytes.len() - 4).unwrap().to_be_bytes());
        wire.raw(&bytes).await;
        drop(wire);
        let error = soon("the end", connection.closed()).await;
        assert!(matches!(error.kind(), ErrorKind::Decode | ErrorKind::Connection), "{error}");
    }
}

#[tokio::test]
async fn a_close_still_writes_what_is_queued() {
    let Wired { connection, client, mut wire, .. } = wired().await;
    for consumer_id in 0..1000 {
        assert!(connection.try_send_command(&CommandFlow { consumer_id, message_permits: 1 }.into()));
    }
    client.close().await.unwrap();
    for consumer_id in 0..1000 {
        assert_eq!(expect!(wire, Flow).consumer_id, consumer_id);
    }
    wire.closed().await;
}
