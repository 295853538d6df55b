"""`EmbeddedBroker` as Python holds it: its life, its faults, its clock, and a fork."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from fastapi_pulsar import PulsarClient
from fastapi_pulsar.client import advance_clock
from fastapi_pulsar.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ClosedError,
    ForkedClientError,
    InvalidOptionError,
)
from fastapi_pulsar.testing import BrokerTokens, EmbeddedBroker
from tests.pulsar.harness.credentials import make_token

pytestmark = pytest.mark.anyio


async def send(broker: EmbeddedBroker, value: bytes = b"x", topic: str = "orders") -> None:
    async with PulsarClient(broker.service_url, max_retries=0) as client, client.producer(topic) as producer:
        await producer.send(value)


async def fetch(broker: EmbeddedBroker, topic: str = "orders") -> list[bytes]:
    async with PulsarClient(broker.service_url) as client, client.reader(topic) as reader:
        found = []
        while await reader.has_message_available():
            found.append((await reader.receive(timeout=5)).data)
        return found


async def test_several_live_side_by_side_and_know_nothing_of_each_other() -> None:
    async with EmbeddedBroker() as one, EmbeddedBroker() as two:
        await send(one, b"1")
        await send(two, b"2")
        assert (await fetch(one), await fetch(two)) == ([b"1"], [b"2"])
        assert one.service_url != two.service_url
    one.close()
    with pytest.raises(ClosedError):
        one.advance(1)


def test_it_is_ready_when_the_constructor_returns() -> None:
    with EmbeddedBroker():
        pass  # what is made once for the process
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        broker = EmbeddedBroker()
        taken.append(time.perf_counter() - started)
        asyncio.run(send(broker))
        broker.close()
    assert min(taken) < 0.05, taken


def test_starting_and_stopping_let_other_threads_run() -> None:
    stop = threading.Event()
    turns = [0, 0]

    def count() -> None:
        while not stop.is_set():
            turns[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    for _ in range(3):
        EmbeddedBroker().close()
    stop.set()
    thread.join(10)
    assert turns[0] > 0


@pytest.mark.parametrize("keep_data", [True, False])
async def test_a_restart_keeps_ports_and_if_asked_data(keep_data: bool) -> None:
    async with EmbeddedBroker() as broker:
        url = broker.service_url
        async with PulsarClient(broker.service_url) as client:
            producer = await client.producer("orders")
            await producer.send(b"1")
            await asyncio.to_thread(broker.restart, keep_data=keep_data)
            await producer.send(b"2")
        assert broker.service_url == url
        assert await fetch(broker) == ([b"1", b"2"] if keep_data else [b"2"])


async def test_a_data_directory_keeps_what_was_stored(tmp_path: Path) -> None:
    for expected in ([], [b"x"]):
        async with EmbeddedBroker(data_dir=tmp_path / "data") as broker:
            assert await fetch(broker) == expected
            if not expected:
                await send(broker)


async def test_a_token_is_asked_for() -> None:
    key = b"k" * 32
    async with EmbeddedBroker(tokens=BrokerTokens(secret_key=key)) as broker:
        with pytest.raises(AuthenticationError):
            await send(broker)
        token = make_token(key, "somebody", None)
        async with PulsarClient(broker.service_url, token_supplier=lambda: token) as client:
            assert await client.partitions("orders") == 0
    with pytest.raises(InvalidOptionError):
        EmbeddedBroker(tokens=BrokerTokens())


async def test_faults_happen_as_often_as_asked_and_can_be_taken_back() -> None:
    async with EmbeddedBroker() as broker:
        broker.fail_next("Producer", "AuthorizationError", topic="orders")
        await send(broker, topic="others")
        with pytest.raises(AuthorizationError):
            await send(broker)
        await send(broker)
        broker.fail_next("Producer", "AuthorizationError", count=5)
        broker.heal()
        await send(broker)
        with pytest.raises(InvalidOptionError):
            broker.fail_next("Dance", "TooManyRequests")
        with pytest.raises(InvalidOptionError):
            broker.fail_next("Send", "Nonsense")


async def test_clients_come_back_after_dropped_connections_and_damaged_messages() -> None:
    async with EmbeddedBroker() as broker, PulsarClient(broker.service_url) as client:
        # With receipts: an acknowledgement on the way is lost with its connection.
        consumer = await client.consumer("orders", "s", type="Shared", initial_position="earliest", ack_receipts=True)
        producer = await client.producer("orders")
        assert broker.drop_connections(topic="others") == 0
        assert broker.drop_connections(topic="orders") == 1
        await producer.send(b"1")
        first = await consumer.receive(timeout=10)
        assert first.data == b"1"
        consumer.acknowledge(first)
        await consumer.flush_acks()
        broker.ignore_next("Send")
        broker.drop_connections()
        broker.heal()
        await producer.send(b"2")
        assert (await consumer.receive(timeout=10)).data == b"2"


async def test_brokers_begin_at_the_time_of_the_clients() -> None:
    """So that a delayed message is not late on a broker that was started after the clock was moved."""
    advance_clock(100)
    async with EmbeddedBroker() as broker, PulsarClient(broker.service_url) as client:
        consumer = await client.consumer("orders", "s", type="Shared")
        producer = await client.producer("orders")
        await producer.send(b"late", deliver_after=0.3)
        assert (await consumer.receive(timeout=10)).data == b"late"
        await producer.send(b"later", deliver_after=3600)
        with pytest.raises(TimeoutError):
            await consumer.receive(timeout=0.1)
        broker.advance(3601)
        assert (await consumer.receive(timeout=10)).data == b"later"


def test_in_the_child_of_a_fork_it_is_the_parents() -> None:
    with EmbeddedBroker() as broker:
        asyncio.run(send(broker, b"1"))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                broker.advance(1)
            except ForkedClientError:
                with EmbeddedBroker() as own:
                    asyncio.run(send(own, b"2"))
                    code = 0 if asyncio.run(fetch(own)) == [b"2"] else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert asyncio.run(fetch(broker)) == [b"1"]
