"""Publishing from a router: awaited, from a thread, or by a producer that a dependency gives."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

from . import metrics
from .client import MessageId, PulsarClient
from .consuming.disabled import DisabledProducer
from .consuming.markers import seconds
from .consuming.runs import Runs
from .exceptions import CircuitOpenError, NotAllowedError
from .permissions import check_permission
from .schemas import model_of
from .tracing import publishing

logger = logging.getLogger("fastapi_pulsar")


class Publishing:
    """The half of `PulsarRouter` that publishes, through the run on the caller's event loop."""

    _runs: Runs

    def __init__(self) -> None:
        self._dependencies: dict[Any, Callable[[], Any]] = {}
        self._notices: set[str] = set()

    async def publish(
        self,
        topic: str,
        value: Any,
        *,
        key: str | bytes | None = None,
        properties: Mapping[str, str] | None = None,
        event_time: datetime | float | None = None,
        deliver_at: datetime | float | None = None,
        deliver_after: float | timedelta | None = None,
        ordering_key: str | bytes | None = None,
        fallback: Callable[[Any], Any] | None = None,
    ) -> MessageId | None:
        """Publishes a value and waits until the broker has stored it.

        The client has a circuit breaker for each topic: after so many connection failures in a row as
        `PULSAR_BREAKER_FAILURE_THRESHOLD` says, the next calls fail at once, until one that is let through succeeds.

        A Pydantic model or a dataclass is written as JSON and its schema registered with the topic; bytes and text pass as
        they are, other values as JSON without a schema. `None` is a tombstone.

        Args:
            topic: A name in full, or a short one, which the namespace completes.
            value: What to publish.
            key: Chooses the partition, and is kept in order.
            properties: Text by name.
            event_time: A datetime with a time zone, or seconds since 1970.
            deliver_at: On Shared and Key_Shared not delivered before; a datetime, or seconds since 1970.
            deliver_after: The same from now on, in seconds or as a timedelta.
            ordering_key: Orders on Key_Shared in the key's place.
            fallback: A function, plain or `async`, that takes the value instead while the breaker is open.

        Returns:
            The message's id; None if `PULSAR_ENABLED` is false, or the fallback took the value.

        Raises:
            NotStartedError: Outside the lifespan of an application that includes this router.
            CircuitOpenError: The breaker is open, and there is no fallback.
            AuthorizationError: The topic roles do not permit it; it is a `PermissionError`.
            PulsarError: The message was not stored.
        """
        run = self._runs.current()
        if run is None:
            self._notice_disabled()
            return None

        check_permission(run.settings.topic(topic), "produce")

        async def send() -> MessageId:
            producer = await run.producer(topic, model_of(value), {})
            started = perf_counter()
            with publishing(topic, properties) as carried:
                stored = await producer.send(
                    value,
                    key=key,
                    properties=carried,
                    event_time=event_time,
                    deliver_at=deliver_at,
                    deliver_after=deliver_after,
                    ordering_key=ordering_key,
                )
            label = metrics.topic_label(topic)
            metrics.PULSAR_MESSAGE_LATENCY.labels(topic=label).observe(perf_counter() - started)
            metrics.pulsar_messages_sent.labels(topic=label).inc()
            return stored

        try:
            return await run.client.breaker(topic).call(send)
        except CircuitOpenError:
            if fallback is None:
                raise
            taken = fallback(value)
            if inspect.isawaitable(taken):
                await taken
            return None
        finally:
            if run.transient:
                await run.stop(0)

    def publish_blocking(
        self, topic: str, value: Any, *, timeout: float | timedelta = 30.0, **options: Any
    ) -> MessageId | None:
        """`publish` for threads, such as those of `def` endpoints and `def` consumer functions.

        Args:
            timeout: Seconds to wait for the broker's confirmation.
            options: As those of `publish`.

        Raises:
            NotAllowedError: Called in the event loop's thread, which it would block: await `publish` there.
            NotStartedError: No application that includes this router runs.
            TimeoutError: There was no confirmation in time. The message may still be stored.
            PulsarError: The message was not stored.
        """
        run = self._runs.latest()
        if run is None:
            self._notice_disabled()
            return None
        if _runs_a_loop():
            raise NotAllowedError("publish_blocking would block the event loop of this thread: await publish instead")
        sending = asyncio.run_coroutine_threadsafe(self.publish(topic, value, **options), run.loop)
        try:
            return sending.result(seconds(timeout))
        except TimeoutError:
            sending.cancel()
            raise

    def producer(self, topic: str, model: Any = None, **options: Any) -> Callable[[], Any]:
        """A dependency that gives a producer, in any router.

        `Annotated[Producer[Order], Depends(pulsar.producer("orders", Order))]` is the annotation of such a parameter.
        Equal arguments give the same function, which `dependency_overrides` takes as its key.

        Args:
            topic: The topic to publish to.
            model: The type of the values.
            options: Options of `PulsarClient.producer`.
        """

        key = (topic, model, *sorted(options.items()))
        if key in self._dependencies:
            return self._dependencies[key]

        async def pulsar_producer() -> Any:
            run = self._runs.current()
            if run is None:
                self._notice_disabled()
                return DisabledProducer(topic)
            return await run.producer(topic, model, options)

        self._dependencies[key] = pulsar_producer
        return pulsar_producer

    @property
    def client(self) -> PulsarClient:
        """The client of the running application; in a thread without an event loop, of the one that started last.

        Raises:
            NotStartedError: Outside the lifespan of an application that includes this router.
            NotAllowedError: `PULSAR_ENABLED` is false.
        """
        run = self._runs.current() if _runs_a_loop() else self._runs.latest()
        if run is None:
            raise NotAllowedError("PULSAR_ENABLED is false: there is no client")
        return run.client

    @property
    def unstarted(self) -> list[str]:
        """The names of the consumer functions, if the router has not started although Pulsar is enabled."""
        return []

    @property
    def ready(self) -> bool:
        """Whether every consumer function has its subscription, in every application that runs."""
        return self._runs.ready

    def _notice_disabled(self) -> None:
        self._once("PULSAR_ENABLED is false: nothing is consumed or published", logging.WARNING)

    def _once(self, text: str, level: int) -> None:
        if text not in self._notices:
            self._notices.add(text)
            logger.log(level, text)


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
