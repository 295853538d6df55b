"""The producers behind `send_message`: one for each topic and model, kept while they are used."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from .._core import Producer

Key = tuple[str, type | None, str | None]
"""Topic, model, and the subscription that the topic is to have from the start."""
_MOST = 256
"""Producers kept; the one that was used longest ago is closed for a new one."""


class Senders:
    """The producers of one client on one event loop."""

    def __init__(self, open_one: Callable[[Key], Awaitable[Producer[Any]]]) -> None:
        self._open = open_one
        self._tasks: OrderedDict[Key, asyncio.Task[Producer[Any]]] = OrderedDict()

    async def get(self, key: Key) -> Producer[Any]:
        """The producer of a key, opened if there is none.

        Raises:
            PulsarError: It could not be opened; the next call tries anew.
        """
        task = self._tasks.get(key)
        if task is None:
            # A task of its own: a caller that gives up does not take the producer from the others.
            task = self._tasks[key] = asyncio.ensure_future(self._opened(key))
            task.add_done_callback(lambda done: self._forget_failed(key, done))
            if len(self._tasks) > _MOST:
                _, oldest = self._tasks.popitem(last=False)
                oldest.add_done_callback(_close)
        self._tasks.move_to_end(key)
        return await asyncio.shield(task)

    def forget(self, key: Key) -> None:
        """Opens the producer anew the next time: this one was closed."""
        self._tasks.pop(key, None)

    async def _opened(self, key: Key) -> Producer[Any]:
        return await self._open(key)

    def _forget_failed(self, key: Key, task: "asyncio.Task[Producer[Any]]") -> None:
        if (task.cancelled() or task.exception() is not None) and self._tasks.get(key) is task:
            del self._tasks[key]


def _close(task: "asyncio.Task[Producer[Any]]") -> None:
    if not task.cancelled() and task.exception() is None:
        _closing.add(closing := asyncio.ensure_future(task.result().close()))
        closing.add_done_callback(_closing.discard)


_closing: set[asyncio.Future[None]] = set()
