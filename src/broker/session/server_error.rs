//! Our kinds of errors as Pulsar's codes.

use crate::error::{Error, ErrorKind};
use crate::protocol::proto::{CommandError, ServerError};

/// The code that a client is told.
pub fn server_error(kind: ErrorKind) -> ServerError {
    match kind {
        ErrorKind::Authentication => ServerError::AuthenticationError,
        ErrorKind::Authorization => ServerError::AuthorizationError,
        ErrorKind::InvalidTopic => ServerError::InvalidTopicName,
        ErrorKind::TopicNotFound => ServerError::TopicNotFound,
        ErrorKind::TopicTerminated => ServerError::TopicTerminatedError,
        ErrorKind::SubscriptionNotFound => ServerError::SubscriptionNotFound,
        ErrorKind::ConsumerNotFound => ServerError::ConsumerNotFound,
        ErrorKind::ConsumerBusy => ServerError::ConsumerBusy,
        ErrorKind::ConsumerAssign => ServerError::ConsumerAssignError,
        ErrorKind::ProducerBusy => ServerError::ProducerBusy,
        ErrorKind::ProducerFenced => ServerError::ProducerFenced,
        ErrorKind::QuotaExceeded => ServerError::ProducerBlockedQuotaExceededException,
        ErrorKind::QueueFull => ServerError::ProducerBlockedQuotaExceededError,
        ErrorKind::Checksum => ServerError::ChecksumError,
        ErrorKind::IncompatibleSchema => ServerError::IncompatibleSchema,
        ErrorKind::TooManyRequests => ServerError::TooManyRequests,
        ErrorKind::ServiceNotReady | ErrorKind::Closed | ErrorKind::Timeout => ServerError::ServiceNotReady,
        ErrorKind::Metadata => ServerError::MetadataError,
        ErrorKind::Persistence => ServerError::PersistenceError,
        ErrorKind::TransactionCoordinatorNotFound => ServerError::TransactionCoordinatorNotFound,
        ErrorKind::InvalidTransactionStatus => ServerError::InvalidTxnStatus,
        ErrorKind::TransactionConflict => ServerError::TransactionConflict,
        ErrorKind::TransactionNotFound => ServerError::TransactionNotFound,
        ErrorKind::NotAllowed
        | ErrorKind::Unsupported
        | ErrorKind::InvalidOption
        | ErrorKind::InvalidMessageId
        | ErrorKind::MessageTooLarge
        | ErrorKind::Encode
        | ErrorKind::Decode
        | ErrorKind::Encrypted
        | ErrorKind::SchemaType => ServerError::NotAllowedError,
        _ => ServerError::UnknownError,
    }
}

/// The general answer to a request that failed.
pub fn failed(request_id: u64, error: &Error) -> CommandError {
    refused(request_id, server_error(error.kind()), error.to_string())
}

pub fn refused(request_id: u64, error: ServerError, message: impl Into<String>) -> CommandError {
    CommandError { request_id, error: error as i32, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_but_one_comes_from_a_kind() {
        let mut codes: Vec<i32> = ErrorKind::ALL.iter().map(|kind| server_error(*kind) as i32).collect();
        codes.sort_unstable();
        codes.dedup();
        // 10 is a version of the protocol that a server does not speak: it is negotiated, and never refused.
        assert_eq!(codes, (0..=25).filter(|code| *code != 10).collect::<Vec<_>>());
    }
}
