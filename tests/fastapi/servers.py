"""Real servers as child processes, for tests."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
APP = "tests.fastapi.served:app"
SERVERS = {
    "uvicorn on asyncio": ["uvicorn", APP, "--loop", "asyncio"],
    "uvicorn on uvloop": ["uvicorn", APP, "--loop", "uvloop"],
    "uvicorn --workers 2": ["uvicorn", APP, "--workers", "2"],
    "uvicorn --reload": ["uvicorn", APP, "--reload"],
    "gunicorn": ["gunicorn", APP, "--worker-class", "asgi", "--workers", "2"],
    "gunicorn --preload": ["gunicorn", APP, "--worker-class", "asgi", "--workers", "2", "--preload"],
}
LIMIT = 40.0


def get(url: str, body: dict[str, str] | None = None) -> Any:
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Connection": "close"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def until_it_answers(address: str) -> None:
    """A server with several processes tells its address before the first of them listens."""
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            get(f"{address}/")
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


@contextmanager
def served(command: list[str], directory: Path, **environment: str) -> Iterator[str]:
    """Runs a server, which says in its log what port it got; ends it as Ctrl-C or a container does."""
    log = directory / "server.log"
    address = ["--bind", "127.0.0.1:0"] if command[0] == "gunicorn" else ["--port", "0"]
    variables = {
        **os.environ,
        **environment,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, *address],
            cwd=directory,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _address(process, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM), log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        text = log.read_text()
        assert process.poll() is None, text
        for word in text.split():
            if word.startswith("http://127.0.0.1:") and not word.rstrip(")").endswith(":0"):
                return word.rstrip(")")
        time.sleep(0.05)
    raise AssertionError(log.read_text())
