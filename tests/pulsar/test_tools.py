"""The tools of the real distribution, `pulsar-admin` and `pulsar-perf`, on the embedded broker."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.pulsar.embedded import Embedded
from tests.pulsar.harness.fetch import distribution

pytestmark = [pytest.mark.pulsar, pytest.mark.timeout(900, func_only=True)]

Tool = Callable[..., str]
LIMIT = 240
"""Seconds for one of them: a Java machine starts in two or three, but not on a busy machine."""
JVM = {"PULSAR_MEM": "-Xms32m -Xmx128m -XX:TieredStopAtLevel=1", "PULSAR_GC": "-XX:+UseSerialGC", "PULSAR_GC_LOG": " "}
MESSAGES = 2000


@pytest.fixture
def broker() -> Iterator[Embedded]:
    with Embedded() as broker:
        yield broker


@pytest.fixture
def tool() -> Tool:
    """Runs a tool of the distribution, and returns what it prints."""

    def run(name: str, *arguments: str) -> str:
        command = [str(distribution() / "bin" / name), *arguments]
        done = subprocess.run(command, env={**os.environ, **JVM}, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, f"{name} {' '.join(arguments)}: {done.stderr[-2000:] or done.stdout[-2000:]}"
        return done.stdout

    return run


def test_pulsar_admin_and_pulsar_perf(broker: Embedded, tool: Tool, topic: str) -> None:
    def admin(*arguments: str) -> str:
        return tool("pulsar-admin", "--admin-url", broker.admin_url, "topics", *arguments)

    def billing() -> list[dict[str, int]]:
        return [broker.admin.stats(f"{topic}-partition-{number}")["subscriptions"]["billing"] for number in (0, 1)]

    admin("create-partitioned-topic", "-p", "2", topic)
    admin("create-subscription", "-s", "billing", topic)
    load = ["-u", broker.service_url, "-m", str(MESSAGES)]
    tool("pulsar-perf", "produce", *load, "-r", "5000", topic)
    stats = json.loads(admin("partitioned-stats", topic))
    assert stats["msgInCounter"] >= MESSAGES
    assert stats["subscriptions"]["billing"]["msgBacklog"] == sum(found["msgBacklog"] for found in billing()) > 0
    tool("pulsar-perf", "consume", *load, "-ss", "billing", topic)
    assert sum(found["msgOutCounter"] for found in billing()) >= MESSAGES
    admin("clear-backlog", "-s", "billing", topic)
    assert [found["msgBacklog"] for found in billing()] == [0, 0]
