"""Publishes numbered orders at a steady rate; writes every confirmed one to a file; ends when stdin does.

`python -m tests.pulsar.chaos.load URL TOPIC FILE COUNT RATE SEED`. A line of the file is the number, written when the broker
has confirmed. Every second a line `confirmed=N` goes to stdout; the last line is a summary in JSON.
"""

import asyncio
import sys
from pathlib import Path
from typing import TextIO

from fastapi_pulsar import MessageId, Producer
from tests.pulsar.chaos.fates import fate
from tests.pulsar.failover.load import Load, publish


class Orders(Load):
    """Each key is the number; the payload holds it too, unless it is to be invalid."""

    def __init__(self, producer: Producer[bytes], confirmed: TextIO, count: int, rate: int, seed: int) -> None:
        super().__init__(producer, confirmed, rate, most=count)
        self._seed = seed

    def message(self, position: int) -> tuple[bytes, str]:
        invalid = fate(self._seed, position).kind == "invalid"
        return b'{"number": "none"}' if invalid else b'{"number": %d}' % position, str(position)

    def line(self, position: int, message_id: MessageId) -> str:
        return str(position)


if __name__ == "__main__":
    with Path(sys.argv[3]).open("w") as file:
        count, rate, seed = map(int, sys.argv[4:7])
        asyncio.run(publish(sys.argv[1], sys.argv[2], lambda producer: Orders(producer, file, count, rate, seed)))
