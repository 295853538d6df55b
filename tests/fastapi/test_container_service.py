"""What the images run, without an image: the service, gunicorn's configuration and the health check of `docker/`."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from fastapi_pulsar.broker import EmbeddedBroker
from tests.fastapi.servers import LIMIT, ROOT, served

DOCKER = ROOT / "docker"


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


def health(url: str) -> "subprocess.CompletedProcess[str]":
    """What the health check of an image answers."""
    command = [sys.executable, str(DOCKER / "healthy.py")]
    return subprocess.run(command, env={"HEALTH_URL": url}, capture_output=True, text=True, timeout=20, check=False)


def until_healthy(url: str) -> None:
    deadline = time.monotonic() + LIMIT
    while (done := health(url)).returncode:
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.1)


def until_all_serve(log: Path, workers: int) -> None:
    """gunicorn forgets a SIGTERM for a worker that is still starting."""
    deadline = time.monotonic() + LIMIT
    while (text := log.read_text()).count("ASGI server listening") < workers:
        assert time.monotonic() < deadline, text
        time.sleep(0.1)


def until_metrics_tell(url: str, line: str) -> None:
    deadline = time.monotonic() + LIMIT
    while line not in (text := urlopen(url, timeout=10).read().decode()):
        assert time.monotonic() < deadline, text
        time.sleep(0.1)


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_an_order_is_billed_and_the_container_is_healthy(server: str, broker: EmbeddedBroker, tmp_path: Path) -> None:
    for file in ("service.py", "gunicorn.conf.py"):
        (tmp_path / file).write_bytes((DOCKER / file).read_bytes())
    variables = {"PULSAR_SERVICE_URL": broker.service_url}
    if server == "gunicorn":
        variables |= {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"), "WEB_CONCURRENCY": "2"}
    with served([server, "service:app"], tmp_path, **variables) as address:
        if server == "gunicorn":
            until_all_serve(tmp_path / "server.log", 2)
        until_healthy(f"{address}/health/pulsar/ready")
        body = Request(f"{address}/orders", b'{"id": 7, "amount": 12.5}', {"Content-Type": "application/json"})
        assert urlopen(body, timeout=10).status == 202
        # Whichever worker answers: the metrics are of all.
        until_metrics_tell(f"{address}/metrics", 'pulsar_messages_received_total{topic="orders"} 1.0')
    if server == "gunicorn":
        assert list((tmp_path / "metrics").glob("*.db"))


def test_the_health_check_fails_where_nobody_answers() -> None:
    done = health("http://127.0.0.1:9/health/pulsar/ready")
    assert done.returncode == 1
    assert done.stderr.startswith("http://127.0.0.1:9/health/pulsar/ready: ")


def test_the_health_check_fails_where_the_broker_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_bytes((DOCKER / "service.py").read_bytes())
    with served(["uvicorn", "service:app"], tmp_path, PULSAR_SERVICE_URL="pulsar://127.0.0.1:9") as address:
        deadline = time.monotonic() + LIMIT
        while "503" not in (text := health(f"{address}/health/pulsar/ready").stderr):
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
