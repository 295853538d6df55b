"""Handing out in the order of each key: keys side by side, the messages of a key one after the other."""

from collections import deque
from typing import Any

from ..client import Message
from .dispatch import Dispatcher

_MOST_WAITING = 1000
"""Messages in hand that wait for an earlier one of their key."""

Key = str | bytes


class KeyedDispatcher(Dispatcher):
    """A message whose key is being handled waits for it, its failures and retries included; it takes no room meanwhile.

    The key is the ordering key or else the key, as the broker has it. Messages without either have no order.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._chains: dict[Key, deque[Message[Any]]] = {}
        self._waiting = 0

    async def _wait_for_room(self) -> int:
        while self._waiting >= _MOST_WAITING:
            await self._some_room()
        return min(await super()._wait_for_room(), _MOST_WAITING - self._waiting)

    def _accept(self, message: Message[Any]) -> None:
        key = message.ordering_key or message.key or message.key_bytes
        if key is None:
            super()._accept(message)
        elif (chain := self._chains.get(key)) is not None:
            chain.append(message)
            self._waiting += 1
        else:
            self._chains[key] = deque()
            self._free -= 1
            self._start(self._next_of(key, message))

    async def _next_of(self, key: Key, message: Message[Any]) -> None:
        try:
            await self._settle(message)
        finally:
            chain = self._chains[key]
            if chain and not self._draining:
                self._waiting -= 1
                self._start(self._next_of(key, chain.popleft()))
                self._end()
            else:
                del self._chains[key]
                self._leave()
