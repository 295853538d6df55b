"""Reads the dead letter topic to its end: `python -m tests.pulsar.chaos.letters URL TOPIC FILE`.

A line of the file is `number error-class`. The last line on stdout is a summary in JSON.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import TextIO

from fastapi_pulsar import PulsarClient
from tests.pulsar.chaos.service import SUBSCRIPTION

QUIET = 5.0
"""Seconds without a message after which nothing more is expected."""


async def main(url: str, topic: str, letters: TextIO) -> None:
    count = 0
    async with (
        PulsarClient(url) as client,
        client.consumer(f"{topic}-{SUBSCRIPTION}-DLQ", f"{SUBSCRIPTION}-dlq", type="Shared") as consumer,
    ):
        while messages := await consumer.receive_many(max_messages=1000, max_wait=QUIET):
            for message in messages:
                letters.write(f"{message.key} {message.properties['DEAD_LETTER_ERROR']}\n")
                consumer.acknowledge(message)
            count += len(messages)
    print(json.dumps({"letters": count}), flush=True)


if __name__ == "__main__":
    with Path(sys.argv[3]).open("w") as file:
        asyncio.run(main(sys.argv[1], sys.argv[2], file))
