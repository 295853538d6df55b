"""What a consumer function may ask for."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from fastapi_pulsar import Batch, Delivery, Key, Message, Property, PulsarRouter


class Order(BaseModel):
    id: int
    customer: str


ledger: list[str] = []
"""Stands for a database."""


async def session() -> AsyncIterator[list[str]]:
    yield ledger  # what follows a yield runs when the function has returned


pulsar = PulsarRouter()


@pulsar.consumer("orders", subscription="billing", concurrency=50, timeout=10)
async def bill(
    order: Order,
    customer: Annotated[str, Key()],
    session: Annotated[list[str], Depends(session)],
    source: Annotated[str, Property("source")] = "unknown",
) -> None:
    session.append(f"{customer} ordered {order.id} by {source}")


@pulsar.consumer("orders", subscription="audit", type="Failover")
async def audit(message: Message[Order], session: Annotated[list[str], Depends(session)]) -> None:
    session.append(f"audited {message.value.id}, delivered {message.redelivery_count + 1} times")


@pulsar.consumer("orders", subscription="archive", batch=Batch(max_messages=500, max_wait=0.5))
async def archive(orders: list[Order]) -> None:
    ledger.append(f"archived {sorted(order.id for order in orders)}")


@pulsar.consumer("customers", subscription="names", initial_position="earliest")
def forget(customer: Order | None, key: Annotated[str, Key()]) -> None:
    if customer is None:
        ledger.append(f"forgot {key}")


@pulsar.consumer(["parcels", "letters"], subscription="sorting", ack="manual")
async def sort(weight: int, delivery: Delivery) -> None:
    ledger.append(f"sorted {weight} g at attempt {delivery.attempt}")
    delivery.acknowledge()


app = FastAPI()
app.include_router(pulsar)
