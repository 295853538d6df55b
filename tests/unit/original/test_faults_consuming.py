"""The original's faults of consuming, each shown gone."""

import asyncio
import inspect
import json
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel

from fastapi_pulsar import PulsarClient
from fastapi_pulsar.decorators import pulsar_consumer, track_lag_and_callback
from fastapi_pulsar.exceptions import InvalidOptionError
from fastapi_pulsar.original.producer_decorators import track_producer_metrics
from tests.unit.original.broker import MemoryBroker

pytestmark = pytest.mark.anyio
NAMESPACE = "persistent://public/default"
ORDERS = f"{NAMESPACE}/orders"
DEAD = f"{ORDERS}-billing-DLQ"


class Order(BaseModel):
    id: int


def put(memory: MemoryBroker, *ids: int) -> None:
    for one in ids:
        memory.put(ORDERS, json.dumps({"id": one}).encode(), key="k", properties={"trace": "7"})


async def test_fault_01_messages_are_consumed(memory: MemoryBroker) -> None:
    """Consuming raised AttributeError before its loop began."""
    put(memory, *range(5))
    seen: list[Any] = []

    async def one(message: dict[str, Any]) -> None:
        seen.append(message)

    async def several(messages: list[Any]) -> None:
        seen.append(messages)

    client = PulsarClient()
    tasks = [
        asyncio.ensure_future(client.consume_messages("orders", "one", one, initial_position="earliest")),
        asyncio.ensure_future(client.batch_consume("orders", "many", 3, several, initial_position="earliest")),
    ]
    await memory.until(lambda: len(memory.acked) == 10)
    for task in tasks:
        task.cancel()
    assert [{"id": 0}, {"id": 1}, {"id": 2}] in seen and [{"id": 3}, {"id": 4}] in seen
    assert [one for one in seen if isinstance(one, dict)] == [{"id": n} for n in range(5)]


async def test_fault_02_a_pulsar_consumer_gets_one_message_per_call(memory: MemoryBroker) -> None:
    """It failed on a label that the metric does not have; by the code it would have got a list where all examples say dict."""
    put(memory, 1)
    seen: list[Any] = []

    @pulsar_consumer("orders", "billing", client=PulsarClient(), initial_position="earliest")
    async def bill(message: dict[str, Any]) -> None:
        seen.append(message)

    @pulsar_consumer("orders", "typed", client=PulsarClient(), initial_position="earliest")
    def typed(order: Order) -> None:
        seen.append(order)

    tasks = [asyncio.ensure_future(bill(None)), asyncio.ensure_future(typed())]
    await memory.until(lambda: len(memory.acked) == 2)
    for task in tasks:
        task.cancel()
    assert {"id": 1} in seen and Order(id=1) in seen
    assert inspect.unwrap(bill) is not bill


async def test_a_callback_that_fails_to_the_end_leaves_a_dead_letter_and_then_an_ack(memory: MemoryBroker) -> None:
    put(memory, 1)
    calls = 0

    async def fail(message: Any) -> None:
        nonlocal calls
        calls += 1
        assert memory.acked == []
        raise ValueError("no")

    policy = {"max_retries": 2, "delay": 0.001}
    task = asyncio.ensure_future(
        PulsarClient().consume_messages("orders", "billing", fail, None, policy, initial_position="earliest")
    )
    await memory.until(lambda: len(memory.acked) == 1)
    task.cancel()
    (letter,) = memory.topics[DEAD]
    assert calls == 3 and letter.data == b'{"id": 1}' and letter.key == "k"
    assert letter.properties["trace"] == "7" and letter.properties["DEAD_LETTER_ERROR"] == "ValueError"
    assert letter.properties["REAL_TOPIC"] == ORDERS and letter.properties["REAL_SUBSCRIPTION"] == "billing"


async def test_what_does_not_validate_is_a_dead_letter_at_once_and_never_logged(
    memory: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    memory.put(ORDERS, b'{"id": "canary-x"}')
    put(memory, 2)
    seen: list[Order] = []

    async def bill(order: Order) -> None:
        seen.append(order)

    task = asyncio.ensure_future(
        PulsarClient().consume_messages("orders", "billing", bill, initial_position="earliest")
    )
    await memory.until(lambda: len(memory.acked) == 2)
    task.cancel()
    assert seen == [Order(id=2)] and memory.payloads(DEAD) == [b'{"id": "canary-x"}']
    assert "does not validate" in caplog.text and "canary" not in caplog.text


async def test_nothing_is_acknowledged_whose_dead_letter_was_not_stored(memory: MemoryBroker) -> None:
    put(memory, 1)
    memory.send_errors[DEAD].append(InvalidOptionError("refused"))

    async def fail(message: Any) -> None:
        raise ValueError

    policy = {"max_retries": 0}
    work = PulsarClient().consume_messages("orders", "billing", fail, None, policy, initial_position="earliest")
    task = asyncio.ensure_future(work)
    await memory.until(lambda: not memory.send_errors[DEAD])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert memory.acked == [] and len(memory.queues[ORDERS, "billing"]) == 1


async def test_cancelling_leaves_what_is_in_hand_to_redelivery(memory: MemoryBroker) -> None:
    put(memory, 1, 2)
    started = asyncio.Event()

    async def hang(message: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(
        PulsarClient().consume_messages("orders", "s", hang, max_parallelism=2, initial_position="earliest")
    )
    await started.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert memory.acked == [] and len(memory.queues[ORDERS, "s"]) == 2


async def test_fault_25_times_in_messages_may_be_text_and_the_lag_is_recorded(memory: MemoryBroker) -> None:
    """A timestamp in ISO 8601 raised TypeError after the send; the consumer's lag was never recorded."""

    @track_producer_metrics("stamped")
    async def send(client: Any, message: dict[str, Any]) -> bool:
        return await PulsarClient().send_message("stamped", message)

    stamp = (datetime.now(UTC) - timedelta(seconds=100)).isoformat()
    assert await send(None, message={"timestamp": stamp}) is True
    assert REGISTRY.get_sample_value("pulsar_producer_lag_seconds", {"topic": "stamped"}) == pytest.approx(100, abs=5)
    assert await send(None, {"timestamp": "no time"}) is True
    put(memory, 1)
    memory.topics[ORDERS][0].publish_time = datetime.now(UTC) - timedelta(seconds=50)
    task = asyncio.ensure_future(
        PulsarClient().consume_messages("orders", "lagging", lambda message: None, initial_position="earliest")
    )
    await memory.until(lambda: len(memory.acked) == 1)
    task.cancel()
    labels = {"topic": "orders", "subscription": "lagging"}
    assert REGISTRY.get_sample_value("pulsar_consumer_lag_seconds", labels) == pytest.approx(50, abs=5)
    await track_lag_and_callback([{"publish_timestamp": time() - 9}, {}], "orders", "lagging", len)
    assert REGISTRY.get_sample_value("pulsar_consumer_lag_seconds", labels) == pytest.approx(9, abs=5)


async def test_fault_26_a_consumer_without_a_client_uses_the_packages_own(memory: MemoryBroker) -> None:
    """It called a method of None."""
    from fastapi_pulsar.decorators import client as default

    put(memory, 1)
    seen: list[Any] = []

    @pulsar_consumer("orders", "billing", initial_position="earliest")
    async def bill(message: dict[str, Any]) -> None:
        seen.append(message)

    task = asyncio.ensure_future(bill(None))
    await memory.until(lambda: len(memory.acked) == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await default.close()
    assert seen == [{"id": 1}]
