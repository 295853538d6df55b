"""Probes of an application on a broker that stops and starts again."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_pulsar import PulsarRouter, PulsarSettings, health_check
from fastapi_pulsar.testing import EmbeddedBroker
from tests.fastapi import serving
from tests.fastapi.serving import running

pytestmark = pytest.mark.anyio
ORDERS = "producer of orders"
BILLING = "subscription billing of orders"
QUICK = {"retry_initial_backoff_ms": 10, "retry_max_backoff_ms": 50, "operation_timeout_ms": 500}


async def ask(app: FastAPI, path: str) -> tuple[int, Any]:
    status, body = await serving.ask(app, f"/health/pulsar/{path}")
    return status, json.loads(body)


async def until(app: FastAPI, path: str, status: int) -> Any:
    async with asyncio.timeout(30):
        while (answer := await ask(app, path))[0] != status:
            await asyncio.sleep(0.01)
    return answer[1]


def application(url: str, **settings: Any) -> tuple[FastAPI, PulsarRouter, list[bytes]]:
    pulsar = PulsarRouter(settings=PulsarSettings(service_url=url, **QUICK, **settings), drain_timeout=1)
    handled: list[bytes] = []

    @pulsar.consumer("orders", subscription="billing")
    async def bill(order: bytes) -> None:
        handled.append(order)

    app = FastAPI()
    app.include_router(pulsar)
    app.include_router(health_check.router)
    return app, pulsar, handled


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def test_ready_goes_with_the_broker_and_comes_back_while_live_stays(tmp_path: Path) -> None:
    # With its data, as Pulsar comes back: ids that a new broker gives out again may be acknowledged already.
    broker = EmbeddedBroker(data_dir=tmp_path)
    url, port = broker.service_url, port_of(broker.service_url)
    app, pulsar, handled = application(url)
    try:
        async with running(app):
            await until(app, "startup", 200)
            assert await pulsar.publish("orders", b"1") is not None
            body = await until(app, "ready", 200)
            assert body["reasons"] == {} and body["subscriptions"][0]["assigned"]

            await asyncio.to_thread(broker.close)
            async with asyncio.timeout(30):
                while not (reasons := (await until(app, "ready", 503))["reasons"]).keys() >= {BILLING, ORDERS}:
                    await asyncio.sleep(0.01)
            assert reasons[BILLING].startswith("not connected")
            assert reasons[ORDERS].startswith("not connected")
            assert [(await ask(app, path))[0] for path in ("live", "startup")] == [200, 200]

            broker = await asyncio.to_thread(EmbeddedBroker, port=port, data_dir=tmp_path)
            await until(app, "ready", 200)
            assert await pulsar.publish("orders", b"2") is not None
            async with asyncio.timeout(30):
                while b"2" not in handled:
                    await asyncio.sleep(0.01)
    finally:
        await asyncio.to_thread(broker.close)


async def test_a_start_without_a_broker_is_alive_and_becomes_ready() -> None:
    first = EmbeddedBroker()
    url, port = first.service_url, port_of(first.service_url)
    first.close()
    app, _, _ = application(url)
    async with running(app):
        assert (await ask(app, "live"))[0] == 200
        assert (await ask(app, "startup"))[0] == 503
        broker = await asyncio.to_thread(EmbeddedBroker, port=port)
        try:
            await until(app, "startup", 200)
            await until(app, "ready", 200)
        finally:
            await asyncio.to_thread(broker.close)


async def test_no_probe_hangs_on_a_broker_that_does_not_answer(silent: str) -> None:
    app, _, _ = application(silent, health_timeout_ms=300)
    health = health_check.PulsarHealth()
    loop = asyncio.get_running_loop()
    async with running(app):
        started = loop.time()
        answers = await asyncio.gather(*(ask(app, path) for path in ("live", "ready", "startup")))
        assert [status for status, _ in answers] == [200, 503, 503]
        assert loop.time() - started < 1
        assert (await health.get_health_status()).status_code == 503
        assert loop.time() - started < 2


async def test_the_backlog_is_the_brokers() -> None:
    async with EmbeddedBroker() as broker:
        app, pulsar, _ = application(broker.service_url, health_backlog_limit=1, consumer_receiver_queue_size=1)
        hold = asyncio.Event()

        @pulsar.consumer("slow", subscription="archive")
        async def archive(order: bytes) -> None:
            await hold.wait()

        async with running(app):
            await until(app, "startup", 200)
            for one in range(5):  # each an entry of its own
                await pulsar.publish("slow", b"%d" % one)
            status, body = await ask(app, "ready")
            assert (status, body["reasons"]) == (
                503,
                {"subscription archive of slow": "the backlog is 5, and the limit 1"},
            )
            hold.set()


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a listener that accepts and says nothing."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"pulsar://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for one in accepted:
            one.close()
