"""Memory while many messages pass: bounded by the limits that were set, whatever the count."""

from typing import Any

from fastapi_pulsar import PulsarClient, PulsarSettings

from .meter import rss_mib
from .settings import Run

SLICE = 5000


async def pass_through(run: Run) -> dict[str, Any]:
    """Publishes and consumes `messages`, a queue of 1,000 on one side and 64 MiB of pending sends on the other."""
    async with PulsarClient(run.url, settings=PulsarSettings()) as client:
        consumer = await client.consumer(run.topic, run.subscription, receiver_queue_size=1000)
        producer = await client.producer(run.topic, max_pending_messages=50_000)
        values = [run.payload] * SLICE
        start = peak = middle = rss_mib()
        received = 0
        for sent in range(SLICE, run.messages + 1, SLICE):
            await producer.send_many(values)
            while received < sent:
                messages = await consumer.receive_many(max_messages=1000, max_wait=1)
                for message in messages:
                    consumer.acknowledge(message)
                received += len(messages)
            peak = max(peak, rss_mib())
            if sent == run.messages // 2:
                middle = peak
    return {"growth_mib": round(peak - start, 1), "second_half_mib": round(peak - middle, 1), "messages": received}
