from pydantic import BaseModel

from fastapi_pulsar import PulsarClient
from fastapi_pulsar.testing import published_async, wait_idle_async


class Order(BaseModel):
    id: int


async def test_a_client(pulsar_client: PulsarClient, pulsar_topic: str) -> None:
    consumer = await pulsar_client.consumer(pulsar_topic, "audit", Order, initial_position="earliest")
    producer = await pulsar_client.producer(pulsar_topic, Order)
    await producer.send(Order(id=1))

    message = await consumer.receive(timeout=5)
    assert message.value == Order(id=1)
    consumer.acknowledge(message)
    await wait_idle_async(pulsar_topic, "audit")
    assert len(await published_async(pulsar_topic)) == 1
