"""What can go wrong, as one tree: `except PulsarError` catches it all.

The engine's kinds are one class each, named `<Kind>Error`; a class in brackets is a base too, so that Python's own
`except TimeoutError` works. Texts never hold a payload, a key or a credential.

    PulsarError
    Reaching the broker
      ConnectionError (ConnectionError)
      TimeoutError (TimeoutError)
      ServiceNotReadyError
      TooManyRequestsError
      MetadataError
      UnknownError
    Who may do what
      AuthenticationError (PermissionError)
      AuthorizationError (PermissionError)
    What was asked for
      InvalidOptionError (ValueError)
      InvalidTopicError (ValueError)
      InvalidMessageIdError (ValueError)
      NotAllowedError
      UnsupportedError
    Topics, subscriptions, producers and consumers
      TopicNotFoundError
      TopicTerminatedError
      SubscriptionNotFoundError
      ConsumerNotFoundError
      ConsumerBusyError
      ConsumerAssignError
      ProducerBusyError
      ProducerFencedError
    Limits and storage
      QuotaExceededError
      QueueFullError
      MessageTooLargeError (ValueError)
      PersistenceError
      DataDirInUseError
    Messages and schemas
      EncodeError (ValueError)
      DecodeError (ValueError)
      ChecksumError (ValueError)
      EncryptedError
      IncompatibleSchemaError
      SchemaTypeError
    Transactions
      TransactionCoordinatorNotFoundError
      InvalidTransactionStatusError
      TransactionConflictError
      TransactionNotFoundError
    Life
      ClosedError
      ForkedClientError
    Of the Python package alone
      SettingsError (ValueError)
      NotStartedError (RuntimeError)
      HandlerSignatureError (TypeError)
      SendManyError
      PayloadValidationError (ValueError)
      CircuitOpenError
"""

import builtins
from typing import Any, ClassVar


class PulsarError(Exception):
    """The root of everything that this package raises.

    Attributes:
        kind: The name of the kind: the class's name without `Error`.
        retryable: Whether the same call may succeed later without a change by the caller.
        topic: The topic that it concerns, or None.
    """

    kind: ClassVar[str] = "Pulsar"
    retryable: ClassVar[bool] = False

    def __init_subclass__(cls, *, retryable: bool | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = cls.__name__.removesuffix("Error")
        if retryable is not None:
            cls.retryable = retryable

    def __init__(self, message: str = "", *, topic: str | None = None) -> None:
        super().__init__(message)
        self.topic = topic


class ConnectionError(PulsarError, builtins.ConnectionError, retryable=True):
    """The broker cannot be reached, or the connection broke."""


class TimeoutError(PulsarError, builtins.TimeoutError, retryable=True):
    """The deadline passed before the broker answered."""


class ServiceNotReadyError(PulsarError, retryable=True):
    """The broker is not ready to serve the topic."""


class TooManyRequestsError(PulsarError, retryable=True):
    """The broker asks to slow down."""


class MetadataError(PulsarError, retryable=True):
    """The broker could not read or write its metadata."""


class UnknownError(PulsarError, retryable=True):
    """The broker reported an error without a more exact code."""


class AuthenticationError(PulsarError, builtins.PermissionError):
    """The broker refused the credentials, or none were given."""


class AuthorizationError(PulsarError, builtins.PermissionError):
    """The credentials are good, but do not permit this."""


class InvalidOptionError(PulsarError, ValueError):
    """An option is out of range or contradicts another."""


class InvalidTopicError(PulsarError, ValueError):
    """The topic name is malformed."""


class InvalidMessageIdError(PulsarError, ValueError):
    """The message id is malformed, or belongs to another topic."""


class NotAllowedError(PulsarError):
    """The operation is not allowed in this state or on this subscription type."""


class UnsupportedError(PulsarError):
    """The broker does not support the operation."""


class TopicNotFoundError(PulsarError):
    """The topic does not exist and may not be created."""


class TopicTerminatedError(PulsarError):
    """The topic is terminated: nothing can be published to it any more."""


class SubscriptionNotFoundError(PulsarError):
    """The subscription does not exist."""


class ConsumerNotFoundError(PulsarError):
    """The broker does not know this consumer."""


class ConsumerBusyError(PulsarError, retryable=True):
    """The subscription already has a consumer that excludes this one."""


class ConsumerAssignError(PulsarError, retryable=True):
    """The broker could not assign keys or partitions to the consumer."""


class ProducerBusyError(PulsarError, retryable=True):
    """Another producer holds the name or the exclusive access."""


class ProducerFencedError(PulsarError):
    """Another producer took over: this one may not publish any more."""


class QuotaExceededError(PulsarError, retryable=True):
    """The topic's backlog quota is exceeded."""


class QueueFullError(PulsarError, retryable=True):
    """The limit of pending messages or of client memory is reached."""


class MessageTooLargeError(PulsarError, ValueError):
    """The message is larger than the broker accepts."""


class PersistenceError(PulsarError, retryable=True):
    """The broker could not store the message."""


class DataDirInUseError(PulsarError):
    """Another embedded broker holds the data directory."""


class EncodeError(PulsarError, ValueError):
    """The value cannot be written as a message."""


class DecodeError(PulsarError, ValueError):
    """The bytes are not a well-formed message."""


class ChecksumError(PulsarError, ValueError):
    """The checksum does not match: the bytes were damaged on the way."""


class EncryptedError(PulsarError):
    """The message is encrypted, and this consumer has no key for it."""


class IncompatibleSchemaError(PulsarError):
    """The schema is incompatible with the topic's."""


class SchemaTypeError(PulsarError):
    """The topic's schema is of a type that this model cannot read."""


class TransactionCoordinatorNotFoundError(PulsarError, retryable=True):
    """No coordinator serves the transaction."""


class InvalidTransactionStatusError(PulsarError):
    """The transaction is not in a state that permits this."""


class TransactionConflictError(PulsarError):
    """Another transaction acknowledged the message."""


class TransactionNotFoundError(PulsarError):
    """The transaction does not exist."""


class ClosedError(PulsarError):
    """The client, producer, consumer or reader is closed."""


class ForkedClientError(PulsarError):
    """The object was made before a fork and belongs to the parent process."""


class SettingsError(PulsarError, ValueError):
    """A setting breaks its rule. The text names the variable and the rule, never the value."""


class NotStartedError(PulsarError, RuntimeError):
    """The router was used outside its application's lifespan."""


class HandlerSignatureError(PulsarError, TypeError):
    """A consumer function cannot be called with a message. The text names the function and the parameter."""


class SendManyError(PulsarError):
    """Some of the messages given to `send_many` were not stored.

    Attributes:
        results: One entry for each message, in order: its `MessageId`, or the error that befell it.
    """

    def __init__(self, message: str = "", *, topic: str | None = None, results: list[Any] | None = None) -> None:
        super().__init__(message, topic=topic)
        self.results = [] if results is None else results


class PayloadValidationError(PulsarError, ValueError):
    """A message's payload, key or property does not validate as the type asked for.

    Attributes:
        errors: Where and what, as `(location, rule)` such as `("amount", "decimal_parsing")`; never the input.
    """

    def __init__(
        self, message: str = "", *, topic: str | None = None, errors: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message, topic=topic)
        self.errors = errors


class CircuitOpenError(ConnectionError):
    """Publishing to the topic failed so often that it is not tried for a while. Nothing was sent."""
