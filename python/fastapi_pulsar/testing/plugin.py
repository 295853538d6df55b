"""The pytest plugin: a broker for the tests that ask for one.

`--pulsar` chooses it: `embedded` (the default) starts one in the process, `real` takes the one that PULSAR_SERVICE_URL names, a
URL the one that it names; PULSAR_ADMIN_URL then says where its admin interface is. The fixtures are plain functions, so they
work with and without any plugin for async tests.
"""

import re
import uuid
from collections.abc import Iterator

import pytest

from ..broker import EmbeddedBroker
from ..client import PulsarClient
from ..config import get_settings
from . import target
from .blocking import in_a_thread
from .clock import PulsarClock
from .target import Broker
from .where import chosen_broker

MARKERS = {
    "embedded_only": "needs the embedded broker; skipped with --pulsar=real or a URL",
    "real_only": "needs a real Apache Pulsar; skipped unless --pulsar=real or a URL",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("pulsar").addoption(
        "--pulsar", default="embedded", metavar="WHERE", help="embedded (default), real, or a URL: pulsar://host:port"
    )


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    where = config.getoption("--pulsar")
    if where not in ("embedded", "real") and not where.startswith(("pulsar://", "pulsar+ssl://")):
        raise pytest.UsageError(f"--pulsar={where}: expected embedded, real or a URL such as pulsar://localhost:6650")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unwanted = "real_only" if config.getoption("--pulsar") == "embedded" else "embedded_only"
    for item in items:
        if item.get_closest_marker(unwanted):
            item.add_marker(pytest.mark.skip(reason=MARKERS[unwanted]))


@pytest.fixture(scope="session")
def pulsar_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """The broker of the session: an `EmbeddedBroker`, or a `RunningBroker` with its `service_url` and `admin_url`."""
    where = request.config.getoption("--pulsar")
    if where != "embedded":
        yield chosen_broker(where)
        return
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def pulsar_namespace(
    request: pytest.FixtureRequest, pulsar_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A namespace of the test's own, in which every message is kept; short topic names mean topics in it.

    For the test PULSAR_SERVICE_URL and PULSAR_NAMESPACE name the broker and the namespace, so an application that reads its
    settings from the environment uses them.
    """
    namespace = f"public/test-{_slug(request)}"
    admin = target.admin(pulsar_broker)
    admin.create_namespace(namespace)
    monkeypatch.setenv("PULSAR_SERVICE_URL", pulsar_broker.service_url)
    monkeypatch.setenv("PULSAR_NAMESPACE", namespace)
    get_settings.cache_clear()
    target.enter(pulsar_broker)
    yield namespace
    target.leave(pulsar_broker)
    get_settings.cache_clear()
    admin.delete_namespace(namespace)


@pytest.fixture
def pulsar_url(pulsar_broker: Broker, pulsar_namespace: str) -> str:
    """The broker's URL, which PULSAR_SERVICE_URL names during the test; see `pulsar_namespace`."""
    return pulsar_broker.service_url


@pytest.fixture
def pulsar_client(request: pytest.FixtureRequest, pulsar_url: str) -> Iterator[PulsarClient]:
    """A client, which connects when it is first used and is closed after the test."""
    _refuse_trio(request)
    client = PulsarClient(pulsar_url)
    yield client
    in_a_thread(client.close())


@pytest.fixture
def pulsar_topic(request: pytest.FixtureRequest, pulsar_namespace: str) -> str:
    """The name in full of a topic that nobody else uses."""
    return f"persistent://{pulsar_namespace}/{_slug(request)}"


@pytest.fixture
def pulsar_clock(pulsar_broker: Broker, pulsar_namespace: str) -> PulsarClock:
    """Moves the time of the broker and of the clients in this process; on a real broker the test is skipped."""
    if not isinstance(pulsar_broker, EmbeddedBroker):
        pytest.skip("the clock of a real broker cannot be moved")
    return PulsarClock(pulsar_broker)


def _slug(request: pytest.FixtureRequest) -> str:
    """The test's name, as it may stand in the name of a topic, and what makes it unique."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60]
    # The broker takes `-partition-1` for one partition of a topic.
    return f"{stem.replace('-partition-', '-')}-{uuid.uuid4().hex[:8]}"


def _refuse_trio(request: pytest.FixtureRequest) -> None:
    if "anyio_backend" not in request.fixturenames:
        return
    backend = request.getfixturevalue("anyio_backend")
    if (backend if isinstance(backend, str) else backend[0]) != "asyncio":
        pytest.fail(
            'fastapi-pulsar runs on asyncio, not on trio: let a fixture anyio_backend return "asyncio"', pytrace=False
        )
