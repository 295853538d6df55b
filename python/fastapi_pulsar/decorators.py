"""The original's decorators: functions whose calls are published, and functions that are called with messages."""

import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any, NoReturn, ParamSpec, TypeVar, cast

from . import metrics
from .client import PulsarClient, default_client
from .client.options import Position
from .config import get_settings
from .exceptions import InvalidOptionError
from .permissions import Action, check_permission
from .tasks import TaskRun, report_progress, use_task_id

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger("fastapi_pulsar.decorators")

client: Any = default_client
"""Used where none was given. It connects when it is first needed."""

CONSUMERS: list[Callable[..., Any]] = []
"""Every function under `pulsar_consumer`, in the order of decoration."""

__all__ = [
    "client",
    "pulsar_consumer",
    "pulsar_task",
    "report_progress",
    "track_lag_and_callback",
    "use_task_id",
    "validate_topic_permissions",
]


def validate_topic_permissions(topic: str, role: str | None = None, action: Action | None = None) -> None:
    """Whether a role may use a topic.

    Args:
        topic: A short name or a full one.
        role: None is the process's own, `PulsarConfig.SECURITY["service_role"]`.
        action: `produce` or `consume`; None asks whether it may do either.

    Raises:
        ValueError: The topic is empty or malformed.
        PermissionError: It may not.
    """
    _require_text(topic, "Topic must be a non-empty string")
    check_permission(topic, action, role)


def pulsar_task(
    topic: str,
    dlq_topic: str | None = None,
    max_retries: int = 3,
    retry_delay: float = 5.0,
    client: Any = None,
    *,
    producer_label: str | None = None,
    event_label: str | None = None,
    ack_timeout: float | timedelta | None = None,
) -> Callable[[Callable[P, Any]], Callable[P, Coroutine[Any, Any, Any]]]:
    """Publishes each call of a function, with its result: `{"function", "args", "kwargs", "result", "topic"}`.

    The function may be `async` or plain, which then runs in a thread; the decorated one is awaited. A function that fails is
    tried again, a publish that fails is tried again alone. Arguments that JSON cannot hold are described by their type. With
    `PULSAR_ENABLED=false` the function runs and nothing is published.

    Args:
        topic: Where calls are published.
        dlq_topic: Where the arguments go of a call that failed to the end.
        max_retries: Attempts after the first, of the function and of the publish.
        retry_delay: Seconds between attempts.
        client: Instead of the package's own.
        producer_label: A property of the messages: who produces.
        event_label: A property of the messages: what happened.
        ack_timeout: Seconds, or a timedelta, to wait for the broker's confirmation of one attempt.

    Raises:
        ValueError: An option is out of range.
        PermissionError: The topic roles do not let this process produce to `topic` or `dlq_topic`.
    """
    _require_text(topic, "Topic must be a non-empty string")
    if dlq_topic is not None:
        _require_text(dlq_topic, "DLQ topic must be None or a non-empty string")
    if not _is_number(max_retries, int) or max_retries < 0:
        _refuse("max_retries must be a non-negative integer")
    if not _is_number(retry_delay, int | float) or retry_delay <= 0:
        _refuse("retry_delay must be a positive number")
    seconds = ack_timeout.total_seconds() if isinstance(ack_timeout, timedelta) else ack_timeout
    if seconds is not None and (not _is_number(seconds, int | float) or seconds <= 0):
        _refuse("ack_timeout must be None or a positive number")
    settings = get_settings()
    if dlq_topic is not None and settings.topic(dlq_topic) == settings.topic(topic):
        _refuse("dlq_topic must not be the topic itself")
    for one in filter(None, (topic, dlq_topic)):
        check_permission(one, "produce")
    labels = {"producer_label": producer_label, "event_label": event_label}
    properties = {name: label for name, label in labels.items() if label is not None}

    def decorate(function: Callable[P, Any]) -> Callable[P, Coroutine[Any, Any, Any]]:
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> Any:
            task = TaskRun(
                function, args, kwargs, _client(client), topic, dlq_topic, max_retries, retry_delay, seconds, properties
            )
            return await task.run()

        return run

    return decorate


def pulsar_consumer(
    topic: str,
    subscription: str,
    filter_fn: Callable[[Any], Any] | None = None,
    max_parallelism: int = 10,
    client: Any = None,
    *,
    dlq_topic: str | None = None,
    retry_policy: Mapping[str, Any] | None = None,
    initial_position: Position = "latest",
) -> Callable[[Callable[..., Any]], Callable[..., Awaitable[None]]]:
    """Has a function called with each message.

    The decorated one, when called with anything or nothing, consumes until cancelled; the function itself is its `__wrapped__`.

    Args:
        topic: Where the messages are.
        subscription: The subscription's name.
        filter_fn: Messages for which it is false are acknowledged and dropped. Plain or `async`.
        max_parallelism: Calls in progress at the same time.
        client: Instead of the package's own.
        dlq_topic: As of `PulsarClient.consume_messages`, and so are the next two.
        retry_policy: As there.
        initial_position: As there.

    Raises:
        ValueError: An option is out of range.
        PermissionError: The topic roles do not let this process consume from the topic.
    """
    _require_text(topic, "Topic must be a non-empty string")
    _require_text(subscription, "Subscription must be a non-empty string")
    if not _is_number(max_parallelism, int) or max_parallelism < 1:
        _refuse("max_parallelism must be a positive integer")
    get_settings().topic(topic)
    check_permission(topic, "consume")
    if dlq_topic is not None:
        check_permission(dlq_topic, "produce")

    def decorate(function: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
        @functools.wraps(function)
        async def consume(*_args: Any, **_kwargs: Any) -> None:
            await _client(client).consume_messages(
                topic=topic,
                subscription=subscription,
                callback=function,
                filter_fn=filter_fn,
                retry_policy=retry_policy,
                max_parallelism=max_parallelism,
                dlq_topic=dlq_topic,
                initial_position=initial_position,
            )

        CONSUMERS.append(consume)
        return consume

    return decorate


async def track_lag_and_callback(
    messages: Sequence[Any], topic: str, subscription: str, callback: Callable[[Any], Any]
) -> Any:
    """Counts messages as received, records their average age, and calls a function with them.

    Args:
        messages: Dicts; the age is known of those with a `publish_timestamp`, in seconds since 1970 or ISO 8601.
        topic: The topic's name, a label of the metrics.
        subscription: The subscription's name, likewise.
        callback: Takes the list; plain or `async`.
    """
    label = metrics.topic_label(topic)
    metrics.pulsar_messages_received.labels(topic=label).inc(len(messages))
    published = [seconds_since_1970(one.get("publish_timestamp")) for one in messages if isinstance(one, Mapping)]
    ages = [time() - moment for moment in published if moment is not None]
    if ages:
        metrics.PULSAR_CONSUMER_LAG.labels(topic=label, subscription=subscription).set(sum(ages) / len(ages))
    outcome = callback(messages)
    return await outcome if isinstance(outcome, Awaitable) else outcome


def seconds_since_1970(moment: object) -> float | None:
    """A number, or the text of a moment in ISO 8601 (without a zone: UTC), as seconds since 1970; None if it is neither."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(moment) if _is_number(moment, int | float) else None  # type: ignore[arg-type]


def _client(given: Any) -> PulsarClient:
    """The client given at decoration, or the module's, as it is now."""
    return cast("PulsarClient", client if given is None else given)


def _require_text(value: object, rule: str) -> None:
    if not isinstance(value, str) or not value.strip():
        _refuse(rule)


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _refuse(rule: str) -> NoReturn:
    raise InvalidOptionError(rule)
