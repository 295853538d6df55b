"""Leaving out what was processed already, in a window in memory or in a store that outlives the process."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable
from weakref import WeakValueDictionary

from ..client import Message
from ..exceptions import InvalidOptionError
from ..logs import about
from .origin import Origins

logger = logging.getLogger("fastapi_pulsar.consuming.deduplication")


@runtime_checkable
class DeduplicationStore(Protocol):
    """Remembers what was processed. It may forget: what it forgot is processed again when it is delivered again."""

    async def seen(self, identity: str) -> bool:
        """Whether this was processed. An exception is a failed attempt."""

    async def add(self, identity: str) -> None:
        """Notes that this was processed, before its message is acknowledged. An exception is logged."""


class MemoryWindow:
    """The last so many identities, in this process."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[str, None] = OrderedDict()

    async def seen(self, identity: str) -> bool:
        return identity in self._known

    async def add(self, identity: str) -> None:
        self._known[identity] = None
        self._known.move_to_end(identity)
        if len(self._known) > self._size:
            self._known.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Deduplicate:
    """Skips messages that were processed before: they are acknowledged, and the function is not called.

    Args:
        by: `message_id`: the broker's id, which a redelivered message and a retry letter keep, but not a second publish;
            `key`: the message's key; or a function of the message that returns a text. None, and no key, is never skipped.
        window: How many are remembered in memory, without a store.
        store: Remembers instead, for several processes and across restarts.

    Raises:
        InvalidOptionError: One is out of range.
    """

    by: Literal["message_id", "key"] | Callable[[Message[Any]], str | None] = "message_id"
    window: int = 10_000
    store: DeduplicationStore | None = None
    memory: MemoryWindow = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.by not in ("message_id", "key") and not callable(self.by):
            raise InvalidOptionError("Deduplicate: by must be 'message_id', 'key' or a function of the message")
        if self.window < 1:
            raise InvalidOptionError("Deduplicate: window must be at least 1")
        object.__setattr__(self, "memory", MemoryWindow(self.window))


class Deduplication:
    """Applies it to the messages of one consumer."""

    def __init__(self, options: Deduplicate, origins: Origins, name: str) -> None:
        """`name` is the function's."""
        self._by = options.by
        self._store: DeduplicationStore = options.store or options.memory
        self._origins = origins
        self._name = name
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def identity(self, message: Message[Any]) -> str | None:
        """What a message is known by, apart from those of other subscriptions and topics; None: it is always new."""
        if self._by == "message_id":
            own: str | None = self._origins.message_id(message)
        else:
            own = message.key if self._by == "key" else self._by(message)
        return None if own is None else f"{self._origins.subscription}:{self._origins.of(message)}:{own}"

    def alone(self, identity: str) -> asyncio.Lock:
        """Held while a message of this identity is handled: the second one is to see what became of the first."""
        return self._busy.setdefault(identity, asyncio.Lock())

    async def seen(self, identity: str) -> bool:
        """Whether this was processed; the store's exceptions are the caller's."""
        seen = await self._store.seen(identity)
        if seen:
            logger.info("%s: skipped a message that was processed before", self._name, extra=self._about())
        return seen

    async def add(self, identity: str) -> None:
        """Notes that this was processed. If the store fails, the message is acknowledged all the same."""
        try:
            await self._store.add(identity)
        except Exception as error:
            logger.error(
                "%s: the store of processed messages failed (%s): this one is handled twice if it is delivered twice",
                self._name, type(error).__name__, extra=self._about(),
            )  # fmt: skip

    def _about(self) -> dict[str, Any]:
        return about(topic=", ".join(self._origins.topics), subscription=self._origins.subscription)
