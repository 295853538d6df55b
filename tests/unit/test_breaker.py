"""The circuit breaker, by a clock that the test moves."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from prometheus_client import REGISTRY

from fastapi_pulsar import PulsarClient
from fastapi_pulsar.client import CircuitBreaker
from fastapi_pulsar.exceptions import (
    AuthorizationError,
    CircuitOpenError,
    ConnectionError,
    InvalidOptionError,
    ServiceNotReadyError,
    TimeoutError,
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 10))


async def fails(breaker: CircuitBreaker, error: BaseException) -> None:
    async def send() -> None:
        raise error

    with pytest.raises(type(error)):
        await breaker.call(send)


async def succeeds(breaker: CircuitBreaker) -> None:
    async def send() -> int:
        return 7

    assert await breaker.call(send) == 7


def state(breaker: CircuitBreaker) -> str:
    return breaker.state


def breaker_of(clock: Clock, threshold: int = 3) -> CircuitBreaker:
    return CircuitBreaker("orders", threshold, 30, clock=clock)


@pytest.mark.parametrize("error", [ConnectionError, TimeoutError, ServiceNotReadyError, OSError, asyncio.TimeoutError])
def test_it_opens_on_connection_failures_in_a_row(error: type[Exception]) -> None:
    async def scenario() -> None:
        clock = Clock()
        breaker = breaker_of(clock)
        kind = ConnectionError if error is OSError else error
        await fails(breaker, kind())
        await fails(breaker, kind())
        await succeeds(breaker)
        for _ in range(3):
            assert state(breaker) == "closed"
            await fails(breaker, kind())
        assert (state(breaker), breaker.failures, breaker.times_opened) == ("open", 3, 1)
        clock.now += 29
        with pytest.raises(CircuitOpenError, match=r"1\.0 s") as caught:
            await succeeds(breaker)
        assert (caught.value.topic, caught.value.retryable) == ("orders", True)
        assert isinstance(caught.value, ConnectionError)
        assert breaker.failures == 3, "what was not tried is no failure"

    run(scenario())


def test_a_probe_closes_it_or_opens_it_anew() -> None:
    async def scenario() -> None:
        clock = Clock()
        breaker = CircuitBreaker("probed", 1, 30, clock=clock)
        await fails(breaker, ConnectionError())
        clock.now += 30
        assert state(breaker) == "half_open"
        await fails(breaker, ConnectionError())
        assert state(breaker) == "open"
        clock.now += 30
        await succeeds(breaker)
        assert (state(breaker), breaker.failures, breaker.times_opened) == ("closed", 0, 1)

    run(scenario())
    labels = {"topic": "probed"}
    assert REGISTRY.get_sample_value("pulsar_circuit_breaker_state", labels) == 0
    assert REGISTRY.get_sample_value("pulsar_circuit_breaker_failures_total", labels) is not None


def test_the_metric_shows_that_time_alone_half_opens_and_the_worst_of_a_topic() -> None:
    def shown() -> float | None:
        return REGISTRY.get_sample_value("pulsar_circuit_breaker_state", {"topic": "shown"})

    async def scenario() -> None:
        clock = Clock()
        first, second = (CircuitBreaker("shown", 1, recovery, clock=clock) for recovery in (30, 60))
        await fails(first, ConnectionError())
        await fails(second, ConnectionError())
        assert shown() == 2
        clock.now += 30
        assert (state(first), state(second), shown()) == ("half_open", "open", 2)
        clock.now += 30
        assert shown() == 1
        await succeeds(first)
        await succeeds(second)
        assert shown() == 0

    run(scenario())


def test_one_probe_at_a_time_and_a_cancelled_one_makes_room() -> None:
    async def scenario() -> None:
        clock = Clock()
        breaker = breaker_of(clock, 1)
        await fails(breaker, ConnectionError())
        clock.now += 30
        entered = asyncio.Event()

        async def hang() -> None:
            entered.set()
            await asyncio.Event().wait()

        probe = asyncio.ensure_future(breaker.call(hang))
        await entered.wait()
        with pytest.raises(CircuitOpenError, match="on its way"):
            await succeeds(breaker)
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        assert state(breaker) == "half_open"
        await fails(breaker, AuthorizationError())
        await succeeds(breaker)
        assert state(breaker) == "closed"

    run(scenario())


def test_a_call_from_before_the_opening_that_succeeds_closes_it() -> None:
    async def scenario() -> None:
        breaker = breaker_of(Clock(), 1)
        go = asyncio.Event()
        early = asyncio.ensure_future(breaker.call(go.wait))
        await asyncio.sleep(0)
        await fails(breaker, ConnectionError())
        assert state(breaker) == "open"
        go.set()
        await early
        assert state(breaker) == "closed"

    run(scenario())


def test_what_the_broker_refuses_does_not_count_and_a_threshold_of_0_never_opens() -> None:
    async def scenario() -> None:
        breaker = breaker_of(Clock(), 1)
        await fails(breaker, AuthorizationError())
        await fails(breaker, ValueError())
        assert state(breaker) == "closed"
        never = breaker_of(Clock(), 0)
        for _ in range(10):
            await fails(never, ConnectionError())
        assert state(never) == "closed"

    run(scenario())


@pytest.mark.parametrize("limits", [(-1, 1), (1, 0)])
def test_limits_out_of_range(limits: tuple[int, float]) -> None:
    with pytest.raises(InvalidOptionError, match="CircuitBreaker"):
        CircuitBreaker("orders", *limits)


def test_a_client_has_one_for_each_topic() -> None:
    client = PulsarClient("pulsar://localhost:1")
    other = PulsarClient("pulsar://localhost:1")
    breaker = client.breaker("orders")
    assert breaker is client.breaker("persistent://public/default/orders") is not client.breaker("bills")
    assert breaker is not other.breaker("orders")
    assert set(client.breakers.all) == {f"persistent://public/default/{name}" for name in ("orders", "bills")}
