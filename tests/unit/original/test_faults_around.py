"""The original's faults around the client: tasks, imports, configuration, administration, files."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from fastapi_pulsar import PulsarClient, PulsarConfig, PulsarSettings
from fastapi_pulsar.client import PulsarAdmin
from fastapi_pulsar.client.pulsar import _MADE, DefaultClient
from fastapi_pulsar.config import get_settings
from fastapi_pulsar.decorators import pulsar_task, use_task_id
from fastapi_pulsar.exceptions import AuthorizationError, ConnectionError, NotAllowedError, SettingsError
from tests.unit.original.broker import MemoryBroker

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]
CANARY = "canary-30bd"


def run_python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_looking_at_the_default_client_reads_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSAR_SERVICE_URL", "nonsense")
    get_settings.cache_clear()
    client = DefaultClient()
    assert not hasattr(client, "_pytestfixturefunction") and not hasattr(client, "nothing")
    with pytest.raises(SettingsError):
        _ = client.settings
    assert set(vars(PulsarClient(settings=PulsarSettings(service_url="pulsar://h")))) == _MADE


async def test_fault_13_waiting_for_a_task_keeps_its_timeout(memory: MemoryBroker) -> None:
    """`get_task_status` always raised, and `wait_for_task_completion` then went on for ever, whatever the timeout."""
    client = PulsarClient(retry_delay=0.001)
    memory.down = True
    with pytest.raises(asyncio.TimeoutError):
        await client.wait_for_task_completion("7", timeout=0.05, poll_interval=0.01)
    with pytest.raises(ConnectionError):
        await client.wait_for_task_completion("7", poll_interval=0.01)
    memory.down = False

    @pulsar_task("orders", client=client)
    async def doubled(number: int) -> int:
        return 2 * number

    with use_task_id("7"):
        await doubled(4)
    status = await client.wait_for_task_completion("7", timeout=5, poll_interval=0.01)
    assert (status["state"], status["result"], status["function"]) == ("COMPLETED", 8, "doubled")
    states = [json.loads(data)["state"] for data in memory.payloads("persistent://public/default/pulsar-task-status")]
    assert states == ["PENDING", "PROGRESS", "COMPLETED"]


def test_fault_14_importing_connects_nothing_and_credentials_are_passed(
    memory: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing the package opened two connections, with health a third; token and TLS files were never passed on."""
    program = """
import socket
def refuse(*_): raise AssertionError("connected")
socket.socket.connect = refuse
import fastapi_pulsar, fastapi_pulsar.decorators, fastapi_pulsar.original.index
from fastapi_pulsar.client import default_client, engines
assert fastapi_pulsar.original.index.client is fastapi_pulsar.decorators.client is default_client
assert vars(default_client) == {} and len(engines._engines) == 0
print("quiet")
"""
    assert run_python(program).stdout == "quiet\n"
    monkeypatch.setenv("PULSAR_AUTH_TOKEN", "a-token")
    monkeypatch.setenv("PULSAR_TLS_ENABLED", "true")
    monkeypatch.setenv("PULSAR_TLS_CA_PATH", "/certs/ca.pem")
    get_settings.cache_clear()
    asyncio.run(PulsarClient().send_message("orders", {}))
    (core,) = memory.cores
    assert core.authentication == ("token", "a-token") and core.settings["tls"]["ca_file"] == "/certs/ca.pem"


def test_fault_15_localhost_and_tls_urls_are_understood() -> None:
    """PULSAR_TEST_LOCALHOST=1 was a NameError; `pulsar+ssl://` gave the admin URL `pulsar+ssl://host:8080`."""
    program = "from fastapi_pulsar import PulsarConfig; print(PulsarConfig.SERVICE_URL)"
    assert run_python(program, PULSAR_TEST_LOCALHOST="1").stdout == "pulsar://127.0.0.1:6650\n"
    urls = {
        "pulsar://h:6650": "http://h:8080",
        "pulsar+ssl://h:6651": "https://h:8443",
        "pulsar://h": "http://h:8080",
        "pulsar://[::1]:6650": "http://[::1]:8080",
        "pulsar://a:6650,b:6650": "http://a:8080",
    }
    assert {url: PulsarAdmin(url).admin_url for url in urls} == urls


