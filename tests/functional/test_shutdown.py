"""SIGTERM while messages come: the server ends within its drain limit, and every message is handled or still at the broker."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Self

import pytest

from fastapi_pulsar import PulsarClient
from tests.fastapi.servers import APP, LIMIT, SERVERS, served
from tests.functional.helpers import drain
from tests.pulsar.plugin import Broker

MODULE = "tests.functional.draining"
SUBSCRIPTION, DRAIN, HANGING = "drained", 2.0, 40
"""As there, which only a server can import."""
WORKERS = {"uvicorn on uvloop": 1, "gunicorn": 2}
LISTENING = {"uvicorn on uvloop": "Uvicorn running on", "gunicorn": "ASGI server listening"}
"""Said by each worker: one of gunicorn's that is still starting would not notice the signal."""
LEAVING = 5.0
"""Seconds besides the drain limit: for closing the client, and for a server to notice that its workers are gone."""


class Publisher:
    """Publishes numbered orders, one after the other, in a thread of its own until the end of its block."""

    def __init__(self, url: str, topic: str) -> None:
        self.confirmed: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._publish(url, topic)))

    async def _publish(self, url: str, topic: str) -> None:
        # Without batches a message is acknowledged by itself: what was handled does not come again for another one's sake.
        async with PulsarClient(url) as client, client.producer(topic, batching="off") as producer:
            number = 0
            while not self._stop.is_set():
                numbers = range(number, number + 10)
                await asyncio.gather(*(producer.send(b'{"number": %d}' % one) for one in numbers))
                self.confirmed.update(numbers)
                number = numbers.stop
                await asyncio.sleep(0.01)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def written(log: Path, word: str) -> list[int]:
    """The numbers on the lines that begin with a word."""
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [int(number) for kind, number in lines if kind == word]


async def left_at_the_broker(url: str, topic: str) -> set[int]:
    async with PulsarClient(url) as client, client.consumer(topic, SUBSCRIPTION, type="Shared") as consumer:
        return {int(message.data[11:-1]) for message in await drain(consumer, quiet=2.0)}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("server", WORKERS)
def test_sigterm_under_load(server: str, pulsar_broker: Broker, topic: str, tmp_path: Path) -> None:
    log, server_log = tmp_path / "handled", tmp_path / "server.log"
    command = [f"{MODULE}:app" if word == APP else word for word in SERVERS[server]]
    environment = {
        "DRAINING_LOG": str(log),
        "DRAINING_TOPIC": topic,
        "PULSAR_SERVICE_URL": pulsar_broker.service_url,
    }
    with Publisher(pulsar_broker.service_url, topic) as publisher:
        with served(command, tmp_path, **environment):
            deadline = time.monotonic() + LIMIT
            while (
                len(written(log, "handled")) < 300 or server_log.read_text().count(LISTENING[server]) < WORKERS[server]
            ):
                assert time.monotonic() < deadline, server_log.read_text()
                time.sleep(0.05)
            asked = time.monotonic()
        took = time.monotonic() - asked
        sent_before_the_end = len(publisher.confirmed)
    handled, hanging = written(log, "handled"), set(written(log, "hanging"))
    left = asyncio.run(left_at_the_broker(pulsar_broker.service_url, topic))
    print(f"{server}: {len(publisher.confirmed)} sent, {len(handled)} handled, {len(left)} left, ended in {took:.2f} s")
    assert hanging, "no call had to be cancelled"
    assert DRAIN <= took < DRAIN + LEAVING
    acknowledged = publisher.confirmed - left
    assert acknowledged <= set(handled), "acknowledged, but not handled"
    assert publisher.confirmed <= set(handled) | left, "lost"
    assert hanging <= left and sent_before_the_end > 300
    assert set(handled) & left == set() and len(handled) == len(set(handled)), "handled, but not acknowledged"
