"""The harness itself: what it starts serves, what it ends is gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pulsar.harness import AdminError, HarnessError, Standalone
from tests.pulsar.harness.fetch import verify
from tests.pulsar.harness.settings import write_settings

pytestmark = pytest.mark.pulsar
ROOT = Path(__file__).parents[2]
CLI = [sys.executable, "tests/pulsar/standalone.py", "run"]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def eventually(condition: Callable[[], bool], timeout: float = 20) -> bool:
    deadline = time.monotonic() + timeout
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_admin_creates_partitions(pulsar_broker: Standalone, topic: str) -> None:
    pulsar_broker.admin.create_topic(topic, partitions=3)
    found = [name for name in pulsar_broker.admin.topics() if name.startswith(topic)]
    assert sorted(found) == [f"{topic}-partition-{number}" for number in range(3)]


def test_admin_error_names_the_request(pulsar_broker: Standalone, topic: str) -> None:
    with pytest.raises(AdminError, match=r"GET /admin/v2/persistent/public/default/.*: 404") as caught:
        pulsar_broker.admin.stats(topic)
    assert caught.value.status == 404


def test_default_broker_is_default(pulsar_broker: Standalone, pulsar_tuned: Standalone) -> None:
    setting = "acknowledgmentAtBatchIndexLevelEnabled"
    values = [broker.admin.get("/brokers/configuration/runtime")[setting] for broker in (pulsar_broker, pulsar_tuned)]
    assert values == ["false", "true"]


def test_secure_broker_refuses_the_unknown(pulsar_secure: Standalone) -> None:
    pulsar_secure.admin.get("/clusters")
    token, pulsar_secure.admin._headers["Authorization"] = (
        pulsar_secure.admin._headers["Authorization"],
        "Bearer nobody",
    )
    try:
        with pytest.raises(AdminError) as caught:
            pulsar_secure.admin.get("/clusters")
    finally:
        pulsar_secure.admin._headers["Authorization"] = token
    assert caught.value.status == 401


def test_close_removes_process_and_directory() -> None:
    broker = Standalone()
    with broker:
        pid, directory = broker.pid, broker.directory
        assert pid is not None and not gone(pid) and directory.is_dir()
    assert gone(pid) and not directory.exists()


def test_failed_start_leaves_nothing() -> None:
    broker = Standalone({"brokerServicePort": "none"}, ready_timeout=60)
    with pytest.raises(HarnessError, match="died while waiting for broker"):
        broker.start()
    assert broker.pid is None
    broker.close()
    assert not broker.directory.exists()


@pytest.mark.timeout(240, func_only=True)
def test_command_line_runs_a_command_and_returns_its_code() -> None:
    program = "import os, sys; print(os.environ['PULSAR_SERVICE_URL'], os.environ['PULSAR_ADMIN_URL']); sys.exit(7)"
    result = subprocess.run(
        [*CLI, "--", sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert result.returncode == 7, result.stderr
    assert result.stdout.startswith("pulsar://127.0.0.1:") and " http://127.0.0.1:" in result.stdout


@pytest.mark.timeout(240, func_only=True)
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_command_line_ended_leaves_nothing(end: signal.Signals, tmp_path: Path) -> None:
    """SIGKILL too: the watchdog ends the broker and removes its directory."""
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    program = "import time; print('up', flush=True); time.sleep(300)"
    with subprocess.Popen(
        [*CLI, "--", sys.executable, "-c", program], cwd=ROOT, env=env, stdout=subprocess.PIPE
    ) as harness:
        assert harness.stdout and harness.stdout.readline() == b"up\n"
        broker = next(pid for pid in children(harness.pid) if "PulsarStandaloneStarter" in command_line(pid))
        command = next(pid for pid in children(harness.pid) if "time.sleep(300)" in command_line(pid))
        assert list(tmp_path.iterdir())
        harness.send_signal(end)
        harness.wait(60)
        if end == signal.SIGKILL:
            os.kill(command, signal.SIGKILL)  # the harness could not: it is not the command's keeper
    assert eventually(lambda: gone(broker) and gone(command))
    assert eventually(lambda: not list(tmp_path.iterdir()))


def children(pid: int) -> list[int]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True, timeout=20
    ).stdout
    return [int(child) for child, parent in (line.split() for line in listing.splitlines()) if int(parent) == pid]


def command_line(pid: int) -> str:
    return subprocess.run(
        ["ps", "-ww", "-p", str(pid), "-o", "command="], capture_output=True, text=True, timeout=20
    ).stdout


def test_checksum_is_verified(tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar.gz"
    archive.write_bytes(b"not Apache Pulsar")
    with pytest.raises(HarnessError, match=r"archive\.tar\.gz: SHA-256 is .*, expected 00"):
        verify(archive, "00")


def test_settings_replace_and_append(tmp_path: Path) -> None:
    template, target = tmp_path / "template", tmp_path / "target"
    template.write_text("# a comment\na=1\nb=2\na=3\nlast=x")  # shipped files may lack the final newline
    write_settings(template, target, {"a": 9, "new": "y"})
    assert target.read_text() == "# a comment\na=9\nb=2\nlast=x\nnew=y\n"
