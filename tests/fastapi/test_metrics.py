"""What a subscription counts and times, and how it is served."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY, CollectorRegistry
from pydantic import BaseModel

from fastapi_pulsar import RetryPolicy, metrics
from tests.fastapi.broker import Broker
from tests.fastapi.serving import MakeRouter, Run, running

ROOT = Path(__file__).parents[2]


class Order(BaseModel):
    id: int


def value_of(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def test_a_subscription_keeps_its_metrics(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router()
    both = {"topic": "counted", "subscription": "billing"}

    @pulsar.consumer("counted", subscription="billing", retry=RetryPolicy(max_attempts=2, backoff=0.001))
    async def bill(order: Order) -> None:
        await asyncio.sleep(0)  # the gauge follows once in a turn of the loop
        assert value_of("pulsar_messages_in_flight", **both) == 1
        if order.id == 2:
            raise ValueError("canary-1e55")

    names = ("pulsar_errors_total", "pulsar_dead_letters_total", "pulsar_dlq_messages_total")
    labels: list[dict[str, str]] = [
        {"type": "ValueError"},
        {**both, "type": "ValueError"},
        {"original_topic": "counted", "error_type": "ValueError"},
    ]
    before = [value_of(name, **one) for name, one in zip(names, labels, strict=True)]

    async def scenario() -> None:
        for one in (1, 2, 3):
            broker.put("persistent://public/default/counted", Order(id=one).model_dump_json().encode())
        app = FastAPI()
        app.include_router(pulsar)
        start = {name: value_of(name, **one) for name, one in counted}
        async with running(app):
            await broker.until(lambda: len(broker.acked) == 3)
        assert {name: value_of(name, **one) - start[name] for name, one in counted} == {
            "pulsar_messages_received_total": 4,
            "pulsar_handler_duration_seconds_count": 4,
            "pulsar_redeliveries_total": 1,
            "pulsar_message_retries_total": 1,
        }

    counted: list[tuple[str, dict[str, str]]] = [
        ("pulsar_messages_received_total", {"topic": "counted"}),
        ("pulsar_handler_duration_seconds_count", both),
        ("pulsar_redeliveries_total", both),
        ("pulsar_message_retries_total", {"topic": "counted"}),
    ]
    run(scenario())
    after = [value_of(name, **one) for name, one in zip(names, labels, strict=True)]
    assert [a - b for a, b in zip(after, before, strict=True)] == [2, 1, 1]
    assert value_of("pulsar_messages_in_flight", **both) == 0
    assert 0 <= value_of("pulsar_consumer_lag_seconds", **both) < 10
    assert "canary" not in metrics.exposition().decode()


def test_metrics_can_be_switched_off(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router(settings={"metrics_enabled": False})

    @pulsar.consumer("uncounted", subscription="billing")
    async def bill(order: Order) -> None: ...

    async def scenario() -> None:
        broker.put("persistent://public/default/uncounted", b'{"id": 1}')
        app = FastAPI()
        app.include_router(pulsar)
        async with running(app):
            await broker.until(lambda: len(broker.acked) == 1)

    run(scenario())
    assert "uncounted" not in metrics.exposition().decode()


def test_labels_of_topics_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_known_topics", set())
    names = {
        "orders": "orders",
        "persistent://public/default/orders-partition-7": "persistent://public/default/orders",
        "user-4711-events": "user-{id}-events",
        "u/6f1c2f0e-8a4b-4d5e-9d8e-0123456789ab": "u/{id}",
        "v2-orders": "v2-orders",
        "decade1234567890abcdef00": "{id}",
    }
    assert {name: metrics.topic_label(name) for name in names} == names
    labels = {metrics.topic_label(f"topic-{'x' * (n % 900)}{chr(97 + n % 26)}") for n in range(3000)}
    assert metrics.OTHER in labels and len(labels) <= 502


def test_another_registry_may_be_given() -> None:
    mine = CollectorRegistry()
    try:
        metrics.use_registry(mine)
        assert b"pulsar_messages_sent" in metrics.exposition()
        assert REGISTRY.get_sample_value("pulsar_health_status") is None
        assert mine.get_sample_value("pulsar_health_status") is not None
    finally:
        metrics.use_registry(REGISTRY)
    assert REGISTRY.get_sample_value("pulsar_health_status") is not None


def in_processes(folder: Path, *programs: str) -> str:
    """Runs the programs one after the other, as workers of one service; the metrics as the last one shows them."""
    output = ""
    for program in programs:
        output = subprocess.run(
            [
                sys.executable,
                "-c",
                f"from fastapi_pulsar import metrics; {program}; print(metrics.exposition().decode())",
            ],
            env={"PROMETHEUS_MULTIPROC_DIR": str(folder), "PATH": "/usr/bin:/bin"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
    return output


def test_the_metrics_of_several_processes_are_added_up(tmp_path: Path) -> None:
    program = "metrics.pulsar_messages_sent.labels(topic='orders').inc(2)"
    assert 'pulsar_messages_sent_total{topic="orders"} 6.0' in in_processes(tmp_path, program, program, program)


def test_a_process_that_was_not_asked_for_its_health_has_no_say(tmp_path: Path) -> None:
    assert "pulsar_health_status 1.0" in in_processes(tmp_path, "metrics.PULSAR_HEALTH.set(True)", "pass")
