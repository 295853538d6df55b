"""Metrics in a registry of the service's own, served beside the public application."""

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from fastapi_pulsar import PulsarRouter, metrics
from fastapi_pulsar.health_check import health_router, metrics_router

registry = CollectorRegistry()
metrics.use_registry(registry)

pulsar = PulsarRouter()

app = FastAPI()
app.include_router(pulsar)
app.include_router(health_router)  # the probes, without /metrics

internal = FastAPI()  # for a port that only Prometheus reaches
internal.include_router(metrics_router)
