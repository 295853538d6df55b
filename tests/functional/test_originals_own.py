"""The original's own tests that need a broker; the others, and what each checked without one, are in `tests/unit/original`."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from fastapi_pulsar import PulsarClient, PulsarConfig, decorators
from fastapi_pulsar.config import get_settings
from fastapi_pulsar.decorators import pulsar_consumer, pulsar_task, use_task_id
from fastapi_pulsar.exceptions import ConnectionError
from tests.functional.helpers import drain, until
from tests.pulsar.plugin import Broker

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def mock_pulsar_config(pulsar_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PULSAR_SERVICE_URL", pulsar_broker.service_url)
    monkeypatch.setattr(PulsarConfig, "SECURITY", {"service_role": "test_role", "topic_roles": {"*": ["test_role"]}})
    monkeypatch.setattr(PulsarConfig, "POLL_INTERVAL", 0.05)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
async def client(mock_pulsar_config: None) -> AsyncIterator[PulsarClient]:
    async with PulsarClient(retry_delay=0.05) as client:
        yield client


async def stored(client: PulsarClient, topic: str) -> list[Any]:
    """Everything that is in a topic."""
    async with client.consumer(topic, "look", initial_position="earliest") as consumer:
        return [json.loads(message.data) for message in await drain(consumer)]


async def test_send_message_success(client: PulsarClient, topic: str) -> None:
    assert await client.send_message(topic, {"key": "value"}) is True
    assert await stored(client, topic) == [{"key": "value"}]


async def test_send_message_retry_logic(client: PulsarClient, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    send, failures = client._send, iter([ConnectionError("gone")])

    async def failing(*args: Any) -> None:
        for failure in failures:
            raise failure
        await send(*args)

    monkeypatch.setattr(client, "_send", failing)
    assert await client.send_message(topic, {"n": 1}) is True
    assert await client.send_message(topic, {"n": 2}) is True
    assert await stored(client, topic) == [{"n": 1}, {"n": 2}]


async def test_batch_process_messages(client: PulsarClient, topic: str) -> None:
    assert await client.batch_process_messages(topic, [{"id": 1}, {"id": 2}]) == [True, True]


async def test_batch_process_messages_empty(client: PulsarClient, topic: str) -> None:
    assert await client.batch_process_messages(topic, []) == []


async def test_batch_process_messages_partial_failures(client: PulsarClient, topic: str) -> None:
    messages = [{"id": 1}, {"id": object()}, {"id": 3}]
    assert await client.batch_process_messages(topic, messages) == [True, False, True]
    assert sorted(message["id"] for message in await stored(client, topic)) == [1, 3]


async def test_batch_process_messages_large_batch(client: PulsarClient, topic: str) -> None:
    messages = [{"id": number} for number in range(500)]
    assert await client.batch_process_messages(topic, messages, batch_size=50) == [True] * 500
    assert sorted(message["id"] for message in await stored(client, topic)) == list(range(500))


async def test_pulsar_task_decorator_happy_path(client: PulsarClient, topic: str) -> None:
    @pulsar_task(topic, client=client)
    async def task(number: int) -> str:
        return "success"

    assert await task(1) == "success"
    (envelope,) = await stored(client, topic)
    assert envelope == {"function": "task", "args": [1], "kwargs": {}, "result": "success", "topic": topic}


async def test_pulsar_task_dlq_handling(client: PulsarClient, topic: str) -> None:
    calls: list[int] = []

    @pulsar_task(topic, dlq_topic=f"{topic}-dead", max_retries=2, retry_delay=0.01, client=client)
    async def task(number: int) -> None:
        calls.append(number)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await task(5)
    assert calls == [5, 5, 5]
    (letter,) = await stored(client, f"{topic}-dead")
    assert (letter["original_message"], letter["error"]) == ({"args": [5], "kwargs": {}}, "ValueError")
    assert await stored(client, topic) == []


async def test_pulsar_consumer_decorator(client: PulsarClient, topic: str) -> None:
    seen: list[Any] = []

    @pulsar_consumer(topic, "test_subscription", client=client, initial_position="earliest")
    async def consume(message: dict[str, Any]) -> None:
        seen.append(message)

    await client.send_batch(topic, [{"id": 1}, {"id": 2}])
    consuming = asyncio.ensure_future(consume(None))
    await until(lambda: len(seen) == 2)
    consuming.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await consuming
    assert sorted(one["id"] for one in seen) == [1, 2]


async def test_real_pulsar_connection(client: PulsarClient) -> None:
    assert await client.health_check() is True


async def test_message_roundtrip(client: PulsarClient, topic: str) -> None:
    received: list[Any] = []
    message = {"id": 1, "text": "hello"}
    await client.send_message(topic, message)
    await client.create_consumer(topic, "test_subscription", received.append)
    await until(lambda: bool(received))
    await asyncio.sleep(2 * PulsarConfig.POLL_INTERVAL)
    assert received == [message]


async def test_wait_for_task_completion_success(client: PulsarClient, topic: str) -> None:
    task_id, progress, go_on = uuid.uuid4().hex, [], asyncio.Event()

    @pulsar_task(topic, client=client)
    async def doubled(number: int) -> int:
        await go_on.wait()
        return 2 * number

    def noted(status: Any) -> None:
        progress.append(status["state"])
        if status["state"] == "PROGRESS":
            go_on.set()

    assert (await client.get_task_status(task_id))["state"] == "PENDING"
    with use_task_id(task_id):
        running = asyncio.ensure_future(doubled(4))
    done = await client.wait_for_task_completion(task_id, timeout=30, poll_interval=0.05, progress_callback=noted)
    assert (done["state"], done["result"], await running) == ("COMPLETED", 8, 8)
    assert list(dict.fromkeys(progress))[-2:] == ["PROGRESS", "COMPLETED"]


async def test_wait_for_task_completion_timeout(client: PulsarClient) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await client.wait_for_task_completion(uuid.uuid4().hex, timeout=0.3, poll_interval=0.05)


async def test_pulsar_minimal() -> None:
    # Looked up here: by its name in this module, pytest's collection would ask it for attributes, and it would read settings.
    await decorators.client.close()  # Another test may have used it, with that test's settings.
    assert await decorators.client.health_check() is True
    await decorators.client.close()
