"""What this client cannot open is never handed out as if it were data."""

import subprocess
from pathlib import Path

import pytest

from fastapi_pulsar.exceptions import EncryptedError
from tests.conformance.conftest import Connect
from tests.pulsar.peers import ConsumerOptions, Outgoing, ProducerOptions
from tests.pulsar.peers.interface import receive_exactly

pytestmark = pytest.mark.pulsar  # each has a client in Java
SECRET = b"the secret payload"


@pytest.fixture
def encrypted(connect: Connect, topic: str, tmp_path: Path) -> str:
    """A topic with a plain message, an encrypted one, and a plain one, all from Java."""
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(private))
    _openssl("rsa", "-in", str(private), "-pubout", "-out", str(public))
    java = connect("java")
    plain = java.producer(topic)
    secret = java.producer(topic, ProducerOptions(encryption_key=str(public)))
    plain.send(Outgoing(b"before"))
    secret.send(Outgoing(SECRET, key="k"))
    plain.send(Outgoing(b"after"))
    return topic


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def test_paused_by_default(connect: Connect, encrypted: str) -> None:
    consumer = connect("ours").consumer(encrypted, "s", ConsumerOptions(type="Shared"))
    assert receive_exactly(consumer, 1)[0].data == b"before"
    for _ in range(2):
        with pytest.raises(EncryptedError, match="encrypted") as caught:
            consumer.receive(10)
        assert caught.value.topic == encrypted and SECRET.decode() not in str(caught.value)


def test_skipped_if_asked(connect: Connect, encrypted: str) -> None:
    consumer = connect("ours").consumer(encrypted, "s", ConsumerOptions(type="Shared", on_unsupported="skip"))
    assert [m.data for m in receive_exactly(consumer, 2)] == [b"before", b"after"]
    assert consumer.receive(0.5) is None
