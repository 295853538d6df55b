//! A producer on one connection: opened, and closed again whatever happens.

use std::sync::Arc;

use super::encode::Envelope;
use super::partition::Partition;
use crate::client::options::{AccessMode, ProducerOptions};
use crate::client::{Client, Connection, ProducerSink, schema};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::compression::Compression;
use crate::protocol::proto::{
    BaseCommand, Command, CommandCloseProducer, CommandProducer, CommandProducerSuccess, KeyValue,
    ProducerAccessMode, SchemaType,
};
use crate::protocol::topic::TopicName;

/// What the broker is asked for.
pub(super) struct Request<'a> {
    pub(super) topic: &'a TopicName,
    pub(super) producer_id: u64,
    /// Counts the attempts, so that the broker can tell an old connection's producer from the new one.
    pub(super) epoch: u64,
    /// The name that the broker gave on an earlier connection.
    pub(super) given_name: Option<String>,
    pub(super) topic_epoch: Option<u64>,
}

/// An open producer. Dropped without `close` or `lost`, it is closed in the background.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) success: CommandProducerSuccess,
    client: Client,
    producer_id: u64,
    /// Whether the broker may still hold the producer.
    held: bool,
}

impl Session {
    pub(super) async fn open(
        client: &Client,
        options: &ProducerOptions,
        request: Request<'_>,
        sink: Arc<Partition>,
        hint: Option<&str>,
    ) -> Result<Self> {
        let producer_id = request.producer_id;
        let connection = client.connect_topic(request.topic, hint).await?;
        connection.register_producer(producer_id, sink as Arc<dyn ProducerSink>);
        let success = CommandProducerSuccess::default();
        let mut session = Self { connection, success, client: client.clone(), producer_id, held: true };
        let command = command(options, request)?;
        let answer = session.connection.request(|request_id| with_request(command, request_id)).await;
        match answer {
            Ok(Command::ProducerSuccess(success)) => {
                session.success = *success;
                Ok(session)
            }
            Ok(other) => {
                let context = format!("the broker answered a producer request with {}", other.name());
                Err(Error::new(ErrorKind::Decode, context))
            }
            Err(error) => {
                // Without an answer, the broker may have made it all the same.
                session.held = matches!(error.kind(), ErrorKind::Timeout);
                Err(error)
            }
        }
    }

    pub(super) fn envelope(&self, compression: Compression) -> Envelope {
        Envelope {
            producer_id: self.producer_id,
            producer_name: self.success.producer_name.clone(),
            schema_version: self.success.schema_version.clone().filter(|version| !version.is_empty()),
            compression,
            max_message_size: self.connection.max_message_size(),
            publish_time: 0,
        }
    }

    /// The broker has closed it already, or the connection is gone.
    pub(super) fn lost(mut self) {
        self.held = false;
    }

    /// Closes it at the broker, and waits for the answer.
    pub(super) async fn close(mut self) -> Result<()> {
        self.held = false;
        close(&self.connection, self.producer_id).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.unregister_producer(self.producer_id);
        if self.held && self.connection.is_open() {
            let (connection, producer_id) = (self.connection.clone(), self.producer_id);
            self.client.runtime().spawn(async move {
                // Nobody is left to be told; the broker gives it up with the connection at the latest.
                let _ = close(&connection, producer_id).await;
            });
        }
    }
}

async fn close(connection: &Connection, producer_id: u64) -> Result<()> {
    let make = |request_id| CommandCloseProducer { producer_id, request_id, ..Default::default() }.into();
    connection.request(make).await.map(drop)
}

fn command(options: &ProducerOptions, request: Request<'_>) -> Result<CommandProducer> {
    // Plain bytes are no schema to register.
    let schema = options.schema.as_ref().map(schema::to_proto).transpose()?;
    let schema = schema.filter(|schema| schema.r#type != SchemaType::None as i32);
    Ok(CommandProducer {
        topic: request.topic.to_string(),
        producer_id: request.producer_id,
        request_id: 0,
        user_provided_producer_name: Some(options.name.is_some()),
        producer_name: options.name.clone().or(request.given_name),
        encrypted: None,
        metadata: options
            .properties
            .iter()
            .map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() })
            .collect(),
        schema,
        epoch: Some(request.epoch),
        producer_access_mode: Some(access_mode(options.access_mode) as i32),
        topic_epoch: request.topic_epoch,
        txn_enabled: None,
        initial_subscription_name: options.initial_subscription.clone(),
    })
}

fn with_request(command: CommandProducer, request_id: u64) -> BaseCommand {
    CommandProducer { request_id, ..command }.into()
}

fn access_mode(mode: AccessMode) -> ProducerAccessMode {
    match mode {
        AccessMode::Shared => ProducerAccessMode::Shared,
        AccessMode::Exclusive => ProducerAccessMode::Exclusive,
        AccessMode::WaitForExclusive => ProducerAccessMode::WaitForExclusive,
        AccessMode::ExclusiveWithFencing => ProducerAccessMode::ExclusiveWithFencing,
    }
}
