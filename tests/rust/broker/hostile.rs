//! Any bytes at all: the broker neither falls nor grows, and others do not notice.

use std::time::Duration;

use fastapi_pulsar_core::broker::config::Limits;
use fastapi_pulsar_core::protocol::frame::FRAME_OVERHEAD;
use fastapi_pulsar_core::protocol::proto::{CommandFlow, CommandLookupTopic, ServerError};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::connections::limits;
use crate::expect;
use crate::house::{House, receive, send, text};
use crate::support::peer::{metadata, soon};
use crate::support::raw::{connect, dial, produce_on, send as send_raw, send_frame, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_its_own_connection_only() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let house = House::new();
    let producer = house.producer("t").await;
    for round in 0..200 {
        let mut socket = soon("a connection", TcpStream::connect(house.broker.address())).await.unwrap();
        let garbage: Vec<u8> = (0..random.usize(..4096)).map(|_| random.u8(..)).collect();
        // The broker may be through with this client before it has said everything.
        let _ = socket.write_all(&garbage).await;
        if round % 50 == 0 {
            send(&producer, &round.to_string()).await;
        }
    }
    let consumer = house.consumer("t").await;
    assert_eq!(text(&receive(&consumer).await), "0");
    house.close().await;
}

#[tokio::test]
async fn garbage_behind_an_introduction_is_an_error_and_the_end() {
    let house = House::new();
    for garbage in [&[0xff; 64][..], &[0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff], &[0, 0, 0, 5, 0, 0, 0, 1, 0xff]] {
        let mut wire = connect(house.broker.address()).await;
        wire.raw(garbage).await;
        assert_eq!(expect!(wire, Error).request_id, u64::MAX);
        wire.closed().await;
    }
    house.close().await;
}

#[tokio::test]
async fn a_length_over_the_limit_is_refused_at_once() {
    let house = House::new();
    let mut stranger = dial(house.broker.address()).await;
    stranger.raw(&(1_u32 << 30).to_be_bytes()).await;
    stranger.closed().await;
    let mut wire = connect(house.broker.address()).await;
    let limit = Limits::default().max_message_size + FRAME_OVERHEAD;
    wire.raw(&u32::try_from(limit + 1).unwrap().to_be_bytes()).await;
    expect!(wire, Error);
    wire.closed().await;
    house.close().await;
}

#[tokio::test]
async fn a_frame_that_never_ends_is_given_up() {
    let short = Limits { write_timeout: Duration::from_millis(100), ..Limits::default() };
    let house = House::with(limits(short));
    let mut wire = connect(house.broker.address()).await;
    wire.raw(&[0, 0, 1, 0, 0]).await;
    expect!(wire, Error);
    wire.closed().await;
    house.close().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let short = Limits { write_timeout: Duration::from_millis(200), ..Limits::default() };
    let house = House::with(limits(short));
    let mut wire = connect(house.broker.address()).await;
    produce_on(&mut wire, "t").await;
    let body = vec![7; 1 << 20];
    for sequence_id in 0..32 {
        send_raw(&mut wire, sequence_id, &body).await;
        expect!(wire, SendReceipt);
    }
    let mut lazy = connect(house.broker.address()).await;
    lazy.send(subscribe("t")).await;
    expect!(lazy, Success);
    lazy.send(CommandFlow { consumer_id: 1, message_permits: 1000 }).await;
    let core = house.broker.core().unwrap();
    // The other raw client is silent, and not dropped: it is asked for nothing.
    soon("the end of the lazy client", async {
        while core.connections() > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    house.close().await;
}

#[tokio::test]
async fn questions_without_end_from_a_client_that_does_not_read_are_left_unread() {
    let short = Limits { write_timeout: Duration::from_millis(500), ..Limits::default() };
    let house = House::with(limits(short));
    let mut socket = soon("a connection", TcpStream::connect(house.broker.address())).await.unwrap();
    let mut bytes = bytes::BytesMut::new();
    let encode = fastapi_pulsar_core::protocol::frame::encode_command;
    encode(&crate::support::raw::introduction().into(), &mut bytes);
    for request_id in 0..10_000 {
        encode(
            &CommandLookupTopic { request_id, topic: "t".into(), ..Default::default() }.into(),
            &mut bytes,
        );
    }
    // Writing stops when the broker does not read any more, and fails when it gives up.
    soon("the end of the connection", async { while socket.write_all(&bytes).await.is_ok() {} }).await;
    house.close().await;
}

#[tokio::test]
async fn a_damaged_message_is_refused_and_the_connection_lives() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    produce_on(&mut wire, "t").await;
    let mut damaged = send_frame(0, &metadata("raw", 0), b"body");
    *damaged.last_mut().unwrap() ^= 1;
    wire.raw(&damaged).await;
    let refused = expect!(wire, SendError);
    assert_eq!((refused.sequence_id, refused.error), (0, ServerError::ChecksumError as i32));
    send_raw(&mut wire, 1, b"body").await;
    assert_eq!(expect!(wire, SendReceipt).sequence_id, 1);
    house.close().await;
}

#[tokio::test]
async fn a_send_without_its_producer_is_refused() {
    let house = House::new();
    let mut wire = connect(house.broker.address()).await;
    send_raw(&mut wire, 3, b"body").await;
    assert_eq!(expect!(wire, SendError).sequence_id, 3);
    house.close().await;
}
