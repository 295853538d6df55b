//! A producer and a consumer that note what the connection tells them.

use std::sync::Arc;

use fastapi_pulsar_core::client::{ConsumerSink, Disconnect, ProducerSink};
use fastapi_pulsar_core::error::{Error, ErrorKind, Result};
use fastapi_pulsar_core::protocol::frame::Payload;
use fastapi_pulsar_core::protocol::proto::{CommandMessage, CommandSendReceipt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::peer::soon;

#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Receipt(u64),
    SendError(u64, ErrorKind),
    Message(u64, Result<Vec<u8>, ErrorKind>),
    Active(bool),
    EndOfTopic,
    Lost(ErrorKind),
    ClosedByBroker(Option<String>),
    Migrated(Option<String>),
}

pub struct Recorder(UnboundedSender<(u64, Event)>);

pub struct Record(UnboundedReceiver<(u64, Event)>);

pub fn recorder() -> (Arc<Recorder>, Record) {
    let (sender, receiver) = unbounded_channel();
    (Arc::new(Recorder(sender)), Record(receiver))
}

impl Record {
    /// The next event.
    pub async fn next(&mut self) -> Event {
        soon("an event", self.0.recv()).await.expect("the connection has forgotten the sink").1
    }

    /// Checks that nothing more came, and that nothing will: the connection let go of the sink.
    pub async fn ended(&mut self) {
        assert_eq!(soon("the sink's end", self.0.recv()).await, None);
    }
}

impl Recorder {
    fn note(&self, connection: u64, event: Event) {
        self.0.send((connection, event)).unwrap();
    }

    fn left(&self, connection: u64, reason: Disconnect) {
        let event = match reason {
            Disconnect::Lost(error) => Event::Lost(error.kind()),
            Disconnect::ClosedByBroker { assigned } => Event::ClosedByBroker(assigned),
            Disconnect::TopicMigrated { url } => Event::Migrated(url),
        };
        self.note(connection, event);
    }
}

impl ProducerSink for Recorder {
    fn receipt(&self, connection: u64, receipt: CommandSendReceipt) {
        self.note(connection, Event::Receipt(receipt.sequence_id));
    }

    fn send_error(&self, connection: u64, sequence_id: u64, error: Error) {
        self.note(connection, Event::SendError(sequence_id, error.kind()));
    }

    fn disconnected(&self, connection: u64, reason: Disconnect) {
        self.left(connection, reason);
    }
}

impl ConsumerSink for Recorder {
    fn message(&self, connection: u64, command: CommandMessage, payload: Result<Payload>) {
        let body = payload.map(|payload| payload.body.to_vec()).map_err(|error| error.kind());
        self.note(connection, Event::Message(command.message_id.entry_id, body));
    }

    fn active_changed(&self, connection: u64, active: bool) {
        self.note(connection, Event::Active(active));
    }

    fn end_of_topic(&self, connection: u64) {
        self.note(connection, Event::EndOfTopic);
    }

    fn disconnected(&self, connection: u64, reason: Disconnect) {
        self.left(connection, reason);
    }
}
