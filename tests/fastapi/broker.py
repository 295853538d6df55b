"""An in-memory broker and client with the interface of `PulsarClient`, for tests of what stands above it."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi_pulsar import PulsarSettings
from fastapi_pulsar.client import Breakers, CircuitBreaker
from fastapi_pulsar.exceptions import ClosedError, ConnectionError
from fastapi_pulsar.schemas import codec_of


@dataclass(eq=False)
class Stored:
    """A message as it is stored, and how often it was redelivered."""

    topic: str
    number: int
    data: bytes
    key: str | None = None
    ordering_key: bytes | None = None
    properties: dict[str, str] = field(default_factory=dict)
    event_time: Any = None
    redelivery_count: int = 0
    deliver_after: float | None = None
    nack_delay: float | None = None


@dataclass(frozen=True, order=True)
class FakeId:
    number: int
    partition = -1

    def __str__(self) -> str:
        return f"1:{self.number}:-1"


class FakeMessage:
    is_tombstone = False

    def __init__(self, stored: Stored, model: Any) -> None:
        self.stored = stored
        self._codec = codec_of(model)
        for name in ("topic", "data", "key", "ordering_key", "properties", "event_time", "redelivery_count"):
            setattr(self, name, getattr(stored, name))
        self.message_id = FakeId(stored.number)
        self.publish_time = datetime.now(UTC)
        self.key_bytes = None if stored.key is None else stored.key.encode()

    @property
    def value(self) -> Any:
        return self._codec.decode(self.stored.data)


class Broker:
    """Topics, what is waiting in each subscription, and what became of it."""

    def __init__(self) -> None:
        self.topics: defaultdict[str, list[Stored]] = defaultdict(list)
        self.queues: dict[tuple[str, str], deque[Stored]] = {}
        self.acked: list[Stored] = []
        self.nacked: list[Stored] = []
        self.clients: list[FakeClient] = []
        self.consumers: list[FakeConsumer] = []
        self.producers: list[FakeProducer] = []
        self.subscribe_errors: deque[Exception] = deque()
        self.producer_errors: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self.send_errors: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self.changed = asyncio.Event()
        self.down: str | None = None
        """Why no client is connected; None while they are."""

    def client(self, settings: PulsarSettings) -> Any:
        return FakeClient(self, settings)

    def put(self, topic: str, data: bytes, **fields: Any) -> Stored:
        stored = Stored(topic, len(self.topics[topic]), data, **fields)
        self.topics[topic].append(stored)
        if stored.deliver_after:
            asyncio.get_running_loop().call_later(stored.deliver_after, self._deliver, stored)
        else:
            self._deliver(stored)
        return stored

    def _deliver(self, stored: Stored) -> None:
        for (name, _), queue in self.queues.items():
            if name == stored.topic:
                queue.append(stored)
        self._change()

    def subscribe(self, topic: str, subscription: str) -> deque[Stored]:
        return self.queues.setdefault((topic, subscription), deque(self.topics[topic]))

    def _change(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def settle(self, log: list[Stored], stored: Stored) -> None:
        log.append(stored)
        self._change()

    async def until(self, condition: Any, seconds: float = 10) -> None:
        """Waits until something that happened here makes the condition true."""
        async with asyncio.timeout(seconds):
            while not condition():
                try:
                    async with asyncio.timeout(0.01):
                        await self.changed.wait()
                except TimeoutError:
                    pass


class Later:
    """What `client.producer(…)` returns: to be awaited, or entered."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._made: Any = None

    async def __aenter__(self) -> Any:
        self._made = await self
        return self._made

    async def __aexit__(self, *_: object) -> None:
        await self._made.close()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._make().__await__()  # type: ignore[no-any-return]


class FakeClient:
    def __init__(self, broker: Broker, settings: PulsarSettings) -> None:
        self.broker = broker
        self.settings = settings
        self.closed = False
        self.breakers = Breakers(settings.breaker_failure_threshold, settings.breaker_recovery_seconds)
        broker.clients.append(self)

    def breaker(self, topic: str) -> CircuitBreaker:
        return self.breakers.of(self.settings.topic(topic))

    def producer(self, topic: str, model: Any = None, **options: Any) -> Later:
        topic = self.settings.topic(topic)

        async def make() -> FakeProducer:
            await asyncio.sleep(0)
            if errors := self.broker.producer_errors[topic]:
                raise errors.popleft()
            producer = FakeProducer(self.broker, topic, model, options)
            if subscription := options.get("initial_subscription"):
                self.broker.subscribe(topic, subscription)
            self.broker.producers.append(producer)
            return producer

        return Later(make)

    def consumer(self, topics: Any, subscription: str, model: Any = None, **options: Any) -> Later:
        topics = [self.settings.topic(topic) for topic in ([topics] if isinstance(topics, str) else topics)]

        async def make() -> FakeConsumer:
            await asyncio.sleep(0)
            if self.broker.subscribe_errors:
                raise self.broker.subscribe_errors.popleft()
            consumer = FakeConsumer(self.broker, topics, subscription, model, options)
            self.broker.consumers.append(consumer)
            return consumer

        return Later(make)

    async def partitions(self, topic: str) -> int:
        if self.broker.down is not None:
            raise ConnectionError(self.broker.down)
        return 0

    def stats(self) -> dict[str, Any]:
        return {}

    async def close(self) -> None:
        self.closed = True


