"""A model that grows, without breaking who reads the old messages or the new."""

from datetime import datetime
from decimal import Decimal

from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import PulsarRouter


class OrderOfLastYear(BaseModel):
    id: int
    amount: Decimal


class Order(BaseModel):
    id: int
    amount: Decimal
    currency: str = "EUR"  # a new field has a default
    due: datetime | None = None


pulsar = PulsarRouter()
billed: list[Order] = []


@pulsar.consumer("orders", subscription="billing", initial_position="earliest")
async def bill(order: Order) -> None:
    billed.append(order)


app = FastAPI()
app.include_router(pulsar)
