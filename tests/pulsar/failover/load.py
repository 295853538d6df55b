"""Publishes keyed messages at a steady rate until stdin ends; writes every confirmed one to a file.

`python -m tests.pulsar.failover.load URL TOPIC FILE RATE`. A line of the file is `key number message-id time`,
written when the broker has confirmed; the time is that of the machine's monotonic clock, in seconds. Every second a line
`confirmed=N` goes to stdout; the last line is a summary in JSON.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TextIO

from fastapi_pulsar import MessageId, Producer, PulsarClient
from tests.pulsar.failover import stop_at_end_of_input

KEYS = 100
TICK = 0.01
"""Seconds between two bursts."""


class Load:
    """Whoever publishes something else says what, and what line tells that it was confirmed."""

    def __init__(self, producer: Producer[bytes], confirmed: TextIO, rate: int, most: int = sys.maxsize) -> None:
        self._producer = producer
        self._confirmed = confirmed
        self._rate = rate
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts = {"sent": 0, "confirmed": 0, "failed": 0}

    async def run(self, stop: asyncio.Event) -> None:
        """Sends at the rate, whatever the broker does; waits for every send in the end."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while not stop.is_set():
            due = min(int((loop.time() - started) * self._rate), self._most)
            while self.counts["sent"] < due:
                task = asyncio.create_task(self._send(self.counts["sent"]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                self.counts["sent"] += 1
            await asyncio.sleep(TICK)
        await asyncio.gather(*self._tasks)

    def message(self, position: int) -> tuple[bytes, str]:
        """Payload and key of the message at this position of the load."""
        return b"%d" % (position // KEYS), f"key-{position % KEYS}"

    def line(self, position: int, message_id: MessageId) -> str:
        """What is written when the broker has confirmed it."""
        payload, key = self.message(position)
        return f"{key} {payload.decode()} {message_id} {monotonic():.3f}"

    async def _send(self, position: int) -> None:
        payload, key = self.message(position)
        try:
            message_id = await self._producer.send(payload, key=key)
        except Exception as error:
            self.counts["failed"] += 1
            print(f"failed: {position} with {key}: {type(error).__name__}: {error}", file=sys.stderr)
        else:
            self.counts["confirmed"] += 1
            self._confirmed.write(self.line(position, message_id) + "\n")

    async def report(self) -> None:
        while True:
            print(f"confirmed={self.counts['confirmed']}", flush=True)
            await asyncio.sleep(1)


async def publish(url: str, topic: str, load_of: Callable[[Producer[bytes]], Load]) -> None:
    """Publishes a load until stdin ends, reporting on stdout."""
    stop = stop_at_end_of_input()
    # An outage of some seconds must be waited out: neither the time nor the room for pending messages may end.
    async with (
        PulsarClient(url) as client,
        client.producer(topic, send_timeout=0, max_pending_messages=100_000) as producer,
    ):
        load = load_of(producer)
        reporting = asyncio.create_task(load.report())
        await load.run(stop)
        reporting.cancel()
        print(json.dumps({**load.counts, "reconnects": producer.stats()["reconnects"]}), flush=True)


if __name__ == "__main__":
    with Path(sys.argv[3]).open("w") as file:
        asyncio.run(publish(sys.argv[1], sys.argv[2], lambda producer: Load(producer, file, int(sys.argv[4]))))
