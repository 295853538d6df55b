import pytest

from fastapi_pulsar import PulsarClient
from fastapi_pulsar.testing import EmbeddedBroker


@pytest.mark.embedded_only
async def test_a_message_survives_a_lost_connection(
    pulsar_client: PulsarClient, pulsar_topic: str, pulsar_broker: EmbeddedBroker
) -> None:
    consumer = await pulsar_client.consumer(pulsar_topic, "audit", initial_position="earliest")
    producer = await pulsar_client.producer(pulsar_topic)
    pulsar_broker.drop_connections(topic=pulsar_topic)
    await producer.send("still here")
    assert (await consumer.receive(timeout=10)).data == b"still here"
