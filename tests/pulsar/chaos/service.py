"""The service: a consumer function that fails, hangs and succeeds as the seed says, until stdin ends.

`python -m tests.pulsar.chaos.service URL TOPIC FILE SEED WAY`. A processed message's number is a line at the end of the file,
written at once by the system, so that a SIGKILL cannot take it back. The line `ready` on stdout means that it consumes; the
last line is a summary in JSON.
"""

import asyncio
import json
import logging
import os
import sys
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import Delivery, PulsarRouter, PulsarSettings, RetryPolicy
from tests.fastapi.serving import running
from tests.pulsar.chaos.fates import MOST_ATTEMPTS, fate
from tests.pulsar.failover import stop_at_end_of_input

SUBSCRIPTION = "service"
CONCURRENCY = 200
TIMEOUT = 1.0
"""Seconds that one attempt may take."""


class Order(BaseModel):
    number: int


def application(url: str, topic: str, file: int, seed: int, way: Any, counts: dict[str, int]) -> FastAPI:
    """The service; `file` is a descriptor that appends."""
    router = PulsarRouter(settings=PulsarSettings(service_url=url), on_startup="wait")

    @router.consumer(
        topic,
        subscription=SUBSCRIPTION,
        type="Shared",
        concurrency=CONCURRENCY,
        timeout=TIMEOUT,
        retry=RetryPolicy(MOST_ATTEMPTS, backoff=0.2, way=way),
        initial_position="earliest",
    )
    async def handle(order: Order, delivery: Delivery) -> None:
        kind, failures = fate(seed, order.number)
        if delivery.attempt <= failures:
            counts[kind] += 1
            if kind == "hangs":
                await asyncio.Event().wait()
            raise RuntimeError
        os.write(file, b"%d\n" % order.number)
        counts["processed"] += 1

    app = FastAPI()
    app.include_router(router)
    return app


async def main(url: str, topic: str, file: int, seed: int, way: str) -> None:
    stop = stop_at_end_of_input()
    counts = {"processed": 0, "raises": 0, "hangs": 0}
    async with running(application(url, topic, file, seed, way, counts)):
        print("ready", flush=True)
        await stop.wait()
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    logging.getLogger("fastapi_pulsar.consuming.failure").setLevel(
        logging.CRITICAL
    )  # it fails on purpose, thousands of times
    descriptor = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    asyncio.run(main(sys.argv[1], sys.argv[2], descriptor, int(sys.argv[4]), sys.argv[5]))
