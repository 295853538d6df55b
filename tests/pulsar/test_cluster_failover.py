"""Any one node of the cluster dies and comes back while an application works behind the proxies: nothing confirmed is lost."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.pulsar.compose.lab import Place
from tests.pulsar.compose.stack import Stack
from tests.pulsar.failover.outages import longest_gap, not_ready, times
from tests.pulsar.failover.program import ROOT, Program, confirmed

pytestmark = pytest.mark.cluster
RATE = 500
"""Messages a second: modest, so that it is the cluster that is tested and not the machine."""
QUIET = 3
"""Seconds of undisturbed load between two events."""
LONGEST = {"broker": 60.0, "bookie": 30.0, "zookeeper": 30.0, "proxy": 30.0}
"""Seconds without a confirmation that a node's death may cost. Wide: the machine has two cores for eleven JVMs."""


class Event(NamedTuple):
    node: str
    killed: float
    recovered: float


def admin(cluster: Stack, path: str) -> dict[str, object]:
    command = ["curl", "--fail", "--silent", "--max-time", "20", f"http://proxy-1:8080{path}"]
    found: dict[str, object] = json.loads(cluster.lab.run("client", command, timeout=30).stdout)
    return found


def owner(cluster: Stack, topic: str) -> str:
    """The broker that serves the topic."""
    url = str(admin(cluster, f"/lookup/v2/topic/{topic.replace('://', '/')}")["brokerUrl"])
    return url.removeprefix("pulsar://").split(":")[0]


def bookie_in_use(cluster: Stack, topic: str) -> str:
    """A bookie of the ensemble to which the topic is being written."""
    stats = admin(cluster, f"/admin/v2/{topic.replace('://', '/')}/internalStats?metadata=true")
    ledgers = stats["ledgers"]
    assert isinstance(ledgers, list)
    metadata = str(ledgers[-1]["metadata"])
    return next(name for name in ("bookie-1", "bookie-2", "bookie-3") if name in metadata)


def leader(cluster: Stack) -> str:
    """The ZooKeeper that leads: the one whose death costs the most."""
    question = "exec 3<>/dev/tcp/127.0.0.1/2181 && echo srvr >&3 && cat <&3"
    return next(
        name
        for name in ("zookeeper-1", "zookeeper-2", "zookeeper-3")
        if "Mode: leader" in cluster.containers[name].execute("bash", "-c", question).stdout
    )


class Run:
    """The programs of one run, and what happened in it."""

    def __init__(self, cluster: Stack, load: Program, watch: Program) -> None:
        self._cluster, self._load, self._watch = cluster, load, watch
        self.events: list[Event] = []

    def progress(self, seconds: float) -> None:
        goal = max(confirmed(self._load.last_line), 0) + int(seconds * RATE)
        self._load.wait_for(lambda line: confirmed(line) >= goal, f"{goal} confirmations", timeout=120 + seconds)

    def ready(self) -> None:
        self._watch.wait_for(lambda line: line.startswith("ready"), "readiness", timeout=120)

    def kill_and_restart(self, node: str) -> None:
        """The application must recover while the node is still away, and work on when it comes back."""
        killed = time.monotonic()
        self._cluster.containers[node].kill()
        self.progress(QUIET)
        self.ready()
        self.events.append(Event(node, killed, time.monotonic()))
        self._cluster.containers[node].start()
        self._cluster.wait_healthy(node)
        self.progress(QUIET)
        self.ready()


@pytest.mark.timeout(900, func_only=True)
def test_every_role_dies_and_comes_back_under_load(compose_cluster: Stack, topic: str, tmp_path: Path) -> None:
    cluster = compose_cluster
    environment = cluster.services["app"].environment
    url = environment["PULSAR_SERVICE_URL"]
    application = Place(cluster.lab, "app", environment)
    client = Place(cluster.lab, "client")
    sent, received = tmp_path / "confirmed", tmp_path / "receipts"
    with (
        Program("service", topic, "8000", place=application),
        Program("watch", "http://localhost:8000/health/pulsar/ready", place=application) as watch,
        Program("receive", url, topic, str(received), place=client) as receiver,
        Program("load", url, topic, str(sent), str(RATE), place=client) as load,
    ):
        receiver.wait_for(lambda line: line == "ready", "subscription")
        run = Run(cluster, load, watch)
        run.ready()
        run.progress(QUIET)
        run.kill_and_restart(owner(cluster, topic))
        run.kill_and_restart(bookie_in_use(cluster, topic))
        run.kill_and_restart(leader(cluster))
        # A client is connected through one or the other.
        run.kill_and_restart("proxy-1")
        run.kill_and_restart("proxy-2")
        ended = time.monotonic()
        load_summary, receive_summary = load.finish(), receiver.finish()
        watch.finish()

    command = [sys.executable, "-m", "tests.pulsar.failover.check", str(sent), str(received)]
    check = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    print(f"load {load_summary} receiver {receive_summary} verdict {check.stdout.strip()}")
    confirmations, receipts = times(sent), times(received)
    outages = {}
    for event, following in zip(run.events, [*(one.killed for one in run.events[1:]), ended], strict=True):
        outages[event.node] = longest_gap(confirmations, event.killed, following)
        print(
            f"{event.node:12} kill -9: no confirmation for {outages[event.node]:5.1f} s, no receipt for "
            f"{longest_gap(receipts, event.killed, following):5.1f} s, application not ready for "
            f"{not_ready(watch.lines, event.killed, following):5.1f} s, all well without it after "
            f"{event.recovered - event.killed:5.1f} s"
        )
    verdict = json.loads(check.stdout)
    assert load_summary["failed"] == 0 and verdict["confirmed"] == load_summary["confirmed"]
    assert check.returncode == 0 and verdict["lost"] == verdict["out_of_order"] == 0, check.stdout
    assert {node: gap for node, gap in outages.items() if gap > LONGEST[node.rsplit("-", 1)[0]]} == {}
    broker = run.events[0]
    assert not_ready(watch.lines, broker.killed, broker.recovered) > 0, (
        "readiness did not show that the broker was away"
    )
