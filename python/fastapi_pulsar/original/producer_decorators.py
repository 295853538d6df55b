"""Metrics around a function that publishes."""

import functools
import inspect
from collections.abc import Callable, Mapping
from time import perf_counter, time
from typing import Any

from .. import metrics
from ..decorators import seconds_since_1970


def track_producer_metrics(topic: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Counts and times the successful calls of a function, plain or `async`.

    The message is the argument `message`, or the second one; its `timestamp`, in seconds since 1970 or in ISO 8601, gives the
    producer's lag.

    Args:
        topic: A label of the metrics.
    """
    label = metrics.topic_label(topic)

    def record(started: float, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        metrics.pulsar_messages_sent.labels(topic=label).inc()
        metrics.PULSAR_PRODUCER_LATENCY.labels(topic=label).observe(perf_counter() - started)
        message = kwargs.get("message", args[1] if len(args) > 1 else None)
        moment = seconds_since_1970(message.get("timestamp")) if isinstance(message, Mapping) else None
        if moment is not None:
            metrics.PULSAR_PRODUCER_LAG.labels(topic=label).set(time() - moment)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def tracked(*args: Any, **kwargs: Any) -> Any:
                started = perf_counter()
                result = await function(*args, **kwargs)
                record(started, args, kwargs)
                return result

            return tracked

        @functools.wraps(function)
        def tracked_plain(*args: Any, **kwargs: Any) -> Any:
            started = perf_counter()
            result = function(*args, **kwargs)
            record(started, args, kwargs)
            return result

        return tracked_plain

    return decorate
