"""``python -m tests.soak``: nothing confirmed is lost, keys keep their order, memory does not grow, whatever goes wrong.

Two embedded brokers, one in memory and one with a data directory, and everything that uses them, in this process.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from statistics import median

from fastapi_pulsar.broker import EmbeddedBroker
from tests.bench.meter import rss_mib

from .faults import Faults
from .load import Load

FAULT_EVERY = 1.0
DISTURB_EVERY = 0.7
FINISH_LIMIT = 60.0
"""Seconds within which every send must have its answer, once publishing has stopped."""
STUCK_AFTER = 30.0
"""Seconds in which, once publishing has stopped, something must arrive or be acknowledged."""
MEMORY = 1 << 20
"""What a broker may keep in memory: little, so that it must forget what is acknowledged all the time."""
GROWTH = 1.1
GROWTH_MIB = 8
"""Flat is memory whose median in the last quarter is at most this share and this much above that in the second."""
SHOWN = 10


class Soak:
    """The run: load and faults on both brokers, and the memory meanwhile."""

    def __init__(self, seconds: float, seed: int) -> None:
        self._seconds = seconds
        self._seed = seed
        self.memory: list[float] = []
        self.loads: list[Load] = []
        self.faults: list[Faults] = []
        self.lost: list[str] = []
        self.unacknowledged: list[str] = []

    async def run(self) -> None:
        """Runs it all; `verdict` says what came of it."""
        with (
            tempfile.TemporaryDirectory(prefix="soak-") as folder,
            EmbeddedBroker(limits={"memory": MEMORY}) as in_memory,
            EmbeddedBroker(data_dir=folder, limits={"memory": MEMORY}) as on_disk,
        ):
            for label, broker in (("in memory", in_memory), ("on disk", on_disk)):
                load = Load(label, broker, random.Random(f"{self._seed} load {label}"))
                await load.start()
                self.loads.append(load)
                self.faults.append(Faults(broker, load, random.Random(f"{self._seed} faults {label}")))
            async with asyncio.TaskGroup() as group:
                end = time.monotonic() + self._seconds
                group.create_task(_every(FAULT_EVERY, end, self._sample))
                for load, faults in zip(self.loads, self.faults, strict=True):
                    group.create_task(_every(FAULT_EVERY, end, faults.one))
                    group.create_task(_every(DISTURB_EVERY, end, load.disturb))
            for broker in (in_memory, on_disk):
                broker.heal()
                broker.drop_connections()  # what waits for an answer that never comes asks again
            for load in self.loads:
                await asyncio.wait_for(load.finish(), FINISH_LIMIT)
            await self._drain()
            for load in self.loads:
                await load.close()

    async def _sample(self) -> None:
        self.memory.append(rss_mib())

    async def _drain(self) -> None:
        """Until everything confirmed has arrived everywhere, and nothing is left to acknowledge."""
        least, since = 1 << 62, time.monotonic()
        while time.monotonic() - since < STUCK_AFTER:
            self.lost = [line for load in self.loads for line in load.lost()]
            backlog = [found for load in self.loads for found in (await load.backlog()).items()]
            self.unacknowledged = [f"{count} of {name}" for name, count in backlog]
            left = len(self.lost) + sum(count for _, count in backlog)
            if not left:
                return
            if left < least:
                least, since = left, time.monotonic()
            await asyncio.sleep(0.2)

    def verdict(self) -> list[str]:
        """What is not as it must be."""
        topics = [topic for load in self.loads for topic in load.topics]
        unordered = [line for topic in topics for line in topic.out_of_order()]
        problems = [f"lost: {line}" for line in self.lost] + [f"out of order: {line}" for line in unordered]
        problems += [f"never acknowledged: {line}" for line in self.unacknowledged]
        early, late = self.growth()
        if late > early * GROWTH + GROWTH_MIB:
            problems.append(f"memory grew from {early:.0f} to {late:.0f} MiB")
        return problems

    def growth(self) -> tuple[float, float]:
        """The medians of memory in the second and in the last quarter, in MiB."""
        quarter = max(1, len(self.memory) // 4)
        return median(self.memory[quarter : 2 * quarter] or self.memory), median(self.memory[-quarter:])

    def summary(self) -> str:
        """The figures of the run in one line."""
        topics = [topic for load in self.loads for topic in load.topics]
        subscriptions = [subscription for topic in topics for subscription in topic.subscriptions.values()]
        counts = sum((faults.counts for faults in self.faults), Counter[str]())
        return (
            f"{sum(topic.confirmed for topic in topics):,} messages confirmed, received by {len(subscriptions)} "
            f"subscriptions {sum(subscription.first for subscription in subscriptions):,} times first and "
            f"{sum(subscription.again for subscription in subscriptions):,} times again; {counts.total()} faults "
            f"({_listed(counts)}); refused: {_listed(sum((load.refusals for load in self.loads), Counter[str]()))}; "
            "memory {:.0f} MiB, in the end {:.0f} MiB".format(*self.growth())
        )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


async def _every(seconds: float, end: float, step: Callable[[], Awaitable[None]]) -> None:
    while time.monotonic() + seconds < end:
        await asyncio.sleep(seconds)
        await step()


def main() -> int:
    """Runs, prints the seed, the figures and the verdict; 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of a run")
    options = parser.parse_args()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    print(f"soak: {options.seconds:.0f} s, seed {seed}", flush=True)
    soak = Soak(options.seconds, seed)
    asyncio.run(soak.run())
    print(f"soak: {soak.summary()}")
    problems = soak.verdict()
    for problem in problems[:SHOWN]:
        print(f"soak: {problem}")
    if len(problems) > SHOWN:
        print(f"soak: and {len(problems) - SHOWN} more")
    print(f"soak: {'failed' if problems else 'passed'}, seed {seed}", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
