"""Every metric of the package, on prometheus-client.

They are in prometheus-client's default registry; `use_registry` moves them to another. Nothing is served unless the router of
`health_check`, or a route of the application's own that returns `exposition()`, is included. Labels are bounded: `topic_label`
makes templates of topics with ids in their names, errors are labelled by class.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

logger = logging.getLogger("fastapi_pulsar.metrics")

_TOPIC, _BOTH = ("topic",), ("topic", "subscription")
_LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_MOST_TOPICS = 500
OTHER = "(other)"
"""The label of topics beyond the first 500."""

# The original's.
pulsar_messages_sent = Counter("pulsar_messages_sent", "Messages published", _TOPIC, registry=None)
pulsar_messages_received = Counter("pulsar_messages_received", "Messages handed to functions", _TOPIC, registry=None)
pulsar_errors = Counter("pulsar_errors", "Failures by class of exception", ("type",), registry=None)
PULSAR_MESSAGE_LATENCY = Histogram(
    "pulsar_message_latency_seconds", "Publishing until the broker confirms", _TOPIC, buckets=_LATENCY, registry=None
)
PULSAR_QUEUE_SIZE = Gauge(
    "pulsar_queue_size", "Messages in the receive queues", _TOPIC, registry=None, multiprocess_mode="livesum"
)
# A worker that was never asked has no say.
PULSAR_HEALTH = Gauge(
    "pulsar_health_status", "1 if the last health check was good", registry=None, multiprocess_mode="livemostrecent"
)
PULSAR_PRODUCER_LATENCY = Histogram(
    "pulsar_producer_latency_seconds", "Functions under track_producer_metrics", _TOPIC, buckets=_LATENCY, registry=None
)
PULSAR_PRODUCER_LAG = Gauge(
    "pulsar_producer_lag_seconds", "From a message's timestamp to its publishing", _TOPIC,
    registry=None, multiprocess_mode="livemostrecent",
)  # fmt: skip
PULSAR_CONSUMER_LAG = Gauge(
    "pulsar_consumer_lag_seconds", "From a message's publishing to its handling", _BOTH,
    registry=None, multiprocess_mode="livemax",
)  # fmt: skip
PULSAR_SUBSCRIPTION_BACKLOG = Gauge(
    "pulsar_subscription_backlog_messages", "Unacknowledged entries at the broker, a batch being one, when last asked", _BOTH,
    registry=None, multiprocess_mode="livemax",
)  # fmt: skip
PULSAR_BATCH_SIZE = Gauge(
    "pulsar_batch_size", "Messages of the last batch", registry=None, multiprocess_mode="livemostrecent"
)
PULSAR_BATCHES_SENT = Counter("pulsar_batches_sent", "Batches published", ("compression_type",), registry=None)
PULSAR_DLQ_MESSAGES = Counter(
    "pulsar_dlq_messages", "Messages published as dead letters", ("original_topic", "error_type"), registry=None
)
PULSAR_RETRIES = Counter("pulsar_message_retries", "Attempts after the first", _TOPIC, registry=None)
PULSAR_PROCESSING_TIME = Histogram("pulsar_processing_seconds", "Callbacks of consume_messages", _TOPIC, registry=None)
PULSAR_BATCH_DURATION = Histogram("pulsar_batch_duration_seconds", "batch_process_messages", _TOPIC, registry=None)
PULSAR_BATCH_SUCCESS = Counter("pulsar_batch_success", "Messages of batches that were published", _TOPIC, registry=None)
PULSAR_WAIT_POLLS = Counter("pulsar_wait_polls", "Looks at the status of tasks", registry=None)
PULSAR_WAIT_DURATION = Histogram("pulsar_wait_duration_seconds", "wait_for_task_completion", registry=None)

# New.
PULSAR_IN_FLIGHT = Gauge(
    "pulsar_messages_in_flight", "Messages that functions are handling", _BOTH,
    registry=None, multiprocess_mode="livesum",
)  # fmt: skip
PULSAR_HANDLER_DURATION = Histogram(
    "pulsar_handler_duration_seconds", "Calls of consumer functions", _BOTH, buckets=_LATENCY, registry=None
)
PULSAR_REDELIVERIES = Counter(
    "pulsar_redeliveries", "Messages that arrived again, by the broker's count", _BOTH, registry=None
)
PULSAR_DEAD_LETTERS = Counter(
    "pulsar_dead_letters", "Dead letters by class of exception", (*_BOTH, "type"), registry=None
)
PULSAR_BREAKER_STATE = Gauge(
    "pulsar_circuit_breaker_state", "0 closed, 1 half-open, 2 open", _TOPIC, registry=None, multiprocess_mode="livemax"
)
PULSAR_BREAKER_FAILURES = Counter(
    "pulsar_circuit_breaker_failures", "Failures that a circuit breaker counted", _TOPIC, registry=None
)
PULSAR_PERMISSION_DENIALS = Counter(
    "pulsar_permission_denials", "Refusals by the topic roles", ("action",), registry=None
)

# The engine's, which `client.engine_metrics` sets before each scrape.


def _gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
    return Gauge(name, text, labels, registry=None, multiprocess_mode="livesum")


def _counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
    return Counter(name, text, labels, registry=None)


PULSAR_CONNECTIONS = _gauge("pulsar_client_connections", "Open connections")
PULSAR_CONNECTIONS_OPENED = _counter("pulsar_client_connections_opened", "Connections that were opened")
PULSAR_CONNECTIONS_LOST = _counter("pulsar_client_connections_lost", "Connections that broke")
PULSAR_CONNECT_FAILURES = _counter("pulsar_client_connect_failures", "Attempts to connect that failed")
PULSAR_AUTHENTICATION_FAILURES = _counter("pulsar_client_authentication_failures", "Refused credentials")
PULSAR_LOOKUPS = _counter("pulsar_client_lookups", "Questions which broker serves a topic")
PULSAR_LOOKUP_FAILURES = _counter("pulsar_client_lookup_failures", "Such questions that failed")
PULSAR_REQUEST_TIMEOUTS = _counter("pulsar_client_request_timeouts", "Requests that no broker answered in time")
PULSAR_MEMORY_USED = _gauge("pulsar_client_memory_used_bytes", "Unconfirmed payloads of all producers")
PULSAR_MEMORY_LIMIT = _gauge("pulsar_client_memory_limit_bytes", "What they may take together; 0 is no limit")
PULSAR_PRODUCERS = _gauge("pulsar_producers", "Producers that are open", _TOPIC)
PULSAR_PRODUCERS_CONNECTED = _gauge("pulsar_producers_connected", "Producers that are connected", _TOPIC)
PULSAR_PRODUCER_PENDING = _gauge("pulsar_producer_pending_messages", "Messages that are not confirmed yet", _TOPIC)
PULSAR_PRODUCER_WAITING = _gauge("pulsar_producer_waiting_sends", "Calls of send that wait for room", _TOPIC)
PULSAR_PRODUCER_SENT = _counter("pulsar_producer_sent_messages", "Messages that producers took", _TOPIC)
PULSAR_PRODUCER_BYTES = _counter("pulsar_producer_sent_bytes", "Payloads that producers took, in bytes", _TOPIC)
PULSAR_PRODUCER_CONFIRMED = _counter("pulsar_producer_confirmed_messages", "Messages that brokers stored", _TOPIC)
PULSAR_PRODUCER_FAILED = _counter("pulsar_producer_failed_messages", "Messages that were not stored", _TOPIC)
PULSAR_PRODUCER_RECONNECTS = _counter("pulsar_producer_reconnects", "Connections after the first", _TOPIC)
PULSAR_CONSUMERS = _gauge("pulsar_consumers", "Consumers that are open", _BOTH)
PULSAR_CONSUMERS_CONNECTED = _gauge("pulsar_consumers_connected", "Consumers that are connected", _BOTH)
PULSAR_CONSUMER_PENDING_ACKS = _gauge("pulsar_consumer_pending_acks", "Acknowledgements to be sent", _BOTH)
PULSAR_CONSUMER_RECEIVED = _counter("pulsar_consumer_received_messages", "Messages that were received", _BOTH)
PULSAR_CONSUMER_BYTES = _counter("pulsar_consumer_received_bytes", "Payloads that were received, in bytes", _BOTH)
PULSAR_CONSUMER_ACKS = _counter("pulsar_consumer_acknowledged_messages", "Messages acknowledged", _BOTH)
PULSAR_CONSUMER_NACKS = _counter("pulsar_consumer_negatively_acknowledged_messages", "Messages given back", _BOTH)
PULSAR_CONSUMER_ACK_TIMEOUTS = _counter("pulsar_consumer_ack_timeouts", "Messages that took too long", _BOTH)
PULSAR_CONSUMER_REDELIVERIES = _counter(
    "pulsar_consumer_redeliveries_requested", "Entries that a broker was asked to deliver again", _BOTH
)
PULSAR_CONSUMER_DISCARDED = _counter("pulsar_consumer_discarded_messages", "Damaged messages", _BOTH)
PULSAR_CONSUMER_RECONNECTS = _counter("pulsar_consumer_reconnects", "Connections after the first", _BOTH)

METRICS: dict[str, MetricWrapperBase] = {
    name: value for name, value in vars().copy().items() if isinstance(value, MetricWrapperBase)
}
_known_topics: set[str] = set()
_registry: CollectorRegistry = REGISTRY
_before_scrapes: list[Callable[[], None]] = []


class _Refresh(Collector):
    """Is collected before the metrics, so that they are up to date; has none of its own."""

    def collect(self) -> Iterable[Metric]:
        refresh()
        return ()

    def describe(self) -> Iterable[Metric]:
        return ()


_refresh = _Refresh()


def refresh() -> None:
    """Brings up to date what is only counted elsewhere. A scrape does so by itself."""
    for update in _before_scrapes:
        update()


def before_scrape(update: Callable[[], None]) -> None:
    """Has a function called before each scrape."""
    _before_scrapes.append(update)


def use_registry(registry: CollectorRegistry) -> None:
    """Moves every metric of the package to a registry.

    A name that the registry has already, of the application's own, stays the application's; that is logged.
    """
    global _registry
    for collector in _all():
        if collector in _registry._collector_to_names:
            _registry.unregister(collector)
    _registry = registry
    for collector in _all():
        _register(collector)


def exposition(registry: CollectorRegistry | None = None) -> bytes:
    """What `GET /metrics` answers, in Prometheus' text format.

    With `PROMETHEUS_MULTIPROC_DIR` set it is the sum over the worker processes. What other processes know of their connections
    is then as old as `PULSAR_METRICS_INTERVAL_SECONDS` at most.

    Args:
        registry: Instead of the one that the metrics are in.
    """
    if several_processes():
        refresh()
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
    return generate_latest(registry or _registry)


def several_processes() -> bool:
    """Whether the metrics of several processes are added up."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


def topic_label(topic: object) -> str:
    """A topic as a label: a partition as its topic, numbers and ids as `{id}`, and at most 500 different ones."""
    text = str(topic)
    label = _ID.sub("{id}", PARTITION.sub("", text))[:200]
    if label in _known_topics:
        return label
    if len(_known_topics) >= _MOST_TOPICS:
        return OTHER
    _known_topics.add(label)
    return label


def error_label(error: BaseException) -> str:
    """An exception as a label: the name of its class."""
    return type(error).__name__


def _all() -> list[Any]:
    return [_refresh, *METRICS.values()]


def _register(collector: Any) -> None:
    try:
        _registry.register(collector)
    except ValueError as error:
        logger.warning("a metric is not exported, its name is taken: %s", error)


PARTITION = re.compile(r"-partition-\d+$")
_ID = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?<![^\W_])(?:[0-9a-fA-F]{16,}|\d{3,})(?![^\W_])"
)

for _collector in _all():
    _register(_collector)
