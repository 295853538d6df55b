"""`python -m fastapi_pulsar broker`: says where it is, ends cleanly, warns."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastapi_pulsar import PulsarClient
from tests.pulsar.harness import Admin

LIMIT = 20
PROGRAM = [sys.executable, "-m", "fastapi_pulsar", "broker", "--port", "0", "--admin-port", "0"]


@contextmanager
def command(*arguments: str) -> "Iterator[tuple[subprocess.Popen[str], dict[str, str]]]":
    """The running command, and the URLs that it printed."""
    with subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().split() for _ in range(2)]
            yield process, dict(line for line in lines if line)
        finally:
            process.kill()


async def store_and_fetch(url: str) -> bytes:
    async with PulsarClient(url) as client:
        consumer = await client.consumer("orders", "s", initial_position="earliest")
        async with client.producer("orders") as producer:
            await producer.send(b"kept")
        return (await consumer.receive(timeout=10)).data


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(number: signal.Signals) -> None:
    with command() as (process, urls):
        assert asyncio.run(store_and_fetch(urls["service_url"])) == b"kept"
        assert Admin(urls["admin_url"]).stats("persistent://public/default/orders")["msgInCounter"] == 1
        process.send_signal(number)
        _, errors = process.communicate(timeout=LIMIT)
    assert (process.returncode, errors) == (0, "")


def test_a_data_directory_outlives_it_and_is_locked(tmp_path: Path) -> None:
    for _ in range(2):
        with command("--data-dir", str(tmp_path / "data")) as (process, urls):
            assert asyncio.run(store_and_fetch(urls["service_url"])) == b"kept"
            again = subprocess.run(
                [*PROGRAM, "--data-dir", str(tmp_path / "data")],
                capture_output=True,
                text=True,
                timeout=LIMIT,
                check=False,
            )
            assert again.returncode == 1 and again.stderr.startswith("broker: ") and "Traceback" not in again.stderr
            process.terminate()
            assert process.wait(LIMIT) == 0


def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        program = [sys.executable, "-m", "fastapi_pulsar", "broker", "--port", port, "--admin-port", "0"]
        done = subprocess.run(program, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 1 and port in done.stderr and "Traceback" not in done.stderr


def test_it_warns_where_everybody_can_reach_it(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"0" * 32)
    warned = []
    for arguments in ([], ["--token-key", str(key)]):
        with command("--host", "0.0.0.0", *arguments) as (process, _):  # noqa: S104 - what it warns of
            process.terminate()
            warned.append("everybody in the network" in process.communicate(timeout=LIMIT)[1])
    assert warned == [True, False]
