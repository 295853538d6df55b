//! Which request an arriving command answers, and whether the answer is an error.

use super::server_error::server_error;
use crate::error::{Error, Result};
use crate::protocol::proto::{Command, LookupType, PartitionedLookupType};

/// The id of the request that `command` answers, if it is an answer at all.
pub(super) fn request_id(command: &Command) -> Option<u64> {
    Some(match command {
        Command::Success(answer) => answer.request_id,
        Command::Error(answer) => answer.request_id,
        Command::ProducerSuccess(answer) => answer.request_id,
        Command::LookupTopicResponse(answer) => answer.request_id,
        Command::PartitionedTopicMetadataResponse(answer) => answer.request_id,
        Command::ConsumerStatsResponse(answer) => answer.request_id,
        Command::GetLastMessageIdResponse(answer) => answer.request_id,
        Command::GetTopicsOfNamespaceResponse(answer) => answer.request_id,
        Command::GetSchemaResponse(answer) => answer.request_id,
        Command::GetOrCreateSchemaResponse(answer) => answer.request_id,
        Command::AckResponse(answer) => answer.request_id?,
        Command::WatchTopicListSuccess(answer) => answer.request_id,
        Command::NewTxnResponse(answer) => answer.request_id,
        Command::AddPartitionToTxnResponse(answer) => answer.request_id,
        Command::AddSubscriptionToTxnResponse(answer) => answer.request_id,
        Command::EndTxnResponse(answer) => answer.request_id,
        Command::TcClientConnectResponse(answer) => answer.request_id,
        _ => return None,
    })
}

/// The answer, or the error that it carries.
pub(super) fn outcome(command: Command) -> Result<Command> {
    let error = match &command {
        Command::Error(answer) => Some(server_error(answer.error, &answer.message)),
        Command::LookupTopicResponse(answer) => {
            let failed = answer.response == Some(LookupType::Failed as i32);
            failed.then(|| reported(answer.error, answer.message.as_deref()))
        }
        Command::PartitionedTopicMetadataResponse(answer) => {
            let failed = answer.response == Some(PartitionedLookupType::Failed as i32);
            failed.then(|| reported(answer.error, answer.message.as_deref()))
        }
        Command::ConsumerStatsResponse(answer) => {
            optional(answer.error_code, answer.error_message.as_deref())
        }
        Command::GetSchemaResponse(answer) => optional(answer.error_code, answer.error_message.as_deref()),
        Command::GetOrCreateSchemaResponse(answer) => {
            optional(answer.error_code, answer.error_message.as_deref())
        }
        Command::AckResponse(answer) => optional(answer.error, answer.message.as_deref()),
        Command::NewTxnResponse(answer) => optional(answer.error, answer.message.as_deref()),
        Command::AddPartitionToTxnResponse(answer) => optional(answer.error, answer.message.as_deref()),
        Command::AddSubscriptionToTxnResponse(answer) => optional(answer.error, answer.message.as_deref()),
        Command::EndTxnResponse(answer) => optional(answer.error, answer.message.as_deref()),
        Command::TcClientConnectResponse(answer) => optional(answer.error, answer.message.as_deref()),
        _ => None,
    };
    error.map_or(Ok(command), Err)
}

/// An answer that says it failed; the code should be there, but need not.
fn reported(code: Option<i32>, message: Option<&str>) -> Error {
    server_error(code.unwrap_or_default(), message.unwrap_or("no reason given"))
}

fn optional(code: Option<i32>, message: Option<&str>) -> Option<Error> {
    code.map(|code| reported(Some(code), message))
}
