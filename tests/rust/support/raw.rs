//! A client that says exactly what the test wants, frame by frame.

use std::net::SocketAddr;

use fastapi_pulsar_core::protocol::frame;
use fastapi_pulsar_core::protocol::proto::{
    BaseCommand, CommandConnect, CommandConnected, CommandProducer, CommandSend, CommandSubscribe,
    FeatureFlags, InitialPosition, MessageMetadata, SubscriptionType,
};
use tokio::net::TcpStream;

use super::peer::{Wire, metadata, soon};
use crate::expect;

/// A connection without an introduction.
pub async fn dial(broker: SocketAddr) -> Wire {
    let socket = soon("a connection", TcpStream::connect(broker)).await.unwrap();
    let mut wire = Wire::new(socket, String::new());
    wire.automatic = false;
    wire
}

/// What a recent client says first.
pub fn introduction() -> CommandConnect {
    CommandConnect {
        client_version: "raw 1.0".into(),
        protocol_version: Some(21),
        feature_flags: Some(FeatureFlags { supports_auth_refresh: Some(true), ..FeatureFlags::default() }),
        ..CommandConnect::default()
    }
}

pub async fn greet(wire: &mut Wire, connect: CommandConnect) -> CommandConnected {
    wire.send(connect).await;
    *expect!(wire, Connected)
}

/// A connection past its introduction.
pub async fn connect(broker: SocketAddr) -> Wire {
    let mut wire = dial(broker).await;
    greet(&mut wire, introduction()).await;
    wire
}

/// Makes producer 1 on a topic.
pub async fn produce_on(wire: &mut Wire, topic: &str) -> String {
    wire.send(CommandProducer {
        topic: topic.into(),
        producer_id: 1,
        request_id: 1,
        ..CommandProducer::default()
    })
    .await;
    expect!(wire, ProducerSuccess).producer_name.clone()
}

/// The bytes of a send by producer 1.
pub fn send_frame(sequence_id: u64, metadata: &MessageMetadata, body: &[u8]) -> Vec<u8> {
    let command = CommandSend { producer_id: 1, sequence_id, ..CommandSend::default() };
    let header = frame::encode_send_header(&BaseCommand::from(command), metadata, body);
    [&header, body].concat()
}

/// Sends one message by producer 1.
pub async fn send(wire: &mut Wire, sequence_id: u64, body: &[u8]) {
    wire.raw(&send_frame(sequence_id, &metadata("raw", sequence_id), body)).await;
}

/// Makes consumer 1 on subscription `s`, from the earliest message.
pub fn subscribe(topic: &str) -> CommandSubscribe {
    CommandSubscribe {
        topic: topic.into(),
        subscription: "s".into(),
        sub_type: SubscriptionType::Shared as i32,
        consumer_id: 1,
        request_id: 2,
        initial_position: Some(InitialPosition::Earliest as i32),
        ..CommandSubscribe::default()
    }
}
