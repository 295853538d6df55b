"""What fewer users need, held to the same contract: our client and the official one for Python, on either broker."""

import base64
import json
import threading
import time

import pytest

from tests.conformance.conftest import Client, Connect, until
from tests.pulsar.harness.admin import AdminError, topic_path
from tests.pulsar.peers import ConsumerOptions, Outgoing, ProducerOptions
from tests.pulsar.peers.interface import numbered, receive_exactly
from tests.pulsar.peers.official import OfficialPeer
from tests.pulsar.peers.ours import OursPeer
from tests.pulsar.plugin import Broker

REFUSED = r"(?i)busy|fenced|exclusive|producer"


def ours(connect: Connect) -> OursPeer:
    peer = connect("ours")
    assert isinstance(peer, OursPeer)
    return peer


@pytest.fixture
def with_bit_sets(request: pytest.FixtureRequest) -> Broker:
    """A broker that keeps what was acknowledged within a batch: not a real one's default."""
    real = request.config.getoption("--pulsar") == "real"
    broker: Broker = request.getfixturevalue("pulsar_tuned" if real else "pulsar_broker")
    return broker


# Producers


def test_an_exclusive_producer_keeps_others_out(client: Client, another: Client, topic: str) -> None:
    first = client.producer(topic, ProducerOptions(access_mode="exclusive"))
    for mode in ("exclusive", "shared"):
        with pytest.raises(Exception, match=REFUSED):
            another.producer(topic, ProducerOptions(access_mode=mode))
    first.close()
    another.producer(topic, ProducerOptions(access_mode="exclusive")).send(Outgoing(b"mine now"))


def test_a_fencing_producer_pushes_the_others_out(client: Client, another: Client, topic: str) -> None:
    first = client.producer(topic, ProducerOptions(access_mode="exclusive"))
    first.send(Outgoing(b"before"))
    another.producer(topic, ProducerOptions(access_mode="exclusive_with_fencing")).send(Outgoing(b"after"))
    with pytest.raises(Exception, match=r"(?i)fenced|closed|producer"):
        first.send(Outgoing(b"too late"))
    assert [message.data for message in receive_exactly(client.reader(topic), 2)] == [b"before", b"after"]


def test_a_waiting_producer_is_let_in_when_the_other_leaves(client: Client, another: Client, topic: str) -> None:
    first = client.producer(topic, ProducerOptions(access_mode="exclusive"))
    let_in: list[object] = []
    thread = threading.Thread(
        target=lambda: let_in.append(another.producer(topic, ProducerOptions(access_mode="wait_for_exclusive")))
    )
    thread.start()
    thread.join(0.5)
    assert thread.is_alive() and not let_in
    first.close()
    thread.join(20)
    assert len(let_in) == 1


def test_a_message_over_the_limit_fails_and_the_next_does_not(client: Client, topic: str) -> None:
    producer = client.producer(topic)
    with pytest.raises(Exception, match=r"(?i)too ?big|accepts"):
        producer.send(Outgoing(b"x" * (6 << 20)))
    producer.send(Outgoing(b"small"))
    assert receive_exactly(client.reader(topic), 1)[0].data == b"small"


# Subscriptions


def test_sticky_ranges_decide_who_gets_a_key(client: Client, another: Client, topic: str) -> None:
    low = client.consumer(topic, "s", ConsumerOptions(type="Key_Shared", name="low", sticky_ranges=((0, 32767),)))
    high = another.consumer(
        topic, "s", ConsumerOptions(type="Key_Shared", name="high", sticky_ranges=((32768, 65535),))
    )
    with pytest.raises(Exception, match=r"(?i)range|conflict|overlap|assign"):
        client.consumer(topic, "s", ConsumerOptions(type="Key_Shared", name="between", sticky_ranges=((30000, 40000),)))
    client.producer(topic).send_many([Outgoing(b"", key=f"key-{number}") for number in range(40)])
    # By the last 16 bits of Murmur3 of the key, whoever the client and the broker are.
    expected = {name: sorted(key for key, half in HALVES.items() if half == name) for name in ("low", "high")}
    for name, consumer in (("low", low), ("high", high)):
        found = receive_exactly(consumer, len(expected[name]))
        assert sorted(str(message.key) for message in found) == expected[name]


def murmur3(data: bytes) -> int:
    """Murmur3 of 32 bits, seed 0."""
    mask, value = 0xFFFFFFFF, 0
    tail = len(data) - len(data) % 4

    def mixed(block: int) -> int:
        block = block * 0xCC9E2D51 & mask
        return (block << 15 | block >> 17) * 0x1B873593 & mask

    for start in range(0, tail, 4):
        value ^= mixed(int.from_bytes(data[start : start + 4], "little"))
        value = ((value << 13 | value >> 19) & mask) * 5 + 0xE6546B64 & mask
    value ^= mixed(int.from_bytes(data[tail:], "little")) if data[tail:] else 0
    value ^= len(data)
    value = (value ^ value >> 16) * 0x85EBCA6B & mask
    value = (value ^ value >> 13) * 0xC2B2AE35 & mask
    return value ^ value >> 16


