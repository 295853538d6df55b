"""Both event loops, and routers on a broker in memory."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from fastapi_pulsar import PulsarRouter, PulsarSettings
from tests.clean_settings import clean_settings
from tests.fastapi.broker import Broker
from tests.fastapi.serving import Run

__all__ = ["clean_settings"]

_LIMIT = 20.0


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on a new event loop, within a time limit."""
    factory = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop

    async def limited(work: Coroutine[Any, Any, Any]) -> Any:
        async with asyncio.timeout(_LIMIT):
            return await work

    def runner(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=factory) as one:
            return one.run(limited(work))

    return runner


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def make_router(broker: Broker) -> Callable[..., PulsarRouter]:
    def make(**options: Any) -> PulsarRouter:
        settings = PulsarSettings(**{"consumer_nack_redelivery_delay_ms": 1} | options.pop("settings", {}))
        return PulsarRouter(settings=settings, client_factory=broker.client, **options)

    return make


@pytest.fixture
def pulsar(make_router: Callable[..., PulsarRouter]) -> PulsarRouter:
    return make_router()
