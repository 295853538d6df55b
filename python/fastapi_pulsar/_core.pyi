"""The Rust core. Times are seconds or `timedelta`; errors are those of `fastapi_pulsar.exceptions`."""

from collections.abc import Callable, Coroutine, Generator, Iterable
from datetime import datetime, timedelta
from types import GenericAlias
from typing import Any, ClassVar, Generic, Self, TypeVar, final

_T = TypeVar("_T")

__all__ = [
    "Broker",
    "Client",
    "Consumer",
    "Done",
    "Message",
    "MessageId",
    "Operation",
    "Producer",
    "Reader",
    "_probe",
    "advance_clock",
    "error_kinds",
    "set_wakeup",
]

@final
class Operation(Coroutine[Any, Any, _T], Generic[_T]):
    """A verb in progress: a coroutine that starts when it is first awaited, and may be awaited once."""

    @property
    def __name__(self) -> str: ...
    @property
    def __qualname__(self) -> str: ...
    def __await__(self) -> Generator[Any, Any, _T]: ...
    def __next__(self) -> Any: ...
    def send(self, value: None) -> Any: ...
    def throw(self, typ: Any, value: Any = None, traceback: Any = None, /) -> Any: ...
    def close(self) -> None:
        """Gives up: nothing is lost by it."""

    def block(self) -> _T:
        """Runs the operation on this thread, without an event loop, and returns its result."""

    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Done:
    """What a verb returns that has acted already. Awaiting it is permitted, and does nothing."""

    def __await__(self) -> Generator[Any, Any]: ...
    def __next__(self) -> Any: ...

