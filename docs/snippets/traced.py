"""A service whose spans and metrics go to OpenTelemetry."""

from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from fastapi_pulsar import PulsarRouter, tracing

traces = TracerProvider()  # add the span processor of your exporter
measures = MeterProvider()  # and its metric reader
tracing.enable(traces, measures)  # without arguments: the global providers

pulsar = PulsarRouter()


@pulsar.consumer("orders", subscription="billing")
async def bill(order: dict[str, int]) -> None: ...


app = FastAPI()
app.include_router(pulsar)
