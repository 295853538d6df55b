"""The reader of compose files that the cluster's tests stand on, and the script that starts a role with its settings."""

import subprocess
from pathlib import Path

import pytest

from tests.pulsar.compose.files import load

ROOT = Path(__file__).parents[2]
START = ROOT / "docker" / "conf" / "start.sh"
BASE = """
services:
  broker:
    image: any:1
    user: "10000:0"
    entrypoint: ["/bin/sh", "/settings/start.sh"]
    command: ["broker", "name=${NAME:-one}", "$$HOME"]
    environment: [A=1, "B=${B:?say which}"]
    mem_limit: 2m
    read_only: true
    ports: ["127.0.0.1:6650:6650"]
    volumes:
      - ./conf/broker.conf:/settings/10-broker.conf:ro
      - data:/pulsar/data
    healthcheck: {test: ["CMD-SHELL", "true || false"]}
    depends_on: {bookie: {condition: service_healthy}}
  bookie:
    healthcheck: {test: ["CMD", "curl", "x"]}
"""
OVER = """
services:
  broker:
    command: ["broker", "tls=true"]
    environment: {B: 3, C: true}
    ports: ["127.0.0.1:6651:6651"]
    volumes: ["./secure/broker.conf:/settings/10-broker.conf:ro", "./secrets:/secrets:ro"]
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_service_is_read_as_the_engine_reads_it(tmp_path: Path) -> None:
    services = load([write(tmp_path, "base.yml", BASE)], {"B": "2"})
    broker = services["broker"]
    assert broker.command == ("/bin/sh", "/settings/start.sh", "broker", "name=one", "$HOME")
    assert broker.environment == {"A": "1", "B": "2"}
    assert (broker.memory, broker.read_only, broker.user) == (2 << 20, True, "10000:0")
    assert [(mount.target, mount.read_only, mount.is_volume) for mount in broker.mounts] == [
        ("/settings/10-broker.conf", True, False),
        ("/pulsar/data", False, True),
    ]
    assert broker.mounts[0].source == str(tmp_path / "conf" / "broker.conf")
    assert broker.health == ("/bin/sh", "-c", "true || false") and services["bookie"].health == ("curl", "x")
    assert broker.depends_on == {"bookie": "service_healthy"}


def test_an_overlay_replaces_commands_and_mounts_and_adds_the_rest(tmp_path: Path) -> None:
    files = [write(tmp_path, "base.yml", BASE), write(tmp_path, "over.yml", OVER)]
    broker = load(files, {"B": "2"})["broker"]
    assert broker.command[2:] == ("broker", "tls=true")
    assert broker.environment == {"A": "1", "B": "3", "C": "true"}
    assert broker.raw["ports"] == ["127.0.0.1:6650:6650", "127.0.0.1:6651:6651"]
    assert {mount.target: Path(mount.source).parent.name for mount in broker.mounts} == {
        "/settings/10-broker.conf": "secure",
        "/pulsar/data": "",
        "/secrets": tmp_path.name,
    }


def test_a_file_of_variables_goes_below_the_environment(tmp_path: Path) -> None:
    write(tmp_path, "one.env", "# a token\nA=one=1\nB=one\nC='[{\"a\": 1}]'\nD=\n")
    text = "services: {x: {env_file: [one.env, {path: none.env, required: false}], environment: {B: two}}}"
    assert load([write(tmp_path, "base.yml", text)])["x"].environment == {
        "A": "one=1",
        "B": "two",
        "C": '[{"a": 1}]',
        "D": "",
    }


def test_what_is_not_known_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="variable B is required: say which"):
        load([write(tmp_path, "base.yml", BASE)])
    with pytest.raises(ValueError, match=r"service x: this reader does not know \['privileged'\]"):
        load([write(tmp_path, "other.yml", "services: {x: {privileged: true}}")])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A distribution whose program shows how it was called."""
    home = tmp_path / "home"
    (home / "conf").mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "conf" / "zookeeper.conf").write_text("# shipped\ndataDir=data\nport=1\nlevel = 2\nlast=x")
    program = home / "bin" / "pulsar"
    program.write_text('#!/bin/sh\necho "$@"; cat "$PULSAR_ZK_CONF"\n')
    program.chmod(0o755)
    return home


def start(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings, temporary = home.parent / "settings", home.parent / "tmp"
    for folder in (settings, temporary):
        folder.mkdir(exist_ok=True)
    (settings / "10-a.conf").write_text(f"# why\ndataDir={home}/zk\nlevel=3\nnew=a=b\n")
    (settings / "20-b.conf").write_text("level=4\n")
    environment = {"PATH": "/usr/bin:/bin", "SETTINGS": str(settings), "TMPDIR": str(temporary)}
    command = ["/bin/sh", str(START), *arguments]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=20)


def test_start_lays_settings_over_the_defaults_and_the_command_line_over_both(home: Path) -> None:
    result = start(home, "zookeeper", "port=9", "myid=3", "--", "--flag")
    assert result.returncode == 0, result.stderr
    called, *lines = result.stdout.splitlines()
    assert called == "zookeeper --flag"
    assert lines == ["last=x", f"dataDir={home}/zk", "level=4", "new=a=b", "port=9"]
    assert (home / "zk" / "myid").read_text() == "3\n"


@pytest.mark.parametrize(("arguments", "message"), [(["router"], "no role 'router'"), (["broker", "x"], "'x' is not")])
def test_start_says_what_it_does_not_understand(home: Path, arguments: list[str], message: str) -> None:
    result = start(home, *arguments)
    assert result.returncode == 2 and message in result.stderr
