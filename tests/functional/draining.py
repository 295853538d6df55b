"""An application for servers to end under load: it writes what it handled to a file, and some calls never end."""

import asyncio
import os

from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import PulsarRouter

SUBSCRIPTION = "drained"
DRAIN = 2.0
"""Seconds for which calls in progress may go on at shutdown."""
HANGING = 40
"""Of so many messages one hangs."""


class Order(BaseModel):
    number: int


log = os.open(os.environ["DRAINING_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
pulsar = PulsarRouter(on_startup="wait", drain_timeout=DRAIN)


@pulsar.consumer(
    os.environ["DRAINING_TOPIC"],
    subscription=SUBSCRIPTION,
    type="Shared",
    concurrency=50,
    ack_timeout=0,
    initial_position="earliest",
)
async def handle(order: Order) -> None:
    if order.number % HANGING == 0:
        os.write(log, b"hanging %d\n" % order.number)
        await asyncio.Event().wait()
    await asyncio.sleep(0.02)
    os.write(log, b"handled %d\n" % order.number)


app = FastAPI()
app.include_router(pulsar)
