"""Handlers fail and hang, payloads are invalid, the broker restarts twice, the service is killed: no message is lost.

The broker deletes inactive topics as it does by default, but looks for them every two seconds.
"""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from fastapi_pulsar import PulsarClient
from tests.pulsar.chaos.check import compare
from tests.pulsar.chaos.service import SUBSCRIPTION
from tests.pulsar.failover.program import ROOT, Program, confirmed
from tests.pulsar.harness import AdminError, Standalone

pytestmark = [pytest.mark.pulsar, pytest.mark.anyio]
INTERRUPTIONS = 3
STANDSTILL = 120.0
"""Seconds without progress after which a test gives up."""
# Messages in all, and how many a second.
FORMS = {"short": (10_000, 250), "full": (100_000, 1000)}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def broker() -> Iterator[Standalone]:
    settings = {
        "brokerDeleteInactiveTopicsFrequencySeconds": 2,
        "brokerDeleteInactiveTopicsMaxInactiveDurationSeconds": 2,
    }
    with Standalone(settings, ready_timeout=600) as broker:
        yield broker


class InFlight:
    """The most messages that the service had unacknowledged, as the broker says; asked all the time."""

    def __init__(self, broker: Standalone, topic: str) -> None:
        self.most = 0
        self._broker, self._topic = broker, topic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def look(self) -> None:
        for topic in (self._topic, f"{self._topic}-{SUBSCRIPTION}-RETRY"):
            try:
                found = self._broker.admin.stats(topic)["subscriptions"].get(SUBSCRIPTION, {}).get("unackedMessages", 0)
            except OSError:
                continue  # the broker is away, or there is no such topic
            self.most = max(self.most, found)

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.look()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)


def until(condition: Callable[[], bool], what: str, progress: Callable[[], object] = lambda: None) -> None:
    """Waits for as long as there is progress: a busy machine may be slow, but does not stand still."""
    known, deadline = progress(), time.monotonic() + STANDSTILL
    while not condition():
        if (now := progress()) != known:
            known, deadline = now, time.monotonic() + STANDSTILL
        assert time.monotonic() < deadline, f"no {what}, and no progress for {STANDSTILL} s; last: {known}"
        time.sleep(0.2)


def chaos(name: str, *arguments: str) -> Program:
    return Program(name, *arguments, package="chaos")


def is_settled(broker: Standalone, topic: str) -> bool:
    """Whether nothing is left to handle: not in the topic, not in the retry letter topic."""
    for one in (topic, f"{topic}-{SUBSCRIPTION}-RETRY"):
        try:
            if broker.admin.stats(one)["subscriptions"][SUBSCRIPTION]["msgBacklog"]:
                return False
        except AdminError as error:
            if error.status != 404 or one == topic:
                return False
    return True


@pytest.mark.timeout(1800, func_only=True)
def test_no_message_is_lost(broker: Standalone, topic: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    total, rate = FORMS[pytestconfig.getoption("--chaos")]
    seed = pytestconfig.getoption("--chaos-seed") or random.randrange(1_000_000)
    way = pytestconfig.getoption("--chaos-way")
    print(f"chaos: {total} messages, seed {seed}, retries by {way}")
    sent, processed, letters = (str(tmp_path / name) for name in ("confirmed", "processed", "letters"))
    service = (broker.service_url, topic, processed, str(seed), way)
    started = time.monotonic()

    def count() -> int:
        return Path(processed).read_bytes().count(b"\n")

    def handled(share: float) -> None:
        """Waits until the service has handled that much, and so works again after an interruption."""
        until(lambda: count() >= int(total * share), f"{share:.0%} of the messages handled", count)

    with InFlight(broker, topic) as in_flight, chaos("service", *service) as first:
        first.wait_for(lambda line: line == "ready", "subscription")
        with chaos("load", broker.service_url, topic, sent, str(total), str(rate), str(seed)) as load:
            handled(0.2)
            broker.restart()
            handled(0.4)
            in_flight.look()
            first.kill()
            with chaos("service", *service) as second:
                handled(0.6)
                broker.restart()
                until(lambda: confirmed(load.last_line) >= total, "end of the load", lambda: load.last_line)
                load_summary = load.finish()
                until(lambda: is_settled(broker, topic), "end of the backlog", count)
                service_summary = second.finish()
    with chaos("letters", broker.service_url, topic, letters) as reader:
        dead = reader.finish()
    bound = in_flight.most * INTERRUPTIONS
    command = [sys.executable, "-m", "tests.pulsar.chaos.check", sent, processed, letters, str(bound)]
    check = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    verdict = json.loads(check.stdout)
    print(f"chaos: load {load_summary} service {service_summary} {dead} in {time.monotonic() - started:.0f} s")
    print(
        f"chaos: {verdict}: duplicates {verdict['duplicates']}, at most {bound} = "
        f"{in_flight.most} unacknowledged in flight x {INTERRUPTIONS} interruptions"
    )
    assert load_summary["failed"] == 0 and verdict["confirmed"] == load_summary["confirmed"] == total
    assert load_summary["reconnects"] >= 2, "the broker did not restart under load"
    assert check.returncode == 0 and verdict["lost"] == 0, check.stdout
    errors = [line.split(" ")[1] for line in Path(letters).read_text().splitlines()]
    assert set(errors) == {"RuntimeError", "TimeoutError", "PayloadValidationError"}


async def test_dead_letters_outlive_the_deletion_of_inactive_topics(
    broker: Standalone, new_topic: Callable[..., str]
) -> None:
    """By default a broker deletes topics without subscriptions; the dead letter topic has one before anyone reads it."""
    topic, bare = new_topic(), new_topic("bare")
    async with PulsarClient(broker.service_url) as client:
        await client.send_message(bare, {"n": 1})
        await client.send_to_dlq(topic, {"n": 2}, "it failed")
    head, _, name = topic.rpartition("/")
    dead = f"{head}/dlq.{name}"
    until(lambda: bare not in broker.admin.topics(), "deletion of the topic without a subscription")
    assert dead in broker.admin.topics()
    async with PulsarClient(broker.service_url) as client, client.consumer(dead, "dlq", type="Shared") as consumer:
        message = await consumer.receive(timeout=20)
        assert json.loads(message.data)["original_message"] == {"n": 2}


def test_the_judge_sees_a_loss_and_duplicates() -> None:
    assert compare([1, 2, 3, 4], [1, 1, 2], [2, 3]) == {
        "confirmed": 4, "processed": 2, "dead": 2, "lost": 1, "duplicates": 2,
    }  # fmt: skip
