"""OpenTelemetry: spans and metrics of publishing and handling, and the trace context in message properties.

Off until `enable()` is called, and costs nothing then. The extra `fastapi-pulsar[otel]` installs what it needs. Names and
attributes follow OpenTelemetry's messaging conventions; the context travels as the W3C properties `traceparent` and
`tracestate`, as the Java client writes them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from .metrics import topic_label

_tracer: Any = None
_instruments: Any = None
_RETRY_LETTER = "RECONSUMETIMES"
"""The property of a message that comes back by the retry letter topic."""


def enable(tracer_provider: Any = None, meter_provider: Any = None) -> None:
    """Makes spans and metrics from now on.

    Call it before the application starts: a subscription decides when it starts whether it is traced.

    Args:
        tracer_provider: An OpenTelemetry `TracerProvider`; None is the global one.
        meter_provider: An OpenTelemetry `MeterProvider`; None is the global one, which by itself keeps nothing.

    Raises:
        ImportError: OpenTelemetry is not installed.
    """
    global _tracer, _instruments
    try:
        from opentelemetry import trace

        from .otel_metrics import instruments
    except ImportError as error:
        raise ImportError("tracing needs OpenTelemetry: pip install fastapi-pulsar[otel]") from error
    disable()
    _tracer = trace.get_tracer("fastapi_pulsar", tracer_provider=tracer_provider)
    _instruments = instruments(meter_provider)


def disable() -> None:
    """Makes no more spans and metrics."""
    global _tracer, _instruments
    if _instruments is not None:
        _instruments.active = False
    _tracer = _instruments = None


def enabled() -> bool:
    """Whether spans are made."""
    return _tracer is not None


@contextmanager
def publishing(
    topic: str, properties: Mapping[str, str] | None = None, *, count: int = 1
) -> Iterator[dict[str, str] | None]:
    """A producer span around one publish; gives the properties to send, the trace context among them.

    Args:
        topic: Where it goes.
        properties: Those of the message.
        count: How many messages are published together.
    """
    carrier = None if properties is None else dict(properties)
    if _tracer is None:
        yield carrier
        return
    from opentelemetry import propagate, trace

    attributes = _attributes("send", topic)
    if count > 1:
        attributes["messaging.batch.message_count"] = count
    told = _instruments

    def done(seconds: float, failure: str | None) -> None:
        told.published(_measures("send", topic, failure), seconds, count)

    with _span(f"send {topic}", trace.SpanKind.PRODUCER, attributes, done):
        carrier = carrier or {}
        propagate.inject(carrier)
        yield carrier


@contextmanager
def processing(topic: str, subscription: str, messages: Sequence[Any]) -> Iterator[None]:
    """A consumer span around one call of a function.

    The first delivery of a single message continues the publisher's trace; a batch, or a message that was delivered before, by
    the broker or by its retry letter, is linked to it.
    """
    if _tracer is None:
        yield
        return
    from opentelemetry import propagate, trace

    contexts = [propagate.extract(message.properties) for message in messages]
    first = len(messages) == 1 and not _came_before(messages[0])
    spans = [trace.get_current_span(context).get_span_context() for context in contexts]
    own = {"messaging.destination.subscription.name": subscription}
    attributes = _attributes("process", topic) | own
    if len(messages) == 1:
        attributes["messaging.message.id"] = str(messages[0].message_id)
    else:
        attributes["messaging.batch.message_count"] = len(messages)
    told = _instruments

    def done(seconds: float, failure: str | None) -> None:
        told.processed(_measures("process", topic, failure) | own, seconds, len(messages))

    with _span(
        f"process {topic}",
        trace.SpanKind.CONSUMER,
        attributes,
        done,
        context=contexts[0] if first else None,
        links=[] if first else [trace.Link(span) for span in spans if span.is_valid],
    ):
        yield


@contextmanager
def _span(
    name: str, kind: Any, attributes: dict[str, Any], done: Callable[[float, str | None], None], **options: Any
) -> Iterator[None]:
    """A span around a block; `done` is told the seconds that it took, and the class of what it raised."""
    from opentelemetry import trace

    # The text of an exception may quote the message, so the span tells its class alone.
    with _tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False, **options
    ) as span:
        started = perf_counter()
        failure = None
        try:
            yield
        except Exception as error:
            failure = type(error).__qualname__
            span.set_attribute("error.type", failure)
            span.set_status(trace.StatusCode.ERROR)
            raise
        finally:
            done(perf_counter() - started, failure)


class Telemetry:
    """The original's span hook."""

    @contextmanager
    def span_pulsar_operation(self, operation: str, attributes: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """A span `pulsar.<operation>`; gives the span, or None while tracing is off."""
        if _tracer is None:
            yield None
            return
        with _tracer.start_as_current_span(f"pulsar.{operation}", attributes=dict(attributes or {})) as span:
            yield span


telemetry = Telemetry()


def _came_before(message: Any) -> bool:
    return bool(message.redelivery_count) or _RETRY_LETTER in message.properties


def _measures(operation: str, topic: str, failure: str | None) -> dict[str, Any]:
    """The attributes of a metric, whose values are bounded."""
    attributes = _attributes(operation, topic_label(topic))
    return attributes if failure is None else attributes | {"error.type": failure}


def _attributes(operation: str, topic: str) -> dict[str, Any]:
    return {
        "messaging.system": "pulsar",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
    }
