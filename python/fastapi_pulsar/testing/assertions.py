"""Assertions on topics and subscriptions, for tests on an event loop. Each waits until it is true, or fails and says why."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar, overload

from ..client import Message, PulsarClient, Reader
from ..config import get_settings
from . import target
from .admin import AdminError

T = TypeVar("T")

_PAUSE = 0.02
"""Seconds between two questions to the broker, which does not tell of changes by itself."""
_SHOWN = 10


@overload
async def published_async(
    topic: str, model: None = None, *, count: int | None = None, timeout: float = 5.0
) -> "list[Message[bytes]]": ...
@overload
async def published_async(
    topic: str, model: type[T], *, count: int | None = None, timeout: float = 5.0
) -> "list[Message[T]]": ...
async def published_async(
    topic: str, model: Any = None, *, count: int | None = None, timeout: float = 5.0
) -> "list[Message[Any]]":
    """Asserts that messages have been published to a topic, and returns all of them, the oldest first.

    Args:
        topic: A name in full, or a short one.
        model: The type of the messages' values.
        count: Exactly so many; at least one if it is None. For 0 it does not wait.
        timeout: Seconds to wait for them.

    Raises:
        AssertionError: There are others than so many; it shows them.
    """
    settings = get_settings()
    name = settings.topic(topic)
    wanted = 1 if count is None else count
    async with PulsarClient(target.current().service_url, settings=settings) as client:
        found = await _read(client, name, model, wanted, timeout)
    if len(found) < wanted or (count is not None and len(found) > count):
        seen = "".join(f"\n  {_shown(message)}" for message in found[:_SHOWN])
        more = f"\n  … and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        expected = "at least 1" if count is None else f"exactly {count}"
        within = f" within {timeout:g} s" if len(found) < wanted else ""
        raise AssertionError(f"{len(found)} published to {name}{within}, expected {expected}{seen}{more}")
    return found


@overload
async def dead_lettered_async(
    topic: str, subscription: str, model: None = None, *, count: int | None = None, timeout: float = 5.0
) -> "list[Message[bytes]]": ...
@overload
async def dead_lettered_async(
    topic: str, subscription: str, model: type[T], *, count: int | None = None, timeout: float = 5.0
) -> "list[Message[T]]": ...
async def dead_lettered_async(
    topic: str, subscription: str, model: Any = None, *, count: int | None = None, timeout: float = 5.0
) -> "list[Message[Any]]":
    """Asserts that messages of a subscription are in its dead letter topic, `<topic>-<subscription>-DLQ`, and returns them.

    Their properties say why they are there. For a dead letter topic of another name ask `published`. Arguments and errors are
    those of `published`.
    """
    name = f"{topic}-{subscription}-DLQ"
    found: list[Message[Any]] = await published_async(name, model, count=count, timeout=timeout)
    return found


async def backlog_async(topic: str, subscription: str, expected: int = 0, *, timeout: float = 5.0) -> None:
    """Asserts that a subscription has a backlog of so many entries: published, and not acknowledged.

    A batch of several messages is one entry.

    Args:
        topic: A name in full, or a short one.
        subscription: The subscription's name.
        expected: The number of entries.
        timeout: Seconds to wait for it.

    Raises:
        AssertionError: The backlog is another, or there is no such topic or subscription.
    """
    await _until(
        topic, subscription, lambda stats: stats["msgBacklog"] == expected, f"a backlog of {expected}", timeout
    )


async def wait_idle_async(topic: str, subscription: str, *, timeout: float = 5.0) -> None:
    """Waits until every message that was published to a topic is handled and acknowledged on a subscription.

    Args:
        topic: A name in full, or a short one.
        subscription: The subscription's name.
        timeout: Seconds to wait for it.

    Raises:
        AssertionError: Some are left, or there is no such topic or subscription.
    """

    def idle(stats: dict[str, Any]) -> bool:
        return not stats["msgBacklog"] and not stats["unackedMessages"]

    await _until(topic, subscription, idle, "everything to be handled", timeout)


async def _read(client: PulsarClient, topic: str, model: Any, wanted: int, timeout: float) -> "list[Message[Any]]":
    """All messages of a topic: those that are there, and others that come in time until there are enough."""
    found: list[Message[Any]] = []
    deadline = time.monotonic() + timeout
    partitions = await client.partitions(topic)
    names = [f"{topic}-partition-{number}" for number in range(partitions)] or [topic]
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(client.reader(name, model)) for name in names]
        while True:
            for reader in readers:
                await _take_all(reader, found)
            if len(found) >= wanted or time.monotonic() >= deadline:
                break
            await asyncio.sleep(_PAUSE)
    return sorted(found, key=lambda message: message.publish_time) if partitions else found


async def _take_all(reader: "Reader[Any]", found: "list[Message[Any]]") -> None:
    while await reader.has_message_available():
        found.append(await reader.receive(timeout=5))


async def _until(
    topic: str, subscription: str, true: Callable[[dict[str, Any]], bool], what: str, timeout: float
) -> None:
    name = get_settings().topic(topic)
    admin = target.admin()
    async with PulsarClient(target.current().service_url, settings=get_settings()) as client:
        partitions = await client.partitions(name)
    deadline = time.monotonic() + timeout
    while True:
        seen, stats = await _look(lambda: admin.subscription(name, subscription, partitions))
        if stats is not None and true(stats):
            return
        if time.monotonic() >= deadline:
            raise AssertionError(f"subscription {subscription} on {name}: expected {what} within {timeout:g} s: {seen}")
        await asyncio.sleep(_PAUSE)


async def _look(ask: Callable[[], dict[str, Any] | None]) -> tuple[str, dict[str, Any] | None]:
    """What a subscription looks like, in words and in figures."""
    try:
        stats = await asyncio.to_thread(ask)
    except AdminError as error:
        if error.status != 404:
            raise
        return "there is no such topic", None
    if stats is None:
        return "there is no such subscription", None
    words = f"its backlog is {stats['msgBacklog']}, with {stats['unackedMessages']} delivered and not acknowledged"
    return f"{words}; consumers: {len(stats['consumers'])}", stats


def _shown(message: "Message[Any]") -> str:
    """One message in a line. A test's messages are its own, so here they may be seen."""
    data = message.data[:200]
    parts = [f"key={message.key!r}"] if message.key is not None else []
    parts += [f"properties={message.properties}"] if message.properties else []
    return " ".join([*parts, repr(data) + ("…" if len(message.data) > len(data) else "")])
