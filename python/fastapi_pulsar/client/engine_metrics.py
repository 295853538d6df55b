"""Takes the counts of the engines over into the metrics: one call to each engine for each scrape."""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from prometheus_client import Counter, Gauge

from .. import _core, metrics
from ..exceptions import ForkedClientError

_CLIENT_COUNTERS = {
    "connections_opened": metrics.PULSAR_CONNECTIONS_OPENED,
    "connections_lost": metrics.PULSAR_CONNECTIONS_LOST,
    "connect_failures": metrics.PULSAR_CONNECT_FAILURES,
    "authentication_failures": metrics.PULSAR_AUTHENTICATION_FAILURES,
    "lookups": metrics.PULSAR_LOOKUPS,
    "lookup_failures": metrics.PULSAR_LOOKUP_FAILURES,
    "request_timeouts": metrics.PULSAR_REQUEST_TIMEOUTS,
}
_CLIENT_GAUGES = {
    "connections": metrics.PULSAR_CONNECTIONS,
    "memory_used": metrics.PULSAR_MEMORY_USED,
    "memory_limit": metrics.PULSAR_MEMORY_LIMIT,
}
_PRODUCER_COUNTERS = {
    "messages_sent": metrics.PULSAR_PRODUCER_SENT,
    "bytes_sent": metrics.PULSAR_PRODUCER_BYTES,
    "messages_confirmed": metrics.PULSAR_PRODUCER_CONFIRMED,
    "messages_failed": metrics.PULSAR_PRODUCER_FAILED,
    "reconnects": metrics.PULSAR_PRODUCER_RECONNECTS,
}
_PRODUCER_GAUGES = {
    "connected": metrics.PULSAR_PRODUCERS_CONNECTED,
    "pending_messages": metrics.PULSAR_PRODUCER_PENDING,
    "waiting": metrics.PULSAR_PRODUCER_WAITING,
}
_CONSUMER_COUNTERS = {
    "messages_received": metrics.PULSAR_CONSUMER_RECEIVED,
    "bytes_received": metrics.PULSAR_CONSUMER_BYTES,
    "messages_acknowledged": metrics.PULSAR_CONSUMER_ACKS,
    "messages_negatively_acknowledged": metrics.PULSAR_CONSUMER_NACKS,
    "ack_timeouts": metrics.PULSAR_CONSUMER_ACK_TIMEOUTS,
    "redeliveries_requested": metrics.PULSAR_CONSUMER_REDELIVERIES,
    "messages_discarded": metrics.PULSAR_CONSUMER_DISCARDED,
    "reconnects": metrics.PULSAR_CONSUMER_RECONNECTS,
}
_CONSUMER_GAUGES = {
    "connected": metrics.PULSAR_CONSUMERS_CONNECTED,
    "pending_acks": metrics.PULSAR_CONSUMER_PENDING_ACKS,
}
READER = "(reader)"
"""The label in place of the subscription of a reader, which is a random name."""

Labels = tuple[str, ...]
Sums = defaultdict[tuple[Any, Labels], float]


def _producer_labels(stats: dict[str, Any]) -> Labels:
    return (metrics.topic_label(stats["topic"] or metrics.OTHER),)


def _consumer_labels(stats: dict[str, Any]) -> Labels:
    subscription = READER if stats["reader"] else stats["subscription"] or metrics.OTHER
    return metrics.topic_label(",".join(stats["topics"]) or metrics.OTHER), subscription


def _counts(stats: dict[str, Any]) -> Iterator[tuple[Counter, Labels, float]]:
    """What only grows: of the client, and of its producers and consumers, those that are gone included."""
    for name, counter in _CLIENT_COUNTERS.items():
        yield counter, (), stats[name]
    for producer in (*stats["producers"], *stats["gone_producers"]):
        labels = _producer_labels(producer)
        for name, counter in _PRODUCER_COUNTERS.items():
            yield counter, labels, producer[name]
    for consumer in (*stats["consumers"], *stats["gone_consumers"]):
        labels = _consumer_labels(consumer)
        for name, counter in _CONSUMER_COUNTERS.items():
            yield counter, labels, consumer[name]


def _levels(stats: dict[str, Any]) -> Iterator[tuple[Gauge, Labels, float]]:
    """What is so now."""
    for name, gauge in _CLIENT_GAUGES.items():
        yield gauge, (), stats[name]
    for producer in stats["producers"]:
        if not producer["closed"]:
            labels = _producer_labels(producer)
            yield metrics.PULSAR_PRODUCERS, labels, 1
            for name, gauge in _PRODUCER_GAUGES.items():
                yield gauge, labels, producer[name]
    for consumer in stats["consumers"]:
        if not consumer["closed"]:
            labels = _consumer_labels(consumer)
            yield metrics.PULSAR_CONSUMERS, labels, 1
            yield metrics.PULSAR_QUEUE_SIZE, labels[:1], consumer["queued_messages"]
            for name, gauge in _CONSUMER_GAUGES.items():
                yield gauge, labels, consumer[name]


class EngineMetrics:
    """Adds to the metrics by how much the engines' sums have grown.

    Args:
        read: Gives the counts of every engine.
    """

    def __init__(self, read: Callable[[], list[dict[str, Any]]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._ended: Sums = defaultdict(float)
        self._ending: deque[dict[str, Any]] = deque()
        self._added: Sums = defaultdict(float)
        self._shown: set[tuple[Any, Labels]] = set()

    def ended(self, stats: dict[str, Any]) -> None:
        """Keeps the last counts of an engine that goes. Takes no lock: the garbage collector calls at any moment."""
        self._ending.append(stats)

    def update(self) -> None:
        """Brings the metrics up to date."""
        every = self._read()
        with self._lock:
            while self._ending:
                for metric, labels, count in _counts(self._ending.popleft()):
                    self._ended[metric, labels] += count
            sums = Sums(float, self._ended)
            levels: Sums = defaultdict(float)
            for stats in every:
                for metric, labels, count in _counts(stats):
                    sums[metric, labels] += count
                for gauge, labels, level in _levels(stats):
                    levels[gauge, labels] += level
            for (metric, labels), total in sums.items():
                # Less than before: one is just going, and counts again the next time.
                if (grown := total - self._added[metric, labels]) > 0:
                    _child(metric, labels).inc(grown)
                    self._added[metric, labels] = total
            for gauge, labels in self._shown | levels.keys():
                _child(gauge, labels).set(levels[gauge, labels])
            self._shown = set(levels)


def _child(metric: Any, labels: Labels) -> Any:
    return metric.labels(*labels) if labels else metric


def ended(core: _core.Client) -> None:
    """Keeps the last counts of an engine that goes."""
    # In the child of a fork it is the parent's, who counts it.
    with suppress(ForkedClientError):
        _metrics.ended(core.stats())


def forget() -> None:
    """In the child of a fork, which has no engine: what was counted is the parent's."""
    global _metrics
    _metrics = EngineMetrics(_read)


def _read() -> list[dict[str, Any]]:
    from .engines import stats

    return stats()


_metrics = EngineMetrics(_read)
metrics.before_scrape(lambda: _metrics.update())
