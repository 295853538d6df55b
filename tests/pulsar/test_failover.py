"""Brokers of a cluster come and go under load: nothing confirmed is lost, and each key keeps its order."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pulsar.failover.check import compare
from tests.pulsar.failover.program import ROOT, Program, confirmed
from tests.pulsar.harness import Cluster

pytestmark = pytest.mark.pulsar
RATE = 2000
# Confirmed sends in all, and seconds of quiet load between two events.
FORMS = {"short": (50_000, 5.0), "full": (120_000, 12.0)}


@pytest.fixture
def form(request: pytest.FixtureRequest) -> tuple[int, float]:
    return FORMS[request.config.getoption("--failover")]


@pytest.fixture
def cluster(pulsar_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, whole again afterwards."""
    yield pulsar_cluster
    for number in (0, 1):
        if not pulsar_cluster.is_running(number):
            pulsar_cluster.start_broker(number)


@pytest.mark.timeout(600, func_only=True)
def test_brokers_come_and_go_under_load(cluster: Cluster, topic: str, tmp_path: Path, form: tuple[int, float]) -> None:
    total, pause = form
    sent_file, received_file = tmp_path / "confirmed", tmp_path / "receipts"
    with (
        Program("receive", cluster.service_url, topic, str(received_file)) as receiver,
        Program("load", cluster.service_url, topic, str(sent_file), str(RATE)) as load,
    ):
        receiver.wait_for(lambda line: line == "ready", "subscription")

        def progress(seconds: float) -> None:
            """Waits for that many seconds' worth of further confirmations: the load runs, and runs again after an outage."""
            goal = max(confirmed(load.last_line), 0) + int(seconds * RATE)
            load.wait_for(lambda line: confirmed(line) >= goal, f"{goal} confirmations", timeout=90 + seconds)

        progress(pause)
        owner = cluster.owner(topic)
        cluster.kill_broker(owner)
        progress(pause)
        cluster.start_broker(owner)
        progress(pause)
        other = cluster.owner(topic)
        assert other != owner, "the topic went back by itself: stopping its broker is a test no more"
        cluster.stop_broker(other)
        progress(pause)
        assert cluster.owner(topic) == owner
        load.wait_for(lambda line: confirmed(line) >= total, f"{total} confirmations", timeout=total / RATE + 60)
        load_summary = load.finish()
        receive_summary = receiver.finish()

    command = [sys.executable, "-m", "tests.pulsar.failover.check", str(sent_file), str(received_file)]
    check = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    print(f"failover: load {load_summary} receiver {receive_summary} verdict {check.stdout.strip()}")
    for client, summary in (("producer", load_summary), ("consumer", receive_summary)):
        if summary["reconnects"] < 2:
            pytest.fail(f"not exercised: the {client} reconnected {summary['reconnects']} times, expected 2 or more")
    verdict = json.loads(check.stdout)
    assert load_summary["failed"] == 0 and verdict["confirmed"] == load_summary["confirmed"] >= total
    assert check.returncode == 0 and verdict["lost"] == verdict["out_of_order"] == 0, check.stdout


def test_the_judge_sees_a_loss_and_a_wrong_order() -> None:
    confirmed = [("a", 0), ("a", 1), ("a", 2), ("b", 0)]
    assert compare(confirmed, [("a", 0), ("a", 1), ("a", 0), ("a", 1), ("b", 0)]) == {
        "confirmed": 4, "received": 3, "lost": 1, "duplicates": 2, "out_of_order": 0,
    }  # fmt: skip
    assert compare(confirmed, [("a", 1), ("a", 0), ("a", 2), ("b", 0)])["out_of_order"] == 1
