"""Ways to publish."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from fastapi_pulsar import Producer, PulsarRouter


class Order(BaseModel):
    id: int
    customer: str


pulsar = PulsarRouter()


@pulsar.post("/orders", status_code=202)
async def place(order: Order) -> None:
    await pulsar.publish("orders", order, key=order.customer, properties={"source": "web"})


@pulsar.post("/reminders", status_code=202)
async def remind(order: Order) -> None:
    await pulsar.publish("reminders", order, deliver_after=timedelta(days=1))


@pulsar.post("/reports", status_code=202)
def report(order: Order) -> None:
    pulsar.publish_blocking("reports", order)


Orders = Annotated[Producer[Order], Depends(pulsar.producer("orders", Order, compression="zstd"))]


@pulsar.post("/imports", status_code=202)
async def import_orders(orders: list[Order], producer: Orders) -> list[str]:
    return [str(stored) for stored in await producer.send_many(orders)]


kept: list[Order] = []


@pulsar.post("/wishes", status_code=202)
async def wish(order: Order) -> bool:
    stored = await pulsar.publish("wishes", order, fallback=kept.append)
    return stored is not None


@pulsar.delete("/customers/{name}", status_code=204)
async def forget(name: str) -> None:
    await pulsar.publish("customers", None, key=name)


app = FastAPI()
app.include_router(pulsar)
