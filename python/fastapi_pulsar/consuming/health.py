"""How a run is doing: each of its subscriptions, producers and circuit breakers, and why where one is not well.

Nothing is published. Only the backlog is asked of the broker, and only where the settings give it a limit; all else is known
here.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from ..client import Producer, PulsarClient
from ..client.breaker import CircuitBreaker
from ..config import PulsarSettings
from ..exceptions import PulsarError
from .run import Run
from .subscriber import Subscriber

logger = logging.getLogger("fastapi_pulsar.health")
_LONGEST = 300
"""Characters of a reason: a broker may answer at length."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What it is, such as `subscription billing of orders`.
        reason: Why it is not well; None if it is.
        facts: Plain values to show.
    """

    name: str
    reason: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether it is well."""
        return self.reason is None

    def shown(self) -> dict[str, Any]:
        """As it stands in a report."""
        return {"healthy": self.healthy, "reason": self.reason, **self.facts}


@dataclass(frozen=True, slots=True)
class Health:
    """All that was looked at, by kind."""

    subscriptions: list[Check]
    producers: list[Check]
    breakers: list[Check]

    @property
    def failed(self) -> dict[str, str]:
        """The reason of each thing that is not well, by its name."""
        every = (*self.subscriptions, *self.producers, *self.breakers)
        return {check.name: check.reason for check in every if check.reason is not None}


async def look(runs: list[Run], client: PulsarClient) -> Health:
    """Looks at everything that the runs have, and a client beside them. Every check has a deadline,
    `PULSAR_HEALTH_TIMEOUT_MS`."""
    subscriptions = await asyncio.gather(
        *(_subscription(subscriber, run.settings) for run in runs for subscriber in run.subscribers)
    )
    # Clients of equal settings share their connections, so that the client's numbers may be those of the runs.
    known = {one.consumer.name for run in runs for one in run.subscribers if one.consumer is not None}
    known |= {one.name for run in runs for _, one in run.producers() if one is not None}
    stats = client.stats()
    clients = {id(one): one for one in (client, *(run.client for run in runs))}
    return Health(
        [*subscriptions, *(_reading(one, client.settings) for one in _beside(stats.get("consumers"), known))],
        [
            *(_producer(topic, one, run.settings) for run in runs for topic, one in run.producers()),
            *(_sending(one["topic"], one, client.settings) for one in _beside(stats.get("producers"), known)),
        ],
        [_breaker(topic, one) for some in clients.values() for topic, one in list(some.breakers.all.items())],
    )


async def ask_backlogs(runs: list[Run]) -> dict[str, int]:
    """Asks the brokers for the backlog of every subscription, for the metric; what does not come in time is left out.

    Returns:
        Entries (a batch is one) that are not acknowledged, by the subscription's name in a report.
    """
    found: dict[str, int] = {}

    async def ask(one: Subscriber, settings: PulsarSettings) -> None:
        try:
            async with asyncio.timeout(settings.health_timeout_ms / 1000):
                found[_name(one)] = await one.backlog()
        except (TimeoutError, PulsarError) as error:
            logger.warning("%s: the backlog is not known: %s", _name(one), told(error, settings))

    await asyncio.gather(*(ask(one, run.settings) for run in runs for one in run.subscribers))
    return found


def missing(runs: list[Run]) -> dict[str, str]:
    """The subscriptions that have not been consumed from since the start, each with its reason."""
    waiting = ((one, run) for run in runs for one in run.subscribers if not one.has_run)
    return {_name(one): _not_running(one, run.settings) or "not subscribed yet" for one, run in waiting}


def dead(runs: list[Run]) -> dict[str, str]:
    """The subscriptions whose work has ended by a fault in the program, which only a new process cures."""
    every = (one for run in runs for one in run.subscribers)
    return {_name(one): "its task has ended: a fault in the program" for one in every if one.died}


