"""Topics, producers and subscriptions come, go and are administered: the same for every client, on either broker."""

import time

import pytest

from tests.pulsar.harness.admin import topic_path
from tests.pulsar.peers import ConsumerOptions, Outgoing, Peer, ProducerOptions
from tests.pulsar.peers.interface import numbered, receive_exactly
from tests.pulsar.plugin import Broker


def test_an_unloaded_topic_goes_on(peer: Peer, pulsar_broker: Broker, topic: str) -> None:
    consumer, producer = peer.consumer(topic, "s"), peer.producer(topic)
    producer.send_many(numbered(5))
    for message in receive_exactly(consumer, 5):
        consumer.acknowledge_cumulative(message)
    pulsar_broker.admin.unload(topic)
    producer.send_many(numbered(5, start=5))
    received = {int(message.data) for message in receive_exactly(consumer, 5)}
    while not received >= set(range(5, 10)):  # an acknowledgement may have been lost with the connection
        received |= {int(message.data) for message in receive_exactly(consumer, 1)}


def test_a_terminated_topic_takes_no_more(peer: Peer, pulsar_broker: Broker, topic: str) -> None:
    consumer, producer = peer.consumer(topic, "s"), peer.producer(topic)
    producer.send_many(numbered(3))
    pulsar_broker.admin.post(f"{topic_path(topic)}/terminate")
    with pytest.raises(Exception, match=r"(?i)terminat|closed"):
        producer.send(Outgoing(data=b"late"))
    assert [int(message.data) for message in receive_exactly(consumer, 3)] == [0, 1, 2]
    with pytest.raises(Exception, match=r"(?i)terminat"):
        peer.producer(topic)


def test_a_producer_name_is_taken_once(peer: Peer, topic: str) -> None:
    first = peer.producer(topic, ProducerOptions(name="only"))
    with pytest.raises(Exception, match=r"(?i)busy|already connected|name"):
        peer.producer(topic, ProducerOptions(name="only"))
    first.close()
    peer.producer(topic, ProducerOptions(name="only")).send(Outgoing(data=b"1"))


def test_an_exclusive_subscription_has_one_consumer(peer: Peer, topic: str) -> None:
    first = peer.consumer(topic, "s")
    with pytest.raises(Exception, match=r"(?i)busy|exclusive"):
        peer.consumer(topic, "s")
    first.close()
    peer.consumer(topic, "s").close()


def test_failover_passes_on_what_is_not_acknowledged(peer: Peer, topic: str) -> None:
    options = [ConsumerOptions(type="Failover", name=name) for name in ("a", "b")]
    consumers = [peer.consumer(topic, "s", each) for each in options]
    peer.producer(topic).send_many(numbered(4))
    active = next(consumer for _ in range(50) for consumer in consumers if (first := consumer.receive(0.2)))
    assert first is not None and int(first.data) == 0
    receive_exactly(active, 3)
    active.acknowledge(first)
    active.close()
    (other,) = (consumer for consumer in consumers if consumer is not active)
    assert [int(message.data) for message in receive_exactly(other, 3)] == [1, 2, 3]


def test_a_topic_that_is_not_persistent_delivers_now_or_never(peer: Peer, topic: str) -> None:
    live = topic.replace("persistent://", "non-persistent://")
    producer = peer.producer(live)
    producer.send(Outgoing(data=b"nobody listens"))
    consumer = peer.consumer(live, "s")
    producer.send(Outgoing(data=b"now"))
    assert [message.data for message in receive_exactly(consumer, 1)] == [b"now"]
    assert consumer.receive(0.5) is None


def test_an_administrator_skips_and_resets(peer: Peer, pulsar_broker: Broker, topic: str) -> None:
    admin, path = pulsar_broker.admin, f"{topic_path(topic)}/subscription/s"
    peer.consumer(topic, "s").close()
    began = int((time.time() - 60) * 1000)
    peer.producer(topic).send_many(numbered(5))
    admin.post(f"{path}/skip/2")
    consumer = peer.consumer(topic, "s")
    assert [int(message.data) for message in receive_exactly(consumer, 3)] == [2, 3, 4]
    consumer.close()
    admin.post(f"{path}/skip_all")
    assert admin.stats(topic)["subscriptions"]["s"]["msgBacklog"] == 0
    admin.post(f"{path}/resetcursor/{began}")
    again = peer.consumer(topic, "s")
    assert [int(message.data) for message in receive_exactly(again, 5)] == [0, 1, 2, 3, 4]
