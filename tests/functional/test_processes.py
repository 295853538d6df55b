"""Forks, exits and leaks: a process ends cleanly at any moment, and a client belongs to one process."""

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_pulsar.client import PulsarClient
from fastapi_pulsar.config import PulsarSettings
from tests.pulsar.plugin import Broker

pytestmark = pytest.mark.timeout(180)

USE = """
import asyncio, os, sys
from fastapi_pulsar.client import PulsarClient
from fastapi_pulsar.exceptions import ForkedClientError

URL, TOPIC, HOW = sys.argv[1:]

async def use(client, count=1000):
    producer = await client.producer(TOPIC)
    consumer = await client.consumer(TOPIC, "s", initial_position="earliest")
    await producer.send_many([b"x"] * count)
    for _ in range(count // 2):
        consumer.acknowledge(await consumer.receive(timeout=20))
    return producer, consumer
"""

EXITS = """
async def main():
    client = PulsarClient(URL)
    producer, consumer = await use(client)
    if HOW == "closed":
        await client.close()
    elif HOW == "half-way":
        for _ in range(100):
            asyncio.ensure_future(producer.send(b"x"))
        asyncio.ensure_future(client.close())
        await asyncio.sleep(0)
    elif HOW == "receiving":
        for _ in range(10):
            asyncio.ensure_future(consumer.receive())
        await asyncio.sleep(0.001)
    elif HOW == "supplier":
        await PulsarClient(URL, token_supplier=lambda: "x" * 10).partitions(TOPIC)
asyncio.run(main())
"""


def python(source: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", source, *arguments], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("how", ["closed", "left open", "half-way", "receiving", "supplier"])
def test_twenty_processes_exit_cleanly(pulsar_broker: Broker, topic: str, how: str) -> None:
    for _ in range(20 if how in ("closed", "left open") else 5):
        ended = python(USE + EXITS, pulsar_broker.service_url, topic, how)
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stderr


FORK = """
client = PulsarClient(URL)

async def in_the_child():
    for call in (lambda: producer.send(b"x"), lambda: consumer.receive(), consumer.close):
        try:
            await call()
        except ForkedClientError:
            continue
        return 1
    try:
        await client.partitions(TOPIC)
        return 2
    except ForkedClientError:
        pass
    async with PulsarClient(URL) as own:
        await use(own, 10)
    return 0

async def go_on():
    await producer.send(b"y")
    await client.close()

loop = asyncio.new_event_loop()
producer, consumer = loop.run_until_complete(use(client))
waiting = loop.create_task(consumer.receive()) if HOW == "waiting" else None
loop.run_until_complete(asyncio.sleep(0))
child = os.fork()
if child == 0:
    code = asyncio.run(asyncio.wait_for(in_the_child(), 60))
    del producer, consumer, client
    sys.stdout.flush()
    os._exit(code) if HOW == "os._exit" else sys.exit(code)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
if waiting is not None:
    waiting.cancel()
loop.run_until_complete(asyncio.wait_for(go_on(), 60))
"""


@pytest.mark.parametrize("how", ["os._exit", "sys.exit", "waiting"])
def test_a_fork_leaves_both_sides_working(pulsar_broker: Broker, topic: str, how: str) -> None:
    """The official client's child hangs."""
    for _ in range(3):
        ended = python(USE + FORK, pulsar_broker.service_url, topic, how)
        assert ended.returncode == 0, ended.stderr


def sockets() -> int:
    return sum(1 for fd in Path("/proc/self/fd").iterdir() if "socket" in _target(fd))


def all_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def _target(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:
        return ""


@pytest.mark.parametrize("shared", [True, False], ids=["equal settings", "settings of their own"])
def test_a_thousand_clients_left_unclosed_leak_nothing(pulsar_broker: Broker, topic: str, shared: bool) -> None:
    async def use(index: int) -> None:
        timeout = 30_000 + (0 if shared else index)
        settings = PulsarSettings(service_url=pulsar_broker.service_url, operation_timeout_ms=timeout)
        assert await PulsarClient(settings=settings).partitions(topic) == 0

    async def main() -> None:
        await use(0)
        gc.collect()
        threads = threading.active_count()
        before = sockets()
        for index in range(1000):
            await use(index)
        gc.collect()
        assert await asyncio.to_thread(wait_until, lambda: sockets() <= before + 2)
        assert threading.active_count() <= threads + 2, "one waits, one fetches the notes of engines"
        assert all_threads() < 30

    asyncio.run(main())
