"""A router's run in one application: its client, its producers, its subscribers."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from .. import metrics
from ..client import Producer, PulsarClient
from ..config import PulsarSettings
from ..exceptions import PulsarError
from .subscriber import FATAL, Subscriber
from .subscription import Subscription

logger = logging.getLogger("fastapi_pulsar.consuming")
StartMode = Literal["background", "wait", "fail"]
_FIRST_LOOK = 1.0
"""Seconds for which a start in the background waits for the first outcome: refused credentials show within a round trip."""


class Run:
    """Lives from the start of an application to its shutdown, on one event loop."""

    def __init__(self, client: PulsarClient, settings: PulsarSettings, app: Any) -> None:
        self.client = client
        self.settings = settings
        self.loop = asyncio.get_running_loop()
        self.subscribers: list[Subscriber] = []
        self.closed = False
        self.started = False
        self.transient = False
        """Made for one publish at the end of the application's lifespan, where the router's own run has ended."""
        self._app = app
        self._refreshing: asyncio.Task[None] | None = None
        self._producers: dict[Any, asyncio.Future[Producer[Any]]] = {}

    async def start(self, subscriptions: Iterable[Subscription], mode: StartMode) -> None:
        """Subscribes, as the mode says.

        * `background`: serve at once and keep trying; refused credentials and schemas fail the start.
        * `wait`: until all are subscribed; what waiting does not cure fails the start.
        * `fail`: any error fails the start.

        Raises:
            PulsarError: The start failed; nothing is left running.
        """
        self.started = True
        self.subscribers = [subscriber for one in subscriptions for subscriber in self._subscribers_of(one)]
        for subscriber in self.subscribers:
            subscriber.start()
        if metrics.several_processes():
            self._refreshing = asyncio.ensure_future(self._refresh_metrics())
        try:
            if mode == "background" and self.subscribers:
                await self._look_once()
            elif mode != "background":
                await self._settled(despite_errors=mode == "wait")
        except BaseExceptionGroup as group:
            await self.stop(0)
            raise group.exceptions[0] from None
        except BaseException:
            await self.stop(0)
            raise

    def _subscribers_of(self, subscription: Subscription) -> Iterator[Subscriber]:
        first = Subscriber(subscription, self.client, self.settings, self._app)
        yield first
        if first.policy.way == "retry_topic":
            yield Subscriber(subscription, self.client, self.settings, self._app, retries=True)

    async def _settled(self, *, despite_errors: bool) -> None:
        async with asyncio.TaskGroup() as waits:
            for subscriber in self.subscribers:
                waits.create_task(subscriber.settled(despite_errors=despite_errors))

    async def _look_once(self) -> None:
        waits = [asyncio.ensure_future(one.settled(despite_errors=False)) for one in self.subscribers]
        try:
            done, _ = await asyncio.wait(waits, timeout=_FIRST_LOOK)
            for wait in done:
                if isinstance(wait.exception(), FATAL):
                    wait.result()
        finally:
            for wait in waits:
                wait.cancel()

    @property
    def ready(self) -> bool:
        """Whether every subscription is being consumed."""
        return self.started and not self.closed and all(one.state == "running" for one in self.subscribers)

    def producers(self) -> Iterator[tuple[str, Producer[Any] | None]]:
        """Topic and producer, None while it is being opened; those of dead and retry letters too."""
        for (topic, *_), future in list(self._producers.items()):
            opened = future.done() and not future.cancelled() and future.exception() is None
            if opened or not future.done():
                yield topic, future.result() if opened else None
        for subscriber in self.subscribers:
            yield from subscriber.letters.producers()

    async def producer(self, topic: str, model: Any, options: dict[str, Any]) -> Producer[Any]:
        """The producer of a topic and a model, made once."""
        key = (topic, model, tuple(sorted(options.items())))
        future = self._producers.get(key)
        if future is None:
            # A task of its own: a caller that gives up does not take the producer from the others.
            future = asyncio.ensure_future(self._make_producer(topic, model, options))
            self._producers[key] = future
            future.add_done_callback(lambda done: self._forget_failed(key, done))
        return future.result() if future.done() else await asyncio.shield(future)

    def _forget_failed(self, key: Any, future: asyncio.Future[Producer[Any]]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._producers.pop(key, None)

    async def _make_producer(self, topic: str, model: Any, options: dict[str, Any]) -> Producer[Any]:
        delay = self.settings.retry_initial_backoff_ms / 1000
        for _ in range(self.settings.retry_max_retries):
            try:
                return await self.client.producer(topic, model, **options)
            except PulsarError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(delay)
            delay = min(delay * 2, self.settings.retry_max_backoff_ms / 1000)
        return await self.client.producer(topic, model, **options)

    async def stop(self, within: float) -> None:
        """Stops the subscribers within so many seconds, then closes producers and client. The second call does nothing."""
        if self.closed:
            return
        self.closed = True
        await asyncio.gather(*(one.stop(within) for one in self.subscribers))
        for future in list(self._producers.values()):
            future.cancel()
        await self.client.close()
        if self._refreshing is not None:
            self._refreshing.cancel()
            metrics.refresh()

    async def _refresh_metrics(self) -> None:
        """Another process answers the scrape: what the engine counts here is written down for it."""
        while True:
            await asyncio.sleep(self.settings.metrics_interval_seconds)
            metrics.refresh()
