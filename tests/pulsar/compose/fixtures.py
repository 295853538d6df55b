"""Fixtures with the stacks of `docker/`. A stack starts when the first test asks for it and serves the module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pulsar.compose.lab import missing
from tests.pulsar.compose.stack import Stack

DOCKER = Path(__file__).parents[3] / "docker"


def require_lab() -> None:
    """Skips the test where namespaces cannot be made, and says why."""
    reason = missing()
    if reason:
        pytest.skip(f"services cannot be run in namespaces here: {reason}")


@pytest.fixture(scope="session")
def compose_cluster() -> Iterator[Stack]:
    """The cluster, with namespaces for the application, which the tests are, and for a `client` beside it."""
    require_lab()
    stack = Stack([DOCKER / "docker-compose.cluster.yml"])
    for name in ("app", "client"):
        stack.add_client(name)
    with stack:
        yield stack
