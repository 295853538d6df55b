"""The probes: what a process tells of its subscriptions, producers and circuit breakers."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from pydantic import BaseModel

from fastapi_pulsar import PulsarRouter, health_check
from fastapi_pulsar.exceptions import ConnectionError
from fastapi_pulsar.health_check import PulsarHealth
from tests.fastapi import serving
from tests.fastapi.broker import Broker
from tests.fastapi.serving import MakeRouter, Run, running

ORDERS = "persistent://public/default/orders"
BILLING = "subscription billing of orders"


class Order(BaseModel):
    id: int


def consume(pulsar: PulsarRouter, **options: Any) -> FastAPI:
    @pulsar.consumer("orders", subscription="billing", **options)
    async def bill(order: Order) -> None: ...

    return served(pulsar)


def served(*routers: Any) -> FastAPI:
    app = FastAPI()
    for router in (*routers, health_check.router):
        app.include_router(router)
    return app


async def ask(app: FastAPI, path: str) -> tuple[int, Any]:
    status, body = await serving.ask(app, f"/health/pulsar{path}")
    return status, json.loads(body)


async def states(app: FastAPI) -> tuple[int, int, int]:
    live, ready, startup = [(await ask(app, path))[0] for path in ("/live", "/ready", "/startup")]
    return live, ready, startup


def test_a_running_subscription_is_shown_with_what_it_does(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router(drain_timeout=0)
    hold, held = asyncio.Event(), asyncio.Event()

    @pulsar.consumer("orders", subscription="billing")
    async def bill(order: Order) -> None:
        held.set()
        await hold.wait()

    async def scenario() -> None:
        app = served(pulsar)
        async with running(app):
            await broker.until(lambda: pulsar.ready)
            await pulsar.publish("orders", Order(id=1))
            await held.wait()
            status, body = await ask(app, "/ready")
            assert (status, body["status"], body["reasons"]) == (200, "ready", {})
            (shown,) = body["subscriptions"]
            assert 0 <= shown.pop("seconds_since_progress") < 10
            assert shown.pop("function").endswith("<locals>.bill")
            assert shown == {
                "healthy": True,
                "reason": None,
                "subscription": "billing",
                "topics": [ORDERS],
                "type": "Shared",
                "state": "running",
                "connected": True,
                "assigned": True,
                "in_flight": 1,
                "queued": 0,
                "backlog": None,
            }
            producers = {one["topic"]: one["connected"] for one in body["producers"]}
            assert producers == {"orders": True, f"{ORDERS}-billing-DLQ": True}
            assert body["breakers"] == [
                {"healthy": True, "reason": None, "topic": ORDERS, "state": "closed", "failures": 0}
            ]
            hold.set()
            await broker.until(lambda: len(broker.acked) == 1)

    run(scenario())


def test_a_router_in_the_background_is_started_when_it_has_subscribed_and_stays_so(
    run: Run, broker: Broker, make_router: MakeRouter
) -> None:
    pulsar = make_router(on_startup="background", settings={"retry_initial_backoff_ms": 10})
    app = consume(pulsar)

    async def scenario() -> None:
        broker.subscribe_errors.extend([ConnectionError("nobody listens on port 6650")] * 1000)
        async with running(app):
            assert await states(app) == (200, 503, 503)
            for path in ("/ready", "/startup"):
                reasons = (await ask(app, path))[1]["reasons"]
                assert reasons == {BILLING: "not subscribed: nobody listens on port 6650"}
            broker.subscribe_errors.clear()
            await broker.until(lambda: pulsar.ready)
            assert await states(app) == (200, 200, 200)
            broker.down = "the broker closed the connection"
            assert await states(app) == (200, 503, 200)
            _, body = await ask(app, "/ready")
            assert body["reasons"][BILLING] == "not connected: the broker closed the connection"
            broker.down = None
            assert await states(app) == (200, 200, 200)

    run(scenario())


def test_a_consumer_function_that_was_never_started_is_told(run: Run, make_router: MakeRouter) -> None:
    outer, inner = served(), consume(make_router())
    outer.mount("/inner", inner)

    async def scenario() -> None:
        async with running(outer):
            status, body = await ask(outer, "/ready")
            assert (status, body["reasons"]) == (503, {f"router of {__name__}.consume.<locals>.bill": "not started"})

    run(scenario())


def test_a_disabled_router_is_ready(run: Run, make_router: MakeRouter) -> None:
    app = consume(make_router(settings={"enabled": False}))

    async def scenario() -> None:
        async with running(app):
            assert await states(app) == (200, 200, 200)

    run(scenario())


def test_an_open_breaker_is_not_ready_until_it_may_probe(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router(settings={"breaker_failure_threshold": 1, "breaker_recovery_seconds": 0.05})
    app = served(pulsar)

    async def scenario() -> None:
        async with running(app):
            broker.send_errors[ORDERS].append(ConnectionError("no"))
            with pytest.raises(ConnectionError):
                await pulsar.publish("orders", b"1")
            status, body = await ask(app, "/ready")
            assert status == 503
            assert body["reasons"] == {f"breaker of {ORDERS}": "open after 1 connection failures in a row"}
            breaker = pulsar.client.breaker("orders")
            await broker.until(lambda: breaker.state == "half_open")
            assert await states(app) == (200, 200, 200)

    run(scenario())


def test_the_backlog_has_a_limit_and_its_question_a_deadline(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router(settings={"health_backlog_limit": 2, "health_timeout_ms": 50}, drain_timeout=0)
    hold = asyncio.Event()

    @pulsar.consumer("orders", subscription="billing")
    async def bill(order: Order) -> None:
        await hold.wait()

    async def scenario() -> None:
        app = served(pulsar)
        async with running(app):
            await broker.until(lambda: pulsar.ready)
            (consumer,) = broker.consumers
            consumer.stats_delay = 3600
            assert (await ask(app, "/ready"))[1]["reasons"] == {
                BILLING: "the broker did not tell the backlog within 50 ms"
            }
            consumer.stats_delay = 0
            for one in (1, 2, 3):
                await pulsar.publish("orders", Order(id=one))
            status, body = await ask(app, "/ready")
            assert (status, body["reasons"]) == (503, {BILLING: "the backlog is 3, and the limit 2"})
            assert body["subscriptions"][0]["backlog"] == 3
            labels = {"topic": "orders", "subscription": "billing"}
            assert REGISTRY.get_sample_value("pulsar_subscription_backlog_messages", labels) == 3
            hold.set()

    run(scenario())


def test_a_subscription_that_hangs_is_stalled_if_that_is_looked_at(
    run: Run, broker: Broker, make_router: MakeRouter
) -> None:
    pulsar = make_router(settings={"health_stall_seconds": 0.02}, drain_timeout=0)
    held = asyncio.Event()

    @pulsar.consumer("orders", subscription="billing")
    async def bill(order: Order) -> None:
        held.set()
        await asyncio.Event().wait()

    async def scenario() -> None:
        app = served(pulsar)
        async with running(app):
            await broker.until(lambda: pulsar.ready)
            await pulsar.publish("orders", Order(id=1))
            await held.wait()
            while (await ask(app, "/ready"))[0] == 200:
                await asyncio.sleep(0)
            assert (await ask(app, "/ready"))[1]["reasons"][BILLING].startswith("no call has ended for 0 s")
            assert (await ask(app, "/live"))[0] == 200, "a slow function is no reason to kill the process"

    run(scenario())


def test_a_process_whose_work_has_died_is_not_alive(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router()
    app = consume(pulsar)

    async def breaks() -> None:
        raise RuntimeError("canary-77aa")

    async def scenario() -> None:
        async with running(app):
            await broker.until(lambda: pulsar.ready)
            (consumer,) = broker.consumers
            consumer.close = breaks  # type: ignore[method-assign]
            consumer.failure = ConnectionError("gone")
            async with asyncio.timeout(10):
                while (await ask(app, "/live"))[0] == 200:
                    await asyncio.sleep(0.001)
            status, body = await ask(app, "/ready")
            assert status == 503 and "its task has ended" in body["reasons"][BILLING]
            assert "canary" not in str(body)

    run(scenario())


def test_no_secret_is_told(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router(settings={"auth_token": "secret-5ee9", "retry_initial_backoff_ms": 10_000})
    app = consume(pulsar)

    async def scenario() -> None:
        broker.subscribe_errors.extend([ConnectionError("the broker says: bad token secret-5ee9 " + "x" * 1000)])
        async with running(app):
            _, body = await ask(app, "/ready")
            reason = body["reasons"][BILLING]
            assert "bad token (token)" in reason and "secret" not in str(body) and len(reason) < 350

    run(scenario())


def test_the_originals_route_is_true_and_cached(
    run: Run, broker: Broker, make_router: MakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulsar = make_router()
    app = consume(pulsar)
    monkeypatch.setattr(health_check, "pulsar_health", health := PulsarHealth())
    good = {"healthy": True, "details": {"connection": True, "producer": True, "consumer": True}}
    bad = {
        "healthy": False,
        "details": {"connection": False, "producer": False, "consumer": False},
        "reasons": dict.fromkeys(("connection", "producer", "consumer"), "no route"),
    }

    async def scenario() -> None:
        async with running(app):
            await broker.until(lambda: pulsar.ready)
            assert await ask(app, "") == (200, good)
            broker.down = "no route"
            assert await ask(app, "") == (200, good), "within its time to live"
            assert await ask(app, "") == (200, good), "however often"
            health.cache_ttl = 0
            assert await ask(app, "") == (503, bad)
            assert REGISTRY.get_sample_value("pulsar_health_status") == 0
            broker.down = None
            assert await ask(app, "") == (200, good)
            assert REGISTRY.get_sample_value("pulsar_health_status") == 1

    run(scenario())


def test_the_originals_route_asks_once_for_all_and_never_hangs(
    run: Run, broker: Broker, make_router: MakeRouter
) -> None:
    app = consume(pulsar := make_router(settings={"health_timeout_ms": 50}))
    health = PulsarHealth()

    async def hangs(topic: str) -> int:
        asked.append(topic)
        await asyncio.Event().wait()
        return 0

    asked: list[str] = []

    async def scenario() -> None:
        async with running(app):
            await broker.until(lambda: pulsar.ready)
            broker.clients[0].partitions = hangs  # type: ignore[method-assign]
            answers = await asyncio.gather(*(health.get_health_status() for _ in range(5)))
            assert {answer.status_code for answer in answers} == {503}
            assert health.reasons["connection"] == "the broker did not answer within 50 ms"
            assert len(asked) == 3

    run(scenario())
