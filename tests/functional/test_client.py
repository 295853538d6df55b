"""Every verb of the client once, on the real broker."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

from fastapi_pulsar import Consumer, MessageId, PulsarClient, PulsarSettings
from fastapi_pulsar.exceptions import (
    AuthenticationError,
    ClosedError,
    ConsumerBusyError,
    EncodeError,
    InvalidMessageIdError,
    MessageTooLargeError,
    NotAllowedError,
    PayloadValidationError,
    QueueFullError,
    SendManyError,
)
from tests.pulsar.harness import Standalone
from tests.pulsar.plugin import Broker

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    id: int
    note: str | None = None


async def test_what_is_sent_with_a_message_arrives_with_it(client: PulsarClient, topic: str) -> None:
    moment = datetime(2024, 2, 29, 12, 30, 15, 250_000, tzinfo=UTC)
    consumer = await client.consumer(topic, "s", Order, type="Exclusive", initial_position="earliest")
    producer = await client.producer(topic, Order, name="till")
    sent = await producer.send(
        Order(id=1, note="ü"),
        key="schlüssel",
        properties={"a": "1", "ü": "ö"},
        event_time=moment,
        ordering_key=b"\x00\xff",
        sequence_id=41,
    )
    message = await consumer.receive(timeout=10)
    assert message.value == Order(id=1, note="ü") and message.value is message.value
    assert message.data == '{"id":1,"note":"ü"}'.encode()
    assert (message.key, message.key_bytes) == ("schlüssel", "schlüssel".encode())
    assert message.properties == {"a": "1", "ü": "ö"}
    assert message.event_time == moment and message.ordering_key == b"\x00\xff"
    assert message.sequence_id == 41 and message.producer_name == "till"
    assert message.message_id == sent and message.topic == topic
    assert abs(message.publish_time - datetime.now(UTC)) < timedelta(minutes=1)
    assert message.schema_version is not None and message.redelivery_count == 0
    assert "schl" not in repr(message) and "ü" not in repr(message)
    assert producer.last_sequence_id == 41


async def test_keys_of_bytes_tombstones_and_late_delivery(client: PulsarClient, topic: str) -> None:
    consumer = await client.consumer(topic, "s", Order, type="Shared", initial_position="earliest")
    producer = await client.producer(topic, Order)
    await producer.send(None, key=b"\x00\xff")
    tombstone = await consumer.receive(timeout=10)
    value: object = tombstone.value
    assert tombstone.is_tombstone and value is None and tombstone.data == b""
    assert (tombstone.key, tombstone.key_bytes) == ("AP8=", b"\x00\xff")
    before = datetime.now(UTC)
    await producer.send(Order(id=2), deliver_after=timedelta(seconds=1.5))
    late = await consumer.receive(timeout=20)
    assert datetime.now(UTC) - before >= timedelta(seconds=1.4)
    assert late.deliver_at is not None and late.deliver_at >= before + timedelta(seconds=1.4)
    with pytest.raises(ValueError, match="not both"):
        producer.send(Order(id=3), deliver_at=before, deliver_after=1)
    with pytest.raises(ValueError, match="time zone"):
        producer.send(Order(id=3), event_time=before.replace(tzinfo=None))


async def test_send_many_answers_for_each(client: PulsarClient, topic: str) -> None:
    producer = await client.producer(topic)
    ids = await producer.send_many([b"%d" % number for number in range(2500)])
    assert ids == sorted(set(ids)) and len(ids) == 2500
    assert await producer.send_many([]) == []
    with pytest.raises(SendManyError, match="1 of 3") as caught:
        await producer.send_many([b"a", b"x" * (6 << 20), b"b"])
    first, refused, last = caught.value.results
    assert isinstance(first, MessageId) and isinstance(last, MessageId) and first < last
    assert isinstance(refused, MessageTooLargeError)
    with pytest.raises(MessageTooLargeError):
        await producer.send(b"x" * (6 << 20))
    with pytest.raises(EncodeError):
        await (await client.producer(topic + "-typed", Order)).send_many([Order(id=1), "no order"])  # type: ignore[list-item]


async def test_a_full_queue_is_an_error_if_so_configured(client: PulsarClient, topic: str) -> None:
    producer = await client.producer(
        topic, on_full="error", max_pending_messages=1, batch_max_delay=3600, batch_when_idle=True
    )
    first = asyncio.ensure_future(producer.send(b"1"))
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError):
        await producer.send(b"2")
    await producer.flush()
    await first


async def test_send_blocking_from_threads_while_the_loop_runs(client: PulsarClient, topic: str) -> None:
    producer = await client.producer(topic)
    ids = await asyncio.gather(*(asyncio.to_thread(producer.send_blocking, b"x", key=str(n)) for n in range(20)))
    assert len(set(ids)) == 20


async def test_a_function_routes(client: PulsarClient, broker: Broker, topic: str) -> None:
    broker.admin.create_topic(topic, 3)
    assert await client.partitions(topic) == 3
    producer = await client.producer(topic, routing=lambda key, partitions: 2 if key == "k" else partitions - 2)
    assert (await producer.send(b"x", key="k")).partition == 2
    assert {id.partition for id in await producer.send_many([b"x"] * 5)} == {1}
    assert (await producer.send(b"x", key="k", partition=0)).partition == 0


async def test_receiving_one_many_and_in_a_loop(client: PulsarClient, topic: str) -> None:
    consumer = await client.consumer(topic, "s", type="Exclusive", initial_position="earliest")
    producer = await client.producer(topic)
    with pytest.raises(TimeoutError):
        await consumer.receive(timeout=0)
    with pytest.raises(TimeoutError):
        await consumer.receive(timedelta(milliseconds=10))
    assert await consumer.receive_many(5, max_wait=0) == []
    await producer.send_many([b"%d" % number for number in range(20)])
    assert [m.data for m in await consumer.receive_many(3, max_wait=10)] == [b"0", b"1", b"2"]
    assert [m.data for m in await consumer.receive_many(9, max_bytes=2, max_wait=10)] == [b"3", b"4"]
    many = await consumer.receive_many(100, max_wait=0.5)
    assert [m.data for m in many] == [b"%d" % number for number in range(5, 20)]

    await producer.send_many([b"a", b"b"])
    seen = []
    async for message in consumer:
        seen.append(message.data)
        if len(seen) == 2:
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, consumer.close())
    assert seen == [b"a", b"b"], "the loop ends when the consumer is closed"
    with pytest.raises(ClosedError):
        await consumer.receive()


async def test_acknowledging_acts_at_the_call(client: PulsarClient, topic: str) -> None:
    consumer = await client.consumer(topic, "s", type="Shared", initial_position="earliest")
    other = await client.consumer(topic, "t", type="Shared", initial_position="earliest")
    producer = await client.producer(topic, batching="off")
    await producer.send_many([b"1", b"2", b"3"])
    first, second, third = await consumer.receive_many(3, max_wait=10)
    consumer.acknowledge(first)
    await consumer.acknowledge(second.message_id)
    await consumer.negative_acknowledge(third)
    await consumer.flush_acks()
    with pytest.raises(InvalidMessageIdError):
        other.acknowledge(first)
    with pytest.raises(NotAllowedError):
        consumer.acknowledge_cumulative(third)
    with pytest.raises(TypeError):
        consumer.acknowledge("third")  # type: ignore[arg-type]
    again = await consumer.receive(timeout=10)
    assert again.data == b"3" and again.redelivery_count == 1
    await consumer.close()
    await consumer.close()
    with pytest.raises(ClosedError):
        consumer.acknowledge(again)


async def test_receipts(client: PulsarClient, topic: str) -> None:
    consumer = await client.consumer(topic, "s", type="Exclusive", initial_position="earliest", ack_receipts=True)
    producer = await client.producer(topic, batching="off")
    await producer.send_many([b"1", b"2", b"3"])
    messages = await consumer.receive_many(3, max_wait=10)
    await consumer.acknowledge(messages[0])
    consumer.acknowledge_cumulative(messages[2])
    await consumer.flush_acks()
    stats = await consumer.broker_stats()
    assert stats[topic]["backlog"] == 0


async def numbers(consumer: "Consumer[bytes]", count: int) -> list[int]:
    return [int((await consumer.receive(timeout=10)).data) for _ in range(count)]


async def test_moving_about(client: PulsarClient, topic: str) -> None:
    consumer = await client.consumer(topic, "s", type="Exclusive", initial_position="earliest")
    producer = await client.producer(topic, batching="off")
    ids = await producer.send_many([b"%d" % number for number in range(5)])
    await asyncio.sleep(0.01)  # The broker counts in milliseconds.
    moment = datetime.now(UTC)
    await asyncio.sleep(0.01)
    await producer.send_many([b"5", b"6"])
    assert await numbers(consumer, 7) == list(range(7))
    await consumer.seek(ids[2])
    assert await numbers(consumer, 4) == [3, 4, 5, 6]
    await consumer.seek(moment)
    assert await numbers(consumer, 2) == [5, 6]
    await consumer.seek(MessageId.EARLIEST)
    assert await numbers(consumer, 7) == list(range(7))
    last = await consumer.last_message_id()
    assert last is not None and last > ids[-1]
    assert not await consumer.has_message_available()

    consumer.pause()
    assert consumer.is_paused
    consumer.resume()
    consumer.redeliver_unacknowledged()
    assert await numbers(consumer, 7) == list(range(7))
    with pytest.raises(ConsumerBusyError):
        await client.consumer(topic, "s", type="Exclusive")
    await consumer.unsubscribe()
    async with client.consumer(topic, "s", type="Exclusive") as fresh:
        with pytest.raises(TimeoutError):
            await fresh.receive(timeout=0.3)


async def test_a_reader(client: PulsarClient, topic: str) -> None:
    producer = await client.producer(topic, Order)
    ids = await producer.send_many([Order(id=number) for number in range(10)])
    async with client.reader(topic, Order) as reader:
        seen = [(await reader.receive(timeout=10)).value.id for _ in range(10)]
        assert seen == list(range(10)) and not await reader.has_message_available()
        await reader.seek(ids[6])
        assert [m.value.id for m in await reader.receive_many(3, max_wait=10)] == [7, 8, 9]
        assert await reader.last_message_id() == ids[-1]
    async with client.reader(topic, start_message_id=ids[4], start_message_id_inclusive=True) as reader:
        async for message in reader:
            assert message.message_id == ids[4]
            break


async def test_a_payload_that_does_not_validate(client: PulsarClient, topic: str) -> None:
    consumer = await client.consumer(topic, "s", Order, initial_position="earliest")
    await (await client.producer(topic)).send(b'{"id": "canary"}')
    message = await consumer.receive(timeout=10)
    with pytest.raises(PayloadValidationError) as caught:
        _ = message.value
    assert "canary" not in str(caught.value) and message.data == b'{"id": "canary"}'


async def test_clients_of_equal_settings_share_their_connections(broker: Broker, topic: str) -> None:
    first, second = PulsarClient(broker.service_url), PulsarClient(broker.service_url)
    await first.producer(topic)
    producer = await second.producer(topic)
    assert first.stats()["connections_opened"] == second.stats()["connections_opened"] == 1
    await first.close()
    await producer.send(b"the other goes on")
    await second.close()
    await second.close()
    with pytest.raises(ClosedError):
        await second.producer(topic)


def test_one_client_on_several_loops(pulsar_broker: Broker, topic: str) -> None:
    client = PulsarClient(pulsar_broker.service_url)

    async def publish() -> MessageId:
        return await (await client.producer(topic)).send(b"x")

    async def consume() -> bytes:
        consumer = await client.consumer(topic, "s", initial_position="earliest")
        message = await consumer.receive(timeout=10)
        await client.close()
        return message.data

    asyncio.run(publish())
    asyncio.run(publish())
    assert asyncio.run(consume()) == b"x"


async def test_a_token_supplier_is_asked(pulsar_secure: Standalone, topic: str) -> None:
    asked = 0

    async def supply() -> str:
        nonlocal asked
        asked += 1
        return pulsar_secure.make_token("admin")

    url = pulsar_secure.service_url
    async with PulsarClient(url, token_supplier=supply) as client:
        await (await client.producer(topic)).send(b"x")
    assert asked == 1

    def broken() -> str:
        raise RuntimeError("canary")

    for supplier in (broken, lambda: "not.a.token", None):
        settings = PulsarSettings(service_url=url)
        with pytest.raises(AuthenticationError) as caught:
            async with PulsarClient(settings=settings, token_supplier=supplier) as client:
                await asyncio.wait_for(client.producer(topic), 5)
        assert "canary" not in str(caught.value)
