"""A consumer function: called with a message, acknowledged, retried, dead-lettered."""

import asyncio
import contextvars
import json
import logging
import random
import re
import threading
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import Batch, Key, Message, Property, PulsarRouter
from fastapi_pulsar.exceptions import ConnectionError, NotAllowedError
from tests.fastapi.broker import Broker
from tests.fastapi.serving import MakeRouter, Run, running

ORDERS = "persistent://public/default/orders"
DEAD = "persistent://public/default/orders-billing-DLQ"
CANARY = "canary-51c9"


class Order(BaseModel):
    id: int
    note: str = ""


def app_of(pulsar: PulsarRouter) -> FastAPI:
    app = FastAPI()
    app.include_router(pulsar)
    return app


def put(broker: Broker, *ids: int, **fields: Any) -> None:
    for one in ids:
        broker.put(ORDERS, Order(id=one).model_dump_json().encode(), **fields)


def test_a_message_is_validated_handed_over_and_acknowledged(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    seen: list[Any] = []

    @pulsar.consumer("orders", subscription="billing")
    async def bill(
        order: Order,
        key: Annotated[str | None, Key()],
        trace: Annotated[int, Property("trace")],
        message: Message[Order],
        region: Annotated[str, Property("region")] = "eu",
    ) -> None:
        seen.append((order, key, trace, message.topic, region))

    async def scenario() -> None:
        put(broker, 1, key="k", properties={"trace": "7"})
        async with running(app_of(pulsar)):
            await broker.until(lambda: len(broker.acked) == 1)
        assert seen == [(Order(id=1), "k", 7, ORDERS, "eu")]
        consumer = broker.consumers[0]
        assert (consumer.subscription, consumer.model, consumer.options["type"]) == ("billing", Order, "Shared")
        assert (consumer.flushed, consumer.closed, broker.clients[0].closed) == (True, True, True)

    run(scenario())
    assert bill.__name__ == "bill"


def test_a_decorated_function_is_returned_unchanged(pulsar: PulsarRouter) -> None:
    async def bill(order: Order) -> None: ...

    assert pulsar.consumer("orders", subscription="billing")(bill) is bill


def test_no_more_calls_than_the_concurrency_and_each_a_task_of_its_own(
    run: Run, broker: Broker, pulsar: PulsarRouter
) -> None:
    running_now = most = 0
    tasks: set[Any] = set()
    variable = contextvars.ContextVar("variable", default=0)
    leaked: list[int] = []

    @pulsar.consumer("orders", subscription="billing", concurrency=5)
    async def bill(order: Order) -> None:
        nonlocal running_now, most
        leaked.append(variable.get())
        variable.set(order.id)
        running_now += 1
        most = max(most, running_now)
        tasks.add(asyncio.current_task())
        await asyncio.sleep(0.001)
        running_now -= 1

    async def scenario() -> None:
        async with running(app_of(pulsar)):
            put(broker, *range(1, 101))
            await broker.until(lambda: len(broker.acked) == 100)

    run(scenario())
    assert (most, len(tasks), set(leaked)) == (5, 100, {0})


def test_a_failing_message_is_negatively_acknowledged_then_dead(
    run: Run, broker: Broker, pulsar: PulsarRouter, caplog: pytest.LogCaptureFixture
) -> None:
    calls = 0

    @pulsar.consumer("orders", subscription="billing")
    async def bill(order: Order) -> None:
        nonlocal calls
        calls += 1
        raise ValueError(f"cannot bill {order.note}")

    async def scenario() -> None:
        stored = broker.put(
            ORDERS,
            Order(id=1, note=CANARY).model_dump_json().encode(),
            key="k",
            ordering_key=b"o",
            properties={"trace": "7", "REAL_TOPIC": "before"},
        )
        async with running(app_of(pulsar)):
            await broker.until(lambda: broker.acked)
        assert broker.acked == [stored]
        (dead,) = broker.topics[DEAD]
        assert (dead.data, dead.key, dead.ordering_key) == (stored.data, "k", b"o")
        assert datetime.fromisoformat(dead.properties.pop("DEAD_LETTER_TIME")).tzinfo is not None
        assert re.fullmatch(r"raised in bill \(test_consuming.py:\d+\)", dead.properties.pop("DEAD_LETTER_DETAIL"))
        assert dead.properties == {
            "trace": "7",
            "REAL_TOPIC": "before",
            "REAL_SUBSCRIPTION": "billing",
            "ORIGIN_MESSAGE_ID": "1:0:-1",
            "ORIGIN_MESSAGE_IDY_TIME": "1:0:-1",
            "DEAD_LETTER_ERROR": "ValueError",
            "DEAD_LETTER_ATTEMPTS": "4",
        }
        assert broker.producers[0].options == {"initial_subscription": "billing-dlq"}

    with caplog.at_level(logging.DEBUG):
        run(scenario())
    assert calls == 1 + 3, "max_attempts = 1 + max_redeliver_count"
    assert len(broker.nacked) == 3
    assert "bill failed" in caplog.text
    assert "in bill" in caplog.text, "the log tells where it was raised"
    assert CANARY not in caplog.text


def test_a_message_that_recovers_is_acknowledged(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    calls = 0

    @pulsar.consumer("orders", subscription="billing", max_redeliver_count=1)
    async def bill(order: Order) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError

    async def scenario() -> None:
        put(broker, 1)
        async with running(app_of(pulsar)):
            await broker.until(lambda: broker.acked)

    run(scenario())
    assert (calls, len(broker.nacked), broker.topics[DEAD]) == (2, 1, [])


@pytest.mark.parametrize(
    ("data", "properties", "detail"),
    [
        (f'{{"id": "{CANARY}"}}'.encode(), {"n": "1"}, "id: int_parsing"),
        (b'{"id": 1}', {"n": CANARY}, "property n: int_parsing"),
        (b'{"id": 1}', {}, "property n: missing"),
    ],
)
def test_what_does_not_validate_is_dead_at_once(
    run: Run,
    broker: Broker,
    pulsar: PulsarRouter,
    caplog: pytest.LogCaptureFixture,
    data: bytes,
    properties: dict[str, str],
    detail: str,
) -> None:
    @pulsar.consumer("orders", subscription="billing", dead_letter_topic="dead")
    async def bill(order: Order, n: Annotated[int, Property("n")]) -> None:
        raise AssertionError("must not be called")

    async def scenario() -> None:
        broker.put(ORDERS, data, properties=properties)
        async with running(app_of(pulsar)):
            await broker.until(lambda: broker.acked)
        (dead,) = broker.topics["persistent://public/default/dead"]
        assert dead.data == data
        assert dead.properties["DEAD_LETTER_ERROR"] == "PayloadValidationError"
        assert dead.properties["DEAD_LETTER_DETAIL"] == detail
        assert all(CANARY not in value for name, value in dead.properties.items() if name != "n")

    with caplog.at_level(logging.DEBUG):
        run(scenario())
    assert broker.nacked == []
    assert detail.split(": ")[1] in caplog.text
    assert CANARY not in caplog.text


def test_the_original_is_acknowledged_only_when_its_dead_letter_is_stored(
    run: Run, broker: Broker, pulsar: PulsarRouter
) -> None:
    @pulsar.consumer("orders", subscription="billing")
    async def bill(order: Order) -> None: ...

    async def scenario() -> None:
        broker.send_errors[DEAD].extend([ConnectionError("no"), ConnectionError("no")])
        broker.put(ORDERS, b"bad")
        async with running(app_of(pulsar)):
            await broker.until(lambda: broker.acked)
        assert len(broker.nacked) == 2
        assert len(broker.topics[DEAD]) == 1

    run(scenario())


@pytest.mark.parametrize("kind", ["Exclusive", "Failover"])
def test_exclusive_and_failover_attempt_in_place(run: Run, broker: Broker, pulsar: PulsarRouter, kind: Any) -> None:
    calls: list[int] = []

    @pulsar.consumer("orders", subscription="billing", type=kind)
    async def bill(order: Order) -> None:
        calls.append(order.id)
        if order.id == 1:
            raise ValueError

    async def scenario() -> None:
        broker.send_errors[DEAD].append(ConnectionError("no"))
        put(broker, 1, 2)
        async with running(app_of(pulsar)):
            await broker.until(lambda: len(broker.acked) == 2)

    run(scenario())
    assert calls == [1, 1, 1, 1, 2]
    assert broker.nacked == []
    assert len(broker.topics[DEAD]) == 1


def test_key_order_holds_through_failures_and_keys_run_side_by_side(
    run: Run, broker: Broker, pulsar: PulsarRouter
) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    handled: defaultdict[str, list[int]] = defaultdict(list)
    busy: set[str] = set()
    most = 0

    @pulsar.consumer("orders", subscription="billing", ordering="key", concurrency=8)
    async def bill(order: Order, key: Annotated[str, Key()]) -> None:
        nonlocal most
        assert key not in busy
        busy.add(key)
        most = max(most, len(busy))
        await asyncio.sleep(chance.random() / 1000)
        busy.remove(key)
        if chance.random() < 0.1:
            raise ValueError
        handled[key].append(order.id)

    async def scenario() -> None:
        async with running(app_of(pulsar)):
            for one in range(500):
                put(broker, one, key=chance.choice("abcdefghijklmnop"))
            await broker.until(lambda: len(broker.acked) == 500)
        assert broker.consumers[0].options["type"] == "Key_Shared"

    run(scenario())
    assert broker.nacked == []
    assert sum(map(len, handled.values())) == 500 - len(broker.topics[DEAD])
    for numbers in handled.values():
        assert numbers == sorted(numbers)
    assert 1 < most <= 8


def test_messages_without_a_key_have_no_order(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    both = asyncio.Barrier(2)

    @pulsar.consumer("orders", subscription="billing", ordering="key", concurrency=2)
    async def bill(order: Order) -> None:
        await both.wait()

    async def scenario() -> None:
        put(broker, 1, 2)
        async with running(app_of(pulsar)):
            await broker.until(lambda: len(broker.acked) == 2)

    run(scenario())


def test_past_its_timeout_a_call_is_cancelled_and_has_failed(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    cancelled = 0

    @pulsar.consumer("orders", subscription="billing", timeout=timedelta(milliseconds=10), max_redeliver_count=0)
    async def bill(order: Order) -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise

    async def scenario() -> None:
        put(broker, 1)
        async with running(app_of(pulsar)):
            await broker.until(lambda: broker.acked)

    run(scenario())
    assert cancelled == 1
    assert broker.topics[DEAD][0].properties["DEAD_LETTER_ERROR"] == "TimeoutError"


def test_a_call_that_raises_cancelled_error_itself_has_failed(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    @pulsar.consumer("orders", subscription="billing", max_redeliver_count=0)
    async def bill(order: Order) -> None:
        raise asyncio.CancelledError

    async def scenario() -> None:
        put(broker, 1)
        async with running(app_of(pulsar)):
            await broker.until(lambda: broker.acked)

    run(scenario())
    assert len(broker.topics[DEAD]) == 1


def test_a_plain_function_runs_in_threads_under_its_own_limit(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    threads: set[int] = set()
    together = threading.Barrier(3, timeout=10)

    @pulsar.consumer("orders", subscription="billing", concurrency=3)
    def bill(order: Order) -> None:
        together.wait()
        threads.add(threading.get_ident())
        pulsar.publish_blocking("billed", {"id": order.id}, key="k")

    async def scenario() -> None:
        put(broker, 1, 2, 3)
        async with running(app_of(pulsar)):
            await broker.until(lambda: len(broker.acked) == 3)
            with pytest.raises(NotAllowedError):
                pulsar.publish_blocking("billed", b"")
        billed = broker.topics["persistent://public/default/billed"]
        assert sorted(json.loads(one.data)["id"] for one in billed) == [1, 2, 3]

    run(scenario())
    assert threading.get_ident() not in threads


def test_a_batch_handler_takes_lists_and_fails_message_by_message(
    run: Run, broker: Broker, pulsar: PulsarRouter
) -> None:
    lists: list[list[int]] = []

    @pulsar.consumer("orders", subscription="billing", batch=Batch(3, timedelta(seconds=5)), type="Failover")
    async def bill(orders: list[Order]) -> None:
        lists.append([order.id for order in orders])
        if any(order.id == 2 for order in orders):
            raise ValueError

    async def scenario() -> None:
        put(broker, 1, 2)
        broker.put(ORDERS, b"bad")
        put(broker, 4)
        async with running(app_of(pulsar)):
            await broker.until(lambda: len(broker.acked) == 4)

    run(scenario())
    assert lists == [[1, 2], [1], [2], [2], [2], [4]]
    assert sorted(dead.data for dead in broker.topics[DEAD]) == [b"bad", b'{"id":2,"note":""}']


def test_a_batch_of_messages_on_shared(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    calls: list[list[int]] = []

    @pulsar.consumer("orders", subscription="billing", batch=Batch(10), max_redeliver_count=1)
    async def bill(messages: list[Message[Order]]) -> None:
        calls.append([message.value.id for message in messages])
        raise ValueError

    async def scenario() -> None:
        put(broker, 1, 2)
        async with running(app_of(pulsar)):
            await broker.until(lambda: len(broker.acked) == 2)

    run(scenario())
    assert calls == [[1, 2], [1, 2]]
    assert len(broker.topics[DEAD]) == len(broker.nacked) == 2


def test_shutdown_lets_calls_finish_and_leaves_the_rest(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router(drain_timeout=0.2)
    started: list[int] = []
    finish = asyncio.Event()

    @pulsar.consumer("orders", subscription="billing", concurrency=2)
    async def bill(order: Order) -> None:
        started.append(order.id)
        await (finish.wait() if order.id == 1 else asyncio.Event().wait())

    async def scenario() -> None:
        put(broker, 1, 2, 3)
        async with running(app_of(pulsar)):
            await broker.until(lambda: len(started) == 2)
            asyncio.get_running_loop().call_later(0.05, finish.set)
        waiting = broker.queues[ORDERS, "billing"]
        assert [stored.number for stored in broker.acked] == [0]
        assert sorted(stored.number for stored in waiting) == [1, 2]
        assert broker.nacked == []

    run(scenario())
    assert started == [1, 2]


def test_shutdown_does_not_wait_for_the_next_attempt(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router(settings={"consumer_nack_redelivery_delay_ms": 60_000})
    called = asyncio.Event()

    @pulsar.consumer("orders", subscription="billing", type="Exclusive")
    async def bill(order: Order) -> None:
        called.set()
        raise ValueError

    async def scenario() -> None:
        put(broker, 1)
        async with running(app_of(pulsar)):
            await called.wait()
        assert len(broker.queues[ORDERS, "billing"]) == 1

    run(scenario())


def test_a_consumer_that_ends_is_subscribed_anew(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    @pulsar.consumer("orders", subscription="billing")
    async def bill(order: Order) -> None: ...

    async def scenario() -> None:
        async with running(app_of(pulsar)):
            await broker.until(lambda: pulsar.ready)
            broker.consumers[0].failure = ConnectionError("gone")
            await broker.until(lambda: not pulsar.ready)
            await broker.until(lambda: pulsar.ready)
            put(broker, 1)
            await broker.until(lambda: broker.acked)
        assert len(broker.consumers) == 2
        assert broker.consumers[0].closed

    run(scenario())
