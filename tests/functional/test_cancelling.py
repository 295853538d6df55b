"""Any await may be cancelled at any moment: nothing is lost, nothing comes twice, nothing out of order on one consumer."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fastapi_pulsar.broker import EmbeddedBroker
from fastapi_pulsar.client import Consumer, Message, Producer, PulsarClient
from fastapi_pulsar.exceptions import ConsumerBusyError, ProducerBusyError, ProducerFencedError
from tests.pulsar.plugin import Broker

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]
CANCELS = 10_000
BUSY = (ProducerBusyError, ProducerFencedError, ConsumerBusyError)
"""What the broker answers while what was half opened is still being closed."""


class Cancelling:
    """Cancels calls at random moments, and counts."""

    def __init__(self, seed: int) -> None:
        print("seed", seed)
        self.choose = random.Random(seed)
        self.cancelled = 0
        self.while_pending = 0

    async def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The call's result, or None if it was cancelled before it had one."""
        task = asyncio.ensure_future(call)
        steps = self.choose.randrange(4)
        if steps == 3:
            await asyncio.sleep(self.choose.uniform(0, 0.001))
        else:
            for _ in range(steps):
                await asyncio.sleep(0)
        pending = steps > 0 and not task.done()
        if not task.cancel():
            return task.result()
        self.cancelled += 1
        try:
            return await task
        except asyncio.CancelledError:
            self.while_pending += pending
            return None

    def assert_exercised(self) -> None:
        assert self.cancelled >= CANCELS
        assert self.while_pending > CANCELS / 2, f"only {self.while_pending} hit a pending await"


class Numbers:
    """Publishes numbers, one after the other, until stopped."""

    def __init__(self, producer: "Producer[Any]") -> None:
        self.producer = producer
        self.count = 0
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self.producer.send(b"%d" % self.count)
            self.count += 1
            await asyncio.sleep(0.0005)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.producer.flush()


async def rest(consumer: "Consumer[bytes]", found: list["Message[bytes]"], count: int) -> list[int]:
    """All numbers, when `count` of them or one more (sent, but not confirmed to the publisher) have come."""
    while len(found) < count:
        found.append(await consumer.receive(timeout=20))
    with contextlib.suppress(TimeoutError):
        found.append(await consumer.receive(timeout=1))
    return [int(message.data) for message in found]


async def test_receive(pulsar_broker: Broker, topic: str) -> None:
    cancelling = Cancelling(20_101)
    found: list[Message[bytes]] = []
    async with (
        PulsarClient(pulsar_broker.service_url) as client,
        client.consumer(topic, "s", type="Exclusive", initial_position="earliest") as consumer,
    ):
        numbers = Numbers(await client.producer(topic, batching="off"))
        while cancelling.cancelled < CANCELS:
            message = await cancelling.run(consumer.receive())
            if message is not None:
                found.append(message)
                consumer.acknowledge(message)
        await numbers.stop()
        received = await rest(consumer, found, numbers.count)
    assert received == list(range(len(received)))
    cancelling.assert_exercised()


async def test_receive_by_several_tasks(pulsar_broker: Broker, topic: str) -> None:
    """A wake-up that a cancelled task was given passes to the next one."""
    cancelling = Cancelling(20_102)
    found: list[int] = []

    async def take(consumer: "Consumer[bytes]") -> None:
        while cancelling.cancelled < CANCELS:
            message = await cancelling.run(consumer.receive())
            if message is not None:
                found.append(int(message.data))
                consumer.acknowledge(message)

    async with (
        PulsarClient(pulsar_broker.service_url) as client,
        client.consumer(topic, "s", type="Exclusive", initial_position="earliest") as consumer,
    ):
        numbers = Numbers(await client.producer(topic, batching="off"))
        await asyncio.gather(*(take(consumer) for _ in range(8)))
        await numbers.stop()
        late = await rest(consumer, [], numbers.count - len(found))
    assert sorted(found + late) == list(range(len(found) + len(late)))
    cancelling.assert_exercised()


async def test_receive_many(pulsar_broker: Broker, topic: str) -> None:
    cancelling = Cancelling(20_103)
    found: list[Message[bytes]] = []
    async with (
        PulsarClient(pulsar_broker.service_url) as client,
        client.consumer(topic, "s", type="Exclusive", initial_position="earliest") as consumer,
    ):
        numbers = Numbers(await client.producer(topic, batching="off"))
        waits = [None, 0.002, 5.0]
        while cancelling.cancelled < CANCELS:
            most, wait = cancelling.choose.randrange(1, 5), cancelling.choose.choice(waits)
            messages = await cancelling.run(consumer.receive_many(most, max_wait=wait))
            for message in messages or ():
                found.append(message)
                consumer.acknowledge(message)
        await numbers.stop()
        received = await rest(consumer, found, numbers.count)
    assert received == list(range(len(received)))
    cancelling.assert_exercised()


