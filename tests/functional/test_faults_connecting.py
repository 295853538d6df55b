"""Faults in connecting, authenticating, forking and ending a process, reproduced in the clients that exist, not here."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from fastapi_pulsar import PulsarClient, PulsarSettings
from fastapi_pulsar.exceptions import AuthenticationError, ForkedClientError
from tests.functional.helpers import numbers
from tests.pulsar.harness import Standalone
from tests.pulsar.plugin import Broker

EXITS = 20


@pytest.mark.anyio
async def test_fault_07_a_cancelled_lookup_harms_no_other(client: PulsarClient, topic: str) -> None:
    """Cancelling one lookup blocked that broker address for ever."""
    for number in range(20):
        task = asyncio.ensure_future(_produce(client, f"{topic}-{number}"))
        for _ in range(number % 4):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(20):
        await _produce(client, topic)


async def _produce(client: PulsarClient, topic: str) -> None:
    async with client.producer(topic) as producer:
        await producer.send(b"")


@pytest.fixture
def own_broker() -> Iterator[Standalone]:
    """A broker that the test may stop."""
    with Standalone() as broker:
        yield broker


@pytest.mark.anyio
@pytest.mark.pulsar
@pytest.mark.timeout(300, func_only=True)
async def test_fault_06_an_outage_of_a_minute_is_survived(own_broker: Standalone, topic: str) -> None:
    """A consumer's stream ended for good on an outage over about 42 s."""
    async with PulsarClient(own_broker.service_url) as client:
        producer = await client.producer(topic, send_timeout=0)
        consumer = await client.consumer(topic, "s", initial_position="earliest")
        reader = await client.reader(topic)
        await producer.send(b"0")
        assert numbers([await consumer.receive(timeout=10), await reader.receive(timeout=10)]) == [0, 0]
        receiving = asyncio.ensure_future(consumer.receive())
        reading = asyncio.ensure_future(reader.receive())
        await asyncio.to_thread(own_broker.kill)
        sending = asyncio.ensure_future(producer.send(b"1"))
        await asyncio.sleep(50)
        assert not any(future.done() for future in (receiving, reading, sending))
        await asyncio.to_thread(own_broker.start)
        async with asyncio.timeout(90):
            await sending
            found = numbers([await receiving, await reading])
        # The first message was not acknowledged, so it comes again first; the reader goes on after it.
        assert found == [0, 1]


@pytest.mark.parametrize("credential", ["none", "wrong", "expired"])
@pytest.mark.anyio
async def test_fault_official_a_refused_credential_is_named_at_once(
    pulsar_secure: Standalone, topic: str, credential: str
) -> None:
    """No token, a bad token and an expired one were all reported as `Timeout`, after the whole operation timeout."""
    tokens = {"none": None, "wrong": "a.bad.token", "expired": pulsar_secure.make_token("admin", expires_in=-60)}
    settings = PulsarSettings(service_url=pulsar_secure.service_url, auth_token=tokens[credential])
    started = time.monotonic()
    async with PulsarClient(settings=settings) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.producer(topic)
    assert time.monotonic() - started < 5
    assert "a.bad.token" not in str(caught.value) and isinstance(caught.value, PermissionError)


FORK = """
import asyncio, os, sys
from fastapi_pulsar import PulsarClient
from fastapi_pulsar.exceptions import ForkedClientError

async def send(client, topic, value):
    async with client.producer(topic) as producer:
        await producer.send(value)

async def refused(client, topic):
    try:
        await send(client, topic, b"from the parent's client")
    except ForkedClientError:
        return True

url, topic = sys.argv[1:]
client = PulsarClient(url)
loop = asyncio.new_event_loop()
loop.run_until_complete(send(client, topic, b"parent before"))
child = os.fork()
if child == 0:
    child_loop = asyncio.new_event_loop()
    asyncio.set_event_loop(child_loop)
    if not child_loop.run_until_complete(refused(client, topic)):
        os._exit(3)
    own = PulsarClient(url)
    child_loop.run_until_complete(send(own, topic, b"child"))
    child_loop.run_until_complete(own.close())
    os._exit(0)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
loop.run_until_complete(send(client, topic, b"parent after"))
loop.run_until_complete(client.close())
sys.exit(code)
"""


def test_fault_official_a_fork_is_refused_in_the_child_and_harmless_in_the_parent(
    pulsar_broker: Broker, topic: str
) -> None:
    """A client made before `os.fork()` hung in the child (gunicorn `--preload`, Celery)."""
    assert issubclass(ForkedClientError, Exception)
    _program(FORK, pulsar_broker.service_url, topic)
    assert pulsar_broker.admin.stats(topic)["msgInCounter"] == 3


ENDING = """
import asyncio, sys
from fastapi_pulsar import PulsarClient

async def main(url, topic, close):
    client = PulsarClient(url)
    producer = await client.producer(topic)
    consumer = await client.consumer(topic, "s", initial_position="earliest")
    await asyncio.gather(*[producer.send(b"x") for _ in range(1000)])
    waiting = asyncio.ensure_future(consumer.receive())
    # It fails when the client is closed, if it comes to that before the program ends.
    waiting.add_done_callback(lambda task: task.cancelled() or task.exception())
    await asyncio.sleep(0)
    if close:
        await client.close()

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] == "close"))
"""


@pytest.mark.timeout(300, func_only=True)
@pytest.mark.parametrize("how", ["close", "without"])
def test_fault_official_a_process_may_end_at_any_moment(pulsar_broker: Broker, topic: str, how: str) -> None:
    """A process that ended right after `await client.close()` crashed in 20-40 % of runs after 1,000 sends."""
    for _ in range(EXITS):
        _program(ENDING, pulsar_broker.service_url, topic, how)


def _program(text: str, *arguments: str) -> None:
    """Runs a program; it must end by itself with code 0 and say nothing."""
    # Since 3.12 Python warns of every fork beside threads. Here that is the point.
    quiet = ["-W", "ignore:This process:DeprecationWarning"]
    command = [sys.executable, "-X", "faulthandler", *quiet, "-c", text, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert (result.returncode, result.stderr) == (0, ""), f"code {result.returncode}: {result.stderr[-2000:]}"


@pytest.mark.anyio
async def test_fault_12_a_token_is_refreshed_on_the_open_connection(pulsar_secure: Standalone, topic: str) -> None:
    """Refreshing was dead code: the broker closed the connection when the token expired."""
    asked = 0

    def token() -> str:
        nonlocal asked
        asked += 1
        return pulsar_secure.make_token("admin", expires_in=4)

    url = pulsar_secure.service_url
    async with PulsarClient(url, token_supplier=token) as client, client.producer(topic) as producer:
        ended = time.monotonic() + 10
        while time.monotonic() < ended:
            await producer.send(b"")
            await asyncio.sleep(0.1)
        stats = client.stats()
    assert stats["auth_refreshes"] >= 2 and asked >= 3
    assert stats["connections_lost"] == 0 and stats["authentication_failures"] == 0
