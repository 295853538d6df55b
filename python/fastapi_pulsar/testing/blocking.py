"""The assertions for tests without an event loop."""

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar, overload

from ..client import Message
from . import assertions

P = ParamSpec("P")
T = TypeVar("T")


def in_a_thread(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end on an event loop of its own, in a thread of its own, so that it meets no other loop."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(asyncio.run(coroutine))
        except BaseException as error:  # it belongs to whoever waits
            result.set_exception(error)

    thread = threading.Thread(target=run, name="fastapi-pulsar-testing", daemon=True)
    thread.start()
    thread.join()
    return result.result()


def _blocking(name: str, work: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    __tracebackhide__ = True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return in_a_thread(work(*args, **kwargs))
    raise RuntimeError(f"{name} would block the event loop of this test: await {name}_async(…) instead")


@overload
def published(
    topic: str, model: None = None, *, count: int | None = None, timeout: float = 5.0
) -> "list[Message[bytes]]": ...
@overload
def published(topic: str, model: type[T], *, count: int | None = None, timeout: float = 5.0) -> "list[Message[T]]": ...
@functools.wraps(assertions.published_async)
def published(topic: str, model: Any = None, *, count: int | None = None, timeout: float = 5.0) -> Any:
    __tracebackhide__ = True
    return _blocking("published", assertions.published_async, topic, model, count=count, timeout=timeout)


@overload
def dead_lettered(
    topic: str, subscription: str, model: None = None, *, count: int | None = None, timeout: float = 5.0
) -> "list[Message[bytes]]": ...
@overload
def dead_lettered(
    topic: str, subscription: str, model: type[T], *, count: int | None = None, timeout: float = 5.0
) -> "list[Message[T]]": ...
@functools.wraps(assertions.dead_lettered_async)
def dead_lettered(
    topic: str, subscription: str, model: Any = None, *, count: int | None = None, timeout: float = 5.0
) -> Any:
    __tracebackhide__ = True
    work = assertions.dead_lettered_async
    return _blocking("dead_lettered", work, topic, subscription, model, count=count, timeout=timeout)


def backlog(topic: str, subscription: str, expected: int = 0, *, timeout: float = 5.0) -> None:
    """See `backlog_async`."""
    __tracebackhide__ = True
    _blocking("backlog", assertions.backlog_async, topic, subscription, expected, timeout=timeout)


def wait_idle(topic: str, subscription: str, *, timeout: float = 5.0) -> None:
    """See `wait_idle_async`."""
    __tracebackhide__ = True
    _blocking("wait_idle", assertions.wait_idle_async, topic, subscription, timeout=timeout)
