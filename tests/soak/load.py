"""Producers and consumers of every kind on the topics of one broker."""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable
from typing import Literal

from fastapi_pulsar import Consumer, Message, MessageId, Producer, PulsarClient, PulsarSettings
from fastapi_pulsar.broker import EmbeddedBroker
from fastapi_pulsar.exceptions import PulsarError
from tests.pulsar.harness import Admin

from .ledger import Subscription, Topic

Kind = Literal["Exclusive", "Shared", "Failover", "Key_Shared"]
KINDS: dict[Kind, bool] = {"Exclusive": True, "Shared": False, "Failover": True, "Key_Shared": True}
"""Whether a key's messages arrive in order: the consumers of Shared share them out one by one."""
PARTITIONS = {"plain": 0, "parted": 3}
KEYS = 16
RATE = 150
"""Messages a second on a topic."""
IN_FLIGHT = 200
TICK = 0.01
REFUSED = 0.02
"""The share of first receipts that a consumer gives back."""
CUMULATIVE = 0.1
"""The share of acknowledgements that cover all that came before, where there is one consumer."""
REMEMBERED = 500
"""How far a seek goes back, in messages."""


class Load:
    """The load on one broker. `names` are its topics, each partition by itself."""

    def __init__(self, label: str, broker: EmbeddedBroker, seed: random.Random) -> None:
        self._seed = seed
        self._admin = Admin(broker.admin_url)
        self._client = PulsarClient(settings=PulsarSettings(service_url=broker.service_url, operation_timeout_ms=5000))
        stamp = f"persistent://public/default/soak-{label.replace(' ', '-')}"
        self.topics = [Topic(f"{stamp}-{name}", {str(kind): KINDS[kind] for kind in KINDS}) for name in PARTITIONS]
        self.names: list[str] = []
        self.refusals: Counter[str] = Counter()
        self._groups: list[Group] = []
        self._producers: list[Producer[bytes]] = []
        self._running: list[asyncio.Task[None]] = []
        self._publishing = asyncio.Event()

    async def start(self) -> None:
        """Makes topics and subscriptions, then begins to publish."""
        for topic, partitions in zip(self.topics, PARTITIONS.values(), strict=True):
            await asyncio.to_thread(self._admin.create_topic, topic.name, partitions)
            self.names += [f"{topic.name}-partition-{number}" for number in range(partitions)] or [topic.name]
            for kind in KINDS:
                group = Group(self._client, topic, kind, self._seed, self.refusals)
                await group.start()
                self._groups.append(group)
        for topic in self.topics:
            # An outage is waited out: neither the time nor the room for what is pending may end.
            producer = await self._client.producer(topic.name, send_timeout=0, max_pending_messages=100_000)
            self._producers.append(producer)
            self._running.append(asyncio.create_task(self._publish(topic, producer)))

    async def disturb(self) -> None:
        """A consumer goes and another comes, or a subscription goes back to what it had before."""
        group = self._seed.choice(self._groups)
        await (group.replace_one() if self._seed.random() < 0.6 else group.seek())

    async def unload(self, topic: str) -> None:
        """Makes the broker close the topic: clients come back."""
        await asyncio.to_thread(self._admin.unload, topic)

    async def finish(self) -> None:
        """Stops publishing, and returns when every send has its answer."""
        self._publishing.set()
        await asyncio.gather(*self._running)

    def lost(self) -> list[str]:
        """What was confirmed and has not arrived."""
        return [line for topic in self.topics for line in topic.lost()]

    async def backlog(self) -> dict[str, int]:
        """How many messages the broker still holds for a subscription, where it is any."""
        found = {}
        for name in self.names:
            stats = await asyncio.to_thread(self._admin.stats, name)
            for subscription, figures in stats["subscriptions"].items():
                if figures["msgBacklog"]:
                    found[f"{name} {subscription}"] = int(figures["msgBacklog"])
        return found

    async def close(self) -> None:
        """Ends all clients."""
        for group in self._groups:
            await group.stop()
        await self._client.close()

    async def _publish(self, topic: Topic, producer: Producer[bytes]) -> None:
        began = time.monotonic()
        sent = 0
        pending: set[asyncio.Task[None]] = set()
        while not self._publishing.is_set():
            due = int((time.monotonic() - began) * RATE)
            while sent < due and len(pending) < IN_FLIGHT:
                task = asyncio.create_task(self._send(topic, producer, f"key-{sent % KEYS}", sent // KEYS))
                pending.add(task)
                task.add_done_callback(pending.discard)
                sent += 1
            await asyncio.sleep(TICK)
        await asyncio.gather(*pending)

    async def _send(self, topic: Topic, producer: Producer[bytes], key: str, number: int) -> None:
        if await _tried(producer.send(b"%d" % number, key=key), self.refusals):
            topic.confirm(key, number)


class Group:
    """The consumers of one subscription: one, or two where there may be several."""

    def __init__(
        self, client: PulsarClient, topic: Topic, kind: Kind, seed: random.Random, refusals: Counter[str]
    ) -> None:
        self._client = client
        self._topic = topic
        self._kind: Kind = kind
        self._seed = seed
        self._refusals = refusals
        self._ledger: Subscription = topic.subscriptions[kind]
        self._members: list[tuple[Consumer[bytes], asyncio.Task[None]]] = []
        self._recent: deque[tuple[str, MessageId]] = deque(maxlen=REMEMBERED)

    async def start(self) -> None:
        """Subscribes, from the earliest message on."""
        for _ in range(1 if self._kind == "Exclusive" else 2):
            await self._join()

    async def replace_one(self) -> None:
        """One consumer leaves with what it has not acknowledged; then another joins."""
        consumer, task = self._members.pop(0)
        await _tried(consumer.close(), self._refusals)
        await task
        await self._join()

    async def seek(self) -> None:
        """Back to a message of a while ago, by its id or its time: it and what follows come again."""
        if not self._recent:
            return
        consumer = self._members[0][0]
        topic, position = self._recent[0]
        if self._seed.random() < 0.5:
            await _tried(consumer.seek(position, topic=topic), self._refusals)
        else:
            await _tried(consumer.seek(time.time() - self._seed.uniform(0.5, 5)), self._refusals)

    async def stop(self) -> None:
        """Closes the consumers."""
        for consumer, task in self._members:
            await _tried(consumer.close(), self._refusals)
            await task

    async def _join(self) -> None:
        consumer: Consumer[bytes] | None = None
        while consumer is None:  # a refusal passes
            try:
                consumer = await self._client.consumer(
                    self._topic.name,
                    self._kind,
                    type=self._kind,
                    initial_position="earliest",
                    negative_ack_delay=0.2,
                    receiver_queue_size=200,
                    ack_receipts=self._seed.random() < 0.5,
                )
            except PulsarError as error:
                self._refusals[type(error).__name__] += 1
        self._members.append((consumer, asyncio.create_task(self._consume(consumer))))

    async def _consume(self, consumer: Consumer[bytes]) -> None:
        while not consumer.is_closed:
            try:
                message = await consumer.receive()
                await self._handle(consumer, message)
            except PulsarError as error:
                if not consumer.is_closed:
                    self._refusals[type(error).__name__] += 1

    async def _handle(self, consumer: Consumer[bytes], message: Message[bytes]) -> None:
        first = self._ledger.received(str(message.key), int(message.data))
        self._recent.append((message.topic, message.message_id))
        chance = self._seed.random()
        if first and chance < REFUSED:
            consumer.negative_acknowledge(message)
        elif self._kind == "Exclusive" and chance < CUMULATIVE:
            consumer.acknowledge_cumulative(message)
        else:
            consumer.acknowledge(message)


async def _tried(verb: Awaitable[object], refusals: Counter[str]) -> bool:
    """Whether it succeeded; what the faults made of it is counted by the error's name."""
    try:
        await verb
    except PulsarError as error:
        refusals[type(error).__name__] += 1
        return False
    return True
