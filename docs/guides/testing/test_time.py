from datetime import timedelta

import pytest

from fastapi_pulsar import PulsarClient
from fastapi_pulsar.testing import PulsarClock


async def test_a_reminder_comes_tomorrow(
    pulsar_client: PulsarClient, pulsar_topic: str, pulsar_clock: PulsarClock
) -> None:
    consumer = await pulsar_client.consumer(pulsar_topic, "reminders", type="Shared")
    producer = await pulsar_client.producer(pulsar_topic)
    await producer.send("feed the cat", deliver_after=timedelta(days=1))
    with pytest.raises(TimeoutError):
        await consumer.receive(timeout=0.1)

    pulsar_clock.advance(timedelta(days=1, seconds=1))
    assert (await consumer.receive(timeout=5)).data == b"feed the cat"
