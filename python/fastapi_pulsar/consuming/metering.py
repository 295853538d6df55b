"""Counting and timing what a subscription does. A subscription without metrics has the `Meter` that does nothing."""

import asyncio
from collections.abc import Sequence
from time import perf_counter, time
from typing import Any

from .. import metrics
from ..client import Message
from .invocation import Invoke
from .solving import Arguments


class Meter:
    """Notices, and forgets."""

    def around(self, invoke: Invoke) -> Invoke:
        """The same call, timed."""
        return invoke

    def took(self, messages: Sequence[Message[Any]]) -> None:
        """Messages were received, and are about to be handled."""

    def failed(self, error: BaseException) -> None:
        """An attempt at a message failed."""

    def retried(self) -> None:
        """A message will be attempted again."""

    def buried(self, error: BaseException) -> None:
        """A dead letter was stored."""

    def waits(self, backlog: int) -> None:
        """The broker told how many messages wait there."""


class PrometheusMeter(Meter):
    """Keeps the metrics of one subscription. What can be is counted once for all messages received together."""

    def __init__(self, topics: Sequence[str], subscription: str) -> None:
        """`topics` are the names as the function's decorator has them; several are one label."""
        self._topic = metrics.topic_label(",".join(topics))
        self._subscription = subscription
        both = {"topic": self._topic, "subscription": subscription}
        self._received = metrics.pulsar_messages_received.labels(topic=self._topic)
        self._retries = metrics.PULSAR_RETRIES.labels(topic=self._topic)
        self._lag = metrics.PULSAR_CONSUMER_LAG.labels(**both)
        self._redeliveries = metrics.PULSAR_REDELIVERIES.labels(**both)
        self._in_flight = metrics.PULSAR_IN_FLIGHT.labels(**both)
        self._duration = metrics.PULSAR_HANDLER_DURATION.labels(**both)
        self._calls = self._shown = 0
        self._is_due = False

    def around(self, invoke: Invoke) -> Invoke:
        change, observe = self._change_calls, self._duration.observe

        async def timed(arguments: Arguments) -> Any:
            change(1)
            started = perf_counter()
            try:
                return await invoke(arguments)
            finally:
                observe(perf_counter() - started)
                change(-1)

        return timed

    def _change_calls(self, by: int) -> None:
        """Notes that calls have begun or ended; the metric learns of it once in a turn of the loop, as it costs a lock."""
        self._calls += by
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._show_calls)

    def _show_calls(self) -> None:
        self._is_due = False
        # By the difference: other subscriptions may have the same labels.
        self._in_flight.inc(self._calls - self._shown)
        self._shown = self._calls

    def took(self, messages: Sequence[Message[Any]]) -> None:
        if not messages:
            return
        self._received.inc(len(messages))
        self._lag.set(max(0.0, time() - messages[0].publish_time.timestamp()))
        if again := sum(message.redelivery_count > 0 for message in messages):
            self._redeliveries.inc(again)

    def failed(self, error: BaseException) -> None:
        metrics.pulsar_errors.labels(type=metrics.error_label(error)).inc()

    def retried(self) -> None:
        self._retries.inc()

    def waits(self, backlog: int) -> None:
        metrics.PULSAR_SUBSCRIPTION_BACKLOG.labels(topic=self._topic, subscription=self._subscription).set(backlog)

    def buried(self, error: BaseException) -> None:
        kind = metrics.error_label(error)
        metrics.PULSAR_DLQ_MESSAGES.labels(original_topic=self._topic, error_type=kind).inc()
        metrics.PULSAR_DEAD_LETTERS.labels(topic=self._topic, subscription=self._subscription, type=kind).inc()
