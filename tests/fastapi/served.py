"""An application for servers to load: a consumer function and an endpoint that tells of it, on a broker in memory.

`SERVED_ON=pulsar` puts it on the broker of `PULSAR_SERVICE_URL`.
"""

import os

from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import PulsarRouter
from fastapi_pulsar.health_check import metrics_router
from tests.fastapi.broker import Broker


class Event(BaseModel):
    name: str


broker = Broker()
seen: list[str] = []
topic = os.environ.get("SERVED_TOPIC", "events")
pulsar = PulsarRouter(
    on_startup="wait", client_factory=None if os.environ.get("SERVED_ON") == "pulsar" else broker.client
)


@pulsar.consumer(topic, subscription="log")
async def log_event(event: Event) -> None:
    seen.append(event.name)


@pulsar.get("/")
async def state() -> dict[str, object]:
    """Which process this is, and how often its router has started."""
    return {"pid": os.getpid(), "ready": pulsar.ready, "seen": seen, "consumers": len(broker.consumers)}


@pulsar.post("/events")
async def publish(event: Event) -> str:
    """Publishes; the answer is the message's id."""
    return str(await pulsar.publish(topic, event))


app = FastAPI()
app.include_router(pulsar)
app.include_router(metrics_router)
