"""Asks an application for its readiness, as an orchestrator does: `python -m tests.pulsar.failover.watch URL`.

Each change is a line `ready TIME` or `not-ready TIME` on stdout (the machine's monotonic clock, in seconds); ends with its
stdin.
"""

import asyncio
import sys
import urllib.request
from time import monotonic

from tests.pulsar.failover import stop_at_end_of_input

INTERVAL, TIMEOUT = 0.1, 5.0
"""Seconds."""


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def main(url: str) -> None:
    stop = stop_at_end_of_input()
    last = ""
    while not stop.is_set():
        state = "ready" if await asyncio.to_thread(is_ready, url) else "not-ready"
        if state != last:
            print(state, f"{monotonic():.3f}", flush=True)
            last = state
        await asyncio.sleep(INTERVAL)
    print("{}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
