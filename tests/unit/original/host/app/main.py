"""The application: one client for its life, its consumers started with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.api import health, items
from app.core.config import settings
from app.core.pulsar.client import PulsarClient
from app.core.pulsar.config_override import *  # noqa: F403
from app.core.pulsar.index import shutdown_client


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.pulsar_client = PulsarClient()
    consuming = asyncio.create_task(items.process_item_created(None))
    yield
    consuming.cancel()
    await asyncio.gather(consuming, return_exceptions=True)
    await app.state.pulsar_client.close()
    await shutdown_client()


app = FastAPI(title=settings.PROJECT_NAME, lifespan=lifespan)
app.include_router(health.router)
app.include_router(items.router)
