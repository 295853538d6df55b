"""`embedded://…` in PULSAR_SERVICE_URL: one broker for the process, and a word to those who have several processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from fastapi_pulsar import PulsarClient, PulsarSettings
from fastapi_pulsar.client import embedded
from fastapi_pulsar.exceptions import DataDirInUseError

pytestmark = pytest.mark.anyio

WORKER = """
import asyncio, sys
from fastapi_pulsar import PulsarClient

async def main():
    async with PulsarClient(sys.argv[1]) as client, client.producer("orders") as producer:
        await producer.send(b"x")
        print("ready", flush=True)
        sys.stdin.readline()

asyncio.run(main())
"""


async def test_clients_of_one_name_share_a_broker(topic: str) -> None:
    async with PulsarClient("embedded://shared") as one, PulsarClient("embedded://shared") as two:
        consumer = await one.consumer(topic, "s", initial_position="earliest")
        async with two.producer(topic) as producer:
            await producer.send(b"x")
        assert (await consumer.receive(timeout=10)).data == b"x"
    assert embedded.resolved("embedded://shared") == embedded.resolved("embedded://shared")
    assert embedded.resolved("embedded://shared") != embedded.resolved("embedded://other")


async def test_it_outlives_its_clients(topic: str) -> None:
    async with PulsarClient("embedded://kept") as client, client.producer(topic) as producer:
        await producer.send(b"x")
        subscribed = await client.consumer(topic, "s", initial_position="earliest")
        await subscribed.close()
    async with PulsarClient("embedded://kept") as client:
        consumer = await client.consumer(topic, "s")
        assert (await consumer.receive(timeout=10)).data == b"x"


@pytest.mark.parametrize("url", ["embedded://", "embedded://a b", "embedded:///", "embedded://a/b"])
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="service_url: must be embedded://"):
        PulsarSettings(service_url=url)


def test_a_second_process_is_warned() -> None:
    def start() -> "subprocess.Popen[str]":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-c", WORKER, "embedded://workers"], text=True, **pipes)  # type: ignore[call-overload,no-any-return]

    with start() as first, start() as second:
        for worker in (first, second):
            assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        errors = [worker.communicate("\n", timeout=20)[1] for worker in (first, second)]
    warned = ["python -m fastapi_pulsar broker" in error for error in errors]
    assert sorted(warned) == [False, True]
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_folder_is_of_one_process_at_a_time(tmp_path: Path) -> None:
    url = f"embedded://{tmp_path}/data"
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, url], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        with pytest.raises(DataDirInUseError, match="python -m fastapi_pulsar broker"):
            embedded.broker(url)
        worker.communicate("\n", timeout=20)
    assert worker.returncode == 0
    embedded.broker(url)
