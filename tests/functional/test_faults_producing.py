"""Faults of the crate `pulsar` 6.9.1 and of the official Python client in producing, each reproduced there, none here."""

import asyncio
import gc
import resource
import threading
from collections.abc import Callable

import pytest

from fastapi_pulsar import PulsarClient
from fastapi_pulsar.exceptions import MessageTooLargeError, PulsarError, QueueFullError
from tests.functional.helpers import drain, numbers, until
from tests.pulsar.plugin import Broker

pytestmark = pytest.mark.anyio


async def test_fault_02_sequence_ids_continue_from_the_broker(client: PulsarClient, broker: Broker, topic: str) -> None:
    """Ids restarted at 0: with deduplication on, 20 sends reported stored after a restart, 10 stored."""
    namespace = "public/faults"
    if namespace not in broker.admin.get("/namespaces/public"):
        broker.admin.put(f"/namespaces/{namespace}", {})
        broker.admin.set_deduplication(namespace, True)
    topic = topic.replace("public/default", namespace)
    for start in (0, 10):
        async with client.producer(topic, name="one") as producer:
            await producer.send_many([b"%d" % number for number in range(start, start + 10)])
    async with client.reader(topic) as reader:
        assert numbers([await reader.receive(timeout=10) for _ in range(20)]) == list(range(20))
        assert not await reader.has_message_available()


async def test_fault_08_a_rejected_send_leaves_nothing(client: PulsarClient, topic: str) -> None:
    """A rejected send (`SlowDown`) leaked 4.9 KB: 4.9 GB in a million."""
    rejections = 100_000
    # The batch stays open, so the one message in it is all that may be pending.
    producer = await client.producer(
        topic, on_full="error", max_pending_messages=1, batching="default", batch_max_delay=1000, batch_when_idle=True
    )
    admitted = asyncio.ensure_future(producer.send(b"first"))
    await asyncio.sleep(0)
    payload = b"x" * 1000

    async def reject(count: int) -> None:
        for _ in range(count):
            with pytest.raises(QueueFullError):
                await producer.send(payload)

    await reject(rejections // 10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await reject(rejections)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    await producer.close()
    await admitted
    assert grown < 20 * 1024, f"{grown} KiB for {rejections} rejections"


async def test_fault_09_dropping_a_producer_anywhere_is_harmless(client: PulsarClient, topic: str) -> None:
    """Dropping a producer outside tokio panicked, so at every garbage collection."""
    kept = [await client.producer(topic) for _ in range(3)]
    thread = threading.Thread(target=kept.pop)
    thread.start()
    await asyncio.to_thread(thread.join)
    cycle: list[object] = [kept.pop()]
    cycle.append(cycle)
    del cycle
    gc.collect()
    await kept[0].send(b"still there")


async def test_fault_11_one_disconnect_leaves_one_connection(client: PulsarClient, broker: Broker, topic: str) -> None:
    """After one disconnect pooling collapsed: of 20 consumers' 2 connections became 19."""
    consumers = [await client.consumer(f"{topic}-{number}", "s") for number in range(20)]
    before = client.stats()["connections"]
    for number in range(20):
        await asyncio.to_thread(broker.admin.unload, f"{topic}-{number}")
    await until(lambda: all(consumer.stats()["reconnects"] and consumer.is_connected for consumer in consumers), 60)
    assert client.stats()["connections"] == before <= 2


async def test_fault_12_close_sends_what_is_buffered(client: PulsarClient, topic: str) -> None:
    """`close()` failed buffered messages."""
    async with client.consumer(topic, "s", initial_position="earliest") as consumer:
        producer = await client.producer(topic, batching="default", batch_max_delay=30, batch_when_idle=True)
        sends = [asyncio.ensure_future(producer.send(b"%d" % number)) for number in range(10)]
        await asyncio.sleep(0)
        await producer.close()
        assert len({bytes(await sent) for sent in sends}) == 10
        assert numbers(await drain(consumer)) == list(range(10))


async def test_fault_12_the_key_chooses_the_partition(
    client: PulsarClient, broker: Broker, new_topic: Callable[..., str]
) -> None:
    """The default routing ignored the key."""
    topic = new_topic()
    broker.admin.create_topic(topic, partitions=4)
    async with client.producer(topic) as producer:
        for key in ("a", "b", "c", "d", "e", "f"):
            ids = [await producer.send(b"", key=key) for _ in range(5)]
            assert len({message_id.partition for message_id in ids}) == 1


async def test_fault_official_tombstones(client: PulsarClient, topic: str) -> None:
    """Tombstones failed in the official asyncio client."""
    async with client.producer(topic) as producer, client.consumer(topic, "s", initial_position="earliest") as consumer:
        await producer.send(None, key="gone")
        message = await consumer.receive(timeout=10)
        value: object = message.value
        assert (message.is_tombstone, value, message.key) == (True, None, "gone")


async def test_fault_official_errors_are_one_tree(client: PulsarClient, topic: str) -> None:
    """`pulsar.asyncio.PulsarException` is one class, and no subclass of `pulsar.PulsarException`."""
    async with client.producer(topic) as producer:
        with pytest.raises(PulsarError) as caught:
            await producer.send(b"x" * 6_000_000)
        assert type(caught.value) is MessageTooLargeError
        assert (caught.value.topic, caught.value.retryable) == (topic, False)
        await producer.send(b"a message over the limit fails alone")
