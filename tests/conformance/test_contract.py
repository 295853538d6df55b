"""What every client does on its own, run for ours and for two others, so that the contract is Pulsar's and not ours."""

import time

import pytest

from tests.pulsar.peers import ConsumerOptions, Outgoing, Peer, ProducerOptions
from tests.pulsar.peers.interface import SubscriptionType, numbered, receive_exactly, receive_rest
from tests.pulsar.plugin import Broker

BATCHED = ProducerOptions(batching="default")
EVERY_TYPE: list[SubscriptionType] = ["Exclusive", "Shared", "Failover", "Key_Shared"]


@pytest.mark.parametrize("kind", EVERY_TYPE)
def test_order_is_kept(peer: Peer, topic: str, kind: SubscriptionType) -> None:
    producer = peer.producer(topic, BATCHED)
    producer.send_many(numbered(100, key="one"))
    consumer = peer.consumer(topic, "s", ConsumerOptions(type=kind))
    assert [m.data for m in receive_exactly(consumer, 100)] == [b"%d" % number for number in range(100)]


def test_acknowledged_is_not_delivered_again(peer: Peer, topic: str) -> None:
    peer.producer(topic).send_many(numbered(4))
    consumer = peer.consumer(topic, "s", ConsumerOptions(type="Shared"))
    first, second, third, _ = receive_exactly(consumer, 4)
    for message in (first, third):
        consumer.acknowledge(message)
    consumer.close()
    again = peer.consumer(topic, "s", ConsumerOptions(type="Shared"))
    assert [m.data for m in receive_exactly(again, 2)] == [second.data, b"3"]
    assert again.receive(0.5) is None


def test_cumulative_acknowledgement_covers_what_came_before(peer: Peer, topic: str) -> None:
    peer.producer(topic).send_many(numbered(5))
    consumer = peer.consumer(topic, "s")
    consumer.acknowledge_cumulative(receive_exactly(consumer, 5)[2])
    consumer.close()
    again = peer.consumer(topic, "s")
    assert [m.data for m in receive_exactly(again, 2)] == [b"3", b"4"]


def test_one_acknowledged_of_a_batch_leaves_the_batch(peer: Peer, topic: str) -> None:
    """A default broker keeps no bit sets: the entry comes again whole, or without what was acknowledged; never less."""
    peer.producer(topic, BATCHED).send_many(numbered(10))
    consumer = peer.consumer(topic, "s", ConsumerOptions(type="Shared"))
    messages = receive_exactly(consumer, 10)
    assert len({m.message_id for m in messages}) == 10
    consumer.acknowledge(messages[0])
    consumer.close()
    again = peer.consumer(topic, "s", ConsumerOptions(type="Shared"))
    (found,) = receive_rest(again, expected=9)
    assert {m.data for m in found} >= {b"%d" % number for number in range(1, 10)}


def test_a_whole_batch_acknowledged_is_gone(peer: Peer, topic: str) -> None:
    peer.producer(topic, BATCHED).send_many(numbered(10))
    consumer = peer.consumer(topic, "s", ConsumerOptions(type="Shared"))
    for message in receive_exactly(consumer, 10):
        consumer.acknowledge(message)
    consumer.close()
    assert peer.consumer(topic, "s", ConsumerOptions(type="Shared")).receive(0.5) is None


@pytest.mark.parametrize("kind", ["Shared", "Key_Shared"])
def test_negative_acknowledgement_redelivers_that_message(peer: Peer, topic: str, kind: SubscriptionType) -> None:
    peer.producer(topic).send_many(numbered(3, key="one"))
    consumer = peer.consumer(topic, "s", ConsumerOptions(type=kind, negative_ack_delay=0.2))
    zero, one, two = receive_exactly(consumer, 3)
    consumer.acknowledge(zero)
    consumer.negative_acknowledge(one)
    consumer.acknowledge(two)
    again = consumer.receive(20)
    assert again is not None and (again.data, again.redelivery_count) == (b"1", 1)
    consumer.acknowledge(again)
    assert consumer.receive(0.5) is None


@pytest.mark.parametrize("batching", ["off", "default"])
def test_seek_delivers_from_there(peer: Peer, topic: str, batching: str) -> None:
    producer = peer.producer(topic, ProducerOptions(batching=batching))  # type: ignore[arg-type]
    producer.send_many(numbered(10))
    consumer = peer.consumer(topic, "s")
    messages = receive_exactly(consumer, 10)
    consumer.acknowledge_cumulative(messages[-1])
    consumer.seek(messages[6].message_id)
    assert [m.data for m in receive_exactly(consumer, 4)] == [b"6", b"7", b"8", b"9"]


@pytest.mark.parametrize("batching", ["off", "default"])
def test_reader_starts_after_an_id(peer: Peer, topic: str, batching: str) -> None:
    ids = peer.producer(topic, ProducerOptions(batching=batching)).send_many(numbered(10))  # type: ignore[arg-type]
    assert [m.data for m in receive_exactly(peer.reader(topic), 10)][::9] == [b"0", b"9"]
    assert [m.data for m in receive_exactly(peer.reader(topic, after=ids[6]), 3)] == [b"7", b"8", b"9"]


@pytest.mark.parametrize("batching", ["off", "default"])
def test_delayed_delivery(peer: Peer, topic: str, batching: str) -> None:
    """A delayed message leaves at once, whatever the batching, and arrives late; on a default broker a tick is 1 s."""
    consumer = peer.consumer(topic, "s", ConsumerOptions(type="Shared"))
    producer = peer.producer(topic, ProducerOptions(batching=batching))  # type: ignore[arg-type]
    sent = time.monotonic()
    producer.send_many([Outgoing(b"late", deliver_after=2), Outgoing(b"now")])
    first, second = receive_exactly(consumer, 2)
    assert (first.data, second.data) == (b"now", b"late")
    assert 1 < time.monotonic() - sent < 20


def test_sequence_ids_continue_and_deduplicate(peer: Peer, pulsar_broker: Broker, topic: str) -> None:
    """A producer that comes back under its name continues its ids; an id that the broker has seen is not stored again."""
    admin = pulsar_broker.admin
    namespace = "public/dedup"
    if namespace not in admin.get("/namespaces/public"):
        admin.put(f"/namespaces/{namespace}", {"deduplicationEnabled": True})
        admin.set_deduplication(namespace, True)
    topic = topic.replace("public/default", namespace)
    options = ProducerOptions(name="the-one")
    for start in (0, 5):
        producer = peer.producer(topic, options)
        producer.send_many([Outgoing(b"%d" % number) for number in range(start, start + 5)])
        producer.close()
    producer = peer.producer(topic, options)
    producer.send(Outgoing(b"repeated", sequence_id=3))
    producer.send(Outgoing(b"last", sequence_id=100))
    found = [m.data for m in receive_exactly(peer.reader(topic), 11)]
    assert found == [b"%d" % number for number in range(10)] + [b"last"]
