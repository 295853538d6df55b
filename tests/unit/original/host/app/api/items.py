"""Functions whose calls are announced, and functions that are called with messages."""

import asyncio
from typing import Any

from fastapi import APIRouter, BackgroundTasks, Request

from app.core.pulsar import PulsarClient, pulsar_task
from app.core.pulsar.decorators import pulsar_consumer

router = APIRouter()
ITEM_CREATED = "persistent://public/default/item-created"
ITEM_DLQ = "persistent://public/default/auth-dlq"
received: list[dict[str, Any]] = []
arrived = asyncio.Event()


def get_pulsar_client() -> PulsarClient:
    return PulsarClient()


@pulsar_task(topic=ITEM_CREATED, dlq_topic=ITEM_DLQ, max_retries=1, retry_delay=0.01)
async def item_created(item: dict) -> dict:
    return {**item, "created": True}


@pulsar_task(topic=ITEM_CREATED, dlq_topic=ITEM_DLQ, max_retries=1, retry_delay=0.01)
async def item_refused(item: dict) -> dict:
    raise ValueError("no such item")


@pulsar_consumer(topic=ITEM_CREATED, subscription="backend-service-item-created")
async def process_item_created(message: dict) -> None:
    received.append(message)
    arrived.set()


@router.post("/items")
async def create_item(item: dict, background: BackgroundTasks) -> dict:
    background.add_task(item_created, item)
    return {"accepted": True}


@router.post("/items/direct")
@pulsar_task(topic=ITEM_CREATED, producer_label="items-api", event_label="item-created", ack_timeout=5)
async def create_directly(request: Request, item: dict) -> dict:
    return {"name": item["name"], "path": request.url.path}