@final
class MessageId:
    """Where a message is stored. Ordered as in the topic, hashable; `bytes(id)` is what the official clients write."""

    EARLIEST: ClassVar[MessageId]
    LATEST: ClassVar[MessageId]

    def __new__(
        cls, ledger: int, entry: int, partition: int = ..., batch_index: int = ..., batch_size: int = 0
    ) -> Self: ...
    @classmethod
    def from_bytes(cls, data: bytes) -> MessageId:
        """The id that `bytes(id)` or an official client wrote."""

    @property
    def ledger(self) -> int: ...
    @property
    def entry(self) -> int: ...
    @property
    def partition(self) -> int:
        """The partition of the topic, or -1."""

    @property
    def batch_index(self) -> int:
        """The place in the batch, or -1 for a message that was sent alone."""

    @property
    def batch_size(self) -> int:
        """The number of messages in the batch, or 0 if it is none or not known."""

    def __bytes__(self) -> bytes: ...
    def __reduce__(self) -> tuple[Any, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: MessageId, /) -> bool: ...
    def __le__(self, other: MessageId, /) -> bool: ...
    def __gt__(self, other: MessageId, /) -> bool: ...
    def __ge__(self, other: MessageId, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Message(Generic[_T]):
    """A received message. `value` is validated when it is first read, everything else is as it was sent."""

    @property
    def value(self) -> _T:
        """The payload as the consumer's model; as bytes without one. `None` for a tombstone."""

    @property
    def data(self) -> bytes:
        """The payload, uncompressed; empty for a tombstone."""

    @property
    def message_id(self) -> MessageId: ...
    @property
    def topic(self) -> str:
        """The complete name of the topic, of a partitioned one with the suffix of the partition."""

    @property
    def properties(self) -> dict[str, str]: ...
    @property
    def key(self) -> str | None:
        """The key; of one given as bytes its base64 text."""

    @property
    def key_bytes(self) -> bytes | None:
        """The key as bytes: those given, or the text in UTF-8."""

    @property
    def ordering_key(self) -> bytes | None:
        """What orders the message on Key_Shared in the key's place."""

    @property
    def publish_time(self) -> datetime:
        """When it was published, by the producer's clock; in UTC."""

    @property
    def event_time(self) -> datetime | None:
        """The time that the producer gave to it, in UTC."""

    @property
    def deliver_at(self) -> datetime | None:
        """The time before which it was not to be delivered, in UTC."""

    @property
    def redelivery_count(self) -> int:
        """Times that it was delivered before; always 0 on Exclusive and Failover."""

    @property
    def producer_name(self) -> str: ...
    @property
    def sequence_id(self) -> int: ...
    @property
    def schema_version(self) -> bytes | None:
        """The version of the topic's schema that it was written with."""

    @property
    def is_tombstone(self) -> bool:
        """Whether it has no value, and deletes its key from a compacted topic."""

    @property
    def replicated_from(self) -> str | None:
        """The cluster that it was published in, if it was replicated."""

    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Producer(Generic[_T]):
    """Publishes to one topic. Made by `PulsarClient.producer`."""

    def send(
        self,
        value: _T | None,
        *,
        key: str | bytes | None = None,
        properties: dict[str, str] | None = None,
        event_time: datetime | float | None = None,
        deliver_at: datetime | float | None = None,
        deliver_after: float | timedelta | None = None,
        ordering_key: str | bytes | None = None,
        sequence_id: int | None = None,
        partition: int | None = None,
    ) -> Operation[MessageId]:
        """Publishes a value; the result is its `MessageId` once the broker has stored it.

        A call that is cancelled while it waits for room is never sent; one that was admitted is.

        Args:
            value: What the producer's model permits; `None` is a tombstone, which deletes its key from a compacted topic.
            key: Text or bytes; chooses the partition, and is kept in order.
            properties: Text by name.
            event_time: A datetime with a time zone, or seconds since 1970.
            deliver_at: On Shared and Key_Shared delivered not before then; a datetime or seconds since 1970.
            deliver_after: The same from now on, in seconds or as a timedelta.
            ordering_key: Text or bytes; orders on Key_Shared in the key's place.
            sequence_id: For deduplication; greater than the last one.
            partition: Which partition, in place of key and routing.

        Raises:
            EncodeError: The value cannot be written.
            MessageTooLargeError: The broker does not accept messages of this size.
            QueueFullError: No room, and the producer was made with `on_full="error"`.
            TimeoutError: Not stored within `send_timeout`.
            ClosedError: The producer is closed.
            AuthorizationError: The topic roles do not permit it, any more.
        """

    def send_blocking(
        self,
        value: _T | None,
        *,
        key: str | bytes | None = None,
        properties: dict[str, str] | None = None,
        event_time: datetime | float | None = None,
        deliver_at: datetime | float | None = None,
        deliver_after: float | timedelta | None = None,
        ordering_key: str | bytes | None = None,
        sequence_id: int | None = None,
        partition: int | None = None,
    ) -> MessageId:
        """`send` for threads without an event loop: returns when the message is stored."""

    def send_many(self, values: Iterable[_T]) -> Operation[list[MessageId]]:
        """Publishes many values together; the result is their ids, in order.

        Raises:
            SendManyError: Some were not stored; its `results` holds an id or an error for each value.
            EncodeError: A value cannot be written; then none was sent.
        """

    def flush(self) -> Operation[None]:
        """Waits until everything sent before is stored, or has failed."""

    def close(self) -> Operation[None]:
        """Flushes, and leaves the topic. May be called again."""

    def __aenter__(self) -> Operation[Self]: ...
    def __aexit__(self, *_exception: object) -> Operation[None]: ...
    @property
    def topic(self) -> str:
        """The complete name of the topic."""

    @property
    def name(self) -> str:
        """The producer's name, the broker's choice unless it was given."""

    @property
    def last_sequence_id(self) -> int:
        """The last sequence id that the broker confirmed; -1 if none."""

    @property
    def is_connected(self) -> bool:
        """Whether every partition is connected."""

    def stats(self) -> dict[str, Any]:
        """Counts of what happened."""

    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Consumer(Generic[_T]):
    """Receives and acknowledges the messages of one subscription. Made by `PulsarClient.consumer`."""

    def receive(self, timeout: float | timedelta | None = None) -> Operation[Message[_T]]:
        """The next message.

        Args:
            timeout: Seconds or a timedelta to wait at most; `None` waits for ever.

        Raises:
            TimeoutError: No message arrived in time.
            ClosedError: The consumer is closed.
        """

    def receive_many(
        self,
        max_messages: int = 1000,
        *,
        max_bytes: int | None = None,
        max_wait: float | timedelta | None = None,
    ) -> Operation[list[Message[_T]]]:
        """Several messages at once.

        Args:
            max_messages: At most so many.
            max_bytes: No more once their payloads reach this size.
            max_wait: Seconds or a timedelta to wait for `max_messages` to arrive, or as many as the receiver queue holds of
                one topic or partition; then what is there is returned, which may be nothing. `None` waits for the first
                message, and returns what is there with it.
        """

    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Operation[Message[_T]]: ...
    def acknowledge(self, message: Message[_T] | MessageId, *, topic: str | None = None) -> Done | Operation[None]:
        """Acknowledges a message, or one by its id. Acts at once; awaiting it is permitted, and with `ack_receipts` it waits
        for the broker's answer.

        Args:
            message: A `Message` or a `MessageId`.
            topic: Which topic an id belongs to, if the consumer reads several.

        Raises:
            ClosedError: The consumer is closed.
            InvalidMessageIdError: The message is of another consumer, the id of another topic.
        """

    def acknowledge_cumulative(
        self, message: Message[_T] | MessageId, *, topic: str | None = None
    ) -> Done | Operation[None]:
        """Acknowledges a message and all before it on its topic or partition; else as `acknowledge`.

        Raises:
            NotAllowedError: The subscription is Shared or Key_Shared.
        """

    def negative_acknowledge(
        self, message: Message[_T] | MessageId, *, topic: str | None = None, delay: float | timedelta | None = None
    ) -> Done:
        """Has a message delivered again after a delay. Acts at once, as `acknowledge`.

        On Exclusive and Failover the broker redelivers everything that is not acknowledged, and counts no deliveries.

        Args:
            message: A `Message` or a `MessageId`.
            topic: Which topic an id belongs to, if the consumer reads several.
            delay: Seconds or a timedelta; `None` takes the consumer's `negative_ack_delay`, which grows with each delivery.
        """

    def flush_acks(self) -> Operation[None]:
        """Sends the acknowledgements that wait to be sent together."""

    def seek(self, position: MessageId | datetime | float, *, topic: str | None = None) -> Operation[None]:
        """Moves the subscription: behind a message (with it if the consumer was made inclusive), or to the first message
        published at a moment or later.

        Args:
            position: A `MessageId` (`MessageId.EARLIEST` and `LATEST` move every partition), a datetime with a time zone, or
                seconds since 1970.
            topic: Which topic an id belongs to, if the consumer reads several.
        """

    def pause(self) -> None:
        """Asks for no more messages; those on the way still arrive."""

    def resume(self) -> None:
        """Asks for messages again."""

    def redeliver_unacknowledged(self) -> None:
        """Has everything delivered again that is not acknowledged, at once."""

    def unsubscribe(self, *, force: bool = False) -> Operation[None]:
        """Deletes the subscription, and closes the consumer.

        Args:
            force: Even if others are connected to it.
        """

    def last_message_id(self) -> Operation[MessageId | None]:
        """The id of the last message of the topic, the greatest over all partitions; `None` if there is none."""

    def has_message_available(self) -> Operation[bool]:
        """Whether there is a message that was not received: here, or at the broker."""

    def broker_stats(self) -> Operation[dict[str, dict[str, Any]]]:
        """The broker's own counts for this consumer, by topic or partition."""

    def close(self) -> Operation[None]:
        """Sends the acknowledgements that wait, and leaves the subscription. May be called again."""

    def __aenter__(self) -> Operation[Self]: ...
    def __aexit__(self, *_exception: object) -> Operation[None]: ...
    @property
    def topics(self) -> list[str]:
        """The complete names of the topics asked for."""

    @property
    def subscription(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def queued(self) -> int:
        """Messages that are here, and not received yet."""

    @property
    def is_connected(self) -> bool:
        """Whether every topic and partition is connected."""

    @property
    def is_active(self) -> bool:
        """Whether messages may come: on Failover, whether this consumer is the active one of any partition."""

    @property
    def is_paused(self) -> bool: ...
    @property
    def is_closed(self) -> bool: ...
    def stats(self) -> dict[str, Any]:
        """Counts of what happened."""

    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Reader(Generic[_T]):
    """Reads a topic from a position on, and leaves no trace at the broker. Made by `PulsarClient.reader`."""

    def receive(self, timeout: float | timedelta | None = None) -> Operation[Message[_T]]:
        """The next message. See `Consumer.receive`."""

    def receive_many(
        self,
        max_messages: int = 1000,
        *,
        max_bytes: int | None = None,
        max_wait: float | timedelta | None = None,
    ) -> Operation[list[Message[_T]]]:
        """Several messages at once. See `Consumer.receive_many`."""

    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Operation[Message[_T]]: ...
    def seek(self, position: MessageId | datetime | float) -> Operation[None]:
        """Goes on behind a message (with it if the reader was made inclusive), or with the first message published at a
        moment or later. See `Consumer.seek`."""

    def has_message_available(self) -> Operation[bool]:
        """Whether there is a message that was not read: here, or at the broker."""

    def last_message_id(self) -> Operation[MessageId | None]:
        """The id of the last message of the topic; `None` if it has none."""

    def close(self) -> Operation[None]:
        """Leaves the topic. May be called again."""

    def __aenter__(self) -> Operation[Self]: ...
    def __aexit__(self, *_exception: object) -> Operation[None]: ...
    @property
    def topic(self) -> str:
        """The complete name of the topic."""

    @property
    def queued(self) -> int:
        """Messages that are here, and not read yet."""

    @property
    def is_connected(self) -> bool: ...
    @property
    def is_closed(self) -> bool: ...
    def stats(self) -> dict[str, Any]:
        """Counts of what happened."""

    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Client:
    """Connections to one Pulsar, and what is made on them. Makes none before they are needed."""

    def __new__(cls, settings: dict[str, Any], authentication: tuple[str, Any] | None = None) -> Self: ...
    def producer(
        self,
        settings: dict[str, Any],
        encode: Callable[[Any], bytes] | None = None,
        takes_bytes: bool = True,
        route: Callable[[str | bytes | None, int], int] | None = None,
        permit: Callable[[], None] | None = None,
    ) -> Operation[Producer[Any]]:
        """A producer. `encode` makes a payload of a value, `takes_bytes` says that bytes are payloads already, `route` chooses
        the partition from the key and the number of partitions, `permit` raises if nothing may be published now."""

    def consumer(
        self, settings: dict[str, Any], decode: Callable[[bytes], Any] | None = None
    ) -> Operation[Consumer[Any]]:
        """A consumer; `decode` makes a value of a payload."""

    def reader(self, settings: dict[str, Any], decode: Callable[[bytes], Any] | None = None) -> Operation[Reader[Any]]:
        """A reader; `decode` makes a value of a payload."""

    def partitions(self, topic: str) -> Operation[int]:
        """The number of partitions; 0 is a topic without partitions."""

    def schema(self, topic: str, version: bytes | None = None) -> Operation[dict[str, Any] | None]:
        """The topic's latest schema, or the version asked for; `None` if it has none."""

    def close(self) -> Operation[None]:
        """Closes everything made on it in an orderly way, then the connections. May be called again."""

    def take_events(self) -> dict[str, Any]:
        """What happened since the last call, for a log."""

    def stats(self) -> dict[str, Any]:
        """Counts of what happened."""

@final
class Broker:
    """A broker in this process, with a runtime of its own. Made, it listens. See `fastapi_pulsar.broker`."""

    def __new__(cls, options: dict[str, Any]) -> Self: ...
    @property
    def service_url(self) -> str: ...
    @property
    def admin_url(self) -> str: ...
    def advance(self, by: float | timedelta) -> None:
        """Moves the broker's time forward at once."""

    def drop_connections(self, topic: str | None, client: str | None) -> int:
        """Cuts connections, and returns how many."""

    def fail_next(self, command: str, error: str, count: int, topic: str | None) -> None:
        """Refuses the next commands of a kind."""

    def delay_next(self, command: str, by: float | timedelta, count: int, topic: str | None) -> None:
        """Answers the next commands of a kind later."""

    def ignore_next(self, command: str, count: int, topic: str | None) -> None:
        """Never answers the next commands of a kind."""

    def corrupt_next(self, count: int, topic: str | None) -> None:
        """Damages the next messages on their way to a consumer."""

    def stop_reading(self, topic: str | None, client: str | None) -> int:
        """Leaves what clients send unread, and returns how many connections that are."""

    def heal(self) -> None:
        """Takes back every fault that has not happened yet."""

    def restart(self, keep_data: bool) -> None:
        """Stops and starts on the same ports."""

    def close(self) -> None:
        """Stops. May be called again."""

def advance_clock(by: float | timedelta) -> None:
    """Moves the time of all clients in this process forward at once."""

def error_kinds() -> list[tuple[str, bool, str]]:
    """The table of kinds: name, whether retryable, one sentence. Each is the class `<name>Error`."""

def set_wakeup(way: str | None) -> None:
    """Forces one way of waking event loops, for the loops met from now on; `None` chooses the best of the platform."""

def _probe(delay: float | None = None) -> Operation[None]:
    """Completes from the runtime, after `delay` seconds if given."""
