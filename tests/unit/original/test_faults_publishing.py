"""The original's faults of publishing and of `pulsar_task`, each shown gone."""

import asyncio
import json
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY
from pydantic import BaseModel

import fastapi_pulsar.client
from fastapi_pulsar import PulsarClient, PulsarConfig
from fastapi_pulsar.config import get_settings
from fastapi_pulsar.decorators import pulsar_task
from fastapi_pulsar.exceptions import ConnectionError, EncodeError, TimeoutError
from fastapi_pulsar.permissions import check_permission
from tests.unit.original.broker import MemoryBroker

pytestmark = pytest.mark.anyio
NAMESPACE = "persistent://public/default"
CANARY = "canary-77a1"


class Order(BaseModel):
    id: int


class Failing:
    """A function that fails so many times."""

    def __init__(self, times: int) -> None:
        self.times, self.calls = times, 0

    async def __call__(self, number: int) -> int:
        self.calls += 1
        if self.calls <= self.times:
            raise ValueError(CANARY)
        return number


def value_of(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


async def test_fault_03_a_stock_configuration_lets_functions_be_decorated() -> None:
    """Every `pulsar_task` and `pulsar_consumer` raised PermissionError at decoration."""

    @pulsar_task("user-created")
    async def created(user: dict[str, Any]) -> None: ...

    assert created.__name__ == "created"


async def test_fault_04_dead_letters_are_published_where_they_were_asked_for(memory: MemoryBroker) -> None:
    """Nothing was published, and the label `original_topic` became the whole message's text."""
    fails = Failing(99)

    async def failing(order: dict[str, Any]) -> None:
        await fails(1)

    decorated = pulsar_task("orders", dlq_topic="orders-dead", max_retries=1, retry_delay=0.001, client=PulsarClient())(
        failing
    )
    before = value_of("pulsar_dlq_messages_total", original_topic="orders", error_type="ValueError")
    with pytest.raises(ValueError, match=CANARY):
        await decorated({"id": 7, "note": CANARY})
    (letter,) = map(json.loads, memory.payloads(f"{NAMESPACE}/orders-dead"))
    assert letter["original_message"] == {"args": [{"id": 7, "note": CANARY}], "kwargs": {}}
    assert letter["error"] == "ValueError" and datetime.fromisoformat(letter["timestamp"]).tzinfo is not None
    assert value_of("pulsar_dlq_messages_total", original_topic="orders", error_type="ValueError") == before + 1
    assert CANARY not in fastapi_pulsar.metrics.exposition().decode()
    await PulsarClient().send_to_dlq(f"{NAMESPACE}/orders", {"id": 8}, "it is wrong")
    assert json.loads(memory.payloads(f"{NAMESPACE}/dlq.orders")[0])["original_message"] == {"id": 8}
    assert (f"{NAMESPACE}/dlq.orders", "dlq") in memory.queues  # so that the topic keeps it


async def test_fault_05_the_topic_argument_is_the_destination(memory: MemoryBroker) -> None:
    """The message went to `message["topic"]`: ValueError without one, and round the roles with one."""
    client = PulsarClient()
    assert await client.send_message("orders", {"k": "v"}) is True
    assert await client.send_message("orders", {"topic": f"{NAMESPACE}/orders"}) is True
    with pytest.raises(ValueError, match="'topic' is another one"):
        await client.send_message("orders", {"topic": "secrets"})
    assert memory.payloads(f"{NAMESPACE}/orders") == [b'{"k":"v"}', b'{"topic":"persistent://public/default/orders"}']
    assert memory.payloads(f"{NAMESPACE}/secrets") == []


@pytest.mark.parametrize(
    ("message", "payload"),
    [("text", b"text"), (b"\xff", b"\xff"), ({"a": 1}, b'{"a":1}'), ([1], b"[1]"), (Order(id=3), b'{"id":3}')],
)
async def test_fault_06_messages_may_be_text_bytes_dicts_and_models(
    memory: MemoryBroker, message: Any, payload: bytes
) -> None:
    """Text and bytes raised AttributeError."""
    assert await PulsarClient().send_message("orders", message) is True
    assert memory.payloads(f"{NAMESPACE}/orders") == [payload]
    with pytest.raises(EncodeError):
        await PulsarClient().send_message("orders", object())


async def test_fault_07_a_batch_is_sent(memory: MemoryBroker) -> None:
    """`send_batch` took no messages and never sent any; the label said `json` was a compression."""
    PulsarConfig.PRODUCER["max_pending_messages"] = 10
    client = PulsarClient()
    await client.send_batch("orders")
    before = value_of("pulsar_batches_sent_total", compression_type="none")
    await client.send_batch(topic="orders", messages=[{"n": 1}, "two", Order(id=3)])
    assert memory.payloads(f"{NAMESPACE}/orders") == [b'{"n":1}', b"two", b'{"id":3}']
    assert value_of("pulsar_batches_sent_total", compression_type="none") == before + 1
    client._batch.append({"n": 4})
    await client.send_batch("orders")
    assert memory.payloads(f"{NAMESPACE}/orders")[3:] == [b'{"n":4}'] and client._batch == []


async def test_fault_08_batch_results_are_what_happened(memory: MemoryBroker) -> None:
    """True for all, and nothing was sent."""
    client = PulsarClient(max_retries=0)
    memory.send_errors[f"{NAMESPACE}/orders"].append(ConnectionError("gone"))
    results = await client.batch_process_messages(
        "orders", [{"n": 1}, {"n": 2}, {"topic": "x"}, {"n": 4}], batch_size=1
    )
    assert results == [False, True, False, True]
    assert memory.payloads(f"{NAMESPACE}/orders") == [b'{"n":2}', b'{"n":4}']


async def test_fault_12_a_failed_publish_does_not_run_the_function_again(memory: MemoryBroker) -> None:
    """The function ran (max_retries + 1) times, and 16 publishes were tried; Request, UUID and models raised TypeError."""
    function = Failing(0)
    client = PulsarClient(max_retries=3, retry_delay=0.001)
    memory.send_errors[f"{NAMESPACE}/orders"].extend(ConnectionError("gone") for _ in range(2))

    @pulsar_task("orders", max_retries=3, retry_delay=0.001, client=client)
    async def counted(number: int) -> int:
        return await function(number)

    assert await counted(5) == 5
    assert function.calls == 1 and memory.sends[f"{NAMESPACE}/orders"] == 3
    memory.send_errors[f"{NAMESPACE}/orders"].extend(ConnectionError("gone") for _ in range(99))
    with pytest.raises(ConnectionError):
        await counted(6)
    assert function.calls == 2 and memory.sends[f"{NAMESPACE}/orders"] == 3 + 4


def test_fault_12_arguments_that_json_cannot_hold_are_described(memory: MemoryBroker) -> None:
    """Request, UUID, datetime and models raised TypeError after all attempts."""
    app = FastAPI()
    moment, number = datetime(2026, 1, 2, tzinfo=UTC), uuid.UUID(int=7)

    @app.post("/orders")
    @pulsar_task("orders", retry_delay=0.001, client=PulsarClient())
    async def place(request: Request, order: Order, session: Annotated[Any, Depends(object)]) -> dict[str, Any]:
        return {"at": moment, "number": number, "order": order}

    answer = TestClient(app).post("/orders", json={"id": 1}, headers={"Authorization": f"Bearer {CANARY}"})
    assert answer.status_code == 200, answer.text
    (envelope,) = map(json.loads, memory.payloads(f"{NAMESPACE}/orders"))
    assert envelope.keys() == {"function", "args", "kwargs", "result", "topic"}
    assert envelope["kwargs"] == {
        "request": "<starlette.requests.Request>", "order": {"id": 1}, "session": "<builtins.object>",
    }  # fmt: skip
    assert envelope["result"] == {
        "at": "2026-01-02T00:00:00Z", "number": str(number), "order": {"id": 1},
    }  # fmt: skip
    assert (envelope["function"], envelope["topic"]) == ("place", "orders")
    assert CANARY.encode() not in memory.payloads(f"{NAMESPACE}/orders")[0]


async def test_fault_17_the_brokers_errors_are_pythons_too(memory: MemoryBroker) -> None:
    """They were no builtin errors, so that the circuit breaker hardly ever saw one."""
    memory.down = True
    with pytest.raises(PulsarClient.CB_EXPECTED_EXCEPTION):
        await PulsarClient(max_retries=0).send_message("orders", {})


async def test_fault_18_one_producer_serves_a_topic_and_a_timeout_is_not_sent_twice(memory: MemoryBroker) -> None:
    """A producer was made for each message; after a timeout of 0.5 s the message was sent again beside the first."""
    client = PulsarClient(retry_delay=0.001)
    await asyncio.gather(*(client.send_message("orders", {"n": n}) for n in range(50)))
    assert len(memory.producers) == 1
    memory.send_errors[f"{NAMESPACE}/orders"].append(TimeoutError("not confirmed"))
    with pytest.raises(TimeoutError):
        await client.send_message("orders", {"n": 50})
    assert memory.sends[f"{NAMESPACE}/orders"] == 51


async def test_fault_20_plain_functions_and_async_filters_work(memory: MemoryBroker) -> None:
    """`pulsar_task` on a plain function failed; an async filter never filtered, since a coroutine is true."""
    client = PulsarClient()
    tripled = pulsar_task("orders", client=client)(lambda number: 3 * number)
    assert await tripled(2) == 6
    seen: list[Any] = []

    async def wanted(message: Any) -> bool:
        return bool(message["n"] % 2)

    async def see(message: Any) -> None:
        seen.append(message["n"])

    task = asyncio.ensure_future(client.consume_messages("numbers", "s", see, wanted, initial_position="earliest"))
    await client.send_batch("numbers", [{"n": n} for n in range(6)])
    await memory.until(lambda: len(memory.acked) == 6)
    task.cancel()
    assert sorted(seen) == [1, 3, 5]


async def test_fault_28_disabled_means_that_tasks_run_and_nothing_is_published(
    memory: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `PULSAR_ENABLED=false` the client was broken inside: NameError, caught, and no client."""
    monkeypatch.setenv("PULSAR_ENABLED", "false")
    get_settings.cache_clear()
    client = PulsarClient()

    @pulsar_task("orders", client=client)
    async def doubled(number: int) -> int:
        return 2 * number

    assert await doubled(2) == 4
    assert await client.send_message("orders", {}) is False
    await client.send_batch("orders", [{}])
    await asyncio.wait_for(client.consume_messages("orders", "s", print), 5)
    check_permission("orders", "produce")
    assert memory.cores == [] and fastapi_pulsar.client.PULSAR_ENABLED is False
