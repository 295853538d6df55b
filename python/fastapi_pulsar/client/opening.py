"""Something that is still to be opened: `await` it, or use it in `async with`."""

from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar


class _Closable(Protocol):
    def close(self) -> Coroutine[Any, Any, None]: ...


C = TypeVar("C", bound=_Closable)


class Opening(Generic[C]):
    """What `PulsarClient.producer`, `consumer` and `reader` return.

    Awaited, it opens and returns what it opened, which is closed with its client. In `async with`, it is closed at the end of
    the block.
    """

    def __init__(self, opened: Callable[[], Coroutine[Any, Any, C]]) -> None:
        self._open = opened
        self._opened: C | None = None

    def __await__(self) -> Generator[Any, Any, C]:
        return self._open().__await__()

    async def __aenter__(self) -> C:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            await self._opened.close()
