"""One subscription while its application runs: subscribed, consumed from, subscribed anew when it ends, closed at last."""

import asyncio
import logging
from time import monotonic
from typing import Any, Literal

from ..client import Consumer, PulsarClient
from ..config import PulsarSettings
from ..config.settings import SubscriptionType
from ..exceptions import (
    AuthenticationError,
    AuthorizationError,
    ClosedError,
    HandlerSignatureError,
    IncompatibleSchemaError,
    InvalidOptionError,
    InvalidTopicError,
    NotAllowedError,
    PulsarError,
    SchemaTypeError,
)
from ..fastapi_internals import Dependencies
from ..logs import about
from .batches import BatchDispatcher
from .dead_letters import DeadLetters
from .deduplication import Deduplication
from .dispatch import Dispatcher
from .failure import FailurePolicy
from .handling import Handling
from .invocation import invocation
from .keyed import KeyedDispatcher
from .letters import Letters
from .metering import Meter, PrometheusMeter
from .retry_letters import RetryLetters
from .subscription import WHOLE_TYPES, Subscription

logger = logging.getLogger("fastapi_pulsar.consuming")
FATAL = (
    AuthenticationError,
    AuthorizationError,
    HandlerSignatureError,
    IncompatibleSchemaError,
    InvalidOptionError,
    InvalidTopicError,
    NotAllowedError,
    SchemaTypeError,
    TypeError,  # an option that the client does not have
)
"""What waiting does not cure: it fails the start of the application."""
_LAST_CALLS = 30.0
"""Seconds for which calls in progress may go on when their consumer has ended."""
State = Literal["starting", "running", "waiting", "closed"]


