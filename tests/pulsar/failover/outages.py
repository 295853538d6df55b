"""How long nothing went through: what the time stamps of the load, the receiver and the watcher say."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path


def times(path: Path) -> list[float]:
    """The time of every line of a file of `load` or `receive`, in order."""
    return [float(line.rsplit(" ", 1)[1]) for line in path.read_text().splitlines()]


def longest_gap(stamps: Iterable[float], start: float, end: float) -> float:
    """Seconds of the longest silence between `start` and `end`."""
    return max(later - earlier for earlier, later in pairwise([start, *(t for t in stamps if start <= t <= end), end]))


def not_ready(lines: Iterable[str], start: float, end: float) -> float:
    """Seconds between `start` and `end` in which the application said that it was not ready."""
    changes = [(line.split()[0], float(line.split()[1])) for line in lines if "ready " in line]
    total, state, since = 0.0, "not-ready", start
    for new, when in [*changes, ("", end)]:
        if state == "not-ready":
            total += max(0.0, min(when, end) - max(since, start))
        state, since = new, when
    return total
