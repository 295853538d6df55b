"""The events of an account one after the other, those of different accounts side by side."""

from collections import defaultdict

from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import PulsarRouter, RetryPolicy


class Event(BaseModel):
    account: str
    number: int


pulsar = PulsarRouter(retry=RetryPolicy(max_attempts=5, backoff=0.5))
saved: defaultdict[str, list[int]] = defaultdict(list)


async def save(event: Event) -> None:
    """Stands for a database."""
    saved[event.account].append(event.number)


@pulsar.post("/events", status_code=202)
async def record(event: Event) -> None:
    await pulsar.publish("events", event, key=event.account)


@pulsar.consumer("events", subscription="accounts", ordering="key", concurrency=20)
async def apply(event: Event) -> None:
    await save(event)


app = FastAPI()
app.include_router(pulsar)