class Subscriber:
    """Owns the consumer of one subscription.

    Attributes:
        state: `starting` until the first outcome; `running`; `waiting` to subscribe anew after an error; `closed`.
        error: The last error, while `waiting`.
        has_run: Whether it has been `running` since the start.
        letters: The producers of its retry and dead letters.
    """

    def __init__(
        self,
        subscription: Subscription,
        client: PulsarClient,
        settings: PulsarSettings,
        app: Any,
        *,
        retries: bool = False,
    ) -> None:
        """Prepares; nothing connects yet.

        Args:
            retries: Reads the retry letters of the subscription: by type Shared, since only that delays.

        Raises:
            HandlerSignatureError: A dependency of the function needs an HTTP request.
            InvalidOptionError: With these settings, failed messages would go where they come from, or not be redelivered.
        """
        plan = subscription.plan
        self.subscription = subscription
        self.retries = retries
        self.policy = subscription.policy(settings)
        self._origins = subscription.origins(settings)
        self.topics = self._origins.retry_topics if retries else tuple(map(settings.topic, subscription.topics))
        self.type: SubscriptionType = "Shared" if retries else subscription.resolved_type(settings)
        self.state: State = "starting"
        self.error: Exception | None = None
        self.has_run = False
        self._client = client
        self._settings = settings
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._meter = PrometheusMeter(subscription.topics, subscription.name) if settings.metrics_enabled else Meter()
        self.letters = Letters(client)
        self._dead_letters = DeadLetters(self._origins, self.letters)
        self._retry_letters = RetryLetters(self._origins, self.letters)
        self._failure = FailurePolicy(
            plan.name,
            self.policy,
            self._origins,
            self._dead_letters,
            self._retry_letters,
            gives_back=self.type not in WHOLE_TYPES,
            closing=self._closing,
            meter=self._meter,
        )
        self._options = subscription.consumer_options(settings)
        if retries:
            self._options |= {"initial_position": "earliest"}
        self._invoke = self._meter.around(
            invocation(
                plan,
                Dependencies(plan.name, plan.dependencies, app) if plan.dependencies else None,
                threads=subscription.concurrency,
                timeout=subscription.attempt_timeout(settings),
            )
        )
        known = subscription.deduplicate
        self._deduplication = None if known is None else Deduplication(known, self._origins, plan.name)
        self._dispatcher: Dispatcher | None = None
        self._consumer: Consumer[Any] | None = None
        self._backlog: tuple[float, int] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to subscribe, in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"pulsar:{self.subscription.plan.name}")

    async def settled(self, *, despite_errors: bool) -> None:
        """Waits for the first outcome; with `despite_errors` until it runs.

        Raises:
            PulsarError: The first outcome was an error, and that is fatal or errors are not to be waited out.
        """
        while self.state != "running":
            if self.error is not None and (not despite_errors or isinstance(self.error, FATAL)):
                raise self.error
            self._changed.clear()
            await self._changed.wait()

    @property
    def consumer(self) -> Consumer[Any] | None:
        """The consumer, while there is one."""
        return self._consumer

    @property
    def in_flight(self) -> int:
        """Calls in progress."""
        return 0 if self._dispatcher is None else self._dispatcher.in_flight

    @property
    def progressed_at(self) -> float | None:
        """When messages were taken or a call ended last, by the monotonic clock; at first when it subscribed."""
        return None if self._dispatcher is None else self._dispatcher.progressed_at

    @property
    def died(self) -> bool:
        """Whether its work has ended although nobody stopped it."""
        return self._task is not None and self._task.done() and not self._closing.is_set()

    async def backlog(self, max_age: float = 5.0) -> int:
        """What the subscription has not acknowledged, of all topics and partitions together.

        The broker counts entries, of which a batch is one.

        Args:
            max_age: Seconds for which an answer is kept.

        Raises:
            ClosedError: It has no consumer now.
            PulsarError: The broker does not tell.
        """
        if self._backlog is not None and monotonic() - self._backlog[0] < max_age:
            return self._backlog[1]
        if self._consumer is None:
            raise ClosedError(f"subscription {self.subscription.name} has no consumer now")
        stats = await self._consumer.broker_stats()
        count = sum(int(one["backlog"] or 0) for one in stats.values())
        self._backlog = monotonic(), count
        self._meter.waits(count)
        return count

    async def stop(self, within: float) -> None:
        """Stops the flow, lets calls in progress finish for so many seconds, sends the acks, closes.

        What was not handled is left to redelivery.
        """
        self._closing.set()
        if self._consumer is not None:
            self._consumer.pause()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._dispatcher is not None:
            await self._dispatcher.drain(within)
        await self._close_consumer()
        await self.letters.close()
        self._become("closed")

    async def _run(self) -> None:
        delay = first = self._settings.retry_initial_backoff_ms / 1000
        while True:
            try:
                self._consumer = await self._subscribe()
                self._become("running")
                delay = first
                self._dispatcher = self._make_dispatcher(self._consumer)
                await self._dispatcher.run()
            except Exception as error:
                self._become("waiting", error)
                logger.error(
                    "%s: subscription %s is not consuming from %s, next attempt in %.1f s: %s",
                    self.subscription.plan.name, self.subscription.name, ", ".join(self.topics), delay, error,
                    extra=self._about(),
                )  # fmt: skip
            if self._dispatcher is not None:
                # The broker hands out again what these calls cannot acknowledge any more.
                await self._dispatcher.drain(_LAST_CALLS)
            await self._close_consumer()
            await asyncio.sleep(delay)
            delay = min(delay * 2, self._settings.retry_max_backoff_ms / 1000)

    async def _subscribe(self) -> Consumer[Any]:
        # Before anything is consumed: what fails must have a place that keeps it.
        await self._dead_letters.open()
        if self.policy.way == "retry_topic":
            await self._retry_letters.open()
        consumer: Consumer[Any] = await self._client.consumer(
            list(self.topics),
            self.subscription.name,
            self.subscription.plan.codec.model,
            type=self.type,
            **self._options,
        )
        return consumer

    def _make_dispatcher(self, consumer: Consumer[Any]) -> Dispatcher:
        subscription = self.subscription
        handling = Handling(
            subscription.plan,
            self._invoke,
            consumer,
            self._origins,
            self._failure,
            ack=subscription.ack,
            deduplication=self._deduplication,
            meter=self._meter,
        )
        if subscription.batch is not None:
            return BatchDispatcher(handling, subscription.concurrency, batch=subscription.batch)
        keyed = subscription.ordering == "key" and not self.retries
        return (KeyedDispatcher if keyed else Dispatcher)(handling, subscription.concurrency)

    async def _close_consumer(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        try:
            await consumer.flush_acks()
            await consumer.close()
        except PulsarError as error:
            logger.warning(
                "%s: closing subscription %s: %s", self.subscription.plan.name, self.subscription.name, error,
                extra=self._about(),
            )  # fmt: skip

    def _about(self) -> dict[str, Any]:
        return about(topic=", ".join(self.topics), subscription=self.subscription.name)

    def _become(self, state: State, error: Exception | None = None) -> None:
        self.state, self.error = state, error
        self.has_run |= state == "running"
        self._changed.set()
