"""What is asked of every set-up, by the tests of each."""

import os
import sys

from tests.pulsar.compose.container import Container
from tests.pulsar.compose.stack import Stack


def assert_closed(broker: Container) -> None:
    """It is as closed as the file says: not root, nothing to write on, no capability."""
    assert broker.execute("id", "-u").stdout == "10000\n"
    assert "Read-only file system" in broker.execute("touch", "/pulsar/conf/x").stderr
    status = broker.execute("cat", f"/proc/{broker.process.pid}/status").stdout
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status


def assert_demo_passes(stack: Stack, timeout: float) -> None:
    """With the environment of the application's service, from beside the services; `timeout` in seconds."""
    environment = {**os.environ, **stack.services["app"].environment}
    command = [sys.executable, "-m", "fastapi_pulsar.demo", "--broker", "pulsar", "--once"]
    result = stack.lab.run("client", command, timeout=timeout, environment=environment)
    print(result.stdout)
    assert result.returncode == 0, result.stderr
