"""The original's own tests, written again from the list of what each checks."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock, MagicMock, patch

import pytest

from fastapi_pulsar import PulsarClient, PulsarConfig
from fastapi_pulsar.decorators import client as default
from fastapi_pulsar.decorators import pulsar_consumer, pulsar_task, validate_topic_permissions
from fastapi_pulsar.exceptions import ConnectionError
from tests.unit.original.broker import MemoryBroker

pytestmark = pytest.mark.anyio
TOPIC = "persistent://public/default/allowed_topic"


@pytest.fixture(autouse=True)
def mock_pulsar_config(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = {"allowed_topic": ["test_role"], "pulsar-task-status": ["test_role"], "dlq_topic": ["test_role"]}
    monkeypatch.setattr(PulsarConfig, "SECURITY", {"service_role": "test_role", "topic_roles": roles})
    monkeypatch.setattr(PulsarConfig, "POLL_INTERVAL", 0.05)


@pytest.fixture
def client(memory: MemoryBroker) -> PulsarClient:
    return PulsarClient(retry_delay=0.001)


async def test_send_message_success(client: PulsarClient) -> None:
    assert await client.send_message("allowed_topic", {"key": "value"}) is True


async def test_send_message_retry_logic(client: PulsarClient, memory: MemoryBroker) -> None:
    memory.send_errors[TOPIC].append(ConnectionError("gone"))
    assert await client.send_message("allowed_topic", {"key": "value"}) is True
    assert memory.sends[TOPIC] == 2


async def test_batch_process_messages(client: PulsarClient) -> None:
    assert all(await client.batch_process_messages("allowed_topic", [{"id": 1}, {"id": 2}]))


async def test_batch_process_messages_empty(client: PulsarClient) -> None:
    assert await client.batch_process_messages("allowed_topic", []) == []


async def test_batch_process_messages_partial_failures(client: PulsarClient) -> None:
    with patch.object(PulsarClient, "_process_message", AsyncMock(side_effect=[True, ValueError("no"), True])):
        results = await client.batch_process_messages("allowed_topic", [{"id": n} for n in range(3)], batch_size=1)
    assert results == [True, False, True]


async def test_batch_process_messages_large_batch(client: PulsarClient, memory: MemoryBroker) -> None:
    results = await client.batch_process_messages("allowed_topic", [{"id": n} for n in range(500)], batch_size=50)
    assert results == [True] * 500 and len(memory.topics[TOPIC]) == 500


def test_validate_topic_permissions_success() -> None:
    validate_topic_permissions("allowed_topic", "test_role")
    validate_topic_permissions("allowed_topic", None)


def test_validate_topic_permissions_unauthorized() -> None:
    with pytest.raises(PermissionError):
        validate_topic_permissions("allowed_topic", "stranger")


@pytest.mark.parametrize("topic", ["", "  ", None, 7])
def test_validate_topic_permissions_invalid_topic(topic: Any) -> None:
    with pytest.raises(ValueError, match="Topic must be a non-empty string"):
        validate_topic_permissions(topic, "test_role")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"topic": " "}, "Topic must be a non-empty string"),
    ({"max_retries": -1}, "max_retries must be a non-negative integer"),
    ({"max_retries": True}, "max_retries must be a non-negative integer"),
    ({"retry_delay": 0}, "retry_delay must be a positive number"),
    ({"dlq_topic": ""}, "DLQ topic must be None or a non-empty string"),
    ({"dlq_topic": TOPIC}, "dlq_topic must not be the topic itself"),
    ({"ack_timeout": 0}, "ack_timeout must be None or a positive number"),
]


@pytest.mark.parametrize(("options", "text"), BAD)
def test_pulsar_task_refuses_bad_options_at_decoration(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        pulsar_task(**{"topic": "allowed_topic", **options})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"topic": ""}, "Topic must be a non-empty string"),
        ({"subscription": ""}, "Subscription must be a non-empty string"),
        ({"max_parallelism": 0}, "max_parallelism must be a positive integer"),
    ],
)
def test_pulsar_consumer_refuses_bad_options_at_decoration(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        pulsar_consumer(**{"topic": "allowed_topic", "subscription": "s", **options})


async def test_pulsar_task_decorator_happy_path() -> None:
    mock = MagicMock(send_message=AsyncMock(return_value=True))

    @pulsar_task("allowed_topic", client=mock)
    async def task(number: int, *, word: str) -> str:
        return "success"

    assert await task(1, word="w") == "success"
    mock.send_message.assert_awaited_once_with(
        "allowed_topic",
        {"function": "task", "args": [1], "kwargs": {"word": "w"}, "result": "success", "topic": "allowed_topic"},
    )


async def test_pulsar_task_decorator_retry_logic() -> None:
    mock = MagicMock(send_message=AsyncMock())
    function = AsyncMock(side_effect=ValueError("no"), __name__="task")
    with pytest.raises(ValueError, match="no"):
        await pulsar_task("allowed_topic", max_retries=2, retry_delay=0.001, client=mock)(function)()
    assert function.await_count == 3
    mock.send_message.assert_not_awaited()


async def test_pulsar_task_dlq_handling() -> None:
    mock = MagicMock(send_message=AsyncMock(), send_to_dlq=AsyncMock())
    error = ValueError("no")
    function = AsyncMock(side_effect=error, __name__="task")
    decorated = pulsar_task("allowed_topic", "dlq_topic", max_retries=1, retry_delay=0.001, client=mock)(function)
    with pytest.raises(ValueError, match="no"):
        await decorated(5)
    call = {"args": [5], "kwargs": {}}
    mock.send_to_dlq.assert_awaited_once_with("allowed_topic", call, error, dlq_topic="dlq_topic")


async def test_pulsar_consumer_decorator(memory: MemoryBroker) -> None:
    seen: list[Any] = []
    PulsarConfig.SECURITY["topic_roles"] = {"*": ["test_role"]}

    @pulsar_consumer("allowed_topic", "test_subscription", client=PulsarClient(), initial_position="earliest")
    async def consume(message: dict[str, Any]) -> None:
        seen.append(message)

    task = asyncio.ensure_future(consume(None))
    memory.put(TOPIC, b'{"id": 1}')
    memory.put(TOPIC, b'{"id": 2}')
    await memory.until(lambda: len(memory.acked) == 2)
    task.cancel()
    assert sorted(one["id"] for one in seen) == [1, 2]


async def test_real_pulsar_connection(client: PulsarClient, memory: MemoryBroker) -> None:
    assert await client.health_check() is True
    memory.down = True
    assert await client.health_check() is False


async def test_message_roundtrip(client: PulsarClient, memory: MemoryBroker) -> None:
    PulsarConfig.SECURITY["topic_roles"] = {"*": ["test_role"]}
    received: list[Any] = []
    message = {"id": 1, "text": "hello"}
    await client.send_message("allowed_topic", message)
    await client.create_consumer("allowed_topic", "test_subscription", received.append)
    await memory.until(lambda: len(memory.acked) == 1)
    assert received == [message]
    await client.close()


async def test_message_metrics_tracking(client: PulsarClient) -> None:
    with patch("fastapi_pulsar.client.PULSAR_MESSAGE_LATENCY") as latency:
        await client.send_message("allowed_topic", {"id": 1})
    latency.labels.assert_called_once_with(topic="allowed_topic")
    latency.labels.return_value.observe.assert_called_once()


async def test_batch_metrics_tracking(client: PulsarClient) -> None:
    with (
        patch("fastapi_pulsar.client.PULSAR_BATCH_DURATION") as duration,
        patch("fastapi_pulsar.client.PULSAR_BATCH_SUCCESS") as success,
        patch.object(PulsarClient, "_process_message", AsyncMock(return_value=True)),
    ):
        await client.batch_process_messages("allowed_topic", [{"id": 1}, {"id": 2}])
    duration.labels.assert_called_once_with(topic="allowed_topic")
    success.labels.return_value.inc.assert_called_once_with(2)


async def test_wait_for_task_completion_success(client: PulsarClient, monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = [{"state": "PENDING"}, {"state": "PROGRESS"}, {"state": "COMPLETED"}]
    progress: list[Any] = []
    monkeypatch.setattr(client, "get_task_status", AsyncMock(side_effect=statuses))
    done = await client.wait_for_task_completion("7", timeout=5, poll_interval=0.001, progress_callback=progress.append)
    assert done == statuses[-1] and progress == statuses


async def test_wait_for_task_completion_timeout(client: PulsarClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "get_task_status", AsyncMock(return_value={"state": "PENDING"}))
    with pytest.raises(asyncio.TimeoutError):
        await client.wait_for_task_completion("7", timeout=0.05, poll_interval=0.01)


async def test_progress_callback_exception(client: PulsarClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "get_task_status", AsyncMock(return_value={"state": "COMPLETED"}))
    callback = AsyncMock(side_effect=ValueError("no"))
    assert await client.wait_for_task_completion("7", progress_callback=callback) == {"state": "COMPLETED"}
    callback.assert_awaited_once()


async def test_pulsar_minimal(memory: MemoryBroker) -> None:
    async with PulsarClient() as one:
        assert await one.health_check() is True
    assert await default.health_check() is True
    await default.close()
    assert await default.health_check() is True  # it may be used again
    await default.close()
