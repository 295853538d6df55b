//! A scripted peer: a tiny server on a free port that speaks real frames, and does what the test says.
//!
//! ```ignore
//! let peer = Peer::start().await;
//! let client = setup::client(&peer.url());
//! let mut wire = peer.connect().await;               // accepts and greets
//! let create = expect!(wire, Producer);              // lookups and pings in between are answered
//! wire.send(CommandProducerSuccess { request_id: create.request_id, .. }).await;
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fastapi_pulsar_core::protocol::frame::{self, Frame};
use fastapi_pulsar_core::protocol::proto::{
    BaseCommand, Command, CommandConnect, CommandConnected, CommandLookupTopicResponse, CommandMessage,
    CommandPartitionedTopicMetadataResponse, CommandPong, CommandSendReceipt, LookupType, MessageIdData,
    MessageMetadata, PartitionedLookupType,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Nothing in these tests takes this long, unless it hangs.
pub const LIMIT: Duration = Duration::from_secs(20);
/// What the peer announces, and reads itself.
pub const MAX_MESSAGE_SIZE: usize = 5 * 1024 * 1024;

/// Waits for `future`, but not for ever.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what}: nothing within {LIMIT:?}"))
}

/// Takes the next command off a wire and checks that it is the one named.
#[macro_export]
macro_rules! expect {
    ($wire:expr, $name:ident) => {
        match $wire.next().await.command.command {
            Some(fastapi_pulsar_core::protocol::proto::Command::$name(command)) => command,
            other => panic!("expected {}, got {:?}", stringify!($name), other.map(|other| other.name())),
        }
    };
}

pub struct Peer {
    listener: TcpListener,
    address: SocketAddr,
}

impl Peer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// The service URL.
    pub fn url(&self) -> String {
        format!("pulsar://{}", self.address)
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The next socket, without a greeting.
    pub async fn socket(&self) -> TcpStream {
        soon("a connection", self.listener.accept()).await.unwrap().0
    }

    /// The next connection, without a greeting.
    pub async fn accept(&self) -> Wire {
        Wire::new(self.socket().await, self.url())
    }

    /// The next connection, greeted.
    pub async fn connect(&self) -> Wire {
        let mut wire = self.accept().await;
        wire.greet().await;
        wire
    }

    /// Checks that no connection comes in for a moment.
    pub async fn assert_idle(&self) {
        let accepted = tokio::time::timeout(Duration::from_millis(100), self.listener.accept()).await;
        assert!(accepted.is_err(), "an unexpected connection");
    }
}

/// One connection, from the broker's side.
pub struct Wire {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    /// The URL that lookups are answered with.
    url: String,
    /// Answer lookups, questions for partitions and pings without being asked.
    pub automatic: bool,
    /// How many partitions each topic has.
    pub partitions: u32,
}

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Wire {
    pub fn new(stream: impl Stream + 'static, url: String) -> Self {
        Self { stream: Box::new(stream), buffer: BytesMut::new(), url, automatic: true, partitions: 0 }
    }

    /// Takes the client's introduction and accepts it.
    pub async fn greet(&mut self) -> CommandConnect {
        let connect = *expect!(self, Connect);
        self.send(CommandConnected {
            server_version: "scripted".into(),
            protocol_version: Some(21),
            max_message_size: Some(i32::try_from(MAX_MESSAGE_SIZE).unwrap()),
            feature_flags: None,
        })
        .await;
        connect
    }

    /// The next frame that is not answered automatically.
    pub async fn next(&mut self) -> Frame {
        soon("a frame", async {
            loop {
                let frame = self.read().await.expect("the client closed the connection");
                if !self.automatic || !self.answer(&frame).await {
                    return frame;
                }
            }
        })
        .await
    }

    /// Checks that the client closes the connection; frames before that are answered automatically or thrown away.
    pub async fn closed(&mut self) {
        soon("the end of the connection", async {
            while let Some(frame) = self.read().await {
                if self.automatic {
                    self.answer(&frame).await;
                }
            }
        })
        .await;
    }

    async fn read(&mut self) -> Option<Frame> {
        loop {
            let limit = MAX_MESSAGE_SIZE + frame::FRAME_OVERHEAD;
            if let Some(frame) =
                frame::decode(&mut self.buffer, limit).expect("the client sent a broken frame")
            {
                return Some(frame);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn answer(&mut self, frame: &Frame) -> bool {
        match &frame.command.command {
            Some(Command::Ping(_)) => self.send(CommandPong {}).await,
            Some(Command::LookupTopic(lookup)) => {
                let url = self.url.clone();
                self.send(connect_answer(lookup.request_id, &url)).await;
            }
            Some(Command::PartitionedTopicMetadata(question)) => {
                self.send(CommandPartitionedTopicMetadataResponse {
                    request_id: question.request_id,
                    partitions: Some(self.partitions),
                    response: Some(PartitionedLookupType::Success as i32),
                    ..Default::default()
                })
                .await;
            }
            _ => return false,
        }
        true
    }

    /// Sends a command without payload.
    pub async fn send(&mut self, command: impl Into<BaseCommand>) {
        let mut bytes = BytesMut::new();
        frame::encode_command(&command.into(), &mut bytes);
        self.raw(&bytes).await;
    }

    /// Confirms an entry.
    pub async fn receipt(&mut self, producer_id: u64, sequence_id: u64, message_id: MessageIdData) {
        self.send(CommandSendReceipt {
            producer_id,
            sequence_id,
            message_id: Some(message_id),
            highest_sequence_id: None,
        })
        .await;
    }

    /// Delivers an entry.
    pub async fn deliver(&mut self, command: CommandMessage, metadata: &MessageMetadata, body: &[u8]) {
        let header = frame::encode_delivery_header(&command.into(), None, metadata, body);
        self.raw(&[&header, body].concat()).await;
    }

    /// Sends bytes as they are. A client that has gone is no failure here.
    pub async fn raw(&mut self, bytes: &[u8]) {
        let _ = soon("room to write", self.stream.write_all(bytes)).await;
        let _ = self.stream.flush().await;
    }
}

/// A lookup's answer: the broker at `url` serves the topic.
pub fn connect_answer(request_id: u64, url: &str) -> CommandLookupTopicResponse {
    CommandLookupTopicResponse {
        request_id,
        broker_service_url: Some(url.into()),
        broker_service_url_tls: Some(url.into()),
        response: Some(LookupType::Connect as i32),
        authoritative: Some(true),
        ..Default::default()
    }
}

/// An id of a message in the scripted topic.
pub fn message_id(ledger_id: u64, entry_id: u64) -> MessageIdData {
    MessageIdData { ledger_id, entry_id, ..Default::default() }
}

/// The metadata of an entry with one message.
pub fn metadata(producer: &str, sequence_id: u64) -> MessageMetadata {
    MessageMetadata { producer_name: producer.into(), sequence_id, publish_time: 1, ..Default::default() }
}

/// A body of `size` bytes.
pub fn body(size: usize) -> Bytes {
    Bytes::from(vec![b'x'; size])
}
