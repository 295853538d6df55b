"""What becomes of messages whose consumer function fails, on a broker: three ways of trying again, dead letters, replays."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, Literal

import pytest

from fastapi_pulsar import Deduplicate, Delivery, Message, MessageId, PulsarClient, RetryPolicy, replay_dlq_messages
from tests.functional.handlers import TYPES, Order, all_acknowledged, backlog, letters, router_of, served
from tests.functional.helpers import drain, until
from tests.pulsar.plugin import Broker

pytestmark = pytest.mark.anyio
Type = Literal["Exclusive", "Failover", "Shared", "Key_Shared"]
CANARY = "canary-5e20"


@pytest.fixture
async def client(pulsar_broker: Broker) -> AsyncIterator[PulsarClient]:
    async with PulsarClient(pulsar_broker.service_url) as client:
        yield client


async def put(client: PulsarClient, topic: str, *ids: int, **fields: Any) -> None:
    async with client.producer(topic, Order) as producer:
        for one in ids:
            await producer.send(Order(id=one), **fields)


@pytest.mark.parametrize("kind", TYPES)
async def test_in_place_keeps_the_order(client: PulsarClient, pulsar_broker: Broker, topic: str, kind: Type) -> None:
    router, calls = router_of(pulsar_broker), []
    policy = RetryPolicy(3, 0.01, way="in_place")

    @router.consumer(topic, subscription="s", type=kind, retry=policy, initial_position="earliest")
    async def handle(order: Order, delivery: Delivery) -> None:
        calls.append((order.id, delivery.attempt))
        if order.id == 2:
            raise ValueError(CANARY)

    await put(client, topic, 1, 2, 3, key="k")
    async with served(router):
        await until(lambda: len(calls) == 5)
        await all_acknowledged(pulsar_broker, topic)
    assert calls == [(1, 1), (2, 1), (2, 2), (2, 3), (3, 1)]
    (letter,) = await letters(client, topic, 1)
    assert letter.data == b'{"id":2}' and letter.properties["DEAD_LETTER_ATTEMPTS"] == "3"


@pytest.mark.parametrize("kind", ["Shared", "Key_Shared"])
async def test_redeliver_lets_the_broker_count(
    client: PulsarClient, pulsar_broker: Broker, topic: str, kind: Type
) -> None:
    router, attempts = router_of(pulsar_broker), {1: [], 2: []}  # type: ignore[var-annotated]
    policy = RetryPolicy(4, 0.05, way="redeliver")

    @router.consumer(topic, subscription="s", type=kind, retry=policy, initial_position="earliest")
    async def handle(order: Order, delivery: Delivery) -> None:
        attempts[order.id].append(delivery.attempt)
        if order.id == 1 or delivery.attempt < 3:
            raise ValueError(CANARY)

    await put(client, topic, 1, 2)
    async with served(router):
        await until(lambda: len(attempts[1]) == 4 and len(attempts[2]) == 3)
        await all_acknowledged(pulsar_broker, topic)
    assert attempts == {1: [1, 2, 3, 4], 2: [1, 2, 3]}
    (letter,) = await letters(client, topic, 1)
    assert letter.data == b'{"id":1}' and letter.properties["DEAD_LETTER_ATTEMPTS"] == "4"


@pytest.mark.parametrize("kind", TYPES)
async def test_a_retry_letter_outlives_its_application(
    client: PulsarClient, pulsar_broker: Broker, topic: str, kind: Type
) -> None:
    attempts: list[tuple[int, str, int]] = []
    policy = RetryPolicy(3, 0.2, jitter=0, way="retry_topic")

    async def handle(message: Message[Order], delivery: Delivery) -> None:
        attempts.append((message.value.id, message.properties.get("RECONSUMETIMES", ""), delivery.attempt))
        raise ValueError(CANARY)

    await put(client, topic, 7, key="k", properties={"mine": "kept"})
    first, second = router_of(pulsar_broker), router_of(pulsar_broker)
    for router in (first, second):
        options: dict[str, Any] = {"type": kind, "retry": policy, "initial_position": "earliest"}
        router.consumer(topic, subscription="s", **options)(handle)
    async with served(first):
        await until(lambda: bool(attempts))
        await all_acknowledged(pulsar_broker, topic)
    async with served(second):
        await until(lambda: len(attempts) == 3)
        await all_acknowledged(pulsar_broker, f"{topic}-s-RETRY")
    assert attempts == [(7, "", 1), (7, "1", 2), (7, "2", 3)]
    (letter,) = await letters(client, topic, 1)
    assert (letter.data, letter.key, letter.properties["mine"]) == (b'{"id":7}', "k", "kept")
    assert letter.properties["REAL_TOPIC"] == topic and letter.properties["DEAD_LETTER_ATTEMPTS"] == "3"


@pytest.mark.parametrize("kind", TYPES)
async def test_dead_letters_of_every_type(client: PulsarClient, pulsar_broker: Broker, topic: str, kind: Type) -> None:
    router, calls = router_of(pulsar_broker), []
    policy = RetryPolicy(1)

    @router.consumer(topic, subscription="s", type=kind, retry=policy, initial_position="earliest")
    async def handle(order: Order) -> None:
        calls.append(order.id)
        raise LookupError(CANARY)

    async with client.producer(topic) as producer:
        sent = [
            await producer.send(data, key="k", properties={"mine": "kept"}, event_time=1_700_000_000)
            for data in (b'{"id": 1}', b'{"id": "%s"}' % CANARY.encode())
        ]
    async with served(router):
        await all_acknowledged(pulsar_broker, topic)
        assert backlog(pulsar_broker, f"{topic}-s-DLQ", "s-dlq") == 2
    failed, invalid = sorted(await letters(client, topic, 2), key=lambda letter: len(letter.data))
    assert calls == [1], "what does not validate is not attempted"
    assert (failed.data, invalid.data) == (b'{"id": 1}', b'{"id": "%s"}' % CANARY.encode())
    assert failed.properties["DEAD_LETTER_ERROR"] == "LookupError"
    assert invalid.properties["DEAD_LETTER_ERROR"] == "PayloadValidationError"
    for letter, original in zip((failed, invalid), sent, strict=True):
        assert (letter.key, letter.properties["mine"]) == ("k", "kept")
        assert letter.event_time is not None and letter.event_time.timestamp() == 1_700_000_000
        assert (letter.properties["REAL_TOPIC"], letter.properties["REAL_SUBSCRIPTION"]) == (topic, "s")
        assert letter.properties["ORIGIN_MESSAGE_ID"].split(":")[:2] == str(original).split(":")[:2]
        assert letter.properties["DEAD_LETTER_ATTEMPTS"] == "1"
        assert datetime.fromisoformat(letter.properties["DEAD_LETTER_TIME"]).tzinfo is not None
        assert CANARY not in str(letter.properties)


async def test_dead_letters_come_back(client: PulsarClient, pulsar_broker: Broker, topic: str) -> None:
    calls: list[tuple[int, str]] = []
    cured = False
    router = router_of(pulsar_broker)

    @router.consumer(topic, subscription="s", retry=RetryPolicy(1), initial_position="earliest")
    async def handle(message: Message[Order]) -> None:
        calls.append((message.value.id, message.properties.get("DEAD_LETTER_REPLAYS", "")))
        if not cured:
            raise ValueError(CANARY)

    await put(client, topic, 1, 2, 3)
    dead = f"{topic}-s-DLQ"
    async with served(router):
        await until(lambda: backlog(pulsar_broker, dead, "s-dlq") == 3)
        dry = await replay_dlq_messages(topic, dead, client=client, dry_run=True, idle_timeout=1)
        assert (dry.seen, dry.replayed) == (3, 3)
        await until(lambda: len(calls) == 3)
        # They come back as dead letters, are brought back three times, and stay then.
        for turn in range(1, 4):
            report = await replay_dlq_messages(topic, dead, client=client, idle_timeout=2)
            assert (report.replayed, report.failed) == (3, 0)
            await until(lambda turn=turn: len(calls) == 3 + 3 * turn)  # type: ignore[misc]
            await until(lambda: backlog(pulsar_broker, dead, "s-dlq") == 3)
        report = await replay_dlq_messages(topic, dead, client=client, idle_timeout=1)
        assert (report.replayed, report.looping) == (0, 3)
        cured = True
        report = await replay_dlq_messages(topic, dead, client=client, max_replays=4, limit=2, idle_timeout=2)
        assert report.replayed == 2
        await until(lambda: len(calls) == 14)
        await all_acknowledged(pulsar_broker, topic)
    assert backlog(pulsar_broker, dead, "s-dlq") == 1
    assert sorted(calls[:3]) == [(1, ""), (2, ""), (3, "")] and {turn for _, turn in calls[12:]} == {"4"}


async def test_letters_of_send_to_dlq_come_back_as_they_were(client: PulsarClient, topic: str) -> None:
    head, _, name = topic.rpartition("/")
    consumer = await client.consumer(topic, "s", initial_position="earliest")
    for original in ({"id": 1}, "text"):
        await client.send_to_dlq(topic, original, "it failed")
    report = await replay_dlq_messages(topic, f"{head}/dlq.{name}", client=client, idle_timeout=2)
    assert report.replayed == 2
    found = await drain(consumer)
    assert [message.data for message in found] == [b'{"id":1}', b"text"]
    assert all(message.properties == {"DEAD_LETTER_REPLAYS": "1"} for message in found)


@pytest.mark.parametrize("by", ["message_id", "key"])
async def test_what_was_processed_is_not_processed_again(
    client: PulsarClient, pulsar_broker: Broker, new_topic: Callable[..., str], by: Literal["message_id", "key"]
) -> None:
    topic, calls = new_topic(), []
    known = Deduplicate(by=by)
    # The second application is given everything again: the subscription is set back to the beginning.
    for turn in range(2):
        router = router_of(pulsar_broker)

        @router.consumer(topic, subscription="s", deduplicate=known, initial_position="earliest")
        async def handle(order: Order) -> None:
            calls.append(order.id)

        if turn == 0:
            await put(client, topic, 1, key="a")
            await put(client, topic, 2, key="b")
            await put(client, topic, 3, key="a")
        else:
            async with client.consumer(topic, "s", type="Shared") as consumer:
                await consumer.seek(MessageId.EARLIEST)
            await until(lambda: backlog(pulsar_broker, topic) == 3)
        async with served(router):
            await all_acknowledged(pulsar_broker, topic)
    assert sorted(calls) == ([1, 2, 3] if by == "message_id" else [1, 2])
