"""Receives and acknowledges until stdin has ended and nothing comes any more; writes every receipt to a file.

`python -m tests.pulsar.failover.receive URL TOPIC FILE`. A line of the file is `key number message-id time`, in the order
of receipt, repeated ones too; the time is that of the machine's monotonic clock, in seconds. The line `ready` on stdout
means that the subscription exists; the last line is a summary in JSON.
"""

import asyncio
import json
import sys
from pathlib import Path
from time import monotonic
from typing import TextIO

from fastapi_pulsar import PulsarClient
from tests.pulsar.failover import stop_at_end_of_input

QUIET = 15.0
"""Seconds without a message after which nothing more is expected: longer than a failover takes."""


async def main(url: str, topic: str, receipts: TextIO) -> None:
    stop = stop_at_end_of_input()
    loop = asyncio.get_running_loop()
    received = 0
    async with (
        PulsarClient(url) as client,
        client.consumer(topic, "failover", type="Failover", initial_position="earliest") as consumer,
    ):
        print("ready", flush=True)
        last = loop.time()
        while not stop.is_set() or loop.time() - last < QUIET:
            for message in await consumer.receive_many(max_messages=1000, max_wait=0.5):
                receipts.write(f"{message.key} {int(message.data)} {message.message_id} {monotonic():.3f}\n")
                consumer.acknowledge(message)
                received += 1
                last = loop.time()
        print(json.dumps({"received": received, "reconnects": consumer.stats()["reconnects"]}), flush=True)


if __name__ == "__main__":
    with Path(sys.argv[3]).open("w") as file:
        asyncio.run(main(sys.argv[1], sys.argv[2], file))