class FakeProducer:
    def __init__(self, broker: Broker, topic: str, model: Any, options: dict[str, Any]) -> None:
        self.broker, self.topic, self.model, self.options = broker, topic, model, options
        self.closed = False

    async def send(self, value: Any, **options: Any) -> str:
        await asyncio.sleep(0)
        if errors := self.broker.send_errors[self.topic]:
            raise errors.popleft()
        fields = {name: options.get(name) for name in ("key", "ordering_key", "event_time")}
        fields |= {"properties": dict(options.get("properties") or {}), "deliver_after": options.get("deliver_after")}
        stored = self.broker.put(self.topic, codec_of(self.model).encode(value), **fields)
        return f"1:{stored.number}:-1"

    name = "fake"

    def stats(self) -> dict[str, Any]:
        down = self.broker.down
        return {"topic": self.topic, "connected": down is None, "pending_messages": 0, "last_error": down}

    async def close(self) -> None:
        self.closed = True


class FakeConsumer:
    def __init__(
        self, broker: Broker, topics: list[str], subscription: str, model: Any, options: dict[str, Any]
    ) -> None:
        self.broker, self.topics, self.subscription, self.model, self.options = (
            broker, topics, subscription, model, options,
        )  # fmt: skip
        self.queues = [broker.subscribe(topic, subscription) for topic in topics]
        self.unacked: set[Stored] = set()
        self.paused = self.closed = self.flushed = False
        self.failure: Exception | None = None
        self.name = f"consumer-{len(broker.consumers)}"
        self.is_active = True
        self.stats_delay = 0.0

    @property
    def is_connected(self) -> bool:
        return self.broker.down is None

    @property
    def queued(self) -> int:
        return sum(map(len, self.queues))

    def stats(self) -> dict[str, Any]:
        return {"last_error": self.broker.down}

    async def broker_stats(self) -> dict[str, Any]:
        await asyncio.sleep(self.stats_delay)
        return {self.topics[0]: {"backlog": self.queued + len(self.unacked)}}

    async def receive(self, timeout: float | None = None) -> FakeMessage:
        async with asyncio.timeout(timeout):
            return (await self.receive_many(max_messages=1))[0]

    async def last_message_id(self) -> FakeId | None:
        stored = self.broker.topics[self.topics[0]]
        return FakeId(stored[-1].number) if stored else None

    async def receive_many(
        self, max_messages: int = 1000, *, max_bytes: int | None = None, max_wait: float | None = None
    ) -> list[FakeMessage]:
        while True:
            if self.failure is not None:
                raise self.failure
            taken: list[FakeMessage] = []
            for queue in self.queues:
                while queue and len(taken) < max_messages and not self.paused:
                    stored = queue.popleft()
                    self.unacked.add(stored)
                    taken.append(FakeMessage(stored, self.model))
            if taken:
                return taken
            try:
                async with asyncio.timeout(0.01):
                    await self.broker.changed.wait()
            except TimeoutError:
                pass

    def acknowledge(self, message: FakeMessage) -> None:
        self._take_back(message)
        self.broker.settle(self.broker.acked, message.stored)

    def negative_acknowledge(self, message: FakeMessage, *, delay: float | None = None) -> None:
        self._take_back(message)
        message.stored.redelivery_count += 1
        message.stored.nack_delay = delay
        self.broker.subscribe(message.stored.topic, self.subscription).append(message.stored)
        self.broker.settle(self.broker.nacked, message.stored)

    def _take_back(self, message: FakeMessage) -> None:
        if self.closed:
            raise ClosedError("the consumer is closed")
        self.unacked.remove(message.stored)

    def pause(self) -> None:
        self.paused = True

    async def flush_acks(self) -> None:
        self.flushed = True

    async def close(self) -> None:
        self.closed = True
        for stored in self.unacked:
            self.broker.subscribe(stored.topic, self.subscription).appendleft(stored)
