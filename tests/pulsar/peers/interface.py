"""What the conformance tests ask of a client. Blocking, so that one test drives clients of every kind.

Times are seconds, except `event_time`, which is milliseconds since the epoch as on the wire.
"""

import time
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

SubscriptionType = Literal["Exclusive", "Shared", "Failover", "Key_Shared"]


@dataclass(frozen=True)
class Outgoing:
    """A message to send. A `value` goes through the producer's schema, `data` through none; data None is a tombstone."""

    data: bytes | None = b""
    key: str | bytes | None = None
    ordering_key: bytes | None = None
    properties: dict[str, str] = field(default_factory=dict)
    event_time: int | None = None
    deliver_after: float | None = None
    sequence_id: int | None = None
    value: Any = None


@dataclass(frozen=True)
class Received:
    """A message as a client handed it out. `message_id` is the id's serialised form; a tombstone's data is empty."""

    data: bytes
    message_id: bytes
    topic: str
    key: str | None
    ordering_key: bytes | None
    properties: dict[str, str]
    event_time: int | None
    redelivery_count: int
    tombstone: bool = False
    key_bytes: bytes | None = None
    value: Any = None
    native: Any = field(default=None, compare=False, repr=False)

    @property
    def partition(self) -> int:
        """The number of the partition, or -1."""
        _, found, number = self.topic.rpartition("-partition-")
        return int(number) if found else -1


@dataclass(frozen=True)
class ProducerOptions:
    """`hashing` None and `schema` None mean the client's own default, and no schema."""

    name: str | None = None
    batching: Literal["off", "default", "key"] = "off"
    batch_max_messages: int = 1000
    compression: Literal["none", "lz4", "zlib", "zstd", "snappy"] = "none"
    hashing: Literal["java", "murmur3", "cpp"] | None = None
    chunking: bool = False
    schema: Any = None
    encryption_key: str | None = None
    # Of the clients for Python only.
    access_mode: Literal["shared", "exclusive", "wait_for_exclusive", "exclusive_with_fencing"] = "shared"


@dataclass(frozen=True)
class DeadLetter:
    """`topic` None is the client's default name."""

    max_redeliver_count: int
    topic: str | None = None
    initial_subscription: str | None = None


@dataclass(frozen=True)
class ConsumerOptions:
    """Subscriptions start at the earliest message."""

    type: SubscriptionType = "Exclusive"
    name: str | None = None
    dead_letter: DeadLetter | None = None
    # Of Java's only: reads the retry letter topic too.
    retry_letters: bool = False
    negative_ack_delay: float = 0.1
    # Of ours only: what to do with a message that it cannot open.
    on_unsupported: Literal["pause", "skip"] | None = None
    schema: Any = None
    # Of the clients for Python only.
    sticky_ranges: tuple[tuple[int, int], ...] = ()
    read_compacted: bool = False
    batch_index_ack: bool = False


def numbered(count: int, key: str | None = None, start: int = 0) -> list[Outgoing]:
    """Messages whose data are the numbers from `start` on, in decimal."""
    return [Outgoing(b"%d" % number, key=key) for number in range(start, start + count)]


PLAIN = ProducerOptions()
EXCLUSIVE = ConsumerOptions()


class PeerProducer(Protocol):
    def send(self, message: Outgoing) -> bytes:
        """Sends and waits for the broker's answer: the serialised message id."""
        ...

    def send_many(self, messages: list[Outgoing]) -> list[bytes]:
        """Sends all before waiting for any, so that they share batches where batching is on."""
        ...

    def close(self) -> None: ...


class PeerConsumer(Protocol):
    def receive(self, timeout: float = 10) -> Received | None:
        """The next message, or None when none came in time."""
        ...

    def acknowledge(self, message: Received) -> None: ...

    def acknowledge_cumulative(self, message: Received) -> None: ...

    def negative_acknowledge(self, message: Received) -> None: ...

    def seek(self, message_id: bytes) -> None:
        """To the message of the serialised id: it is delivered again."""
        ...

    def close(self) -> None:
        """Ends the consumer; acknowledgements given before have reached the broker."""
        ...


class PeerReader(Protocol):
    def receive(self, timeout: float = 10) -> Received | None: ...

    def close(self) -> None: ...


class Peer(Protocol):
    """One client of a broker. Closing it closes what it made."""

    name: str

    def producer(self, topic: str, options: ProducerOptions = ...) -> PeerProducer: ...

    def consumer(self, topic: str, subscription: str, options: ConsumerOptions = ...) -> PeerConsumer: ...

    def reader(self, topic: str, after: bytes | None = None) -> PeerReader:
        """Starts at the earliest message, or after the one of the serialised id."""
        ...

    def close(self) -> None: ...


def receive_exactly(source: PeerConsumer | PeerReader, count: int, timeout: float = 20) -> list[Received]:
    """The next `count` messages; an AssertionError that tells how many came, when there are fewer."""
    messages: list[Received] = []
    while len(messages) < count:
        message = source.receive(timeout)
        assert message is not None, f"{len(messages)} of {count} messages came: {[m.data[:40] for m in messages][-5:]}"
        messages.append(message)
    return messages


def receive_rest(
    *sources: PeerConsumer | PeerReader, expected: int, quiet: float = 1.0, limit: float = 30
) -> list[list[Received]]:
    """What each source still has: until `expected` came together, then nothing for `quiet` seconds, or `limit` passed."""
    found: list[list[Received]] = [[] for _ in sources]
    deadline = last = time.monotonic()
    deadline += limit
    while time.monotonic() < deadline:
        enough = sum(map(len, found)) >= expected
        if enough and time.monotonic() - last > quiet:
            break
        for source, messages in zip(sources, found, strict=True):
            while message := source.receive(0.1):
                messages.append(message)
                last = time.monotonic()
    return found