async def _subscription(one: Subscriber, settings: PulsarSettings) -> Check:
    consumer = one.consumer
    now = monotonic()
    idle = None if one.progressed_at is None else now - one.progressed_at
    facts = {
        "function": one.subscription.plan.name,
        "subscription": one.subscription.name,
        "topics": list(one.topics),
        "type": one.type,
        "state": one.state,
        "connected": consumer is not None and consumer.is_connected,
        "assigned": consumer is not None and consumer.is_active,
        "in_flight": one.in_flight,
        "queued": 0 if consumer is None else consumer.queued,
        "seconds_since_progress": None if idle is None else round(idle, 3),
        "backlog": None,
    }
    reason = _not_running(one, settings)
    if reason is None and consumer is not None and not consumer.is_connected:
        reason = _disconnected(consumer.stats(), settings)
    if reason is None and (facts["in_flight"] or facts["queued"]) and 0 < settings.health_stall_seconds < (idle or 0):
        reason = f"no call has ended for {idle:.0f} s, and messages wait"
    limit = settings.health_backlog_limit
    if reason is None and limit:
        try:
            async with asyncio.timeout(settings.health_timeout_ms / 1000):
                facts["backlog"] = backlog = await one.backlog()
        except TimeoutError:
            reason = f"the broker did not tell the backlog within {settings.health_timeout_ms} ms"
        except PulsarError as error:
            reason = f"the backlog is not known: {told(error, settings)}"
        else:
            reason = f"the backlog is {backlog}, and the limit {limit}" if backlog > limit else None
    return Check(_name(one), reason, facts)


def _producer(topic: str, producer: Producer[Any] | None, settings: PulsarSettings) -> Check:
    if producer is not None:
        return _sending(topic, producer.stats(), settings)
    return Check(f"producer of {topic}", "still being opened", {"topic": topic, "connected": False, "pending": 0})


def _sending(topic: str, stats: Mapping[str, Any], settings: PulsarSettings) -> Check:
    connected = bool(stats["connected"])
    facts = {"topic": topic, "connected": connected, "pending": stats["pending_messages"]}
    return Check(f"producer of {topic}", None if connected else _disconnected(stats, settings), facts)


def _reading(stats: Mapping[str, Any], settings: PulsarSettings) -> Check:
    connected = bool(stats["connected"])
    facts = {name: stats[name] for name in ("subscription", "topics", "connected")}
    reason = None if connected else _disconnected(stats, settings)
    name = f"subscription {stats['subscription']} of {', '.join(stats['topics'])}"
    return Check(name, reason, facts | {"queued": stats["queued_messages"]})


def _beside(children: list[dict[str, Any]] | None, known: set[str]) -> list[dict[str, Any]]:
    return [one for one in children or () if one["name"] not in known and not one["closed"]]


def _breaker(topic: str, breaker: CircuitBreaker) -> Check:
    state = breaker.state
    reason = f"open after {breaker.failures} connection failures in a row" if state == "open" else None
    return Check(f"breaker of {topic}", reason, {"topic": topic, "state": state, "failures": breaker.failures})


def _name(one: Subscriber) -> str:
    kind = "retry letters of subscription" if one.retries else "subscription"
    return f"{kind} {one.subscription.name} of {', '.join(one.subscription.topics)}"


def _not_running(one: Subscriber, settings: PulsarSettings) -> str | None:
    if one.died:
        return "its task has ended: a fault in the program"
    if one.state == "running":
        return None
    if one.error is not None:
        return f"not subscribed: {told(one.error, settings)}"
    return "still subscribing" if one.state == "starting" else "closed"


def _disconnected(stats: Mapping[str, Any], settings: PulsarSettings) -> str:
    error = stats.get("last_error")
    return "not connected" if not error else f"not connected: {_clean(error, settings)}"


def told(error: Exception, settings: PulsarSettings) -> str:
    """An error as a report tells it: without secrets, and not at length."""
    # Our own errors quote no payload and no secret; of others only the class is told.
    return _clean(str(error), settings) if isinstance(error, PulsarError) else type(error).__name__


def _clean(text: str, settings: PulsarSettings) -> str:
    """Brokers write errors too: the token is taken out, should one quote it."""
    for secret in _secrets(settings):
        text = text.replace(secret, "(token)")
    return text[:_LONGEST]


def _secrets(settings: PulsarSettings) -> Iterator[str]:
    if settings.token is not None and settings.token.get_secret_value():
        yield settings.token.get_secret_value()
