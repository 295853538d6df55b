"""What retry policy, metrics, roles and dependencies cost a message: a loose guard; `make bench` measures them."""

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fastapi_pulsar.broker import EmbeddedBroker
from tests.bench import typed
from tests.bench.fill import fill
from tests.bench.settings import Run
from tests.clean_settings import clean_settings

__all__ = ["clean_settings"]
MESSAGES = 5_000
ROUNDS = 3
Handler = Callable[[Run], Coroutine[Any, Any, Any]]


def microseconds(broker: EmbeddedBroker, topic: str, handler: Handler) -> float:
    """The least CPU time of the event loop's thread for one message, of some rounds."""
    found = []
    for _ in range(ROUNDS):
        run = Run(broker.service_url, topic, subscription=uuid.uuid4().hex, size=0, messages=MESSAGES)
        before = time.thread_time()
        asyncio.run(handler(run))
        found.append((time.thread_time() - before) / MESSAGES * 1e6)
    return min(found)


@pytest.mark.timeout(120)
def test_the_layer_costs_little() -> None:
    topic = "persistent://public/default/layer"
    handlers: list[Handler] = [typed.plain, typed.layered, typed.depending]
    with EmbeddedBroker() as broker:
        asyncio.run(fill(broker.service_url, topic, typed.EXAMPLE.model_dump_json().encode(), MESSAGES))
        plain, layered, depending = (microseconds(broker, topic, handler) for handler in handlers)
    print(f"plain {plain:.1f} us, layered {layered:.1f} us, with Depends {depending:.1f} us a message")
    assert layered < 2 * plain, "the target is 1.5"
    assert depending < layered + 40
