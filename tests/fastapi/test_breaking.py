"""`publish` behind its circuit breaker."""

from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_pulsar.exceptions import CircuitOpenError, ConnectionError
from tests.fastapi.broker import Broker
from tests.fastapi.serving import MakeRouter, Run, running

BILLS = "persistent://public/default/bills"


def test_one_failing_topic_opens_its_breaker_alone_and_the_fallback_takes_over(
    run: Run, broker: Broker, make_router: MakeRouter
) -> None:
    pulsar = make_router(settings={"breaker_failure_threshold": 2, "breaker_recovery_seconds": 0.05})
    taken: list[Any] = []

    async def keep(value: Any) -> None:
        taken.append(value)

    async def scenario() -> None:
        app = FastAPI()
        app.include_router(pulsar)
        async with running(app):
            broker.send_errors[BILLS].extend([ConnectionError("no")] * 2)
            for _ in range(2):
                with pytest.raises(ConnectionError, match="no"):
                    await pulsar.publish("bills", b"1")
            with pytest.raises(CircuitOpenError):
                await pulsar.publish("bills", b"2")
            assert await pulsar.publish("bills", b"3", fallback=taken.append) is None
            assert await pulsar.publish("bills", b"4", fallback=keep) is None
            assert await pulsar.publish("orders", b"5") is not None, "another topic"
            breaker = pulsar.client.breaker("bills")
            await broker.until(lambda: breaker.state == "half_open")
            assert await pulsar.publish("bills", b"6", fallback=keep) is not None
            assert breaker.state == "closed"

    run(scenario())
    assert taken == [b"3", b"4"]
    assert [stored.data for stored in broker.topics[BILLS]] == [b"6"]
