"""An in-memory engine under the true `PulsarClient`, for tests of its verbs without a broker."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from fastapi_pulsar.exceptions import ClosedError, TimeoutError
from fastapi_pulsar.exceptions import ConnectionError as BrokenConnection


@dataclass(eq=False)
class Stored:
    topic: str
    number: int
    data: bytes
    key: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    redelivery_count: int = 0
    decode: Callable[[bytes], Any] | None = None
    publish_time: datetime = field(default_factory=lambda: datetime.now(UTC))

    is_tombstone = False

    @property
    def message_id(self) -> str:
        return f"1:{self.number}:-1"

    @cached_property
    def value(self) -> Any:
        return self.data if self.decode is None else self.decode(self.data)


class MemoryBroker:
    """Topics, subscriptions and what became of their messages. `down` makes every request fail."""

    def __init__(self) -> None:
        self.topics: defaultdict[str, list[Stored]] = defaultdict(list)
        self.queues: defaultdict[tuple[str, str], deque[Stored]] = defaultdict(deque)
        self.acked: list[Stored] = []
        self.cores: list[MemoryCore] = []
        self.producers: list[MemoryProducer] = []
        self.send_errors: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self.sends: defaultdict[str, int] = defaultdict(int)
        self.down = False

    def core(self, settings: dict[str, Any], authentication: Any = None) -> "MemoryCore":
        core = MemoryCore(self, settings, authentication)
        self.cores.append(core)
        return core

    def put(self, topic: str, data: bytes, **fields: Any) -> Stored:
        stored = Stored(topic, len(self.topics[topic]), data, **fields)
        self.topics[topic].append(stored)
        for (name, _), queue in self.queues.items():
            if name == topic:
                queue.append(stored)
        return stored

    def payloads(self, topic: str) -> list[bytes]:
        return [stored.data for stored in self.topics[topic]]

    def check(self) -> None:
        if self.down:
            raise BrokenConnection("the broker is down")

    async def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        """Waits for what a task on the same loop does."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.002)


class MemoryCore:
    def __init__(self, broker: MemoryBroker, settings: dict[str, Any], authentication: Any) -> None:
        self.broker, self.settings, self.authentication = broker, settings, authentication

    async def producer(
        self,
        settings: dict[str, Any],
        encode: Any = None,
        takes_bytes: bool = True,
        route: Any = None,
        permit: Any = None,
    ) -> "MemoryProducer":
        await asyncio.sleep(0)
        self.broker.check()
        producer = MemoryProducer(self.broker, settings["topic"], encode, permit)
        if subscription := settings.get("initial_subscription"):
            _ = self.broker.queues[settings["topic"], subscription]
        self.broker.producers.append(producer)
        return producer

    async def consumer(self, settings: dict[str, Any], decode: Any = None) -> "MemoryConsumer":
        await asyncio.sleep(0)
        self.broker.check()
        return MemoryConsumer(self.broker, settings, decode)

    async def reader(self, settings: dict[str, Any], decode: Any = None) -> "MemoryReader":
        self.broker.check()
        return MemoryReader(self.broker, settings["topic"])

    async def partitions(self, topic: str) -> int:
        self.broker.check()
        return 0

    async def schema(self, topic: str, version: bytes | None = None) -> None:
        return None

    async def close(self) -> None: ...

    def take_events(self) -> dict[str, Any]:
        return {"events": [], "lost": 0}

    def stats(self) -> dict[str, Any]:
        return defaultdict(int, {"producers": [], "consumers": [], "gone_producers": [], "gone_consumers": []})


class MemoryProducer:
    def __init__(self, broker: MemoryBroker, topic: str, encode: Any, permit: Any) -> None:
        self.broker, self.topic, self.encode, self.permit = broker, topic, encode, permit
        self.closed = False

    async def send(self, value: Any, *, key: Any = None, properties: Any = None, **_: Any) -> str:
        if self.closed:
            raise ClosedError("the producer is closed")
        if self.permit is not None:
            self.permit()
        data = self.encode(value)
        self.broker.sends[self.topic] += 1
        await asyncio.sleep(0)
        if errors := self.broker.send_errors[self.topic]:
            raise errors.popleft()
        self.broker.check()
        return self.broker.put(self.topic, data, key=key, properties=properties or {}).message_id

    async def send_many(self, values: list[Any]) -> list[str]:
        return [await self.send(value) for value in values]

    async def close(self) -> None:
        self.closed = True


class MemoryConsumer:
    def __init__(self, broker: MemoryBroker, settings: dict[str, Any], decode: Any) -> None:
        self.broker, self.decode = broker, decode
        topic, name = settings["topics"][0], settings["subscription"]
        new = (topic, name) not in broker.queues
        self.queue = broker.queues[topic, name]
        if new and settings.get("initial_position") == "earliest":
            self.queue.extend(broker.topics[topic])
        self.unacked: list[Stored] = []

    async def receive(self, timeout: float | None = None) -> Stored:
        return (await self.receive_many(1))[0]

    async def receive_many(self, max_messages: int = 1000, *, max_wait: float | None = None) -> list[Stored]:
        while not self.queue:
            await asyncio.sleep(0.002)
        # A copy for each subscription: each has a model of its own.
        count = min(max_messages, len(self.queue))
        taken = [replace(self.queue.popleft(), decode=self.decode) for _ in range(count)]
        self.unacked += taken
        return taken

    def acknowledge(self, message: Stored) -> None:
        self.unacked.remove(message)
        self.broker.acked.append(message)

    async def close(self) -> None:
        self.queue.extendleft(reversed(self.unacked))


class MemoryReader:
    def __init__(self, broker: MemoryBroker, topic: str) -> None:
        self.broker, self.topic, self.position = broker, topic, 0

    async def has_message_available(self) -> bool:
        return self.position < len(self.broker.topics[self.topic])

    async def receive(self, timeout: float | None = None) -> Stored:
        if not await self.has_message_available():
            raise TimeoutError("no message")
        self.position += 1
        return self.broker.topics[self.topic][self.position - 1]

    async def close(self) -> None: ...
