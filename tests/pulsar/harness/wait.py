"""Waiting for something that another process does."""

import time
from collections.abc import Callable

from tests.pulsar.harness.process import HarnessError, Process

INTERVAL = 0.1


def wait_until(
    what: str, ready: Callable[[], bool], *, timeout: float, process: Process | None = None, interval: float = INTERVAL
) -> None:
    """Polls `ready` every `interval` seconds until it is true; an `OSError` from it means "not yet" (connection
    refused, HTTP error).

    Raises `HarnessError` after `timeout` seconds, or as soon as `process` has died.
    """
    deadline = time.monotonic() + timeout
    last = ""
    while time.monotonic() < deadline:
        if process and not process.alive():
            raise HarnessError(f"{process.name} died while waiting for {what}:\n{process.tail()}")
        try:
            if ready():
                return
        except OSError as error:
            last = f" (last answer: {error})"
        time.sleep(interval)
    log = f"; the end of its log:\n{process.tail()}" if process else ""
    raise HarnessError(f"{what}: not within {timeout:.0f} s{last}{log}")
