"""Load, receiver and judge of the failover test: three programs, so that none can hide what another lost."""

import asyncio
import os
import sys


def stop_at_end_of_input() -> asyncio.Event:
    """Set when stdin ends: the test asked for the end, or is gone."""
    stop = asyncio.Event()

    def readable() -> None:
        if not os.read(descriptor, 4096):
            asyncio.get_running_loop().remove_reader(descriptor)
            stop.set()

    descriptor = sys.stdin.fileno()
    asyncio.get_running_loop().add_reader(descriptor, readable)
    return stop
