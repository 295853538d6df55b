"""A token that is read anew whenever the broker asks for one."""

import os
from pathlib import Path

from fastapi import FastAPI

from fastapi_pulsar import PulsarClient, PulsarRouter, PulsarSettings


def current_token() -> str:
    return Path(os.environ["TOKEN_FILE"]).read_text(encoding="utf-8").strip()


def connect(settings: PulsarSettings) -> PulsarClient:
    return PulsarClient(settings=settings, max_retries=0, token_supplier=current_token)


pulsar = PulsarRouter(client_factory=connect)


@pulsar.post("/greetings", status_code=202)
async def greet() -> None:
    await pulsar.publish("greetings", "hello")


app = FastAPI()
app.include_router(pulsar)
