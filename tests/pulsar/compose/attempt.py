"""One message, or the refusal: `python -m tests.pulsar.compose.attempt subscribe|produce|consume TOPIC`.

The settings are in the environment. The last line of stdout is `ok`, or what was raised: its class, whether trying again
may help, the seconds it took, its text.
"""

import asyncio
import sys
from time import monotonic

from fastapi_pulsar import PulsarClient, PulsarError

TIMEOUT = 60
"""Seconds to wait for a message."""


async def main(verb: str, topic: str) -> str:
    began = monotonic()
    try:
        async with PulsarClient(max_retries=0) as client:
            if verb == "produce":
                async with client.producer(topic) as producer:
                    await producer.send(b"hello")
            else:
                async with client.consumer(topic, "attempt", initial_position="earliest") as consumer:
                    if verb == "consume":
                        await consumer.receive(timeout=TIMEOUT)
    except PulsarError as error:
        return f"{type(error).__name__} retryable={error.retryable} {monotonic() - began:.1f} s: {error}"
    return "ok"


if __name__ == "__main__":
    print(asyncio.run(main(*sys.argv[1:])))
