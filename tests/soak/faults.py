"""What goes wrong, once a second.

Left out is what loses or reorders messages on any broker, whatever client is there: damaged messages are thrown away, as
the reference client does, and a `Send` that is refused for a while alone, with the one behind it taken, comes after it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from fastapi_pulsar.broker import EmbeddedBroker

from .load import Load

PASSING = ("ServiceNotReady", "TooManyRequests", "MetadataError")
"""Server errors after which a client tries again."""
COMMANDS = ("Producer", "Subscribe", "Lookup", "PartitionedTopicMetadata")
SILENT = 0.5
"""Seconds for which the broker leaves unread what clients send."""


class Faults:
    """Chooses from a seed; `counts` says what was done how often."""

    def __init__(self, broker: EmbeddedBroker, load: Load, seed: random.Random) -> None:
        self._broker = broker
        self._load = load
        self._seed = seed
        self._choices: list[Callable[[], Awaitable[None]]] = [
            self.drop_all,
            self.drop_one_topic,
            self.refuse,
            self.refuse_messages,
            self.delay,
            self.delay_messages,
            self.lose_acknowledgements,
            self.stop_reading,
            self.restart,
            self.unload,
        ]
        self.counts: Counter[str] = Counter()

    async def one(self) -> None:
        """Does one of them. The first ones are each in turn, so that a short run has all."""
        index = sum(self.counts.values())
        fault = self._choices[index] if index < len(self._choices) else self._seed.choice(self._choices)
        self.counts[fault.__name__] += 1
        await fault()

    async def drop_all(self) -> None:
        self._broker.drop_connections()

    async def drop_one_topic(self) -> None:
        self._broker.drop_connections(self._topic())

    async def refuse(self) -> None:
        # Those who must ask again are there once their connection is gone.
        command, error = self._seed.choice(COMMANDS), self._seed.choice(PASSING)
        self._broker.fail_next(command, error, count=self._seed.randint(1, 5))
        self._broker.drop_connections()

    async def refuse_messages(self) -> None:
        self._broker.fail_next("Send", "NotAllowedError", count=self._seed.randint(1, 3), topic=self._topic())

    async def delay(self) -> None:
        command = self._seed.choice(COMMANDS)
        self._broker.delay_next(command, self._seed.uniform(0.05, 0.5), count=self._seed.randint(1, 5))
        self._broker.drop_connections()

    async def delay_messages(self) -> None:
        self._broker.delay_next("Send", self._seed.uniform(0.05, 0.5), topic=self._topic())

    async def lose_acknowledgements(self) -> None:
        self._broker.ignore_next("Ack", count=self._seed.randint(1, 3))

    async def stop_reading(self) -> None:
        self._broker.stop_reading(self._topic())
        await asyncio.sleep(SILENT)
        self._broker.heal()

    async def restart(self) -> None:
        await asyncio.to_thread(self._broker.restart)

    async def unload(self) -> None:
        await self._load.unload(self._topic())

    def _topic(self) -> str:
        return self._seed.choice(self._load.names)
