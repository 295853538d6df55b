from decimal import Decimal

from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import PulsarRouter


class Order(BaseModel):
    id: int
    amount: Decimal


class Invoice(BaseModel):
    order: int
    total: Decimal


pulsar = PulsarRouter()


@pulsar.post("/orders", status_code=202)
async def place(order: Order) -> None:
    await pulsar.publish("orders", order, key=str(order.id))


@pulsar.consumer("orders", subscription="billing", initial_position="earliest")
async def bill(order: Order) -> None:
    if order.amount <= 0:
        raise ValueError("nothing to bill")
    await pulsar.publish("invoices", Invoice(order=order.id, total=order.amount))


app = FastAPI()
app.include_router(pulsar)
