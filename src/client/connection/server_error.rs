//! The broker's error codes as kinds of ours.

use crate::error::{Error, ErrorKind};
use crate::protocol::proto::ServerError;

/// The broker's sentence is cut here: it is the broker's text, of any length.
const MAX_MESSAGE_CHARS: usize = 500;

/// An error that the broker reported: its number and its sentence.
pub(crate) fn server_error(code: i32, message: &str) -> Error {
    let text: String = message.chars().take(MAX_MESSAGE_CHARS).collect();
    match ServerError::try_from(code) {
        Ok(known) => Error::new(kind(known), format!("the broker answered {known:?}: {text}")),
        Err(_) => Error::new(ErrorKind::Unknown, format!("the broker answered error {code}: {text}")),
    }
}

fn kind(error: ServerError) -> ErrorKind {
    match error {
        ServerError::UnknownError => ErrorKind::Unknown,
        ServerError::MetadataError => ErrorKind::Metadata,
        ServerError::PersistenceError => ErrorKind::Persistence,
        ServerError::AuthenticationError => ErrorKind::Authentication,
        ServerError::AuthorizationError => ErrorKind::Authorization,
        ServerError::ConsumerBusy => ErrorKind::ConsumerBusy,
        ServerError::ServiceNotReady => ErrorKind::ServiceNotReady,
        ServerError::ProducerBlockedQuotaExceededError
        | ServerError::ProducerBlockedQuotaExceededException => ErrorKind::QuotaExceeded,
        ServerError::ChecksumError => ErrorKind::Checksum,
        ServerError::UnsupportedVersionError => ErrorKind::Unsupported,
        ServerError::TopicNotFound => ErrorKind::TopicNotFound,
        ServerError::SubscriptionNotFound => ErrorKind::SubscriptionNotFound,
        ServerError::ConsumerNotFound => ErrorKind::ConsumerNotFound,
        ServerError::TooManyRequests => ErrorKind::TooManyRequests,
        ServerError::TopicTerminatedError => ErrorKind::TopicTerminated,
        ServerError::ProducerBusy => ErrorKind::ProducerBusy,
        ServerError::InvalidTopicName => ErrorKind::InvalidTopic,
        ServerError::IncompatibleSchema => ErrorKind::IncompatibleSchema,
        ServerError::ConsumerAssignError => ErrorKind::ConsumerAssign,
        ServerError::TransactionCoordinatorNotFound => ErrorKind::TransactionCoordinatorNotFound,
        ServerError::InvalidTxnStatus => ErrorKind::InvalidTransactionStatus,
        ServerError::NotAllowedError => ErrorKind::NotAllowed,
        ServerError::TransactionConflict => ErrorKind::TransactionConflict,
        ServerError::TransactionNotFound => ErrorKind::TransactionNotFound,
        ServerError::ProducerFenced => ErrorKind::ProducerFenced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_kind_and_unknown_codes_are_unknown() {
        assert_eq!(server_error(3, "no").kind(), ErrorKind::Authentication);
        assert_eq!(server_error(25, "no").kind(), ErrorKind::ProducerFenced);
        assert_eq!(server_error(9999, "no").kind(), ErrorKind::Unknown);
        assert_eq!((0..=25).filter(|code| server_error(*code, "").kind() == ErrorKind::Unknown).count(), 1);
    }

    #[test]
    fn a_long_sentence_is_cut() {
        let error = server_error(0, &"x".repeat(10_000));
        assert!(error.context().len() < 600);
    }
}
