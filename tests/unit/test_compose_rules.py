"""The compose files of `docker/`: the specification's schema, the house's rules, and one set of variables for all."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from tests.pulsar.compose.files import VARIABLE, interpolate, load, overlay

DOCKER = Path(__file__).parents[2] / "docker"
EXAMPLE = {name: value or "" for name, value in dotenv_values(DOCKER / ".env.example").items()}
FILES = sorted(DOCKER.glob("docker-compose.*.yml"))
OVERLAYS = {
    "docker-compose.secure.yml": "docker-compose.pulsar.yml",
    "docker-compose.secure-cluster.yml": "docker-compose.cluster.yml",
}
"""Files that are laid over others, and over which."""
SETUPS = [[DOCKER / OVERLAYS[file.name], file] if file.name in OVERLAYS else [file] for file in FILES]
ONCE = {"initialize", "permissions"}
"""Services that do their work and end: nobody asks whether they are well."""


def name_of(setup: list[Path]) -> str:
    return "+".join(path.stem.removeprefix("docker-compose.") for path in setup)


def merged(setup: list[Path], variables: dict[str, str]) -> Any:
    """The set-up as the engine sees it."""
    content: Any = {}
    for path in setup:
        content = overlay(content, interpolate(yaml.safe_load(path.read_text()), variables))
    return content


def services() -> list[Any]:
    found = []
    for setup in SETUPS:
        for name, service in merged(setup, EXAMPLE)["services"].items():
            found.append(pytest.param(setup, name, service, id=f"{name_of(setup)}-{name}"))
    return found


def follows_the_specification(*files: Path) -> "subprocess.CompletedProcess[str]":
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [str(checker), "--builtin-schema", "vendor.compose-spec", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def test_every_file_and_every_set_up_follows_the_specification(tmp_path: Path) -> None:
    written = list(FILES)
    for number, variables in enumerate([{}, EXAMPLE]):
        for setup in SETUPS:
            file = tmp_path / f"{number}-{name_of(setup)}.yml"
            file.write_text(yaml.safe_dump(merged(setup, variables)))
            assert not VARIABLE.search(re.sub(r"\$\$", "", file.read_text())), "a variable was left"
            written.append(file)
    assert len(written) >= 3 * len(FILES)
    done = follows_the_specification(*written)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_breaks_the_specification_is_found(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yml"
    file.write_text("services: {app: {image: a, prots: ['1:1'], mem_limit: [1]}}")
    done = follows_the_specification(file)
    assert done.returncode == 1
    assert "prots" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def with_secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as it is once the secrets are made; what is in them does not matter here."""
    folder = tmp_path_factory.mktemp("docker")
    shutil.copytree(DOCKER, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("secrets"))
    for owner in ("admin", "app", "broker", "proxy"):
        (folder / "secrets" / owner).mkdir(parents=True)
    (folder / "secrets" / "app" / "token.env").touch()
    return folder


@pytest.mark.parametrize("setup", SETUPS, ids=name_of)
def test_the_harness_can_start_it(setup: list[Path], with_secrets: Path) -> None:
    found = load([with_secrets / path.name for path in setup], EXAMPLE)
    assert found
    for service in found.values():
        for other, condition in service.depends_on.items():
            assert other in found, f"{service.name} depends on {other}"
            if condition == "service_healthy":
                assert found[other].health, f"{other} has no health check, and {service.name} waits for it"
        for mount in service.mounts:
            assert mount.is_volume or Path(mount.source).exists(), mount.source


@pytest.mark.parametrize("setup", SETUPS, ids=name_of)
def test_volumes_are_named_and_none_is_left_over(setup: list[Path], with_secrets: Path) -> None:
    named = set(merged(setup, EXAMPLE).get("volumes") or ())
    services = load([with_secrets / path.name for path in setup], EXAMPLE).values()
    used = {mount.source for service in services for mount in service.mounts if mount.is_volume}
    assert used == named


@pytest.mark.parametrize(("setup", "name", "service"), services())
def test_a_service_is_closed_limited_and_watched(setup: list[Path], name: str, service: dict[str, Any]) -> None:
    assert "privileged" not in service and "network_mode" not in service
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    if "build" in service:  # the Dockerfile has the user and the health check
        assert service["build"] == {"context": "..", "dockerfile": "docker/Dockerfile"}
    else:
        assert re.search(r":v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$", service["image"]), service["image"]
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])
        assert name in ONCE or service["healthcheck"]["test"][0] == "CMD"
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), port


@pytest.mark.parametrize("setup", SETUPS, ids=name_of)
def test_no_two_services_want_one_port_of_the_host(setup: list[Path]) -> None:
    ports = [
        port.split(":")[1] for service in merged(setup, {})["services"].values() for port in service.get("ports", ())
    ]
    assert len(ports) == len(set(ports))


def test_files_and_example_know_the_same_variables_with_the_same_defaults() -> None:
    used: dict[str, str] = {}
    for path in FILES:
        for match in VARIABLE.finditer(path.read_text()):
            if match["name"]:
                assert used.setdefault(match["name"], match["rest"]) == match["rest"], match["name"]
    explained = {name: value for name, value in EXAMPLE.items() if not name.startswith("PULSAR_")}
    assert used == explained


def test_prometheus_asks_and_grafana_shows_what_the_file_starts() -> None:
    found = merged([DOCKER / "docker-compose.pulsar.yml"], {})["services"]
    jobs = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {target for job in jobs for group in job["static_configs"] for target in group["targets"]}
    assert targets == {"app:8000", "broker:8080", "localhost:9090"}
    assert {target.split(":")[0] for target in targets} - {"localhost"} <= found.keys()
    source = yaml.safe_load((DOCKER / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090" and "prometheus" in found
    provider = yaml.safe_load((DOCKER / "grafana" / "provisioning" / "dashboards" / "dashboards.yml").read_text())
    mounted = [volume.split(":")[1] for volume in found["grafana"]["volumes"]]
    assert provider["providers"][0]["options"]["path"] in mounted
