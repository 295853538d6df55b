"""Metrics through OpenTelemetry: those of its messaging conventions, and our own counters and gauges under their names.

`tracing.enable` switches them on. This module imports OpenTelemetry, and is imported only then.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import metrics as otel
from prometheus_client import Counter, Gauge
from prometheus_client.metrics import MetricWrapperBase

from . import metrics

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The boundaries that the conventions advise."""


class Instruments:
    """The instruments of one meter provider.

    Attributes:
        active: Whether the package's own counters and gauges are told.
    """

    def __init__(self, provider: Any) -> None:
        self.active = True
        meter = otel.get_meter("fastapi_pulsar", meter_provider=provider)
        self._sent = meter.create_counter(
            "messaging.client.sent.messages", "{message}", "Messages that a producer tried to publish"
        )
        self._consumed = meter.create_counter(
            "messaging.client.consumed.messages", "{message}", "Messages handed to the application"
        )
        self._operations = meter.create_histogram(
            "messaging.client.operation.duration", "s", "Publishing", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self._processing = meter.create_histogram(
            "messaging.process.duration", "s", "Calls of functions", explicit_bucket_boundaries_advisory=_SECONDS
        )
        first = True
        for metric in metrics.METRICS.values():
            if isinstance(metric, Counter | Gauge):
                self._bridge(meter, metric, refreshing=first)
                first = False

    def published(self, attributes: dict[str, Any], seconds: float, count: int = 1) -> None:
        """One publish, successful or not."""
        self._sent.add(count, attributes)
        self._operations.record(seconds, attributes)

    def processed(self, attributes: dict[str, Any], seconds: float, count: int) -> None:
        """One call of a function."""
        self._consumed.add(count, {key: value for key, value in attributes.items() if key != "error.type"})
        self._processing.record(seconds, attributes)

    def _bridge(self, meter: Any, metric: MetricWrapperBase, *, refreshing: bool) -> None:
        counts = isinstance(metric, Counter)
        family = next(iter(metric.describe()))
        create: Callable[..., Any] = meter.create_observable_counter if counts else meter.create_observable_gauge
        wanted = f"{family.name}_total" if counts else family.name

        def observe(options: Any) -> Iterable[otel.Observation]:
            if not self.active:
                return
            if refreshing:
                metrics.refresh()
            yield from _observations(metric, wanted)

        create(family.name, [observe], description=family.documentation)


def _observations(metric: MetricWrapperBase, wanted: str) -> Iterator[otel.Observation]:
    for family in metric.collect():
        for sample in family.samples:
            if sample.name == wanted:
                yield otel.Observation(sample.value, dict(sample.labels))


_of_providers: WeakKeyDictionary[Any, Instruments] = WeakKeyDictionary()


def instruments(provider: Any = None) -> Instruments:
    """Those of a meter provider, made once; None is the global one."""
    provider = provider or otel.get_meter_provider()
    made = _of_providers.get(provider)
    if made is None:
        made = _of_providers[provider] = Instruments(provider)
    made.active = True
    return made
