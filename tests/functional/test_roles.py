"""The topic roles hold for what is open already: no publish goes round them, whoever makes it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from fastapi_pulsar import PulsarClient, PulsarConfig
from fastapi_pulsar.exceptions import AuthorizationError
from tests.functional.handlers import router_of, served
from tests.functional.helpers import drain
from tests.pulsar.plugin import Broker

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(pulsar_broker: Broker) -> AsyncIterator[PulsarClient]:
    async with PulsarClient(pulsar_broker.service_url) as client:
        yield client


@pytest.fixture
def allow() -> Iterator[Callable[..., None]]:
    """Sets the policy: the topics that this process may produce to and consume from."""

    def policy(*topics: str) -> None:
        PulsarConfig.SECURITY["service_role"] = "till"
        PulsarConfig.SECURITY["topic_roles"] = {topic: ["till"] for topic in topics} | {"else": ["till"]}

    yield policy
    del PulsarConfig.SECURITY


async def test_every_way_to_publish_asks_each_time(
    client: PulsarClient, pulsar_broker: Broker, topic: str, allow: Callable[..., None]
) -> None:
    allow(topic)
    router = router_of(pulsar_broker)
    consumer = await client.consumer(topic, "s", initial_position="earliest")
    producer = await client.producer(topic)
    async with served(router):
        injected = await router.producer(topic)()
        ways: list[Callable[[], Any]] = [
            lambda: producer.send(b"1"),
            lambda: producer.send(None, key="k"),
            lambda: producer.send_many([b"2", b"3"]),
            lambda: asyncio.to_thread(producer.send_blocking, b"4"),
            lambda: injected.send(b"5"),
            lambda: client.send_message(topic, b"6"),
            lambda: client.send_batch(topic, [b"7"]),
            lambda: router.publish(topic, b"8"),
        ]
        for way in ways:
            await way()
        assert len(await drain(consumer)) == 9
        allow()
        for way in ways:
            with pytest.raises(PermissionError, match="Role 'till' not authorized") as refused:
                await way()
            assert isinstance(refused.value, AuthorizationError) and refused.value.topic == topic
        assert await drain(consumer) == []
        PulsarConfig.SECURITY["topic_roles"][topic] = {"produce": ["till"]}
        await producer.send(b"again")
        assert [message.data for message in await drain(consumer)] == [b"again"]


async def test_a_handler_cannot_start_without_its_dead_letter_topic(
    pulsar_broker: Broker, topic: str, allow: Callable[..., None]
) -> None:
    allow(topic)
    router = router_of(pulsar_broker)

    @router.consumer(topic, subscription="s")
    async def handle(message: dict[str, Any]) -> None: ...

    with pytest.raises(AuthorizationError, match="-s-DLQ"):
        async with served(router):
            pass
