"""Whether memory depends on the limits that were set or on the count of messages."""

import time
from typing import Any

from .cases import OURS, Client
from .runner import Lab, run_once
from .settings import Run

LIMIT_MIB = 128
COUNTS = (250_000, 1_000_000)
NOISE_MIB = 16
"""How much more the larger count may take before it counts as growth."""


def measure(place: Lab) -> list[dict[str, Any]]:
    """The growth of resident memory for a smaller and a larger count, each in a process of its own."""
    results = []
    for count in COUNTS:
        stamp = f"bench-memory-{time.time_ns()}"
        run = Run(place.url, f"persistent://public/default/{stamp}", stamp, size=100, messages=count)
        results.append(run_once(Client(OURS, "memory", "pass_through"), run, place))
    return results


def print_result(results: list[dict[str, Any]]) -> None:
    """The growth, and whether it stays within what was promised."""
    growth = [result["growth_mib"] for result in results]
    reached = max(growth) < LIMIT_MIB and growth[-1] - growth[0] < NOISE_MIB
    counts = " and ".join(f"{count:,}" for count in COUNTS)
    print(
        f"{'reached' if reached else 'SHORT  '}  memory: grew by {growth[0]} and {growth[1]} MiB over {counts} messages "
        f"(target: under {LIMIT_MIB}, and not with the count)"
    )
