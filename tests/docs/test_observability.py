"""The guide on observability names what there is, and its snippets run."""

import json
import logging
import re
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY

from fastapi_pulsar import metrics, tracing
from tests.docs.pages import DOCS, ROOT, snippet

GUIDE = (DOCS / "guides" / "observability.md").read_text()
ROW = re.compile(r"^\| `(pulsar_\w+)` \| ([^|]*) \| (\w+): ", re.MULTILINE)


def test_the_tables_name_every_metric_with_its_labels_and_type() -> None:
    families = {metric: next(iter(metric.describe())) for metric in metrics.METRICS.values()}
    there = {
        family.name + ("_total" if family.type == "counter" else ""): (set(metric._labelnames), family.type)
        for metric, family in families.items()
    }
    told = {name: (set(re.findall(r"`(\w+)`", labels)), kind) for name, labels, kind in ROW.findall(GUIDE)}
    assert told == there


def test_the_table_of_alerts_is_that_of_the_rules() -> None:
    (group,) = yaml.safe_load((ROOT / "docker" / "prometheus" / "alerts.yml").read_text())["groups"]
    assert re.findall(r"^\| `(Pulsar\w+)` \|", GUIDE, re.MULTILINE) == [rule["alert"] for rule in group["rules"]]


def test_a_registry_of_ones_own(pulsar_url: str) -> None:
    try:
        with snippet("monitored") as page, TestClient(page.app) as client, TestClient(page.internal) as internal:
            assert client.get("/health/pulsar/ready").status_code == 200
            assert client.get("/metrics").status_code == 404
            assert "pulsar_health_status" in internal.get("/metrics").text
            assert REGISTRY.get_sample_value("pulsar_health_status") is None
    finally:
        metrics.use_registry(REGISTRY)


def test_traces_and_metrics(pulsar_url: str) -> None:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    try:
        with snippet("traced") as page, TestClient(page.app) as client:
            page.traces.add_span_processor(SimpleSpanProcessor(exporter))
            assert client.portal is not None
            client.portal.call(page.pulsar.publish, "orders", {"id": 1})
            assert exporter.get_finished_spans()[0].name == "send orders"
    finally:
        tracing.disable()
    page.measures.shutdown()


def test_logs_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("fastapi_pulsar")
    before: Any = logger.handlers.copy(), logger.level
    try:
        with snippet("json_logs"):
            logging.getLogger("fastapi_pulsar.consuming").warning("%s failed", "bill", extra={"topic": "orders"})
    finally:
        logger.handlers, level = before
        logger.setLevel(level)
    line = {"level": "WARNING", "logger": "fastapi_pulsar.consuming", "text": "bill failed", "topic": "orders"}
    assert json.loads(capsys.readouterr().err) == line