HALVES = {
    key: "low" if (murmur3(key.encode()) & 0x7FFFFFFF) % 65536 < 32768 else "high"
    for key in (f"key-{number}" for number in range(40))
}


def test_a_subscription_that_is_given_up_is_gone(client: Client, pulsar_broker: Broker, topic: str) -> None:
    consumer = client.consumer(topic, "s")
    assert "s" in pulsar_broker.admin.stats(topic)["subscriptions"]
    consumer.unsubscribe()
    assert "s" not in pulsar_broker.admin.stats(topic)["subscriptions"]


def test_a_subscription_is_given_up_by_force(connect: Connect, pulsar_broker: Broker, topic: str) -> None:
    """Of our client only: the official one for Python knows no force."""
    shared = ConsumerOptions(type="Shared")
    connect("official").consumer(topic, "s", shared)
    client = ours(connect)
    with pytest.raises(Exception, match=r"(?i)consumer"):
        client.consumer(topic, "s", shared).unsubscribe()
    client.producer(topic).send(Outgoing(b"once"))
    pulsar_broker.admin.post(f"{topic_path(topic)}/subscription/s/skip_all")
    client.consumer(topic, "s", shared).unsubscribe(force=True)

    def gone() -> bool:
        # The other client may come back by itself: then to a new subscription, which begins with the earliest message.
        found = pulsar_broker.admin.stats(topic)["subscriptions"]
        return "s" not in found or found["s"]["msgBacklog"] == 1

    until("the subscription is gone", gone)


def test_a_failover_consumer_learns_that_it_is_the_active_one(connect: Connect, topic: str) -> None:
    """Of our client only: the official one for Python does not say."""
    client = ours(connect)
    consumers = [client.consumer(topic, "s", ConsumerOptions(type="Failover", name=name)) for name in "ab"]
    until("one is active", lambda: [consumer.is_active for consumer in consumers].count(True) == 1)
    consumers.sort(key=lambda consumer: consumer.is_active)
    consumers.pop().close()
    until("then the other", lambda: consumers[0].is_active)


def test_what_the_broker_counts_of_a_consumer(connect: Connect, topic: str) -> None:
    """Of our client only, as above."""
    client = ours(connect)
    consumer = client.consumer(topic, "s", ConsumerOptions(type="Shared", name="a"))
    client.producer(topic).send_many(numbered(3))
    messages = receive_exactly(consumer, 3)
    assert consumer.broker_stats()["unacknowledged_messages"] == 3
    consumer.acknowledge(messages[0])
    until("the acknowledgement is counted", lambda: consumer.broker_stats()["unacknowledged_messages"] == 2)
    stats = consumer.broker_stats()
    assert (stats["consumer_name"], stats["type"], stats["backlog"]) == ("a", "Shared", 2)


@pytest.mark.parametrize("name", ["ours", "official"])
def test_of_a_batch_only_what_is_not_acknowledged_comes_again(
    connect: Connect, with_bit_sets: Broker, topic: str, name: str
) -> None:
    """On a broker that keeps bit sets; without them the batch may come again whole."""
    client = connect(name, with_bit_sets.service_url)
    client.producer(topic, ProducerOptions(batching="default")).send_many(numbered(10))
    options = ConsumerOptions(type="Shared", batch_index_ack=True)
    consumer = client.consumer(topic, "s", options)
    for message in receive_exactly(consumer, 10):
        if int(message.data) % 3:
            consumer.acknowledge(message)
    consumer.close()
    again = client.consumer(topic, "s", options)
    assert [int(message.data) for message in receive_exactly(again, 4)] == [0, 3, 6, 9]
    assert again.receive(0.5) is None


def test_seeking_a_moment_delivers_what_was_published_since(client: Client, topic: str) -> None:
    producer = client.producer(topic)
    producer.send_many(numbered(3))
    time.sleep(0.05)  # Moments are milliseconds of the client's clock: nothing tells when the next begins.
    producer.send_many([Outgoing(b"later")])
    consumer = client.consumer(topic, "s")
    moment = consumer.published(receive_exactly(consumer, 4)[-1])
    consumer.seek_time(moment)
    assert receive_exactly(consumer, 1)[0].data == b"later"
    consumer.seek_time(moment - 60)
    assert [message.data for message in receive_exactly(consumer, 4)] == [b"0", b"1", b"2", b"later"]


def test_the_last_id_is_that_of_the_last_message(client: Client, topic: str) -> None:
    consumer = client.consumer(topic, "s")
    last = client.producer(topic).send_many(numbered(3))[-1]
    consumer_last = consumer.last_message_id()
    # The clients write the partition and the batch of an unbatched message differently.
    receive_exactly(consumer, 3)
    consumer.seek(consumer_last)
    again = receive_exactly(consumer, 1)[0]
    assert (again.data, again.message_id) == (b"2", last)


