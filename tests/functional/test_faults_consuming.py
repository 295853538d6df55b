"""Faults of the crate `pulsar` 6.9.1 and of the official Python client in consuming, each reproduced there, none here.

The numbers are the rows of the table that this engine was built against.
"""

import asyncio
import gc
from typing import Any

import pytest

from fastapi_pulsar import PulsarClient
from fastapi_pulsar.exceptions import ConsumerBusyError
from tests.functional.helpers import drain, numbers, publish, until
from tests.pulsar.plugin import Broker

pytestmark = pytest.mark.anyio
SHARED: dict[str, Any] = {"type": "Shared", "initial_position": "earliest"}


@pytest.mark.parametrize("batch_index_ack", [False, True])
async def test_fault_01_ack_one_of_a_batch_leaves_the_rest(
    client: PulsarClient, topic: str, batch_index_ack: bool
) -> None:
    """Acking one message of a batch acked the whole batch: 0 of 10 redelivered."""
    await publish(client, topic, 10, batching="default")
    async with client.consumer(topic, "s", batch_index_ack=batch_index_ack, **SHARED) as consumer:
        messages = [await consumer.receive(timeout=10) for _ in range(10)]
        assert len({(m.message_id.ledger, m.message_id.entry) for m in messages}) == 1, (
            "not one batch: nothing is shown"
        )
        consumer.acknowledge(messages[0])
    async with client.consumer(topic, "s", batch_index_ack=batch_index_ack, **SHARED) as consumer:
        again = numbers(await drain(consumer))
    assert set(again) >= set(range(1, 10)) and len(again) in (9, 10)


async def test_fault_01_batch_indexes_are_acknowledged_where_the_broker_keeps_them(
    client: PulsarClient, broker: Broker, topic: str
) -> None:
    """With `batch_index_ack` on a broker that keeps bit sets exactly the rest comes again; on a default one, the batch."""
    await publish(client, topic, 10, batching="default")
    async with client.consumer(topic, "s", batch_index_ack=True, **SHARED) as consumer:
        for message in [await consumer.receive(timeout=10) for _ in range(10)][:4]:
            consumer.acknowledge(message)
    kept = broker.admin.get("/brokers/configuration/runtime")["acknowledgmentAtBatchIndexLevelEnabled"] == "true"
    async with client.consumer(topic, "s", batch_index_ack=True, **SHARED) as consumer:
        assert numbers(await drain(consumer)) == list(range(4 if kept else 0, 10))


async def test_fault_03_a_reader_remembers_its_position_on_reconnect(
    client: PulsarClient, broker: Broker, topic: str
) -> None:
    """A reader began again, or skipped: 202 of 5,000 received."""
    await publish(client, topic, 5000, batching="default")
    async with client.reader(topic, receiver_queue_size=100) as reader:
        found = []
        for number in range(5000):
            found.append(int((await reader.receive(timeout=20)).data))
            if number in (100, 1000, 3333):
                await asyncio.to_thread(broker.admin.unload, topic)
        assert found == list(range(5000))
        assert not await reader.has_message_available()


@pytest.mark.parametrize("kind", ["Exclusive", "Shared", "Failover", "Key_Shared"])
async def test_fault_04_seek_does_not_hang(client: PulsarClient, topic: str, kind: Any) -> None:
    """`seek` on an Exclusive subscription hung: 4 of 4."""
    ids = await publish(client, topic, 20)
    async with client.consumer(
        topic, "s", type=kind, initial_position="earliest", start_message_id_inclusive=True
    ) as consumer:
        for start in (0, 15, 10, 19):
            if start:
                await asyncio.wait_for(consumer.seek(ids[start]), 10)
            # A time for each: on Failover the broker names the active consumer a second after it came.
            found = [await consumer.receive(timeout=20) for _ in range(start, 20)]
            assert numbers(found) == list(range(start, 20))


async def test_fault_05_nothing_waits_behind_a_full_queue(client: PulsarClient, broker: Broker, topic: str) -> None:
    """With a full local queue seek, unsubscribe, close, stats and last-message-id hung, and acks were not sent."""
    ids = await publish(client, topic, 500)
    consumer = await client.consumer(topic, "s", receiver_queue_size=10, start_message_id_inclusive=True, **SHARED)
    async with asyncio.timeout(30):
        first = await consumer.receive()
        await until(lambda: consumer.queued >= 9)
        assert await consumer.last_message_id() == ids[-1]
        await consumer.broker_stats()
        consumer.acknowledge(first)
        await consumer.flush_acks()
        await until(lambda: backlog(broker, topic) == 499)
        await consumer.seek(ids[490])
        assert int((await consumer.receive()).data) == 490
        await consumer.unsubscribe()
        assert "s" not in broker.admin.stats(topic)["subscriptions"]
        again = await client.consumer(topic, "s2", receiver_queue_size=10, **SHARED)
        await until(lambda: again.queued == 10)
        await again.close()


def backlog(broker: Broker, topic: str) -> int:
    found: int = broker.admin.stats(topic)["subscriptions"]["s"]["msgBacklog"]
    return found


async def test_fault_10_a_dropped_consumer_with_an_ack_timeout_frees_its_subscription(
    client: PulsarClient, topic: str
) -> None:
    """Dropping a consumer that has an ack timeout leaked its subscription: still busy after 27 s."""
    consumer = await client.consumer(topic, "s", type="Exclusive", ack_timeout=10)
    del consumer
    gc.collect()
    async with asyncio.timeout(10):
        while True:
            try:
                await client.consumer(topic, "s", type="Exclusive", ack_timeout=10)
                return
            except ConsumerBusyError:
                await asyncio.sleep(0.1)


async def test_fault_official_receive_that_timed_out_strands_nothing(client: PulsarClient, topic: str) -> None:
    """`wait_for(receive(), t)` timed out three times, then m0..m5 sent: only m3..m5 arrived until the consumer closed."""
    async with client.consumer(topic, "s") as consumer, client.producer(topic) as producer:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(consumer.receive(), 0.1)
        await producer.send_many([b"%d" % number for number in range(6)])
        assert numbers(await drain(consumer)) == [0, 1, 2, 3, 4, 5]


async def test_fault_official_a_delayed_message_keeps_its_delay(client: PulsarClient, topic: str) -> None:
    """12, delayed delivery was lost when batching."""
    loop = asyncio.get_running_loop()
    async with (
        client.consumer(topic, "s", type="Shared") as consumer,
        client.producer(topic, batching="default") as producer,
    ):
        started = loop.time()
        await asyncio.gather(producer.send(b"1", deliver_after=2), producer.send(b"0"))
        assert numbers([await consumer.receive(timeout=20)]) == [0]
        assert numbers([await consumer.receive(timeout=20)]) == [1]
        assert loop.time() - started > 1.5


async def test_fault_official_async_for_and_receive_many(client: PulsarClient, topic: str) -> None:
    """The official asyncio client has neither, and no `async with`."""
    await publish(client, topic, 30, batching="default")
    async with client.consumer(topic, "s", **SHARED) as consumer:
        found = []
        async for message in consumer:
            found.append(message)
            if len(found) == 10:
                break
        while len(found) < 30:
            found += await consumer.receive_many(max_messages=7, max_wait=10)
        assert numbers(found) == list(range(30))


async def test_fault_official_an_option_that_would_be_ignored_is_refused(client: PulsarClient, topic: str) -> None:
    """`pattern_auto_discovery_period` was accepted and never applied."""
    with pytest.raises((TypeError, ValueError), match="pattern_auto_discovery_period"):
        await client.consumer(topic, "s", pattern_auto_discovery_period=60)  # type: ignore[call-overload]
