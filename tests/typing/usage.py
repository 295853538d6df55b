"""What a type checker must understand. Checked by `test_typing.py` and by `make lint`, never run."""

from collections.abc import Awaitable, Callable
from typing import Annotated, assert_type

from fastapi import Depends
from pydantic import BaseModel

from fastapi_pulsar import (
    Consumer,
    Key,
    Message,
    MessageId,
    Producer,
    Property,
    PulsarClient,
    PulsarRouter,
    PulsarSettings,
    Reader,
    get_settings,
)
from fastapi_pulsar.schemas import Codec


class Order(BaseModel):
    id: int


pulsar = PulsarRouter(on_startup="wait", namespace="shop/eu", prefix="/orders")
Orders = Annotated[Producer[Order], Depends(pulsar.producer("orders", Order))]


@pulsar.consumer("orders", subscription="billing", ordering="key", concurrency=8)
async def bill(order: Order, key: Annotated[str, Key()], region: Annotated[str, Property("region")] = "eu") -> None: ...


@pulsar.consumer(["orders", "refunds"], subscription="log", type="Failover", initial_position="earliest")
def log(message: Message[Order]) -> int:
    return assert_type(message.value, Order).id


@pulsar.post("/")
async def place(order: Order, orders: Orders) -> None:
    assert_type(await orders.send(order, key="k"), MessageId)
    assert_type(await pulsar.publish("orders", order, key=b"k", deliver_after=5), MessageId | None)


async def decorated_functions_keep_their_types(order: Order) -> None:
    handler: Callable[[Order, str, str], Awaitable[None]] = bill
    await handler(order, "k", "eu")
    assert_type(await bill(order, key="k"), None)


async def the_client_is_generic() -> None:
    async with PulsarClient(settings=get_settings()) as client:
        producer = await client.producer("orders", Order, batching="key")
        assert_type(producer, Producer[Order])
        async with client.consumer("orders", "billing", Order, type="Shared") as consumer:
            assert_type(consumer, Consumer[Order])
            assert_type(await consumer.receive(timeout=1), Message[Order])
            assert_type(await consumer.receive_many(10), list[Message[Order]])
            async for message in consumer:
                assert_type(message.value, Order)
                consumer.acknowledge(message)
                await consumer.acknowledge(message)
        assert_type(await client.consumer("orders", "raw"), Consumer[bytes])
        assert_type(await client.reader("orders", Order), Reader[Order])


def settings_and_codecs(codec: Codec[Order]) -> None:
    assert_type(PulsarSettings(broker_port=1).service_url, str)
    assert_type(codec.decode(codec.encode(Order(id=1))), Order)
