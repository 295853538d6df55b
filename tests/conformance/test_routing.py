"""Keys choose partitions as in the other clients, so that moving a service to ours moves no key."""

import base64
from collections.abc import Callable, Sequence

import pytest

from tests.conformance.conftest import Connect, needs_java
from tests.pulsar.peers import Outgoing, Peer, ProducerOptions
from tests.pulsar.peers.interface import receive_exactly
from tests.pulsar.plugin import Broker

NewTopic = Callable[..., str]

PARTITIONS = 8
KEYS = [
    "EWR",
    "JFK",
    "LGA",
    "",
    "a",
    "zzzzzzzzzz",
    "Zürich",
    "東京",
    "🛫 emoji",
    "x" * 300,
    *(f"key-{n}" for n in range(30)),
]
BYTE_KEYS = [b"\x00\xff", b"EWR", b"", bytes(range(256))]


def landing(client: Peer, topic: str, keys: Sequence[str | bytes], hashing: str | None) -> dict[str | bytes, int]:
    """The partition of each key, observed by a consumer."""
    producer = client.producer(topic, ProducerOptions(hashing=hashing, batching="key"))  # type: ignore[arg-type]
    producer.send_many([Outgoing(b"", key=key, properties={"n": str(number)}) for number, key in enumerate(keys)])
    consumer = client.consumer(topic, f"s-{hashing}")
    return {keys[int(m.properties["n"])]: m.partition for m in receive_exactly(consumer, len(keys))}


@pytest.mark.parametrize(
    ("ours", "other", "theirs"),
    [
        pytest.param(None, "java", None, marks=needs_java("java")),
        pytest.param("java", "java", "java", marks=needs_java("java")),
        pytest.param("murmur3", "java", "murmur3", marks=needs_java("java")),
        ("cpp", "official", None),
    ],
)
def test_text_keys_land_where_the_other_client_puts_them(
    connect: Connect, pulsar_broker: Broker, new_topic: NewTopic, ours: str | None, other: str, theirs: str | None
) -> None:
    keys = [key for key in KEYS if key]  # no client but Java tells an empty key from none
    topics = [new_topic("ours"), new_topic(other)]
    for topic in topics:
        pulsar_broker.admin.create_topic(topic, PARTITIONS)
    expected = landing(connect(other), topics[1], keys, theirs)
    assert len(set(expected.values())) == PARTITIONS, (
        "the keys do not reach every partition: the test would show little"
    )
    assert landing(connect("ours"), topics[0], keys, ours) == expected


@pytest.mark.pulsar
@pytest.mark.parametrize("hashing", [None, "murmur3"])
def test_byte_keys_land_where_java_puts_them(
    connect: Connect, pulsar_broker: Broker, new_topic: NewTopic, hashing: str | None
) -> None:
    topics = [new_topic("ours"), new_topic("java")]
    for topic in topics:
        pulsar_broker.admin.create_topic(topic, PARTITIONS)
    keys = [key for key in BYTE_KEYS if key]
    assert landing(connect("ours"), topics[0], keys, hashing) == landing(connect("java"), topics[1], keys, hashing)


@pytest.mark.pulsar
def test_byte_keys_arrive(connect: Connect, new_topic: NewTopic) -> None:
    for sender, receiver in (("ours", "java"), ("java", "ours")):
        topic = new_topic(sender)
        connect(sender).producer(topic).send_many([Outgoing(b"", key=key) for key in BYTE_KEYS])
        found = receive_exactly(connect(receiver).consumer(topic, "s"), len(BYTE_KEYS))
        assert [m.key_bytes for m in found] == BYTE_KEYS
        if receiver == "java":
            assert not any(m.key for m in found), "the key lost its mark of being bytes"


@pytest.mark.pulsar
def test_a_text_key_that_looks_like_bytes_stays_text(connect: Connect, topic: str) -> None:
    key = base64.b64encode(b"EWR").decode()
    connect("ours").producer(topic).send(Outgoing(b"", key=key))
    message = receive_exactly(connect("java").consumer(topic, "s"), 1)[0]
    assert (message.key, message.key_bytes) == (key, key.encode())
