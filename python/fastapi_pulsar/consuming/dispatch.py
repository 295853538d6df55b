"""The loop that takes messages from a consumer and hands each to the function, so many at a time.

Each message is a task of its own, as a request is: what it sets in context variables is gone with it. The task acknowledges the
message itself. No more is taken from the consumer than there is room for, so that what waits, waits at the broker or in the
consumer's queue, where other consumers of the subscription may still get it.
"""

import asyncio
from collections.abc import Coroutine
from time import monotonic
from typing import Any

from ..client import Message
from ..exceptions import PulsarError
from ..logs import about
from .failure import logger
from .handling import Handling

_MOST_AT_ONCE = 1000
"""Messages taken in one go."""


class Dispatcher:
    """Runs one function over the messages of one consumer.

    Attributes:
        progressed_at: When messages were taken or a call ended last, by the monotonic clock; at first when it was made.
    """

    def __init__(self, handling: Handling, concurrency: int) -> None:
        self._plan = handling.plan
        self._subscription = handling.subscription
        self._consumer = handling.consumer
        self._handle = handling.handle
        self._failure = handling.failure
        self._took = handling.meter.took
        self._free = concurrency
        self._room: asyncio.Future[None] | None = None
        self._create_task = asyncio.get_running_loop().create_task
        self._draining = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self.progressed_at = monotonic()

    async def run(self) -> None:
        """Takes and hands out, until cancelled or until the consumer ends.

        Raises:
            PulsarError: The consumer ended.
        """
        while True:
            room = await self._wait_for_room()
            messages = await self._take(room)
            self._note(messages)
            for message in messages:
                self._accept(message)

    @property
    def in_flight(self) -> int:
        """Calls in progress."""
        return len(self._tasks)

    async def drain(self, within: float) -> None:
        """Waits for the calls in progress; those not done in time are cancelled, and their messages left to redelivery."""
        self._draining = True
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=within)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait_for_room(self) -> int:
        while self._free <= 0:
            await self._some_room()
        return min(self._free, _MOST_AT_ONCE)

    async def _some_room(self) -> None:
        """Waits until a call ends."""
        self._room = asyncio.get_running_loop().create_future()
        await self._room

    async def _take(self, most: int) -> list[Message[Any]]:
        return await self._consumer.receive_many(most)

    def _note(self, messages: list[Message[Any]]) -> None:
        self.progressed_at = monotonic()
        self._took(messages)

    def _accept(self, message: Message[Any]) -> None:
        self._free -= 1
        self._start(self._one(message))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(self._create_task(work))

    def _leave(self) -> None:
        """Ends a call, in its own task."""
        self._free += 1
        self._end()

    def _end(self) -> None:
        self.progressed_at = monotonic()
        task = asyncio.current_task()
        if task is not None:
            self._tasks.discard(task)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _one(self, message: Message[Any]) -> None:
        try:
            await self._settle(message)
        finally:
            self._leave()

    async def _settle(self, message: Message[Any]) -> None:
        """Handles one message and acknowledges it, or does what the failure policy says."""
        try:
            try:
                acknowledge = await self._handle(message)
            except Exception as error:
                await self._failure.failed(self._consumer, message, error, self._handle)
            else:
                if acknowledge:
                    self._consumer.acknowledge(message)
        except PulsarError as error:
            # The consumer was closed meanwhile, or lost the message to a seek: the broker redelivers it.
            logger.warning(
                "%s: a message of %s could not be settled: %s", self._plan.name, message.topic, error,
                extra=about(message, subscription=self._subscription),
            )  # fmt: skip
