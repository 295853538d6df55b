"""The service that the images `uvicorn` and `gunicorn` run as they are: orders come in by HTTP and are billed by a consumer."""

import logging

from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import PulsarRouter, health_check

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger("service")


class Order(BaseModel):
    """One order."""

    id: int
    amount: float


pulsar = PulsarRouter()  # settings from the environment


@pulsar.post("/orders", status_code=202)
async def place(order: Order) -> None:
    """Takes an order; it is safe at the broker when this answers."""
    await pulsar.publish("orders", order, key=str(order.id))


@pulsar.consumer("orders", subscription="billing", concurrency=50)
async def bill(order: Order) -> None:
    """Bills an order."""
    logger.info("billed order %d", order.id)


app = FastAPI(title="Orders")
app.include_router(pulsar)
app.include_router(health_check.router)  # /health/pulsar/ready, which the container is asked for, and /metrics
