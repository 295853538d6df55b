"""Consumer functions in an application on a broker, and what the tests of them share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import Message, PulsarClient, PulsarRouter, PulsarSettings
from tests.fastapi.serving import running
from tests.functional.helpers import until
from tests.pulsar.harness import AdminError
from tests.pulsar.plugin import Broker

TYPES = ("Exclusive", "Failover", "Shared", "Key_Shared")


class Order(BaseModel):
    id: int


def router_of(broker: Broker) -> PulsarRouter:
    return PulsarRouter(settings=PulsarSettings(service_url=broker.service_url), on_startup="wait")


@asynccontextmanager
async def served(router: PulsarRouter) -> AsyncIterator[None]:
    """The application while it runs."""
    app = FastAPI()
    app.include_router(router)
    async with running(app):
        yield


def backlog(broker: Broker, topic: str, subscription: str = "s") -> int:
    """Unacknowledged messages; -1 while there is no such topic or subscription."""
    try:
        found: int = broker.admin.stats(topic)["subscriptions"][subscription]["msgBacklog"]
    except (AdminError, KeyError):
        return -1
    return found


async def all_acknowledged(broker: Broker, topic: str, subscription: str = "s") -> None:
    await until(lambda: backlog(broker, topic, subscription) == 0)


async def letters(client: PulsarClient, topic: str, count: int) -> list[Message[Any]]:
    """So many dead letters of the subscription `s`, read by the subscription that keeps them."""
    async with client.consumer(f"{topic}-s-DLQ", "s-dlq", type="Shared") as consumer:
        found = [await consumer.receive(timeout=20) for _ in range(count)]
        for one in found:
            consumer.acknowledge(one)
        return found
