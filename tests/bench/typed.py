"""The typed path: a handler behind the router, against the least that any typed path must do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from pydantic import BaseModel, TypeAdapter

from fastapi_pulsar import PulsarConfig, PulsarRouter, RetryPolicy

from .meter import Meter
from .settings import Run


class Flight(BaseModel):
    """A model of 19 fields."""

    year: int
    month: int
    day: int
    dep_time: int | None
    sched_dep_time: int
    dep_delay: float | None
    arr_time: int | None
    sched_arr_time: int
    arr_delay: float | None
    carrier: str
    flight: int
    tailnum: str | None
    origin: str
    dest: str
    air_time: float | None
    distance: float
    hour: int
    minute: int
    time_hour: datetime


EXAMPLE = Flight(
    year=2013, month=1, day=1, dep_time=517, sched_dep_time=515, dep_delay=2, arr_time=830, sched_arr_time=819,
    arr_delay=11, carrier="UA", flight=1545, tailnum="N14228", origin="EWR", dest="IAH", air_time=227,
    distance=1400, hour=5, minute=15, time_hour=datetime.fromisoformat("2013-01-01T10:00:00Z"),
)  # fmt: skip


async def handler(run: Run) -> dict[str, Any]:
    """All messages of the topic through a decorated handler in a FastAPI application, as it is by default."""
    return await _served(run, _counting)


async def plain(run: Run) -> dict[str, Any]:
    """The same with nothing around the handler: no metrics, no roles, no retry policy of its own."""
    return await _served(run, _counting, metrics=False)


async def layered(run: Run) -> dict[str, Any]:
    """The same with the whole layer: metrics, topic roles, a retry policy."""
    _restrict(run.topic)
    return await _served(run, _counting, retry=RetryPolicy(max_attempts=5, backoff=[1, 5, 30]))


async def depending(run: Run) -> dict[str, Any]:
    """The whole layer, and one `Depends` that yields, as a database session does."""
    _restrict(run.topic)
    return await _served(run, _counting_with_a_session, retry=RetryPolicy(max_attempts=5, backoff=[1, 5, 30]))


def _restrict(topic: str) -> None:
    PulsarConfig.SECURITY["service_role"] = "bench"
    PulsarConfig.SECURITY["topic_roles"] = {topic: ["bench"], f"{topic}-*": ["bench"], "persistent://other/*": ["x"]}


def _counting(count: Callable[[], None]) -> Callable[..., Any]:
    async def handle(flight: Flight) -> None:
        count()

    return handle


def _counting_with_a_session(count: Callable[[], None]) -> Callable[..., Any]:
    async def session() -> AsyncIterator[str]:
        yield "session"

    async def handle(flight: Flight, opened: Annotated[str, Depends(session)]) -> None:
        count()

    return handle


async def _served(
    run: Run,
    make: Callable[[Callable[[], None]], Callable[..., Any]],
    *,
    metrics: bool = True,
    retry: RetryPolicy | None = None,
) -> dict[str, Any]:
    """All messages of the topic through the handler that is made of a function that counts them."""
    PulsarConfig.SERVICE_URL = run.url
    PulsarConfig.CACHE_METRICS["enabled"] = metrics
    pulsar = PulsarRouter(on_startup="wait", retry=retry)
    left = run.messages
    finished = asyncio.Event()

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            finished.set()

    pulsar.consumer(run.topic, subscription=run.subscription, concurrency=100, initial_position="earliest")(make(count))
    app = FastAPI()
    app.include_router(pulsar)
    async with AsyncExitStack() as stack:
        with Meter(run.known) as meter:
            await stack.enter_async_context(app.router.lifespan_context(app))
            await asyncio.wait_for(finished.wait(), 120)
    return meter.result(run.messages)


async def floor(run: Run) -> dict[str, Any]:
    """`validate_json` and one asyncio task a message, without any broker."""
    adapter = TypeAdapter(Flight)
    payload = adapter.dump_json(EXAMPLE)

    async def handle(flight: Flight) -> None:
        pass

    with Meter([]) as meter:
        for start in range(0, run.messages, 1000):
            count = min(1000, run.messages - start)
            await asyncio.gather(*[asyncio.create_task(handle(adapter.validate_json(payload))) for _ in range(count)])
    return meter.result(run.messages)
