"""Fixtures that give a test a broker. Each broker starts when the first test asks for it and serves the session.

The package's own plugin has the option `--pulsar`: with `embedded`, the default, `pulsar_broker` is the embedded broker; with
`real` it is a real one, fetched and started. Tests that need a real one are marked `pulsar`: those of the fixtures in
`REAL_ONLY`, and with `--pulsar=real` all that need a broker. So `-m "not pulsar"` is what runs without Java, and
`--pulsar=real -m pulsar` is the proof.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from tests.pulsar.embedded import Embedded
from tests.pulsar.harness import Admin, Cluster, Standalone
from tests.pulsar.peers.java import JavaProcess

EITHER = {"pulsar_broker"}
REAL_ONLY = {"pulsar_tuned", "pulsar_secure", "pulsar_cluster", "java_process"}
TIMEOUT = 120


class Broker(Protocol):
    """What tests use of a broker, embedded or real."""

    @property
    def service_url(self) -> str: ...
    @property
    def admin(self) -> Admin: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    help_text = "failover test: about a minute (CI), or with over 100,000 confirmed sends"
    parser.addoption("--failover", choices=["short", "full"], default="short", help=help_text)
    help_text = "chaos test: about a minute (CI), or with 100,000 messages"
    parser.addoption("--chaos", choices=["short", "full"], default="short", help=help_text)
    parser.addoption("--chaos-seed", type=int, default=0, help="what happens to which message; 0 takes a new one")
    ways = ["in_place", "redeliver", "retry_topic"]
    parser.addoption("--chaos-way", choices=ways, default="redeliver", help="how the chaos test's service tries again")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "pulsar: needs a real Apache Pulsar (Java and, once, Maven)")
    config.addinivalue_line("markers", "cluster: runs the services of docker/ in namespaces (Linux, root); minutes")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    real = REAL_ONLY if config.getoption("--pulsar") == "embedded" else REAL_ONLY | EITHER
    for item in items:
        if real.intersection(asked_for(item)) or item.get_closest_marker("pulsar"):
            item.add_marker(pytest.mark.pulsar)
            if item.get_closest_marker("timeout") is None:
                # Only the test itself: starting a broker has limits of its own.
                item.add_marker(pytest.mark.timeout(TIMEOUT, func_only=True))


def asked_for(item: pytest.Item) -> set[str]:
    """The fixtures of a test, and those that a parameter names for a fixture to ask for."""
    call = getattr(item, "callspec", None)
    named = {value for value in call.params.values() if isinstance(value, str)} if call else set()
    return named.union(getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def pulsar_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A broker with its default settings."""
    embedded = request.config.getoption("--pulsar") == "embedded"
    with Embedded() if embedded else Standalone() as broker:
        yield broker


@pytest.fixture(scope="session")
def pulsar_tuned() -> Iterator[Standalone]:
    """A real broker with batch-index acknowledgement, transactions and fine delays switched on."""
    with Standalone(tuned=True) as broker:
        yield broker


@pytest.fixture(scope="session")
def pulsar_secure() -> Iterator[Standalone]:
    """A real broker that asks for a token or a client certificate, on plain and TLS ports.

    Whether a token has expired it looks every second; by default every minute.
    """
    with Standalone({"authenticationRefreshCheckSeconds": 1}, mtls=True) as broker:
        yield broker


@pytest.fixture(scope="session")
def pulsar_cluster() -> Iterator[Cluster]:
    """Two real brokers. A test that ends one must start it again."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def java_process() -> Iterator[JavaProcess]:
    """The JVM in which Java clients live (`JavaPeer(java_process, url)`)."""
    process = JavaProcess()
    yield process
    process.close()


@pytest.fixture
def new_topic(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Makes the full name of a topic that nothing else uses; the test's name is in it."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60]
    stem = stem.replace("-partition-", "-")  # the broker takes that for one partition of a topic

    def make(suffix: str = "") -> str:
        tail = f"-{suffix}" if suffix else ""
        return f"persistent://public/default/{stem}-{uuid.uuid4().hex[:8]}{tail}"

    return make


@pytest.fixture
def topic(new_topic: Callable[..., str]) -> str:
    """The full name of a topic that nothing else uses."""
    return new_topic()
