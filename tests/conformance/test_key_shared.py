"""Key_Shared holds only if a batch never mixes keys: key-based batching, across clients."""

from collections.abc import Callable

import pytest

from tests.conformance.conftest import PAIRS, Connect, needs_java
from tests.pulsar.peers import ConsumerOptions, Outgoing, ProducerOptions
from tests.pulsar.peers.interface import receive_rest

KEYS = [f"key-{n}" for n in range(20)]
SHARED_BY_KEY = ConsumerOptions(type="Key_Shared")


@pytest.mark.parametrize(("sender", "receiver"), [pytest.param(*pair, marks=needs_java(*pair)) for pair in PAIRS])
def test_a_key_goes_to_one_consumer_in_order(connect: Connect, topic: str, sender: str, receiver: str) -> None:
    client = connect(receiver)
    consumers = [client.consumer(topic, "s", SHARED_BY_KEY) for _ in range(2)]
    messages = [Outgoing(b"%d" % n, key=KEYS[n % 20]) for n in range(400)]
    connect(sender).producer(topic, ProducerOptions(batching="key")).send_many(messages)
    first, second = receive_rest(*consumers, expected=400)
    keys = [{m.key for m in part} for part in (first, second)]
    assert keys[0] and keys[1] and not keys[0] & keys[1]
    assert keys[0] | keys[1] == set(KEYS)
    for part in (first, second):
        for key in {m.key for m in part}:
            numbers = [int(m.data) for m in part if m.key == key]
            assert numbers == sorted(numbers) and len(numbers) == 20


@pytest.mark.pulsar
def test_the_ordering_key_wins_over_the_key(connect: Connect, new_topic: Callable[..., str]) -> None:
    """As in Java: messages of one ordering key stay together though their keys differ."""
    for name in ("ours", "java"):
        client, topic = connect(name), new_topic(name)
        consumers = [client.consumer(topic, "s", SHARED_BY_KEY) for _ in range(2)]
        messages = [Outgoing(b"%d" % n, key=f"{name}-{n}", ordering_key=b"o%d" % (n % 10)) for n in range(200)]
        client.producer(topic, ProducerOptions(batching="key")).send_many(messages)
        parts = receive_rest(*consumers, expected=200)
        sets = [{m.ordering_key for m in part} for part in parts]
        assert sets[0] and sets[1] and not sets[0] & sets[1], name
        for consumer in consumers:
            consumer.close()


@pytest.mark.pulsar
def test_two_clients_share_the_keys(connect: Connect, topic: str) -> None:
    """Ours and Java's on one subscription: each key has one owner."""
    consumers = [connect(name).consumer(topic, "s", SHARED_BY_KEY) for name in ("ours", "java")]
    connect("ours").producer(topic).send_many([Outgoing(b"%d" % n, key=KEYS[n % 20]) for n in range(400)])
    parts = receive_rest(*consumers, expected=400)
    sets = [{m.key for m in part} for part in parts]
    assert sets[0] and sets[1] and not sets[0] & sets[1]
    assert sum(map(len, parts)) == 400
