"""The fault of the compose files, and that every fault has its test."""

import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker" / "docker-compose.pulsar.yml"


def test_fault_23_the_compose_file_publishes_the_ports_that_everything_expects() -> None:
    """The administration was on 8081 where all said 8080, services started in no order, images and files were missing, and data
    and compiled files were committed."""
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    assert [port.split(":")[-2] for port in services["broker"]["ports"]] == ["6650", "8080"]
    for service in services.values():
        if build := service.get("build"):
            assert (COMPOSE.parent / build["context"] / build["dockerfile"]).is_file()
        else:
            assert re.search(r":v?\d+\.\d+\.\d+\}?$", service["image"]), "an image without its version"
    assert services["app"]["depends_on"] == {"broker": {"condition": "service_healthy"}}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert [name for name in listed.stdout.splitlines() if name.endswith(".pyc") or "bookkeeper/" in name] == []


def test_every_fault_has_a_test() -> None:
    found = {
        int(number)
        for path in Path(__file__).parent.glob("test_*.py")
        for number in re.findall(r"def test_fault_(\d\d)_", path.read_text())
    }
    assert found == set(range(1, 29))
