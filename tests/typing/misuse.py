"""What a type checker must refuse: each line marked with an error code, and no other."""

from pydantic import BaseModel

from fastapi_pulsar import Producer, PulsarClient, PulsarRouter


class Order(BaseModel):
    id: int


async def misuse(client: PulsarClient, producer: Producer[Order], pulsar: PulsarRouter) -> None:
    await producer.send({"id": 1})  # type: ignore[arg-type]
    await producer.send(Order(id=1), key=1)  # type: ignore[arg-type]
    await client.producer("orders", Order, batching="sometimes")  # type: ignore[call-overload]
    await client.consumer("orders", "billing", type="shared")  # type: ignore[call-overload]
    pulsar.consumer("orders")  # type: ignore[call-arg]
    pulsar.consumer("orders", subscription="s", type="shared")  # type: ignore[arg-type]
    pulsar.consumer("orders", subscription="s", ordering="strict")  # type: ignore[arg-type]
    PulsarRouter(on_startup="later")  # type: ignore[arg-type]
    await pulsar.publish("orders", Order(id=1), keys="k")  # type: ignore[call-arg]
