from decimal import Decimal

from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import PulsarRouter


class Order(BaseModel):
    id: int
    amount: Decimal


pulsar = PulsarRouter()  # settings from the environment: PULSAR_SERVICE_URL, …


@pulsar.post("/orders", status_code=202)
async def place(order: Order) -> None:
    await pulsar.publish("orders", order, key=str(order.id))


@pulsar.consumer("orders", subscription="billing", concurrency=50)
async def bill(order: Order) -> None:
    print(f"order {order.id}: {order.amount}")


app = FastAPI()
app.include_router(pulsar)  # joins the application's lifespan
