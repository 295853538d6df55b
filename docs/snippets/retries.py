"""A service whose handlers may fail."""

from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import DeadLetter, Deduplicate, PulsarRouter, Retry, RetryPolicy


class Order(BaseModel):
    id: int
    customer: str


class RateLimited(Exception):
    """The payment service wants a pause."""


async def charge(order: Order) -> None:
    if order.customer == "nobody":
        raise LookupError(order.customer)


pulsar = PulsarRouter(retry=RetryPolicy(max_attempts=5, backoff=[1, 5, 30, 120], dead_letter_on=KeyError))


@pulsar.consumer("orders", subscription="billing", deduplicate=Deduplicate(by="key"))
async def bill(order: Order) -> None:
    try:
        await charge(order)
    except RateLimited:
        raise Retry(delay=60) from None
    except LookupError as error:
        raise DeadLetter(reason="no such customer") from error


app = FastAPI()
app.include_router(pulsar)
