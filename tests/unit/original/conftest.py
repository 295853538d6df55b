"""An engine in memory under every client."""

from types import SimpleNamespace

import pytest

from fastapi_pulsar.client import engines
from tests.unit.original.broker import MemoryBroker


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> MemoryBroker:
    """The broker that every client made in the test talks to."""
    broker = MemoryBroker()
    monkeypatch.setattr(engines, "_core", SimpleNamespace(Client=broker.core))
    monkeypatch.setattr(engines, "_engines", type(engines._engines)())
    return broker
