//! Consumers: making and closing them, and all that they ask for.

use std::sync::Arc;

use super::{once_settled, refuse, schemas};
use crate::broker::outlet::Outlet;
use crate::broker::session::Session;
use crate::broker::session::server_error::{failed, server_error};
use crate::broker::subscription::{NewConsumer, SeekTo};
use crate::broker::topic::Topic;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{
    BaseCommand, Command, CommandAck, CommandCloseConsumer, CommandConsumerStats, CommandFlow,
    CommandGetLastMessageId, CommandGetLastMessageIdResponse, CommandRedeliverUnacknowledgedMessages,
    CommandSeek, CommandSubscribe, CommandSuccess, CommandUnsubscribe,
};
use crate::protocol::topic::TopicName;

pub(super) fn subscribe(session: &Arc<Session>, request: &CommandSubscribe) {
    let (consumer_id, request_id) = (request.consumer_id, request.request_id);
    if let Err(error) = try_subscribe(session, request) {
        return answer(session, request_id, Err(error));
    }
    once_settled(session, move |session, stored| subscribed(session, consumer_id, request_id, stored));
}

/// Tells a client that it has a consumer, now that its topic, subscription and schema are stored.
fn subscribed(session: &Session, consumer_id: u64, request_id: u64, stored: Result<()>) {
    if stored.is_err() {
        forget(session, consumer_id);
        return answer(session, request_id, stored);
    }
    // Locked, so that this cannot come behind the news that the topic has closed the consumer.
    let attached = session.attached.lock();
    let outcome = attached.consumer(consumer_id).map(drop).ok_or_else(|| {
        Error::new(ErrorKind::ServiceNotReady, "the consumer was closed as it was made; subscribe again")
    });
    answer(session, request_id, outcome);
}

fn try_subscribe(session: &Arc<Session>, request: &CommandSubscribe) -> Result<()> {
    let consumer_id = request.consumer_id;
    let name = TopicName::parse(&request.topic)?;
    let new = NewConsumer::try_from(request)?;
    let topic = session.core.registry.topic(&name, request.force_topic_creation())?;
    if let Some(schema) = &request.schema {
        schemas::for_consumer(&session.core, &name, schema)?;
    }
    // A client that lost track of a consumer makes it again under the same id: the old one goes.
    forget(session, consumer_id);
    // Entered before it is made: the topic may close it at any time from then on.
    session.attached.lock().add_consumer(consumer_id, Arc::clone(&topic))?;
    topic.subscribe(new, Arc::clone(session) as Arc<dyn Outlet>).inspect_err(|_| {
        session.attached.lock().remove_consumer(consumer_id);
    })
}

pub(super) fn flow(session: &Session, flow: CommandFlow) {
    if let Ok(topic) = topic_of(session, flow.consumer_id) {
        topic.flow(session.id(), flow.consumer_id, flow.message_permits);
    }
}

/// The topic sends the receipt, if one is asked for, once the acknowledgement is stored.
pub(super) fn acknowledge(session: &Session, ack: &CommandAck) {
    let outcome = if ack.txnid_most_bits.is_some() || ack.txnid_least_bits.is_some() {
        Err(Error::new(ErrorKind::NotAllowed, "the embedded broker has no transactions"))
    } else {
        topic_of(session, ack.consumer_id).and_then(|topic| topic.acknowledge(session.id(), ack))
    };
    if let Err(error) = outcome {
        refuse(session, &Command::Ack(ack.clone()), server_error(error.kind()), error.context());
    }
}

pub(super) fn redeliver(session: &Session, command: &CommandRedeliverUnacknowledgedMessages) {
    if let Ok(topic) = topic_of(session, command.consumer_id) {
        topic.redeliver(session.id(), command);
    }
}

pub(super) fn seek(session: &Arc<Session>, seek: CommandSeek) {
    let CommandSeek { consumer_id, request_id, message_id, message_publish_time } = seek;
    let to = match (message_id, message_publish_time) {
        (Some(id), _) => Ok(SeekTo::Message(id)),
        (None, Some(time)) => Ok(SeekTo::Time(time)),
        (None, None) => Err(Error::new(ErrorKind::NotAllowed, "the seek says neither a message nor a time")),
    };
    let outcome = to.and_then(|to| {
        topic_of(session, consumer_id).and_then(|topic| topic.seek(session.id(), consumer_id, &to))
    });
    answer_once_settled(session, request_id, outcome);
}

pub(super) fn close(session: &Session, close: &CommandCloseConsumer) {
    forget(session, close.consumer_id);
    answer(session, close.request_id, Ok(()));
}

pub(super) fn unsubscribe(session: &Arc<Session>, command: CommandUnsubscribe) {
    let consumer_id = command.consumer_id;
    let outcome = topic_of(session, consumer_id).and_then(|topic| {
        topic.unsubscribe(session.id(), consumer_id, command.force())?;
        session.attached.lock().remove_consumer(consumer_id);
        Ok(())
    });
    answer_once_settled(session, command.request_id, outcome);
}

pub(super) fn last_message_id(session: &Session, question: CommandGetLastMessageId) {
    let CommandGetLastMessageId { consumer_id, request_id } = question;
    let found =
        topic_of(session, consumer_id).and_then(|topic| topic.last_message_id(session.id(), consumer_id));
    let response: BaseCommand = match found {
        Ok((last_message_id, consumer_mark_delete_position)) => {
            CommandGetLastMessageIdResponse { last_message_id, request_id, consumer_mark_delete_position }
                .into()
        }
        Err(error) => failed(request_id, &error).into(),
    };
    session.send(&response);
}

pub(super) fn stats(session: &Session, question: CommandConsumerStats) {
    let CommandConsumerStats { consumer_id, request_id } = question;
    let found =
        topic_of(session, consumer_id).and_then(|topic| topic.consumer_stats(session.id(), consumer_id));
    match found {
        Ok(mut stats) => {
            stats.request_id = request_id;
            session.send(&stats.into());
        }
        Err(error) => {
            refuse(session, &Command::ConsumerStats(question), server_error(error.kind()), error.context());
        }
    }
}

/// Tells of what was done when it is stored, and at once of what was not.
fn answer_once_settled(session: &Arc<Session>, request_id: u64, outcome: Result<()>) {
    if outcome.is_err() {
        return answer(session, request_id, outcome);
    }
    once_settled(session, move |session, stored| answer(session, request_id, stored));
}

fn answer(session: &Session, request_id: u64, outcome: Result<()>) {
    let response: BaseCommand = match outcome {
        Ok(()) => CommandSuccess { request_id, schema: None }.into(),
        Err(error) => failed(request_id, &error).into(),
    };
    session.send(&response);
}

fn topic_of(session: &Session, consumer_id: u64) -> Result<Arc<Topic>> {
    session.attached.lock().consumer(consumer_id).ok_or_else(|| {
        Error::new(ErrorKind::ConsumerNotFound, "there is no such consumer on this connection")
    })
}

fn forget(session: &Session, consumer_id: u64) {
    let removed = session.attached.lock().remove_consumer(consumer_id);
    if let Some(topic) = removed {
        topic.remove_consumer(session.id(), consumer_id);
    }
}
