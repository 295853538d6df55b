"""`PulsarRouter`: an `APIRouter` that also consumes and publishes."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, Request

from .client import PulsarClient
from .config import PulsarSettings
from .config.settings import SubscriptionType
from .consuming import AckPolicy, Batch, Deduplicate, RetryPolicy, Subscription
from .consuming.markers import seconds
from .consuming.plan import read_plan
from .consuming.run import StartMode
from .consuming.runs import Runs
from .consuming.subscription import Ordering, checked_topics
from .exceptions import InvalidOptionError, NotAllowedError
from .fastapi_internals import joined_lifespan, mounted_startup_handlers, reaches, starting_application
from .publishing import Publishing

logger = logging.getLogger("fastapi_pulsar")
F = TypeVar("F", bound=Callable[..., Any])
_MOUNTED = (
    "Their router lives in the lifespan of the application that includes it, and a mounted application's lifespan never "
    "runs: include the router in the outer application; in tests write `with TestClient(app)`"
)


class PulsarRouter(Publishing, APIRouter):
    """Routes, consumer functions and publishing, tied to the lifespan of the application that includes it.

    `prefix`, `dependencies` and the other arguments of `APIRouter` concern its HTTP routes only.
    """

    def __init__(
        self,
        *,
        namespace: str | None = None,
        on_startup: StartMode = "background",
        drain_timeout: float | timedelta = 30.0,
        retry: RetryPolicy | None = None,
        settings: PulsarSettings | None = None,
        client_factory: Callable[[PulsarSettings], PulsarClient] | None = None,
        dependencies: Sequence[Any] | None = None,
        **router: Any,
    ) -> None:
        """Collects; nothing connects before the application starts.

        Args:
            namespace: Completes short topic names instead of `PULSAR_NAMESPACE`: `tenant/namespace`.
            on_startup: `background` serves at once and keeps trying to subscribe, but refused credentials and schemas fail
                the start; `wait` serves when all is subscribed; `fail` lets any error fail the start.
            drain_timeout: Seconds for which calls in progress may go on at shutdown.
            retry: When failed messages are attempted again, for consumer functions without a policy of their own.
            settings: Instead of those of the environment.
            client_factory: Makes the client of each run, instead of `PulsarClient`.
            router: The arguments of `APIRouter`.

        Raises:
            InvalidOptionError: `on_startup` or `drain_timeout` is out of range.
        """
        if on_startup not in ("background", "wait", "fail"):
            raise InvalidOptionError("on_startup must be 'background', 'wait' or 'fail'")
        if seconds(drain_timeout) < 0:
            raise InvalidOptionError("drain_timeout must not be negative")
        Publishing.__init__(self)
        APIRouter.__init__(self, dependencies=[Depends(self._notice_request), *(dependencies or ())], **router)
        self.on_startup.append(self._start_if_out_of_reach)
        self.on_shutdown.append(self._stop_if_out_of_reach)
        self.lifespan_context = joined_lifespan(self.lifespan_context, self._lifespan)
        self._mode = on_startup
        self._drain = seconds(drain_timeout)
        self._retry = retry
        self._subscriptions: list[Subscription] = []
        self._runs = Runs(settings, namespace, client_factory)

    def consumer(
        self,
        topic: str | Sequence[str],
        *,
        subscription: str,
        type: SubscriptionType | None = None,  # noqa: A002  the term of Pulsar
        concurrency: int = 1,
        ordering: Ordering = "none",
        batch: Batch | None = None,
        timeout: float | timedelta | None = None,
        max_redeliver_count: int | None = None,
        dead_letter_topic: str | None = None,
        retry: RetryPolicy | None = None,
        retry_letter_topic: str | None = None,
        ack: AckPolicy = "on_success",
        deduplicate: Deduplicate | None = None,
        **options: Any,
    ) -> Callable[[F], F]:
        """Lets a function consume. The function itself is returned unchanged.

        Its payload is the one parameter that is neither a dependency nor marked; `Message[T]` takes the message itself,
        `Annotated[str, Property("name")]` a property, `Annotated[str, Key()]` the key, `Depends` works as in FastAPI.

        Args:
            topic: One topic, or several.
            subscription: The subscription's name.
            type: `Shared`, `Key_Shared`, `Failover` or `Exclusive`; None as `PULSAR_CONSUMER_SUBSCRIPTION_TYPE` says (Shared).
            concurrency: Calls in progress at the same time; of a `def` function also the number of threads.
            ordering: `key` handles the messages of a key one after the other, failures included; implies Key_Shared.
            batch: Hands over lists.
            timeout: Seconds after which a call is cancelled and has failed.
            max_redeliver_count: A message is attempted once more than this; None as the settings say (3).
            dead_letter_topic: None as the settings say, or else `<topic>-<subscription>-DLQ`. It is made at the start, with
                a subscription `<subscription>-dlq` that keeps what arrives.
            retry: When failed messages are attempted again; None as `max_redeliver_count` and the router say.
            retry_letter_topic: Of `RetryPolicy(way="retry_topic")`; None is `<topic>-<subscription>-RETRY`.
            ack: `on_success` acknowledges what was handled; `on_receive` before it is handled, and a failure loses it;
                `manual` leaves it to the function's `Delivery`.
            deduplicate: Skips what was processed before.
            options: Further options of `PulsarClient.consumer`, such as `initial_position="earliest"`.

        Raises:
            HandlerSignatureError: The function cannot be called with a message.
            InvalidOptionError: An option is out of range or contradicts another.
            InvalidTopicError: A topic name is malformed.
            NotAllowedError: The router has already started.
        """

        def collect(function: F) -> F:
            plan = read_plan(function, batch=batch is not None)
            if retry is not None and max_redeliver_count is not None:
                raise InvalidOptionError(
                    f"consumer function {plan.name}: max_redeliver_count and retry exclude each other: use max_attempts"
                )
            if self._runs.any_started:
                raise NotAllowedError(f"consumer function {plan.name}: the router has already started")
            self._subscriptions.append(
                Subscription(
                    plan=plan,
                    topics=checked_topics(plan.name, topic),
                    name=subscription,
                    type=type,
                    concurrency=concurrency,
                    ordering=ordering,
                    batch=batch,
                    timeout=timeout,
                    max_redeliver_count=max_redeliver_count,
                    dead_letter_topic=dead_letter_topic,
                    retry=retry or self._default_retry(ack, max_redeliver_count),
                    retry_letter_topic=retry_letter_topic,
                    ack=ack,
                    deduplicate=deduplicate,
                    options=options,
                )
            )
            return function

        return collect

    def _default_retry(self, ack: AckPolicy, max_redeliver_count: int | None) -> RetryPolicy | None:
        if ack == "on_receive" or self._retry is None or max_redeliver_count is None:
            return None if ack == "on_receive" else self._retry
        return replace(self._retry, max_attempts=1 + max(0, max_redeliver_count))

    @asynccontextmanager
    async def _lifespan(self, app: Any) -> AsyncIterator[None]:
        await self._start(app)
        try:
            yield
        finally:
            await self._runs.stop(app, self._drain)

    async def _start(self, app: Any) -> None:
        for handler in mounted_startup_handlers(app):
            router = getattr(handler, "__self__", None)
            if isinstance(router, PulsarRouter) and router._subscriptions and not router._runs.of(app):
                logger.error("consumer functions cannot start: %s. %s", router._names(), _MOUNTED)
        run = self._runs.enter(app)
        if run is None:
            self._notice_disabled()
        elif not run.started:
            try:
                await run.start(self._subscriptions, self._mode)
            except BaseException:
                await self._runs.stop(app, 0)
                raise

    async def _start_if_out_of_reach(self) -> None:
        """Starts where the application's lifespan does not include the router's: it was included into a router that had
        already been included. Only the startup handlers of that one still come to know of it."""
        app = starting_application()
        if app is not None and not reaches(app.router.lifespan_context, self._lifespan):
            await self._start(app)

    async def _stop_if_out_of_reach(self) -> None:
        app = starting_application()
        if app is not None and not reaches(app.router.lifespan_context, self._lifespan):
            await self._runs.stop(app, self._drain)

    async def _notice_request(self, request: Request) -> None:
        if self._subscriptions and not self._runs.any_started and self._runs.settings.enabled:
            self._once(f"consumer functions have not started: {self._names()}. {_MOUNTED}", logging.ERROR)

    @property
    def unstarted(self) -> list[str]:
        started = self._runs.any_started or not self._runs.settings.enabled
        return [] if started else [one.plan.name for one in self._subscriptions]

    def _names(self) -> str:
        return ", ".join(one.plan.name for one in self._subscriptions)
