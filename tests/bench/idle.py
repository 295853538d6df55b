"""A broker with nothing to do: how soon it starts, what it takes, how soon one message is through."""

import asyncio
import time
from typing import Any

from fastapi_pulsar import PulsarClient, PulsarSettings
from fastapi_pulsar.broker import EmbeddedBroker

from .meter import percentile, rss_mib
from .settings import Run

PAUSE = 0.002
"""Seconds between two messages."""
WARM_UP = 100


async def latency(run: Run) -> dict[str, Any]:
    """Microseconds from publishing to receiving, one message at a time."""
    async with PulsarClient(settings=PulsarSettings(service_url=run.url)) as client:
        consumer = await client.consumer(run.topic, run.subscription, initial_position="earliest")
        producer = await client.producer(run.topic, batching="off")
        payload = run.payload
        delays: list[float] = []
        for _ in range(WARM_UP + run.messages):
            await asyncio.sleep(PAUSE)
            started = time.perf_counter()
            sending = asyncio.ensure_future(producer.send(payload))
            message = await consumer.receive()
            delays.append((time.perf_counter() - started) * 1e6)
            consumer.acknowledge(message)
            await sending
    measured = delays[WARM_UP:]
    return {"p50_us": percentile(measured, 0.5), "p99_us": percentile(measured, 0.99)}


def start(_: Run) -> dict[str, Any]:
    """Milliseconds until an embedded broker is ready, and the MiB it adds to the process."""
    before = rss_mib()
    started = time.perf_counter()
    with EmbeddedBroker():
        return {"ready_ms": (time.perf_counter() - started) * 1e3, "idle_rss_mib": rss_mib() - before}