def test_a_consumer_that_acknowledges_nothing_is_stopped(client: Client, topic: str) -> None:
    """At 50,000 messages by default; the entry that crosses the limit is still delivered."""
    consumer = client.consumer(topic, "s", ConsumerOptions(type="Shared"))
    producer = client.producer(topic, ProducerOptions(batching="default"))
    for _ in range(12):
        producer.send_many([Outgoing(b"x")] * 5_000)
    received = []
    while message := consumer.receive(1.0):
        received.append(message)
    assert 50_000 <= len(received) < 60_000
    for message in received:
        consumer.acknowledge(message)
    receive_exactly(consumer, 60_000 - len(received))


# Topics


def test_a_compacted_topic_has_the_last_of_each_key(client: Client, pulsar_broker: Broker, topic: str) -> None:
    producer = client.producer(topic)
    for number in range(3):
        producer.send_many([Outgoing(b"%s%d" % (key, number), key=key.decode()) for key in (b"a", b"b", b"c")])
    producer.send(Outgoing(b"", key="c"))  # An empty payload deletes the key.
    path = f"{topic_path(topic)}/compaction"
    pulsar_broker.admin.put(path)
    until("compacted", lambda: bool(pulsar_broker.admin.get(path)["status"] == "SUCCESS"))
    compacted = client.consumer(topic, "compacted", ConsumerOptions(read_compacted=True))
    assert [message.data for message in receive_exactly(compacted, 2)] == [b"a2", b"b2"]
    # The deletion itself may still be delivered: a real broker did so once in a while for the last message of a topic.
    rest = compacted.receive(0.5)
    assert rest is None or (rest.key, rest.data) == ("c", b"")
    assert len(receive_exactly(client.consumer(topic, "whole"), 10)) == 10


def test_an_administrator_expires_old_messages(connect: Connect, pulsar_broker: Broker, topic: str) -> None:
    client = connect("official")  # The clock of ours may have been moved by a test before this one, the broker's not.
    client.consumer(topic, "s").close()
    client.producer(topic).send_many(numbered(3))
    admin, path = pulsar_broker.admin, f"{topic_path(topic)}/subscription/s/expireMessages/1"

    def expired() -> bool:
        try:
            admin.post(path)
        except AdminError as error:  # One is still at it.
            assert error.status in (409, 412, 500)
        return bool(admin.stats(topic)["subscriptions"]["s"]["msgBacklog"] == 0)

    until("messages older than a second are expired", expired)


def test_a_pattern_names_the_topics_of_a_namespace(connect: Connect, pulsar_broker: Broker, topic: str) -> None:
    """Of the official client only: ours takes names."""
    official = connect("official")
    assert isinstance(official, OfficialPeer)
    for number in range(3):
        official.producer(f"{topic}-{number}").send(Outgoing(b"%d" % number))
    official.producer(topic.replace("/default/", "/default/other-")).send(Outgoing(b"not one of them"))
    consumer = official.matching(f"{topic}-[0-9]", "s")
    assert sorted(message.data for message in receive_exactly(consumer, 3)) == [b"0", b"1", b"2"]
    assert consumer.receive(0.5) is None


def test_topics_of_a_namespace_are_listed_and_deleted(client: Client, pulsar_broker: Broker, topic: str) -> None:
    producer = client.producer(topic)
    assert topic in pulsar_broker.admin.topics()
    with pytest.raises(AdminError):
        pulsar_broker.admin.delete_topic(topic)
    producer.close()
    pulsar_broker.admin.delete_topic(topic)
    assert topic not in pulsar_broker.admin.topics()


# Schemas

RECORD = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}
SCHEMAS = {
    "KEY_VALUE": {
        "type": "KEY_VALUE",
        "schema": json.dumps({"key": "", "value": RECORD}),
        "properties": {
            "key.schema.name": "", "key.schema.type": "STRING", "key.schema.properties": "{}",
            "value.schema.name": "", "value.schema.type": "JSON", "value.schema.properties": "{}",
            "kv.encoding.type": "INLINE",
        },
    },
    "STRING": {"type": "STRING", "schema": "", "properties": {}},
    "AVRO": {"type": "AVRO", "schema": json.dumps(RECORD), "properties": {}},
    "PROTOBUF_NATIVE": {
        "type": "PROTOBUF_NATIVE",
        "schema": json.dumps({
            # A FileDescriptorSet by hand: the file "r.proto" has the message "R" without fields.
            "fileDescriptorSet": base64.b64encode(b"\x0a\x0e\x0a\x07r.proto\x22\x03\x0a\x01R").decode(),
            "rootMessageTypeName": "R",
            "rootFileDescriptorName": "r.proto",
        }),
        "properties": {},
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_that_an_administrator_gives_is_the_topics(pulsar_broker: Broker, topic: str, kind: str) -> None:
    admin, path = pulsar_broker.admin, "/schemas" + topic_path(topic).removeprefix("/persistent") + "/schema"
    admin.post(path, SCHEMAS[kind])
    found = admin.schema(topic)
    assert (found["type"], found["version"]) == (kind, 0)
    admin.delete(path)
    with pytest.raises(AdminError) as caught:
        admin.schema(topic)
    assert caught.value.status == 404
