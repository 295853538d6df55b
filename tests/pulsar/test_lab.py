"""The lab itself: services see what their file gives them, and nothing of it stays, however the tests end."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pulsar.compose.fixtures import require_lab
from tests.pulsar.compose.lab import missing
from tests.pulsar.compose.stack import Stack
from tests.pulsar.test_harness import eventually, gone

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
FILE = """
services:
  one:
    command: ["sleep", "300"]
    user: "10000:0"
    read_only: true
    cap_drop: [ALL]
    tmpfs: ["/tmp:mode=1777,size=1m"]
    environment: {COLOUR: blue}
    volumes: [kept:/pulsar/data, ./note:/etc/note:ro]
  two:
    command: ["sleep", "300"]
    depends_on: [one]
    mem_limit: 1g
"""
PROGRAM = """
import sys
from pathlib import Path
from tests.pulsar.compose.stack import Stack
with Stack([Path(sys.argv[1])]) as stack:
    print(stack.lab.directory, *(container.process.pid for container in stack.containers.values()), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    require_lab()
    path = tmp_path / "compose.yml"
    path.write_text(FILE)
    (tmp_path / "note").write_text("read me\n")
    return path


@pytest.fixture
def stack(file: Path) -> Iterator[Stack]:
    with Stack([file]) as stack:
        yield stack


def test_a_service_sees_what_its_file_gives_it(stack: Stack) -> None:
    def say(script: str) -> str:
        done = stack.containers["one"].execute("sh", "-c", script)
        return (done.stdout + done.stderr).strip()

    assert say("id -u; hostname; echo $COLOUR; cat /etc/note") == "10000\none\nblue\nread me"
    assert "Read-only file system" in say("touch /x") and "Read-only file system" in say("touch /pulsar/conf/x")
    assert "Read-only file system" in say("echo x >/etc/note") and "permission" in say("mount -t tmpfs x /mnt")
    assert say("echo kept >/pulsar/data/x; echo y >/tmp/y; ls /pulsar/bin/pulsar") == "/pulsar/bin/pulsar"
    assert "blue" not in stack.containers["two"].execute("sh", "-c", "echo $COLOUR").stdout


def test_names_resolve_while_their_service_runs_and_volumes_stay(stack: Stack) -> None:
    one, two = stack.containers["one"], stack.containers["two"]
    one.execute("sh", "-c", "echo kept >/pulsar/data/x")
    assert "10.213." in two.execute("getent", "hosts", "one").stdout
    one.kill()
    assert two.execute("getent", "hosts", "one").returncode != 0
    one.start()
    assert "10.213." in two.execute("getent", "hosts", "one").stdout
    assert eventually(lambda: one.execute("cat", "/pulsar/data/x").stdout == "kept\n")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_when_the_tests_are_killed(file: Path, end: signal.Signals) -> None:
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True, timeout=20).stdout
    command = [sys.executable, "-c", PROGRAM, str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout
        folder, *pids = harness.stdout.readline().split()
        assert Path(folder).is_dir() and len(pids) == 2 and not any(gone(int(pid)) for pid in pids)
        harness.send_signal(end)
        harness.wait(20)
    assert eventually(lambda: all(gone(int(pid)) for pid in pids) and not Path(folder).exists())
    after = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True, timeout=20).stdout
    assert after.count("\n") == links.count("\n")


def test_missing_rights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert missing() == "not found: ip, unshare, nsenter, setpriv, curl, java"
