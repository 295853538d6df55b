"""Two clients, one topic: what one writes, the other reads."""

import pytest

from fastapi_pulsar import MessageId
from tests.conformance.conftest import Connect, needs_java
from tests.pulsar.peers import ConsumerOptions, Outgoing, Peer, ProducerOptions
from tests.pulsar.peers.interface import receive_exactly, receive_rest

Pair = tuple[Peer, Peer]
COMPRESSIONS = ["none", "lz4", "zlib", "zstd", "snappy"]


def test_metadata_arrives(pair: Pair, topic: str) -> None:
    sender, receiver = pair
    messages = [
        Outgoing(b"plain"),
        Outgoing(b"full", "EWR", b"order-7", {"a": "1", "ünï": "çödé"}, event_time=1_700_000_000_123),
        Outgoing(b"non-ascii key", key="Zürich 東京"),
        Outgoing(b"", key="empty payload"),
    ]
    for message in messages:
        sender.producer(topic).send(message)
    for sent, found in zip(messages, receive_exactly(receiver.consumer(topic, "s"), len(messages)), strict=True):
        assert (found.data, found.key, found.ordering_key) == (sent.data, sent.key, sent.ordering_key)
        assert (found.properties, found.event_time, found.tombstone) == (sent.properties, sent.event_time, False)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("batching", ["off", "default", "key"])
def test_batches_and_compressions(pair: Pair, topic: str, batching: str, compression: str) -> None:
    sender, receiver = pair
    options = ProducerOptions(batching=batching, compression=compression)  # type: ignore[arg-type]
    sent = [Outgoing(b"%d " % n * (n * 7 + 1), key=f"k{n % 3}", properties={"n": str(n)}) for n in range(50)]
    sender.producer(topic, options).send_many(sent)
    found = receive_exactly(receiver.consumer(topic, "s"), len(sent))
    if batching == "key":
        # Batches leave one key after the other; within a key the order holds.
        found.sort(key=lambda m: int(m.properties["n"]))
    assert [(m.data, m.key, m.properties) for m in found] == [(m.data, m.key, m.properties) for m in sent]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_large_and_incompressible(pair: Pair, topic: str, compression: str) -> None:
    sender, receiver = pair
    noise = bytes((n * n * 2654435761 >> 13) & 0xFF for n in range(100_000))
    producer = sender.producer(topic, ProducerOptions(compression=compression))  # type: ignore[arg-type]
    producer.send_many([Outgoing(noise), Outgoing(b"a" * 2_000_000)])
    first, second = receive_exactly(receiver.consumer(topic, "s"), 2)
    assert first.data == noise and second.data == b"a" * 2_000_000


@pytest.mark.parametrize("batching", ["off", "default"])
def test_message_ids_mean_the_same(pair: Pair, topic: str, batching: str) -> None:
    """The id that the sender got is the place where the receiver seeks to, and the one from which its reader goes on."""
    sender, receiver = pair
    producer = sender.producer(topic, ProducerOptions(batching=batching))  # type: ignore[arg-type]
    ids = producer.send_many([Outgoing(b"%d" % n) for n in range(10)])
    consumer = receiver.consumer(topic, "s")
    receive_exactly(consumer, 10)
    consumer.seek(ids[4])
    assert [m.data for m in receive_exactly(consumer, 6)] == [b"%d" % n for n in range(4, 10)]
    assert [m.data for m in receive_exactly(receiver.reader(topic, after=ids[7]), 2)] == [b"8", b"9"]


@pytest.mark.parametrize("batching", ["off", "default"])
def test_received_ids_travel_back(pair: Pair, topic: str, batching: str) -> None:
    sender, receiver = pair
    producer = sender.producer(topic, ProducerOptions(batching=batching))  # type: ignore[arg-type]
    producer.send_many([Outgoing(b"%d" % n) for n in range(10)])
    found = receive_exactly(receiver.consumer(topic, "s"), 10)
    assert [m.data for m in receive_exactly(sender.reader(topic, after=found[6].message_id), 3)] == [b"7", b"8", b"9"]


def test_tombstones(pair: Pair, topic: str) -> None:
    sender, receiver = pair
    if sender.name == "official":
        pytest.xfail("the official client for Python does not send tombstones")
    sender.producer(topic).send(Outgoing(None, key="gone"))
    sender.producer(topic, ProducerOptions(batching="default")).send_many(
        [Outgoing(None, key="gone"), Outgoing(b"", key="x")]
    )
    found = receive_exactly(receiver.consumer(topic, "s"), 3)
    assert [(m.key, m.tombstone, m.data) for m in found] == [
        ("gone", True, b""),
        ("gone", True, b""),
        ("x", False, b""),
    ]


def test_redelivery_count_is_seen(pair: Pair, topic: str) -> None:
    sender, receiver = pair
    sender.producer(topic).send(Outgoing(b"again"))
    consumer = receiver.consumer(topic, "s", ConsumerOptions(type="Shared", negative_ack_delay=0.1))
    for count in range(3):
        message = receive_exactly(consumer, 1)[0]
        assert message.redelivery_count == count
        consumer.negative_acknowledge(message)


def test_two_clients_share_a_subscription(pair: Pair, topic: str) -> None:
    sender, _ = pair
    consumers = [client.consumer(topic, "s", ConsumerOptions(type="Shared")) for client in pair]
    sender.producer(topic).send_many([Outgoing(b"%d" % n) for n in range(200)])
    found = receive_rest(*consumers, expected=200)
    assert all(found), "one consumer got everything"
    assert sorted(int(m.data) for part in found for m in part) == list(range(200))


@pytest.mark.parametrize("sender", [pytest.param("java", marks=needs_java("java")), "official"])
@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_chunked_messages_are_assembled(connect: Connect, topic: str, sender: str, compression: str) -> None:
    """Two producers at once, so that their chunks interleave."""
    options = ProducerOptions(chunking=True, compression=compression)  # type: ignore[arg-type]
    noise = bytes((n * n * 2654435761 >> 13) & 0xFF for n in range(12_000_003))
    client = connect(sender)
    producers = [client.producer(topic, options) for _ in range(2)]
    ids = [producer.send(Outgoing(noise[start:], key="big")) for start, producer in enumerate(producers)]
    producers[0].send(Outgoing(b"small"))
    receiver = connect("ours")
    consumer = receiver.consumer(topic, "s")
    found = receive_exactly(consumer, 3, timeout=40)
    assert [len(m.data) for m in found] == [len(noise), len(noise) - 1, 5]
    assert (found[0].data, found[1].data, found[2].data) == (noise, noise[1:], b"small")
    # Java writes a batch size of 0 where the others write none: the ids are the same, and so is what we make of them.
    assert [m.message_id for m in found[:2]] == [bytes(MessageId.from_bytes(sent)) for sent in ids]
    consumer.seek(found[0].message_id)
    assert receive_exactly(consumer, 1, timeout=40)[0].data == noise
