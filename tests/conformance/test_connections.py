"""Who is let in, on either broker: our client and the official one, with a token and without."""

import asyncio
from collections.abc import Iterator
from typing import Protocol

import pulsar
import pytest

from fastapi_pulsar import PulsarClient, PulsarSettings
from fastapi_pulsar.broker import BrokerTokens, EmbeddedBroker
from tests.pulsar.harness.credentials import make_token
from tests.pulsar.peers import Outgoing
from tests.pulsar.peers.interface import receive_exactly
from tests.pulsar.peers.official import OfficialPeer

KEY = b"the key of the embedded broker!!"


class Secure(Protocol):
    """A broker that asks for a token."""

    @property
    def service_url(self) -> str: ...
    def make_token(self, subject: str, expires_in: float | None = None) -> str: ...


class SecureEmbedded(EmbeddedBroker):
    def make_token(self, subject: str, expires_in: float | None = None) -> str:
        return make_token(KEY, subject, expires_in)


@pytest.fixture
def embedded_secure() -> Iterator[SecureEmbedded]:
    with SecureEmbedded(tokens=BrokerTokens(secret_key=KEY)) as broker:
        yield broker


@pytest.fixture(params=["embedded_secure", "pulsar_secure"])
def secure(request: pytest.FixtureRequest) -> Secure:
    broker: Secure = request.getfixturevalue(request.param)
    return broker


def ours(url: str, token: str | None, topic: str) -> bytes:
    async def round_trip() -> bytes:
        settings = PulsarSettings(service_url=url, auth_token=token)
        async with PulsarClient(settings=settings, max_retries=0) as client:
            await (await client.producer(topic)).send(b"let in")
            return (await (await client.reader(topic)).receive(timeout=10)).data

    return asyncio.run(round_trip())


def official(url: str, token: str | None, topic: str) -> bytes:
    options = {"authentication": pulsar.AuthenticationToken(token)} if token else {}
    peer = OfficialPeer(url, operation_timeout_seconds=5, **options)
    try:
        peer.producer(topic).send(Outgoing(b"let in"))
        return receive_exactly(peer.reader(topic), 1)[0].data
    finally:
        peer.close()


CLIENTS = {"ours": ours, "official": official}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_good_token_lets_in(secure: Secure, topic: str, client: str) -> None:
    assert CLIENTS[client](secure.service_url, secure.make_token("admin"), topic) == b"let in"


@pytest.mark.parametrize("token", ["none", "wrong", "expired"])
@pytest.mark.parametrize("client", CLIENTS)
def test_others_stay_outside(secure: Secure, topic: str, client: str, token: str) -> None:
    tokens = {"none": None, "wrong": make_token(b"x" * 32, "admin"), "expired": secure.make_token("admin", -600)}
    # The official client calls it a timeout, after its whole operation timeout.
    with pytest.raises(Exception, match=r"(?i)authenti|token|timeout|connect"):
        CLIENTS[client](secure.service_url, tokens[token], topic)
