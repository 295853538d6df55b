"""Fills a topic once for all clients that will read it: ``python -m tests.bench.fill URL TOPIC KIND SIZE COUNT``."""

import asyncio
import json
import sys

from fastapi_pulsar import PulsarClient

from .settings import BATCH_MESSAGES, Run
from .typed import EXAMPLE

SLICE = 20_000


async def fill(url: str, topic: str, payload: bytes, count: int) -> None:
    """Publishes `count` copies in full batches.

    A subscription that never acknowledges keeps them, however many others have read and acknowledged.
    """
    async with PulsarClient(url) as client:
        keeper = await client.consumer(topic, "keeper", initial_position="earliest", receiver_queue_size=1)
        async with client.producer(
            topic, batch_max_messages=BATCH_MESSAGES, batch_max_delay=0.01, max_pending_messages=SLICE
        ) as producer:
            for start in range(0, count, SLICE):
                await producer.send_many([payload] * min(SLICE, count - start))
        await keeper.close()


def main() -> None:
    """Fills the topic that the arguments name."""
    url, topic, kind, size, count = sys.argv[1:]
    run = Run(url=url, topic=topic, subscription="keeper", size=int(size), messages=int(count))
    payload = EXAMPLE.model_dump_json().encode() if kind == "typed" else run.payload
    asyncio.run(fill(url, topic, payload, run.messages))
    print(json.dumps({"filled": run.messages}))


if __name__ == "__main__":
    main()
