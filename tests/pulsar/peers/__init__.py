"""Three clients behind one small interface: ours, the official one for Python, and the reference client in Java."""

from tests.pulsar.peers.interface import (
    ConsumerOptions,
    DeadLetter,
    Outgoing,
    Peer,
    PeerConsumer,
    PeerProducer,
    ProducerOptions,
    Received,
)

__all__ = [
    "ConsumerOptions",
    "DeadLetter",
    "Outgoing",
    "Peer",
    "PeerConsumer",
    "PeerProducer",
    "ProducerOptions",
    "Received",
]
