"""The brokers that each test runs on, and the event loop of async tests."""

from collections.abc import AsyncIterator

import pytest

from fastapi_pulsar import PulsarClient
from tests.pulsar.plugin import Broker

EMBEDDED = {"embedded": "pulsar_broker"}
REAL = {"default": "pulsar_broker", "tuned": "pulsar_tuned"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On a real broker each test runs with default and with tuned settings: what a broker has switched off must not decide
    whether a message is lost."""
    if "broker" in metafunc.fixturenames:
        kinds = EMBEDDED if metafunc.config.getoption("--pulsar") == "embedded" else REAL
        metafunc.parametrize("broker", kinds.values(), ids=kinds, indirect=True)


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Broker:
    found: Broker = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def client(broker: Broker) -> AsyncIterator[PulsarClient]:
    async with PulsarClient(broker.service_url) as client:
        yield client
