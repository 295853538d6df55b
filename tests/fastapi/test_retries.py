"""The three ways of trying again, the signals, the ways to acknowledge, and what is left out as processed before."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import (
    Ack,
    Batch,
    DeadLetter,
    Deduplicate,
    Delivery,
    Exponential,
    Key,
    Message,
    Nack,
    PulsarRouter,
    Retry,
    RetryPolicy,
    Skip,
)
from fastapi_pulsar.exceptions import AuthorizationError, ConnectionError, NotAllowedError
from tests.fastapi.broker import Broker
from tests.fastapi.serving import MakeRouter, Run, running

ORDERS = "persistent://public/default/orders"
DEAD = f"{ORDERS}-billing-DLQ"
RETRIES = f"{ORDERS}-billing-RETRY"
AT_ONCE = RetryPolicy(max_attempts=3, backoff=0.001)
CANARY = "canary-7d10"


class Order(BaseModel):
    id: int


def put(broker: Broker, *ids: int, **fields: Any) -> None:
    for one in ids:
        broker.put(ORDERS, Order(id=one).model_dump_json().encode(), **fields)


def consume(run: Run, broker: Broker, pulsar: PulsarRouter, done: int, *ids: int, **fields: Any) -> None:
    """Runs an application until so many messages are acknowledged."""

    async def scenario() -> None:
        put(broker, *(ids or (1,)), **fields)
        app = FastAPI()
        app.include_router(pulsar)
        async with running(app):
            await broker.until(lambda: len(broker.acked) == done)

    run(scenario())


def failing(calls: list[int], errors: Iterator[BaseException]) -> Any:
    async def bill(order: Order) -> None:
        calls.append(order.id)
        error = next(errors, None)
        if error is not None:
            raise error

    return bill


def test_redeliver_gives_the_message_back_after_the_policys_delay(
    run: Run, broker: Broker, pulsar: PulsarRouter
) -> None:
    calls: list[int] = []
    policy = RetryPolicy(backoff=[5, 30, 120], jitter=0)
    pulsar.consumer("orders", subscription="billing", retry=policy)(failing(calls, iter([ValueError()] * 9)))
    consume(run, broker, pulsar, 1)
    assert calls == [1] * 4, "three tiers are three retries"
    assert [stored.nack_delay for stored in broker.nacked] == [120] * 3, "the last tier was set last"
    assert broker.topics[DEAD][0].properties["DEAD_LETTER_ATTEMPTS"] == "4"


@pytest.mark.parametrize("kind", ["Shared", "Key_Shared", "Exclusive", "Failover"])
def test_the_retry_topic_serves_every_type_and_is_read_as_shared(
    run: Run, broker: Broker, pulsar: PulsarRouter, kind: Any
) -> None:
    calls: list[int] = []
    policy = RetryPolicy(max_attempts=3, backoff=[0.01, 0.02], jitter=0, way="retry_topic")
    handler = failing(calls, iter([ValueError(CANARY), ValueError()] * 2))
    pulsar.consumer("orders", subscription="billing", type=kind, retry=policy)(handler)
    consume(run, broker, pulsar, 3, properties={"mine": "kept"}, key="k")
    assert calls == [1, 1, 1] and broker.nacked == []
    first, second = broker.topics[RETRIES]
    assert first.properties == {
        "mine": "kept",
        "REAL_TOPIC": ORDERS,
        "REAL_SUBSCRIPTION": "billing",
        "ORIGIN_MESSAGE_ID": "1:0:-1",
        "ORIGIN_MESSAGE_IDY_TIME": "1:0:-1",
        "RECONSUMETIMES": "1",
        "DELAY_TIME": "10",
    }
    assert second.properties == first.properties | {"RECONSUMETIMES": "2", "DELAY_TIME": "20"}
    assert (first.key, first.deliver_after, second.deliver_after) == ("k", 0.01, 0.02)
    (dead,) = broker.topics[DEAD]
    assert dead.properties["REAL_TOPIC"] == ORDERS and dead.properties["DEAD_LETTER_ATTEMPTS"] == "3"
    types = {tuple(one.topics): one.options["type"] for one in broker.consumers}
    assert types == {(ORDERS,): kind, (RETRIES,): "Shared"}
    assert {one.topic: one.options for one in broker.producers} == {
        DEAD: {"initial_subscription": "billing-dlq"},
        RETRIES: {"initial_subscription": "billing"},
    }


def test_a_retry_letter_cannot_choose_where_its_dead_letter_goes(
    run: Run, broker: Broker, pulsar: PulsarRouter
) -> None:
    policy = RetryPolicy(max_attempts=2, backoff=0.001, way="retry_topic")
    pulsar.consumer("orders", subscription="billing", retry=policy)(failing([], iter([ValueError()] * 2)))

    async def scenario() -> None:
        app = FastAPI()
        app.include_router(pulsar)
        async with running(app):
            await broker.until(lambda: len(broker.consumers) == 2)
            broker.put(RETRIES, b'{"id":1}', properties={"REAL_TOPIC": "persistent://a/b/c", "RECONSUMETIMES": "9"})
            await broker.until(lambda: broker.acked)

    run(scenario())
    assert [name for name, stored in broker.topics.items() if stored] == [DEAD, RETRIES]


def test_a_retry_letter_that_is_not_stored_keeps_its_original(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    calls: list[int] = []
    policy = RetryPolicy(max_attempts=4, backoff=0.001, way="retry_topic")
    pulsar.consumer("orders", subscription="billing", retry=policy)(failing(calls, iter([ValueError(), ValueError()])))
    broker.send_errors[RETRIES].append(ConnectionError("no"))
    consume(run, broker, pulsar, 2)
    assert len(broker.nacked) == 1 and len(broker.topics[RETRIES]) == 1
    assert calls == [1, 1, 1] and not broker.topics[DEAD]


def test_in_place_works_on_shared_too(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    calls: list[int] = []
    policy = RetryPolicy(max_attempts=3, backoff=0.001, way="in_place")
    pulsar.consumer("orders", subscription="billing", retry=policy)(failing(calls, iter([ValueError(), ValueError()])))
    consume(run, broker, pulsar, 2, 1, 2)
    assert calls == [1, 1, 1, 2] and broker.nacked == []


def test_in_place_suspends_the_ack_timeout_and_limits_each_attempt_instead(
    run: Run, broker: Broker, pulsar: PulsarRouter
) -> None:
    cancelled: list[int] = []

    @pulsar.consumer("orders", subscription="billing", type="Failover", ack_timeout=0.02, retry=AT_ONCE)
    async def bill(order: Order) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(order.id)
            raise

    consume(run, broker, pulsar, 1)
    assert cancelled == [1, 1, 1]
    assert broker.consumers[0].options["ack_timeout"] == 0
    assert broker.topics[DEAD][0].properties["DEAD_LETTER_ERROR"] == "TimeoutError"


@pytest.mark.parametrize(
    ("policy", "error", "attempts"),
    [
        (RetryPolicy(3, 0.001, retry_on=OSError), ValueError(), 1),
        (RetryPolicy(3, 0.001, retry_on=OSError), FileNotFoundError(), 3),
        (RetryPolicy(3, 0.001, dead_letter_on=(KeyError, ValueError)), ValueError(), 1),
        (RetryPolicy(3, 0.001, dead_letter_on=LookupError), ValueError(), 3),
    ],
)
def test_a_policy_chooses_by_exception(
    run: Run, broker: Broker, make_router: MakeRouter, policy: RetryPolicy, error: Exception, attempts: int
) -> None:
    pulsar = make_router(retry=policy)
    calls: list[int] = []
    pulsar.consumer("orders", subscription="billing")(failing(calls, iter([error] * 9)))
    consume(run, broker, pulsar, 1)
    assert len(calls) == attempts
    assert broker.topics[DEAD][0].properties["DEAD_LETTER_ERROR"] == type(error).__name__


def test_a_consumers_own_policy_or_count_wins_over_the_routers(
    run: Run, broker: Broker, make_router: MakeRouter
) -> None:
    pulsar = make_router(retry=RetryPolicy(7, 0.001))
    calls: list[int] = []
    pulsar.consumer("orders", subscription="billing", max_redeliver_count=1)(failing(calls, iter([ValueError()] * 9)))
    consume(run, broker, pulsar, 1)
    assert len(calls) == 2


@pytest.mark.parametrize("signal", [Ack, Skip])
def test_ack_and_skip_acknowledge(run: Run, broker: Broker, pulsar: PulsarRouter, signal: Any) -> None:
    calls: list[int] = []
    pulsar.consumer("orders", subscription="billing")(failing(calls, iter([signal()])))
    consume(run, broker, pulsar, 1)
    assert calls == [1] and broker.nacked == [] and not broker.topics[DEAD]


def test_nack_gives_back_however_often(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    calls: list[int] = []
    policy = RetryPolicy(max_attempts=1, way="in_place")
    pulsar.consumer("orders", subscription="billing", retry=policy)(failing(calls, iter([Nack(delay=2)] * 3)))
    consume(run, broker, pulsar, 1)
    assert calls == [1] * 4 and [stored.nack_delay for stored in broker.nacked] == [2] * 3


def test_nack_on_exclusive_is_an_attempt_in_place(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    calls: list[int] = []
    pulsar.consumer("orders", subscription="billing", type="Exclusive", retry=AT_ONCE)(
        failing(calls, iter([Nack(delay=0)] * 9))
    )
    consume(run, broker, pulsar, 1)
    assert calls == [1] * 3 and broker.nacked == [] and len(broker.topics[DEAD]) == 1


def test_retry_takes_its_own_delay_and_counts(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    calls: list[int] = []
    pulsar.consumer("orders", subscription="billing", retry=AT_ONCE)(failing(calls, iter([Retry(delay=3)] * 9)))
    consume(run, broker, pulsar, 1)
    assert calls == [1] * 3 and [stored.nack_delay for stored in broker.nacked] == [3] * 2
    assert broker.topics[DEAD][0].properties["DEAD_LETTER_ERROR"] == "Retry"


def test_dead_letter_goes_at_once_with_its_reason(
    run: Run, broker: Broker, pulsar: PulsarRouter, caplog: pytest.LogCaptureFixture
) -> None:
    @pulsar.consumer("orders", subscription="billing")
    async def bill(order: Order) -> None:
        try:
            raise LookupError(CANARY)
        except LookupError as error:
            raise DeadLetter(reason="no such customer" + "ü" * 4096) from error

    with caplog.at_level(logging.DEBUG):
        consume(run, broker, pulsar, 1)
    properties = broker.topics[DEAD][0].properties
    assert (properties["DEAD_LETTER_ERROR"], properties["DEAD_LETTER_ATTEMPTS"]) == ("LookupError", "1")
    assert properties["DEAD_LETTER_DETAIL"].startswith("no such customerü")
    assert len(properties["DEAD_LETTER_DETAIL"].encode()) == 4096
    assert CANARY not in str(properties) + caplog.text


def test_on_receive_acknowledges_first_and_loses_what_fails(
    run: Run, broker: Broker, pulsar: PulsarRouter, caplog: pytest.LogCaptureFixture
) -> None:
    acknowledged: list[int] = []

    @pulsar.consumer("orders", subscription="billing", ack="on_receive")
    async def bill(order: Order) -> None:
        acknowledged.append(len(broker.acked))
        raise ValueError(CANARY)

    broker.put(ORDERS, b"bad")
    consume(run, broker, pulsar, 3, 1, 2)
    assert acknowledged == [2, 3] and broker.nacked == []
    assert [dead.data for dead in broker.topics[DEAD]] == [b"bad"], "what does not validate is kept"
    assert "bill failed" in caplog.text and CANARY not in caplog.text


def test_a_batch_acknowledged_on_receive(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    acknowledged: list[int] = []

    @pulsar.consumer("orders", subscription="billing", ack="on_receive", batch=Batch(2, 5))
    async def bill(orders: list[Order]) -> None:
        acknowledged.append(len(broker.acked))
        raise ValueError

    consume(run, broker, pulsar, 2, 1, 2)
    assert acknowledged == [2] and broker.nacked == []


def test_manual_leaves_it_to_the_function(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    kept: list[Delivery] = []

    @pulsar.consumer("orders", subscription="billing", ack="manual", retry=AT_ONCE, concurrency=3)
    async def bill(order: Order, delivery: Delivery) -> None:
        if order.id == 1:
            delivery.acknowledge()
            delivery.acknowledge()
            raise ValueError("afterwards")
        if order.id == 2 and delivery.attempt == 1:
            delivery.negative_acknowledge(delay=7)
        elif order.id == 3:
            raise ValueError
        else:
            kept.append(delivery)

    async def scenario() -> None:
        put(broker, 1, 2, 3)
        app = FastAPI()
        app.include_router(pulsar)
        async with running(app):
            await broker.until(lambda: kept and len(broker.acked) == 2)
            assert [stored.number for stored in broker.consumers[0].unacked] == [1]
            kept[0].acknowledge()
            assert kept[0].settled

    run(scenario())
    assert [stored.number for stored in broker.acked] == [0, 2, 1]
    assert broker.nacked[0].nack_delay == 7 and kept[0].attempt == 2
    assert len(broker.topics[DEAD]) == 1, "an exception is a failure here too"


def test_the_attempt_is_told_in_place(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    attempts: list[int] = []

    @pulsar.consumer("orders", subscription="billing", type="Exclusive", retry=AT_ONCE)
    async def bill(message: Message[Order], delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        raise ValueError

    consume(run, broker, pulsar, 1)
    assert attempts == [1, 2, 3]


def test_key_order_holds_through_attempts_in_place(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    handled: list[tuple[str, int]] = []
    failed: set[int] = set()

    @pulsar.consumer("orders", subscription="billing", ordering="key", concurrency=4, retry=AT_ONCE)
    async def bill(order: Order, key: Annotated[str, Key()]) -> None:
        if order.id % 3 == 0 and order.id not in failed:
            failed.add(order.id)
            raise ValueError
        handled.append((key, order.id))

    async def scenario() -> None:
        for one in range(30):
            put(broker, one, key="ab"[one % 2])
        app = FastAPI()
        app.include_router(pulsar)
        async with running(app):
            await broker.until(lambda: len(broker.acked) == 30)

    run(scenario())
    for key in "ab":
        numbers = [number for name, number in handled if name == key]
        assert numbers == sorted(numbers) and len(numbers) == 15


def test_a_dead_letter_topic_that_the_broker_refuses_fails_the_start(
    run: Run, broker: Broker, pulsar: PulsarRouter
) -> None:
    pulsar.consumer("orders", subscription="billing")(failing([], iter([])))
    broker.producer_errors[DEAD].append(NotAllowedError("no subscription may be made"))

    async def scenario() -> None:
        app = FastAPI()
        app.include_router(pulsar)
        with pytest.raises(NotAllowedError):
            async with running(app):
                pass
        assert broker.consumers == [], "nothing is consumed without a place for what fails"

    run(scenario())


def test_a_retry_topic_that_the_broker_refuses_fails_the_start(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    policy = RetryPolicy(way="retry_topic")
    pulsar.consumer("orders", subscription="billing", retry=policy)(failing([], iter([])))
    broker.producer_errors[RETRIES].extend([AuthorizationError("no")] * 2)

    async def scenario() -> None:
        app = FastAPI()
        app.include_router(pulsar)
        with pytest.raises(AuthorizationError):
            async with running(app):
                pass

    run(scenario())


def test_a_message_processed_before_is_skipped(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    calls: list[int] = []
    policy = RetryPolicy(max_attempts=3, backoff=0.001, way="retry_topic")
    handler = failing(calls, iter([ValueError()]))
    pulsar.consumer("orders", subscription="billing", retry=policy, deduplicate=Deduplicate())(handler)

    async def scenario() -> None:
        put(broker, 1)
        app = FastAPI()
        app.include_router(pulsar)
        async with running(app):
            await broker.until(lambda: len(broker.acked) == 2)
            # The acknowledgement of the original was lost: it is delivered again, and so is the retry letter.
            for topic in (ORDERS, RETRIES):
                broker.queues[topic, "billing"].append(broker.topics[topic][0])
            await broker.until(lambda: len(broker.acked) == 4)

    run(scenario())
    assert calls == [1, 1], "a failure and a success"


def test_keys_processed_before_are_skipped_and_failed_ones_are_not(
    run: Run, broker: Broker, pulsar: PulsarRouter
) -> None:
    calls: list[int] = []

    @pulsar.consumer(
        "orders", subscription="billing", deduplicate=Deduplicate(by="key"), concurrency=9, max_redeliver_count=0
    )
    async def bill(order: Order) -> None:
        calls.append(order.id)
        await asyncio.sleep(0)
        if order.id == 1:
            raise ValueError
        if order.id == 4:
            raise Ack

    async def scenario() -> None:
        put(broker, 1, 2, 3, key="a")
        put(broker, 4, 5, key="b")
        put(broker, 6, 7)
        app = FastAPI()
        app.include_router(pulsar)
        async with running(app):
            await broker.until(lambda: len(broker.acked) == 7)

    run(scenario())
    assert sorted(calls) == [1, 2, 4, 6, 7], "one at a time of each key; without a key each is new"


class Store:
    """A store whose first calls fail."""

    def __init__(self, *, seen_fails: int = 0, add_fails: int = 0) -> None:
        self.known: list[str] = []
        self.seen_fails, self.add_fails = seen_fails, add_fails

    async def seen(self, identity: str) -> bool:
        self.seen_fails -= 1
        if self.seen_fails >= 0:
            raise OSError
        return identity in self.known

    async def add(self, identity: str) -> None:
        self.add_fails -= 1
        if self.add_fails >= 0:
            raise OSError
        self.known.append(identity)


def test_a_store_that_fails(run: Run, broker: Broker, pulsar: PulsarRouter, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(seen_fails=1, add_fails=1)
    calls: list[int] = []

    def by(message: Message[Any]) -> str:
        return f"order {message.value.id}"

    pulsar.consumer("orders", subscription="billing", deduplicate=Deduplicate(by=by, store=store))(
        failing(calls, iter([]))
    )
    consume(run, broker, pulsar, 2, 1, 2)
    assert sorted(calls) == [1, 2]
    assert len(broker.nacked) == 1, "not knowing whether it was processed is a failed attempt"
    assert len(store.known) == 1 and store.known[0].startswith(f"billing:{ORDERS}:order ")
    assert "handled twice" in caplog.text


def test_the_window_forgets_the_oldest(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    calls: list[int] = []
    known = Deduplicate(by="key", window=2)
    pulsar.consumer("orders", subscription="billing", deduplicate=known)(failing(calls, iter([])))

    async def scenario() -> None:
        for key in "abcca":
            put(broker, ord(key), key=key)
        app = FastAPI()
        app.include_router(pulsar)
        async with running(app):
            await broker.until(lambda: len(broker.acked) == 5)

    run(scenario())
    assert "".join(map(chr, calls)) == "abca"


def test_an_exponential_backoff_in_place(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    calls: list[int] = []
    policy = RetryPolicy(max_attempts=4, backoff=Exponential(0.001, 0.002), jitter=1, way="in_place")
    pulsar.consumer("orders", subscription="billing", retry=policy)(failing(calls, iter([ValueError()] * 9)))
    consume(run, broker, pulsar, 1)
    assert len(calls) == 4
