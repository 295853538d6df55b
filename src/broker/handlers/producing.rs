//! Producers: making and closing them, and what they send.

use std::sync::Arc;

use super::refuse;
use super::schemas;
use crate::broker::outlet::Outlet;
use crate::broker::session::Session;
use crate::broker::session::server_error::{failed, server_error};
use crate::broker::topic::{NewProducer, Publish, Topic};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::frame::RawPayload;
use crate::protocol::proto::{
    Command, CommandCloseProducer, CommandProducer, CommandSend, CommandSuccess, ProducerAccessMode,
    ServerError,
};
use crate::protocol::topic::TopicName;

pub(super) fn create(session: &Arc<Session>, request: CommandProducer) {
    let request_id = request.request_id;
    // The topic answers by itself: what it says to a producer has to keep its order.
    if let Err(error) = try_create(session, request) {
        session.send(&failed(request_id, &error).into());
    }
}

fn try_create(session: &Arc<Session>, request: CommandProducer) -> Result<()> {
    let CommandProducer { request_id, producer_id, epoch, topic_epoch, .. } = request;
    if request.txn_enabled() {
        return Err(Error::new(ErrorKind::NotAllowed, "the embedded broker has no transactions"));
    }
    let name = TopicName::parse(&request.topic)?;
    let topic = session.core.registry.topic(&name, true)?;
    let schema_version = match &request.schema {
        Some(schema) => schemas::for_producer(&session.core, &name, schema)?,
        None => schemas::without_schema(&session.core, &name)?,
    };
    // A client that lost track of a producer makes it again under the same id: the old one goes.
    forget(session, producer_id);
    let new = NewProducer {
        producer_id,
        request_id,
        user_provided_name: request.user_provided_producer_name(),
        access_mode: ProducerAccessMode::try_from(request.producer_access_mode.unwrap_or_default())
            .map_err(|_| Error::new(ErrorKind::NotAllowed, "the producer's access mode is unknown"))?,
        name: request.producer_name,
        epoch: epoch.unwrap_or_default(),
        topic_epoch,
        schema_version,
        metadata: request.metadata,
        initial_subscription: request.initial_subscription_name,
    };
    // Entered before it is made: the topic may close it at any time from then on.
    session.attached.lock().add_producer(producer_id, Arc::clone(&topic))?;
    topic.add_producer(new, Arc::clone(session) as Arc<dyn Outlet>).inspect_err(|_| {
        session.attached.lock().remove_producer(producer_id);
    })
}

pub(super) fn send(session: &Session, send: &CommandSend, payload: Option<Result<RawPayload>>) {
    let Some(topic) = session.attached.lock().producer(send.producer_id) else {
        // What was on its way when the producer was closed is sent again when it is back.
        if !session.attached.lock().had_producer(send.producer_id) {
            let command = Command::Send(send.clone());
            refuse(
                session,
                &command,
                ServerError::UnknownError,
                "there is no such producer on this connection",
            );
        }
        return;
    };
    let refused = |error, reason: &str| {
        topic.refuse(session.id(), send.producer_id, send.sequence_id, error, reason);
    };
    if send.txnid_most_bits.is_some() || send.txnid_least_bits.is_some() {
        return refused(ServerError::NotAllowedError, "the embedded broker has no transactions");
    }
    match payload {
        Some(Ok(payload)) => topic.publish(
            session.id(),
            Publish {
                producer_id: send.producer_id,
                sequence_id: send.sequence_id,
                highest_sequence_id: send.highest_sequence_id,
                num_messages: u32::try_from(send.num_messages()).unwrap_or(1).max(1),
                bytes: payload.bytes,
                checksum: payload.checksum,
                metadata: payload.metadata,
            },
        ),
        Some(Err(error)) => refused(server_error(error.kind()), error.context()),
        None => refused(ServerError::NotAllowedError, "the send has no payload"),
    }
}

pub(super) fn close(session: &Session, close: &CommandCloseProducer) {
    forget(session, close.producer_id);
    session.send(&CommandSuccess { request_id: close.request_id, schema: None }.into());
}

fn forget(session: &Session, producer_id: u64) {
    let removed: Option<Arc<Topic>> = session.attached.lock().remove_producer(producer_id);
    if let Some(topic) = removed {
        topic.remove_producer(session.id(), producer_id);
    }
}
