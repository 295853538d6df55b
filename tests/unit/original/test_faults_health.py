"""The original's faults of health checks and of the circuit breaker, each shown gone."""

import json

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY

from fastapi_pulsar import PulsarClient, health_check
from fastapi_pulsar.exceptions import CircuitOpenError, ConnectionError
from fastapi_pulsar.health_check import PulsarHealth, check_pulsar_health, pulsar_health
from tests.unit.original.broker import MemoryBroker

pytestmark = pytest.mark.anyio


async def test_fault_09_the_health_instance_keeps_its_name(
    memory: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The route function took the instance's name, so that each check was an AttributeError."""
    monkeypatch.setattr(pulsar_health, "client", PulsarClient())
    monkeypatch.setattr(pulsar_health, "cached_status", None)
    health_check._asked.clear()
    assert isinstance(pulsar_health, PulsarHealth)
    assert json.loads(bytes((await check_pulsar_health()).body))["healthy"] is True
    await check_pulsar_health()
    with pytest.raises(HTTPException) as caught:
        await check_pulsar_health()
    assert caught.value.status_code == 429 and "Retry-After" in (caught.value.headers or {})


async def test_fault_10_health_can_be_healthy(memory: MemoryBroker) -> None:
    """It never was: the checks used attributes that the client did not have."""
    answer = await PulsarHealth(PulsarClient()).get_health_status()
    details = {"connection": True, "producer": True, "consumer": True}
    assert (answer.status_code, json.loads(bytes(answer.body))) == (200, {"healthy": True, "details": details})
    assert memory.topics == {} and memory.producers == []


async def test_fault_11_a_breaker_is_of_one_client_and_topic(memory: MemoryBroker) -> None:
    """There was one for the process: a failing topic blocked every other, in every client."""
    client = PulsarClient(max_retries=0)
    bad = "persistent://public/default/bad"
    memory.send_errors[bad].extend(ConnectionError("gone") for _ in range(5))
    for _ in range(5):
        with pytest.raises(ConnectionError):
            await client.send_message("bad", {})
    with pytest.raises(CircuitOpenError):
        await client.send_message("bad", {})
    assert memory.sends[bad] == 5
    assert await client.send_message("good", {}) is True
    assert await PulsarClient(max_retries=0).send_message("bad", {}) is True


def test_fault_19_the_health_metric_says_what_the_answer_says(
    memory: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gauge was 1 even when unhealthy."""
    monkeypatch.setattr(health_check, "pulsar_health", PulsarHealth(PulsarClient(max_retries=0)))
    app = FastAPI()
    app.include_router(health_check.router)
    health_check._asked.clear()
    memory.down = True
    http = TestClient(app)
    assert http.get("/health/pulsar").status_code == 503
    assert REGISTRY.get_sample_value("pulsar_health_status") == 0
    assert "pulsar_health_status 0.0" in http.get("/metrics").text
