"""Clients of each kind on a broker with default settings."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.pulsar.peers import Peer
from tests.pulsar.peers.java import JavaPeer, JavaProcess
from tests.pulsar.peers.official import OfficialPeer
from tests.pulsar.peers.ours import OursPeer
from tests.pulsar.plugin import Broker

Connect = Callable[..., Peer]
# The two for Python offer more than Java's test process does.
Client = OursPeer | OfficialPeer


@pytest.fixture
def connect(pulsar_broker: Broker, request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients by name: `ours`, `official`, `java`; of another broker by its URL. They are closed, last first."""
    opened: list[Peer] = []

    def make(name: str, url: str = pulsar_broker.service_url) -> Peer:
        if name == "java":
            java: JavaProcess = request.getfixturevalue("java_process")
            peer: Peer = JavaPeer(java, url)
        else:
            peer = {"ours": OursPeer, "official": OfficialPeer}[name](url)
        opened.append(peer)
        return peer

    yield make
    for peer in reversed(opened):
        peer.close()


def needs_java(*names: str) -> list[pytest.MarkDecorator]:
    """The marks of a test with these clients: Java's needs Java, and so is among the tests on the real broker."""
    return [pytest.mark.pulsar] if "java" in names else []


@pytest.fixture(params=["ours", "official", pytest.param("java", marks=needs_java("java"))])
def peer(connect: Connect, request: pytest.FixtureRequest) -> Peer:
    """One client: the contract holds for each."""
    return connect(request.param)


@pytest.fixture(params=["ours", "official"])
def client(connect: Connect, request: pytest.FixtureRequest) -> Client:
    peer = connect(request.param)
    assert isinstance(peer, Client)
    return peer


@pytest.fixture
def another(connect: Connect, client: Client) -> Client:
    """A client of the same kind, with connections of its own."""
    peer = connect(client.name)
    assert isinstance(peer, Client)
    return peer


# The last is the control: two clients that are not ours.
PAIRS = [("ours", "java"), ("java", "ours"), ("ours", "official"), ("official", "ours"), ("official", "java")]


@pytest.fixture(params=[pytest.param(pair, marks=needs_java(*pair), id="-to-".join(pair)) for pair in PAIRS])
def pair(connect: Connect, request: pytest.FixtureRequest) -> tuple[Peer, Peer]:
    """A sender and a receiver."""
    sender, receiver = request.param
    return connect(sender), connect(receiver)


def until(what: str, condition: Callable[[], bool], limit: float = 30) -> None:
    """Asks again until it holds; the broker has no event to wait for."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit} s: {what}"
        time.sleep(0.05)
