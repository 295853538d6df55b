"""TLS against a broker that asks for a token or a client's certificate."""

import time
from typing import Any

import pytest

from fastapi_pulsar import PulsarClient, PulsarSettings
from fastapi_pulsar.exceptions import AuthenticationError
from tests.pulsar.harness import Standalone

pytestmark = pytest.mark.anyio


def settings(broker: Standalone, **options: Any) -> PulsarSettings:
    return PulsarSettings(service_url=broker.service_url_tls, **options)


async def round_trip(chosen: PulsarSettings, topic: str) -> bytes:
    async with PulsarClient(settings=chosen) as client:
        consumer = await client.consumer(topic, "s", initial_position="earliest")
        await (await client.producer(topic)).send(b"by TLS")
        return (await consumer.receive(timeout=10)).data


async def test_a_token_over_tls(pulsar_secure: Standalone, topic: str) -> None:
    assert pulsar_secure.certificates is not None
    chosen = settings(
        pulsar_secure, tls_ca_path=str(pulsar_secure.certificates.ca), auth_token=pulsar_secure.make_token("admin")
    )
    assert await round_trip(chosen, topic) == b"by TLS"


async def test_a_certificate_in_place_of_a_token(pulsar_secure: Standalone, topic: str) -> None:
    files = pulsar_secure.certificates
    assert files is not None
    chosen = settings(
        pulsar_secure,
        tls_ca_path=str(files.ca),
        tls_cert_path=str(files.client),
        tls_key_path=str(files.client_key),
    )
    assert await round_trip(chosen, topic) == b"by TLS"


async def test_a_broker_of_an_unknown_authority_is_not_trusted(pulsar_secure: Standalone, topic: str) -> None:
    chosen = settings(pulsar_secure, auth_token=pulsar_secure.make_token("admin"))
    started = time.monotonic()
    with pytest.raises(AuthenticationError) as caught:
        await round_trip(chosen, topic)
    assert time.monotonic() - started < 5
    assert "certificate" in str(caught.value)


async def test_neither_a_token_nor_a_certificate(pulsar_secure: Standalone, topic: str) -> None:
    assert pulsar_secure.certificates is not None
    started = time.monotonic()
    with pytest.raises(AuthenticationError):
        await round_trip(settings(pulsar_secure, tls_ca_path=str(pulsar_secure.certificates.ca)), topic)
    assert time.monotonic() - started < 5