def test_fault_16_every_file_compiles() -> None:
    """`exceptions/exceptions.py` was a SyntaxError, `docker/entrypoint.sh` failed `bash -n`."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    files = [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    python = [path for path in files if path.suffix == ".py"]
    shell = [path for path in files if path.suffix in (".sh", "") and path.read_bytes()[:20].startswith(b"#!/bin/")]
    assert len(python) > 100 and shell
    for path in python:
        compile(path.read_text(), path, "exec")
    for path in shell:
        name = path.read_text().splitlines()[0].rpartition("/")[2].split()[0]
        subprocess.run([name, "-n", path], check=True, timeout=30)


class Admin(BaseHTTPRequestHandler):
    """Answers with the status that a topic's name ends with."""

    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_DELETE(self) -> None:
        self.seen.append((self.path, self.headers["Authorization"]))
        self.send_response(int(self.path[-3:]))
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def admin_url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Admin)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_fault_21_topics_are_deleted_where_they_are(admin_url: str) -> None:
    """The path was `/admin/v2/persistent://…`, which no broker serves, and every error was swallowed."""
    PulsarConfig.SECURITY["jwt_token"] = "a-token"
    client = PulsarClient()
    client.admin.admin_url = admin_url
    await client.admin.delete_topic("orders-204")
    await client.admin.delete_topic("non-persistent://shop/sales/a b-404")
    for status, error in ((403, AuthorizationError), (412, NotAllowedError)):
        with pytest.raises(error):
            await client.admin.delete_topic(f"orders-{status}")
    assert Admin.seen[:2] == [
        ("/admin/v2/persistent/public/default/orders-204", "Bearer a-token"),
        ("/admin/v2/non-persistent/shop/sales/a%20b-404", "Bearer a-token"),
    ]
    client.admin.admin_url = "http://127.0.0.1:9"
    with pytest.raises(ConnectionError):
        await client.admin.delete_topic("orders")


def test_fault_22_what_a_test_sets_on_the_configuration_counts_and_is_undone() -> None:
    """The tests' patch of `PulsarConfig` had no effect, and what they changed they never put back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            PulsarConfig, "SECURITY", {"service_role": "test_role", "topic_roles": {"allowed": ["test_role"]}}
        )
        patch.setattr(PulsarConfig, "RETRY", {"max_retries": 9})
        assert PulsarConfig.SECURITY["service_role"] == "test_role" and get_settings().retry_max_retries == 9
        pulsar_task("allowed")
        with pytest.raises(PermissionError):
            pulsar_task("other")
    pulsar_task("other")
    assert "service_role" not in PulsarConfig.SECURITY and get_settings().retry_max_retries == 5
    assert PulsarConfig.SECURITY["auth_type"] == "jwt"


def test_fault_24_nothing_is_printed_and_no_secret_shown() -> None:
    """The configuration was printed at import, with the lengths of the tokens."""
    program = """
import logging; logging.basicConfig(level=1)
from fastapi_pulsar import PulsarClient, PulsarConfig, original
print(repr(PulsarClient()), repr(PulsarConfig.SECURITY), PulsarClient().settings)
"""
    quiet = run_python("import fastapi_pulsar.original, fastapi_pulsar.decorators")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    shown = run_python(program, PULSAR_AUTH_TOKEN=CANARY)
    assert "pulsar://localhost:6650" in shown.stdout and CANARY not in shown.stdout + shown.stderr


def test_fault_27_the_official_clients_module_is_not_shadowed() -> None:
    """The package was a folder named `pulsar`, which hid `pulsar` of pulsar-client wherever its parent was on the path."""
    package = ROOT / "python"
    assert [path.name for path in package.iterdir() if path.is_dir() and path.name == "pulsar"] == []
    program = f"""
import sys; sys.path.insert(0, {str(package)!r})
import importlib.util, fastapi_pulsar
found = importlib.util.find_spec("pulsar")
assert found is None or "fastapi_pulsar" not in str(found.origin), found
assert "pulsar" not in sys.modules
"""
    run_python(program)