async def test_send(pulsar_broker: Broker, topic: str) -> None:
    """What was confirmed is stored; what was cancelled while it waited for room is not; nothing is stored twice."""
    cancelling = Cancelling(20_104)
    confirmed: list[int] = []
    async with PulsarClient(pulsar_broker.service_url) as client:
        consumer = await client.consumer(
            topic, "s", type="Exclusive", initial_position="earliest", receiver_queue_size=50_000
        )
        producer = await client.producer(topic, max_pending_messages=4)
        number = 0

        async def send() -> None:
            nonlocal number
            while cancelling.cancelled < CANCELS:
                mine, number = number, number + 1
                if await cancelling.run(producer.send(b"%d" % mine)) is not None:
                    confirmed.append(mine)

        await asyncio.gather(*(send() for _ in range(16)))
        await producer.flush()
        stored = producer.stats()["messages_confirmed"]
        received = await rest(consumer, [], stored)
    assert len(received) == stored < number, "nothing was taken back: not exercised"
    assert len(set(received)) == len(received)
    assert set(confirmed) <= set(received)
    cancelling.assert_exercised()


async def test_a_send_that_waits_for_room_is_taken_back(pulsar_broker: Broker, topic: str) -> None:
    async with PulsarClient(pulsar_broker.service_url) as client:
        consumer = await client.consumer(topic, "s", initial_position="earliest")
        producer = await client.producer(topic, max_pending_messages=1, batch_max_delay=3600, batch_when_idle=True)
        # In the same process, it could answer before those behind give up.
        if isinstance(pulsar_broker, EmbeddedBroker):
            pulsar_broker.delay_next("Send", 0.5)
        admitted = asyncio.ensure_future(producer.send(b"admitted"))
        waiting = [asyncio.ensure_future(producer.send(b"waiting")) for _ in range(3)]
        many = asyncio.ensure_future(producer.send_many([b"many"] * 3))
        for _ in range(3):  # Each has made its first step.
            await asyncio.sleep(0)
        assert producer.stats()["waiting"] == 4
        for task in (*waiting, many):
            task.cancel()
        results = await asyncio.gather(*waiting, many, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        await producer.flush()
        await admitted
        assert (await consumer.receive(timeout=10)).data == b"admitted"
        with pytest.raises(TimeoutError):
            await consumer.receive(timeout=1)


async def test_an_admitted_send_is_sent_though_it_was_cancelled(pulsar_broker: Broker, topic: str) -> None:
    async with PulsarClient(pulsar_broker.service_url) as client:
        consumer = await client.consumer(topic, "s", initial_position="earliest")
        producer = await client.producer(topic, batch_max_delay=3600, batch_when_idle=True)
        task = asyncio.ensure_future(producer.send(b"x"))
        await asyncio.sleep(0)
        assert producer.stats()["pending_messages"] == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await producer.flush()
        assert (await consumer.receive(timeout=10)).data == b"x"


@pytest.mark.parametrize("verb", ["producer", "consumer", "reader"])
async def test_opening(pulsar_broker: Broker, topic: str, verb: str) -> None:
    """What was half opened is closed; it is in nobody's way afterwards."""
    choose = random.Random(20_105)
    async with PulsarClient(pulsar_broker.service_url) as client:
        openings: dict[str, Callable[[], Any]] = {
            "producer": lambda: client.producer(topic, access_mode="exclusive"),
            "consumer": lambda: client.consumer(topic, "s", type="Exclusive"),
            "reader": lambda: client.reader(topic, subscription="r"),
        }
        for _ in range(50):
            task: asyncio.Task[Any] = asyncio.ensure_future(openings[verb]())
            await asyncio.sleep(choose.uniform(0, 0.01))
            task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(outcome, BaseException):
                await outcome.close()
            else:
                assert isinstance(outcome, (asyncio.CancelledError, *BUSY)), outcome
        async with asyncio.timeout(30):
            while True:
                try:
                    await (await openings[verb]()).close()
                    break
                except BUSY:
                    await asyncio.sleep(0.01)
