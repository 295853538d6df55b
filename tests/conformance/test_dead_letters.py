"""Dead letters as Java writes them: same topic, same properties, same subscription that keeps them."""

import time
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_pulsar import PulsarRouter, PulsarSettings
from tests.conformance.conftest import Connect
from tests.conformance.models import Order
from tests.pulsar.harness import AdminError
from tests.pulsar.peers import ConsumerOptions, DeadLetter, Outgoing, ProducerOptions, Received
from tests.pulsar.peers.interface import receive_exactly
from tests.pulsar.plugin import Broker

pytestmark = pytest.mark.pulsar  # each has a client in Java
VALID = b'{"id": 1, "customer": "canary-91c2"}'
INVALID = b'{"id": "canary-91c2", "customer": "x"}'
REAL = ("REAL_TOPIC", "REAL_SUBSCRIPTION", "ORIGIN_MESSAGE_ID", "ORIGIN_MESSAGE_IDY_TIME")


def message(data: bytes, key: str | bytes = "k") -> Outgoing:
    return Outgoing(data, key, b"order", {"mine": "kept"}, event_time=1_700_000_000_123)


def wait(condition: Callable[[], bool], timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.05)


def backlog(broker: Broker, topic: str, subscription: str) -> int:
    """Unacknowledged messages; -1 while there is no such topic or subscription."""
    try:
        found: int = broker.admin.stats(topic)["subscriptions"][subscription]["msgBacklog"]
    except (AdminError, KeyError):
        return -1
    return found


def buried_by_java(connect: Connect, topic: str, count: int = 1) -> Received:
    """Lets Java's client give up on the topic's messages; the first of its dead letter topic."""
    java = connect("java")
    policy = DeadLetter(max_redeliver_count=2, initial_subscription="s-dlq")
    consumer = java.consumer(topic, "s", ConsumerOptions(type="Shared", dead_letter=policy))
    for _ in range(3 * count):
        consumer.negative_acknowledge(receive_exactly(consumer, 1)[0])
    return receive_exactly(java.consumer(f"{topic}-s-DLQ", "s-dlq", ConsumerOptions(type="Shared")), 1)[0]


def buried_by_ours(connect: Connect, broker: Broker, topic: str, count: int = 1) -> tuple[Received, int]:
    """The same by a handler of ours that always fails; and how often it was called in all."""
    pulsar = PulsarRouter(settings=PulsarSettings(service_url=broker.service_url))
    calls = 0

    @pulsar.consumer(
        topic,
        subscription="s",
        max_redeliver_count=2,
        negative_ack_delay={"initial": 0.1, "max": 0.1, "multiplier": 1},
        initial_position="earliest",
    )
    async def handle(order: Order) -> None:
        nonlocal calls
        calls += 1
        raise RuntimeError(f"{order.customer} is in the text of this exception")

    app = FastAPI()
    app.include_router(pulsar)
    with TestClient(app):
        # The original is acknowledged only once the dead letter is stored.
        wait(lambda: backlog(broker, topic, "s") == 0)
        assert backlog(broker, f"{topic}-s-DLQ", "s-dlq") == count
    found = connect("java").consumer(f"{topic}-s-DLQ", "s-dlq", ConsumerOptions(type="Shared"))
    return receive_exactly(found, 1)[0], calls


@pytest.mark.parametrize("batching", ["off", "default"])
def test_a_dead_letter_is_like_java_s(
    connect: Connect, pulsar_broker: Broker, new_topic: Callable[..., str], batching: str
) -> None:
    topics = [new_topic("ours"), new_topic("java")]
    # A message alone in its batch is sent without one by Java.
    count = 1 if batching == "off" else 2
    for topic in topics:
        producer = connect("java").producer(topic, ProducerOptions(batching=batching))  # type: ignore[arg-type]
        producer.send_many([message(VALID)] * count)
    ours, calls = buried_by_ours(connect, pulsar_broker, topics[0], count)
    java = buried_by_java(connect, topics[1], count)
    assert calls == 3 * count, "max_attempts = 1 + max_redeliver_count"
    assert (ours.data, ours.key, ours.ordering_key, ours.event_time) == (
        java.data,
        java.key,
        java.ordering_key,
        java.event_time,
    )
    assert {"mine", *REAL} <= java.properties.keys() <= ours.properties.keys()
    assert ours.properties["REAL_TOPIC"] == topics[0] and java.properties["REAL_TOPIC"] == topics[1]
    assert ours.properties["REAL_SUBSCRIPTION"] == java.properties["REAL_SUBSCRIPTION"] == "s"
    for name in ("ORIGIN_MESSAGE_ID", "ORIGIN_MESSAGE_IDY_TIME"):
        assert shape(ours.properties[name]) == shape(java.properties[name])
    assert "canary" not in str(ours.properties)


def shape(message_id: str) -> list[str]:
    """A message id's text without the ledger, which differs from topic to topic."""
    return message_id.split(":")[1:]


def test_a_payload_that_does_not_validate_is_buried_at_once(
    connect: Connect, pulsar_broker: Broker, topic: str
) -> None:
    connect("java").producer(topic).send(message(INVALID))
    found, calls = buried_by_ours(connect, pulsar_broker, topic)
    assert calls == 0 and found.data == INVALID and found.properties["mine"] == "kept"
    assert "canary" not in str(found.properties)


def test_a_byte_key_survives(connect: Connect, pulsar_broker: Broker, topic: str) -> None:
    connect("java").producer(topic).send(message(VALID, key=b"\x00\xff"))
    found, _ = buried_by_ours(connect, pulsar_broker, topic)
    assert (found.key, found.key_bytes) == (None, b"\x00\xff")


def test_dead_letters_of_all_partitions_share_a_topic(connect: Connect, pulsar_broker: Broker, topic: str) -> None:
    """One dead letter topic for all partitions, where Java makes one for each."""
    pulsar_broker.admin.create_topic(topic, partitions=2)
    connect("java").producer(topic).send(message(VALID))
    pulsar = PulsarRouter(settings=PulsarSettings(service_url=pulsar_broker.service_url))

    @pulsar.consumer(topic, subscription="s", max_redeliver_count=0, initial_position="earliest")
    async def handle(order: Order) -> None:
        raise RuntimeError("never")

    app = FastAPI()
    app.include_router(pulsar)
    with TestClient(app):
        wait(lambda: backlog(pulsar_broker, f"{topic}-s-DLQ", "s-dlq") == 1)
    found = receive_exactly(connect("java").consumer(f"{topic}-s-DLQ", "s-dlq", ConsumerOptions(type="Shared")), 1)[0]
    assert found.properties["REAL_TOPIC"] == topic
