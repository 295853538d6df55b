//! The negative answer to each command, in the form that its sender understands.

use crate::broker::outlet::Outlet;
use crate::broker::session::Session;
use crate::broker::session::handshake::NO_REQUEST;
use crate::broker::session::server_error::refused;
use crate::protocol::proto::{
    BaseCommand, Command, CommandAckResponse, CommandAddPartitionToTxnResponse,
    CommandAddSubscriptionToTxnResponse, CommandConsumerStatsResponse, CommandEndTxnOnPartitionResponse,
    CommandEndTxnOnSubscriptionResponse, CommandEndTxnResponse, CommandGetOrCreateSchemaResponse,
    CommandGetSchemaResponse, CommandLookupTopicResponse, CommandNewTxnResponse,
    CommandPartitionedTopicMetadataResponse, CommandSendError, CommandTcClientConnectResponse, LookupType,
    PartitionedLookupType, ServerError,
};
use crate::protocol::topic::TopicName;

/// Refuses a command. Permits, requests for redelivery and acknowledgements without a request id have no answer in the
/// protocol, neither good nor bad.
pub fn refuse(session: &Session, command: &Command, error: ServerError, message: &str) {
    if let Some(answer) = refusal(command, error, message) {
        session.send(&answer);
    }
}

fn refusal(command: &Command, error: ServerError, message: &str) -> Option<BaseCommand> {
    let (code, text) = (Some(error as i32), Some(message.to_owned()));
    /// A response of which only the request, the error and its text matter.
    macro_rules! response {
        ($response:ident, $request:expr) => {
            $response { request_id: $request.request_id, error: code, message: text, ..Default::default() }
                .into()
        };
    }
    Some(match command {
        Command::Flow(_)
        | Command::RedeliverUnacknowledgedMessages(_)
        | Command::Ping(_)
        | Command::Pong(_) => {
            return None;
        }
        Command::Ack(ack) => CommandAckResponse {
            consumer_id: ack.consumer_id,
            request_id: Some(ack.request_id?),
            error: code,
            message: text,
            ..CommandAckResponse::default()
        }
        .into(),
        Command::Send(send) => CommandSendError {
            producer_id: send.producer_id,
            sequence_id: send.sequence_id,
            error: error as i32,
            message: message.into(),
        }
        .into(),
        Command::PartitionedTopicMetadata(question) => CommandPartitionedTopicMetadataResponse {
            request_id: question.request_id,
            response: Some(PartitionedLookupType::Failed as i32),
            error: code,
            message: text,
            partitions: None,
        }
        .into(),
        Command::LookupTopic(question) => CommandLookupTopicResponse {
            request_id: question.request_id,
            response: Some(LookupType::Failed as i32),
            error: code,
            message: text,
            ..CommandLookupTopicResponse::default()
        }
        .into(),
        Command::ConsumerStats(question) => CommandConsumerStatsResponse {
            request_id: question.request_id,
            error_code: code,
            error_message: text,
            ..CommandConsumerStatsResponse::default()
        }
        .into(),
        Command::GetSchema(question) => CommandGetSchemaResponse {
            request_id: question.request_id,
            error_code: code,
            error_message: text,
            ..CommandGetSchemaResponse::default()
        }
        .into(),
        Command::GetOrCreateSchema(command) => CommandGetOrCreateSchemaResponse {
            request_id: command.request_id,
            error_code: code,
            error_message: text,
            ..CommandGetOrCreateSchemaResponse::default()
        }
        .into(),
        Command::TcClientConnectRequest(request) => {
            CommandTcClientConnectResponse { request_id: request.request_id, error: code, message: text }
                .into()
        }
        Command::NewTxn(request) => response!(CommandNewTxnResponse, request),
        Command::AddPartitionToTxn(request) => response!(CommandAddPartitionToTxnResponse, request),
        Command::AddSubscriptionToTxn(request) => response!(CommandAddSubscriptionToTxnResponse, request),
        Command::EndTxn(request) => response!(CommandEndTxnResponse, request),
        Command::EndTxnOnPartition(request) => response!(CommandEndTxnOnPartitionResponse, request),
        Command::EndTxnOnSubscription(request) => response!(CommandEndTxnOnSubscriptionResponse, request),
        other => refused(request_id(other).unwrap_or(NO_REQUEST), error, message).into(),
    })
}

/// Of the commands whose failure is a `CommandError`.
fn request_id(command: &Command) -> Option<u64> {
    Some(match command {
        Command::Producer(request) => request.request_id,
        Command::Subscribe(request) => request.request_id,
        Command::CloseProducer(close) => close.request_id,
        Command::CloseConsumer(close) => close.request_id,
        Command::Unsubscribe(command) => command.request_id,
        Command::Seek(seek) => seek.request_id,
        Command::GetLastMessageId(question) => question.request_id,
        Command::GetTopicsOfNamespace(question) => question.request_id,
        Command::WatchTopicList(command) => command.request_id,
        Command::WatchTopicListClose(command) => command.request_id,
        _ => return None,
    })
}

/// The full name of the topic that a command concerns.
pub(super) fn topic_of(session: &Session, command: &Command) -> Option<String> {
    let attached = |producer: Option<u64>, consumer: Option<u64>| {
        let attached = session.attached.lock();
        let topic = producer
            .and_then(|id| attached.producer(id))
            .or_else(|| consumer.and_then(|id| attached.consumer(id)));
        topic.map(|topic| topic.name().to_string())
    };
    let named = |name: &str| TopicName::parse(name).ok().map(|name| name.to_string());
    match command {
        Command::Send(send) => attached(Some(send.producer_id), None),
        Command::CloseProducer(close) => attached(Some(close.producer_id), None),
        Command::Ack(ack) => attached(None, Some(ack.consumer_id)),
        Command::Flow(flow) => attached(None, Some(flow.consumer_id)),
        Command::CloseConsumer(close) => attached(None, Some(close.consumer_id)),
        Command::Unsubscribe(command) => attached(None, Some(command.consumer_id)),
        Command::RedeliverUnacknowledgedMessages(command) => attached(None, Some(command.consumer_id)),
        Command::Seek(seek) => attached(None, Some(seek.consumer_id)),
        Command::GetLastMessageId(question) => attached(None, Some(question.consumer_id)),
        Command::ConsumerStats(question) => attached(None, Some(question.consumer_id)),
        Command::Producer(request) => named(&request.topic),
        Command::Subscribe(request) => named(&request.topic),
        Command::LookupTopic(question) => named(&question.topic),
        Command::PartitionedTopicMetadata(question) => named(&question.topic),
        Command::GetSchema(question) => named(&question.topic),
        Command::GetOrCreateSchema(command) => named(&command.topic),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands of clients that have no answer.
    const UNANSWERED: [&str; 4] = ["Flow", "RedeliverUnacknowledgedMessages", "Ping", "Pong"];

    #[test]
    fn every_command_with_an_answer_has_a_negative_one() {
        for command in Command::of_each_type() {
            let silent = UNANSWERED.contains(&command.name()) || command.name() == "Ack";
            let answer = refusal(&command, ServerError::NotAllowedError, "no");
            assert_eq!(answer.is_none(), silent, "{}", command.name());
        }
    }
}
