"""`docker-compose.cluster.yml` as processes: it comes up as written, and the application works behind its proxies."""

import json
from pathlib import Path

import pytest

from tests.pulsar.compose.checks import assert_closed, assert_demo_passes
from tests.pulsar.compose.stack import Stack
from tests.pulsar.test_conf import CONF, settings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300, func_only=True)]
ROOT = Path(__file__).parents[2]


def test_every_service_is_healthy_within_its_memory(compose_cluster: Stack) -> None:
    found = {}
    for name, container in compose_cluster.containers.items():
        if name == "initialize":
            continue
        assert container.healthy(), f"{name} is not healthy"
        found[name] = (container.memory() >> 20, compose_cluster.services[name].memory >> 20)
    print("most memory held, of the limit, in MiB:", found)
    assert len(found) == 10
    assert {name: sizes for name, sizes in found.items() if sizes[0] >= sizes[1]} == {}


def test_brokers_run_with_the_settings_of_the_file(compose_cluster: Stack) -> None:
    url = "http://localhost:8080/admin/v2/brokers/configuration/runtime"
    for name in ("broker-1", "broker-2"):
        answer = compose_cluster.containers[name].execute("curl", "--fail", "--silent", url)
        runtime = json.loads(answer.stdout)
        expected = settings(CONF / "broker.conf") | {"advertisedAddress": name}
        # Each entry on two bookies, confirmed by both.
        expected |= {f"managedLedgerDefault{what}": "2" for what in ("EnsembleSize", "WriteQuorum", "AckQuorum")}
        assert {key: runtime[key] for key in expected} == expected


def test_containers_are_as_closed_as_the_file_says(compose_cluster: Stack) -> None:
    assert_closed(compose_cluster.containers["broker-1"])


@pytest.mark.parametrize("proxy", ["proxy-1", "proxy-2"])
def test_the_admin_door_is_open_at_each_proxy(compose_cluster: Stack, proxy: str) -> None:
    url = f"http://{proxy}:8080/admin/v2/brokers/cluster-a"
    answer = compose_cluster.lab.run("client", ["curl", "--fail", "--silent", "--max-time", "20", url], timeout=30)
    assert sorted(json.loads(answer.stdout)) == ["broker-1:8080", "broker-2:8080"]


def test_the_demo_passes_behind_the_proxies(compose_cluster: Stack) -> None:
    assert_demo_passes(compose_cluster, timeout=240)
