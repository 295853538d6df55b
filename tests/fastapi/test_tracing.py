"""Spans of publishing and handling, and the trace context in message properties."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from fastapi_pulsar import Batch, PulsarRouter, RetryPolicy, metrics, tracing
from tests.fastapi.broker import Broker
from tests.fastapi.serving import MakeRouter, Run, running


class Order(BaseModel):
    id: int


@pytest.fixture
def spans() -> Iterator[Any]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.enable(provider)
    yield exporter.get_finished_spans
    tracing.disable()


def consume(run: Run, broker: Broker, pulsar: PulsarRouter, done: int, *ids: int) -> None:
    async def scenario() -> None:
        app = FastAPI()
        app.include_router(pulsar)
        async with running(app):
            for one in ids:
                await pulsar.publish("orders", Order(id=one), properties={"own": "1"})
            await broker.until(lambda: len(broker.acked) == done)

    run(scenario())


def test_a_handlers_span_continues_the_publishers_trace(
    run: Run, broker: Broker, make_router: MakeRouter, spans: Any
) -> None:
    pulsar = make_router()

    @pulsar.consumer("orders", subscription="billing", retry=RetryPolicy(max_attempts=2, backoff=0.001))
    async def bill(order: Order) -> None:
        raise ValueError("canary-0f2b")

    consume(run, broker, pulsar, 1, 1)
    sent, first, again = spans()
    assert (sent.name, sent.kind.name) == ("send orders", "PRODUCER")
    assert first.kind.name == "CONSUMER" and first.context.trace_id == sent.context.trace_id
    assert first.parent.span_id == sent.context.span_id
    assert again.parent is None and again.links[0].context.span_id == sent.context.span_id
    assert first.attributes["error.type"] == "ValueError" and first.attributes["messaging.system"] == "pulsar"
    assert "canary" not in str([one.to_json() for one in (sent, first, again)])
    (stored,) = broker.topics["persistent://public/default/orders"]
    assert (
        stored.properties["own"] == "1"
        and stored.properties["traceparent"].split("-")[1] == f"{sent.context.trace_id:032x}"
    )


def test_a_batchs_span_is_linked_to_each_publisher(
    run: Run, broker: Broker, make_router: MakeRouter, spans: Any
) -> None:
    pulsar = make_router()

    @pulsar.consumer("orders", subscription="billing", batch=Batch(max_messages=2, max_wait=5))
    async def bill(orders: list[Order]) -> None: ...

    consume(run, broker, pulsar, 2, 1, 2)
    sent = {one.context.span_id for one in spans() if one.kind.name == "PRODUCER"}
    links = {link.context.span_id for one in spans() if one.kind.name == "CONSUMER" for link in one.links}
    parents = {one.parent.span_id for one in spans() if one.kind.name == "CONSUMER" and one.parent}
    assert links | parents == sent and len(sent) == 2


def test_a_retry_letters_span_is_linked_to_the_publisher(
    run: Run, broker: Broker, make_router: MakeRouter, spans: Any
) -> None:
    pulsar = make_router()
    seen = []

    @pulsar.consumer("orders", subscription="billing", retry=RetryPolicy(2, backoff=0.001, way="retry_topic"))
    async def bill(order: Order) -> None:
        seen.append(order.id)
        if len(seen) == 1:
            raise ValueError("once")

    consume(run, broker, pulsar, 2, 1)
    sent, first, again = spans()
    assert first.parent.span_id == sent.context.span_id
    assert again.parent is None and [link.context.span_id for link in again.links] == [sent.context.span_id]


@pytest.fixture
def measured() -> Iterator[Any]:
    """Gives metric name → its data points."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])

    def read() -> dict[str, list[Any]]:
        found = reader.get_metrics_data()
        assert found is not None
        (resource,) = found.resource_metrics
        return {one.name: list(one.data.data_points) for one in resource.scope_metrics[0].metrics}

    tracing.enable(meter_provider=provider)
    yield read
    tracing.disable()
    provider.shutdown()


def test_metrics_go_through_opentelemetry_too(run: Run, broker: Broker, make_router: MakeRouter, measured: Any) -> None:
    pulsar = make_router()

    @pulsar.consumer("orders-4711", subscription="billing", retry=RetryPolicy(max_attempts=2, backoff=0.001))
    async def bill(order: Order) -> None:
        if order.id == 2:
            raise ValueError("canary-0f2b")

    async def scenario() -> None:
        app = FastAPI()
        app.include_router(pulsar)
        async with running(app):
            for one in (1, 2):
                await pulsar.publish("orders-4711", Order(id=one))
            await broker.until(lambda: len(broker.acked) == 2)

    before = metrics.pulsar_messages_received.labels(topic="orders-{id}")._value.get()
    run(scenario())
    points = measured()
    full = {"messaging.destination.name": "persistent://public/default/orders-{id}"}
    sending = {"messaging.system": "pulsar", "messaging.operation.name": "send", "messaging.operation.type": "send"}
    sent = sending | {"messaging.destination.name": "orders-{id}"}
    (point,) = points["messaging.client.sent.messages"]
    assert (point.value, point.attributes) == (2, sent)
    (point,) = points["messaging.client.operation.duration"]
    assert point.count == 2 and point.attributes == sent and point.explicit_bounds[0] == 0.005
    handled = full | {
        "messaging.system": "pulsar",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.subscription.name": "billing",
    }
    (point,) = points["messaging.client.consumed.messages"]
    assert (point.value, point.attributes) == (3, handled)
    by_failure = {one.attributes.get("error.type"): one.count for one in points["messaging.process.duration"]}
    assert by_failure == {None: 1, "ValueError": 2}
    received = {one.attributes["topic"]: one.value for one in points["pulsar_messages_received"]}
    assert received["orders-{id}"] == before + 3
    assert "pulsar_client_connections" in points and "canary" not in str(points)
    tracing.disable()
    assert "pulsar_messages_received" not in measured()


def test_opentelemetry_need_not_be_installed() -> None:
    program = """
import sys
import fastapi  # may itself use it
sys.modules["opentelemetry"] = None
from fastapi_pulsar import tracing
with tracing.publishing("orders", {"own": "1"}) as carried, tracing.processing("orders", "billing", []):
    print(carried, "fastapi_pulsar.otel_metrics" in sys.modules)
try:
    tracing.enable()
except ImportError as error:
    print(error, tracing.enabled())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    expected = "{'own': '1'} False\ntracing needs OpenTelemetry: pip install fastapi-pulsar[otel] False\n"
    assert done.stdout == expected, done.stderr


def test_nothing_is_added_while_tracing_is_off(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router()

    @pulsar.consumer("orders", subscription="billing")
    async def bill(order: Order) -> None: ...

    consume(run, broker, pulsar, 1, 1)
    (stored,) = broker.topics["persistent://public/default/orders"]
    assert stored.properties == {"own": "1"}
    with tracing.telemetry.span_pulsar_operation("send") as span:
        assert span is None
