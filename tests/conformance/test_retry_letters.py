"""Retry letters between Java's client and ours: each reads what the other wrote, and counts on."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_pulsar import Delivery, Message, PulsarRouter, PulsarSettings, RetryPolicy
from tests.conformance.models import Order
from tests.pulsar.peers import ConsumerOptions, DeadLetter, Outgoing, Received
from tests.pulsar.peers.interface import receive_exactly
from tests.pulsar.peers.java import JavaConsumer, JavaPeer, JavaProcess
from tests.pulsar.plugin import Broker

pytestmark = pytest.mark.pulsar  # Java takes part
DATA = b'{"id": 1, "customer": "x"}'
OUTGOING = Outgoing(DATA, "k", properties={"mine": "kept"})
RETRIES = 2
"""Of Java's `maxRedeliverCount`: our attempts are one more."""


@pytest.fixture
def java(java_process: JavaProcess, pulsar_broker: Broker) -> Any:
    peer = JavaPeer(java_process, pulsar_broker.service_url)
    yield peer
    peer.close()


def reading(java: JavaPeer, topic: str) -> JavaConsumer:
    """A consumer of Java's on the subscription `s` of the topic and of its retry letter topic."""
    policy = DeadLetter(RETRIES, initial_subscription="s-dlq")
    return java.consumer(topic, "s", ConsumerOptions(type="Shared", dead_letter=policy, retry_letters=True))


class Ours:
    """A handler of ours on the same, which always fails; it has seen the property and the attempt of each delivery."""

    def __init__(self, broker: Broker, topic: str, delay: float) -> None:
        self.seen: list[tuple[str, int]] = []
        pulsar = PulsarRouter(settings=PulsarSettings(service_url=broker.service_url), on_startup="wait")
        policy = RetryPolicy(1 + RETRIES, backoff=delay, jitter=0, way="retry_topic")

        @pulsar.consumer(topic, subscription="s", retry=policy, initial_position="earliest")
        async def handle(order: Order, message: Message[Order], delivery: Delivery) -> None:
            self.seen.append((message.properties.get("RECONSUMETIMES", ""), delivery.attempt))
            raise RuntimeError

        self.app = FastAPI()
        self.app.include_router(pulsar)

    def until(self, condition: Callable[[], bool]) -> None:
        with TestClient(self.app):
            deadline = time.monotonic() + 30
            while not condition():
                assert time.monotonic() < deadline, self.seen
                time.sleep(0.05)


def unsettled(letter: Received) -> dict[str, str]:
    """The properties of a letter but for what differs from one to the next."""
    return {name: value for name, value in letter.properties.items() if name not in ("DELAY_TIME", "RECONSUMETIMES")}


def test_ours_goes_on_where_java_stopped(java: JavaPeer, pulsar_broker: Broker, topic: str) -> None:
    java.producer(topic).send(OUTGOING)
    consumer = reading(java, topic)
    (first,) = receive_exactly(consumer, 1)
    consumer.reconsume_later(first, 0.1)
    consumer.close()
    ours = Ours(pulsar_broker, topic, 0.1)
    ours.until(lambda: len(ours.seen) == RETRIES)
    assert ours.seen == [("1", 2), ("2", 3)], "Java made the first attempt"
    dead = java.consumer(f"{topic}-s-DLQ", "s-dlq", ConsumerOptions(type="Shared"))
    (letter,) = receive_exactly(dead, 1)
    assert (letter.data, letter.key, letter.properties["mine"]) == (DATA, "k", "kept")
    assert letter.properties["REAL_TOPIC"] == topic and letter.properties["DEAD_LETTER_ATTEMPTS"] == "3"


def test_java_goes_on_where_ours_stopped(java: JavaPeer, pulsar_broker: Broker, new_topic: Callable[..., str]) -> None:
    topics = {"ours": new_topic("ours"), "java": new_topic("java")}
    for topic in topics.values():
        java.producer(topic).send(OUTGOING)
    ours = Ours(pulsar_broker, topics["ours"], 10)  # long enough for Java to take over
    retries = f"{topics['ours']}-s-RETRY"
    ours.until(lambda: bool(ours.seen) and pulsar_broker.admin.stats(retries)["msgInCounter"] == 1)
    assert ours.seen == [("", 1)]
    consumers = {name: reading(java, topic) for name, topic in topics.items()}
    (first,) = receive_exactly(consumers["java"], 1)
    consumers["java"].reconsume_later(first, 0.1)
    letters = {name: receive_exactly(consumer, 1)[0] for name, consumer in consumers.items()}
    assert letters["ours"].properties.keys() == letters["java"].properties.keys()
    for name, letter in letters.items():
        assert letter.topic == f"{topics[name]}-s-RETRY"
        assert (letter.data, letter.key) == (DATA, "k")
        assert letter.properties["REAL_TOPIC"] == topics[name] and letter.properties["RECONSUMETIMES"] == "1"
    assert {name: letter.properties["DELAY_TIME"] for name, letter in letters.items()} == {
        "ours": "10000",
        "java": "100",
    }
    # Java counts on from there, and gives up.
    letter = letters["ours"]
    while int(letter.properties["RECONSUMETIMES"]) < RETRIES:
        consumers["ours"].reconsume_later(letter, 0.1)
        (again,) = receive_exactly(consumers["ours"], 1)
        assert int(again.properties["RECONSUMETIMES"]) == int(letter.properties["RECONSUMETIMES"]) + 1
        assert unsettled(again) == unsettled(letter)
        letter = again
    consumers["ours"].reconsume_later(letter, 0.1)
    dead = java.consumer(f"{topics['ours']}-s-DLQ", "s-dlq", ConsumerOptions(type="Shared"))
    assert receive_exactly(dead, 1)[0].data == DATA
