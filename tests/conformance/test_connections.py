"""Who is let in, on either broker: our client and the official one, by token and by TLS."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pulsar
import pytest

from fastapi_pulsar import PulsarClient, PulsarSettings
from fastapi_pulsar.broker import BrokerTls, BrokerTokens, EmbeddedBroker
from tests.pulsar.harness import Standalone
from tests.pulsar.harness.credentials import make_certificates, make_token
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
    ahead = 0.0
    """Seconds. A broker begins at the time of our clients, which a test before this one may have moved."""

    def make_token(self, subject: str, expires_in: float | None = None) -> str:
        return make_token(KEY, subject, None if expires_in is None else self.ahead + expires_in)


@pytest.fixture
def embedded_secure() -> Iterator[SecureEmbedded]:
    with SecureEmbedded(tokens=BrokerTokens(secret_key=KEY)) as broker:
        broker.ahead = asyncio.run(clients_time(broker)) - time.time()
        yield broker


async def clients_time(broker: SecureEmbedded) -> float:
    settings = PulsarSettings(service_url=broker.service_url, auth_token=broker.make_token("admin"))
    async with PulsarClient(settings=settings) as client:
        await (await client.producer("time")).send(b"")
        return (await (await client.reader("time")).receive(timeout=10)).publish_time.timestamp()


@pytest.fixture(params=["embedded_secure", "pulsar_secure"])
def secure(request: pytest.FixtureRequest) -> Secure:
    broker: Secure = request.getfixturevalue(request.param)
    return broker


@dataclass(frozen=True)
class ByTls:
    """A broker's TLS port: its URL, the authority that vouches for it, and a token that is good."""

    url: str
    authority: Path
    token: str


@pytest.fixture
def embedded_tls(tmp_path: Path) -> Iterator[ByTls]:
    files = make_certificates(tmp_path)
    tls = BrokerTls(certificate=files.server, key=files.server_key)
    with SecureEmbedded(tokens=BrokerTokens(secret_key=KEY), tls=tls) as broker:
        yield ByTls(broker.service_url, files.ca, broker.make_token("admin"))


@pytest.fixture(params=["embedded_tls", "pulsar_secure"])
def by_tls(request: pytest.FixtureRequest) -> ByTls:
    broker: ByTls | Standalone = request.getfixturevalue(request.param)
    if isinstance(broker, ByTls):
        return broker
    assert broker.certificates
    return ByTls(broker.service_url_tls, broker.certificates.ca, broker.make_token("admin"))


Token = str | Callable[[], str] | None


def ours(url: str, token: Token, topic: str, authority: Path | None = None, seconds: float = 0) -> bytes:
    """Sends a message and reads it; with `seconds` it goes on sending for so long first."""

    async def round_trip() -> bytes:
        fixed = token if isinstance(token, str) else None
        supplier = token if callable(token) else None
        settings = PulsarSettings(service_url=url, auth_token=fixed, tls_ca_path=authority and str(authority))
        async with PulsarClient(settings=settings, token_supplier=supplier, max_retries=0) as client:
            producer = await client.producer(topic)
            ended = time.monotonic() + seconds
            await producer.send(b"let in")
            while time.monotonic() < ended:
                await asyncio.sleep(0.05)
                await producer.send(b"still in")
            assert client.stats()["connections_lost"] == 0
            return (await (await client.reader(topic)).receive(timeout=10)).data

    return asyncio.run(round_trip())


def official(url: str, token: Token, topic: str, authority: Path | None = None, seconds: float = 0) -> bytes:
    options: dict[str, Any] = {"authentication": pulsar.AuthenticationToken(token)} if token else {}
    if authority:
        options |= {"tls_trust_certs_file_path": str(authority), "tls_validate_hostname": True}
    peer = OfficialPeer(url, operation_timeout_seconds=5, **options)
    try:
        producer = peer.producer(topic)
        ended = time.monotonic() + seconds
        producer.send(Outgoing(b"let in"))
        while time.monotonic() < ended:
            time.sleep(0.05)
            producer.send(Outgoing(b"still in"))
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


@pytest.mark.parametrize("client", CLIENTS)
def test_by_tls_with_a_token(by_tls: ByTls, topic: str, client: str) -> None:
    assert CLIENTS[client](by_tls.url, by_tls.token, topic, by_tls.authority) == b"let in"


@pytest.mark.parametrize("client", CLIENTS)
def test_an_authority_that_the_client_does_not_know(by_tls: ByTls, topic: str, client: str, tmp_path: Path) -> None:
    strange = make_certificates(tmp_path / "strange").ca
    with pytest.raises(Exception, match=r"(?i)certificate|timeout|connect"):
        CLIENTS[client](by_tls.url, by_tls.token, topic, strange)


@pytest.mark.parametrize("client", CLIENTS)
def test_plain_text_on_the_port_for_tls(by_tls: ByTls, topic: str, client: str) -> None:
    with pytest.raises(Exception, match=r"(?i)tls|timeout|connect|handshake"):
        CLIENTS[client](by_tls.url.replace("pulsar+ssl", "pulsar"), by_tls.token, topic)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_token_that_expires_is_asked_for_again(secure: Secure, topic: str, client: str) -> None:
    asked = 0

    def token() -> str:
        nonlocal asked
        asked += 1
        return secure.make_token("admin", expires_in=3)

    assert CLIENTS[client](secure.service_url, token, topic, seconds=6) == b"let in"
    assert asked >= 2
