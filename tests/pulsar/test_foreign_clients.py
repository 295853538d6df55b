"""Clients that know nothing of ours, on the embedded broker as on the real one: Go's and Java's.

The crate `pulsar` for Rust has the same cases in `tests/rust/interop/tests/smoke.rs`.
"""

import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.models import EXAMPLE, as_json
from tests.pulsar.embedded import Embedded
from tests.pulsar.peers import ConsumerOptions, DeadLetter, Outgoing, ProducerOptions
from tests.pulsar.peers.interface import numbered, receive_exactly, receive_rest
from tests.pulsar.peers.java import JavaError, JavaPeer, JavaProcess

pytestmark = pytest.mark.pulsar

GO_MODULE = Path(__file__).parent / "peers" / "go"
BUILD_LIMIT = 600
GO_LIMIT = 90


@pytest.fixture(scope="module")
def embedded() -> Iterator[Embedded]:
    with Embedded() as broker:
        yield broker


@pytest.fixture(params=["embedded", "pulsar_broker"])
def url(request: pytest.FixtureRequest) -> str:
    """Where to connect: the embedded broker, then the real one."""
    found: str = request.getfixturevalue(request.param).service_url
    return found


# -- Go


@pytest.fixture(scope="session")
def go_smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go client's program."""
    if shutil.which("go") is None:
        pytest.skip("the Go client is tried where `go` is installed")
    program = tmp_path_factory.mktemp("go") / "smoke"
    # Without cgo: what it would add is a C compiler, and a zstd that has a Go twin.
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    command = ["go", "build", "-o", str(program), "."]
    built = subprocess.run(command, cwd=GO_MODULE, env=env, capture_output=True, text=True, timeout=BUILD_LIMIT)
    assert built.returncode == 0, built.stderr
    return program


@pytest.mark.timeout(BUILD_LIMIT + GO_LIMIT)
@pytest.mark.parametrize("case", ["produce-consume", "key-shared", "seek", "schema", "dead-letters"])
def test_the_go_client(go_smoke: Path, url: str, topic: str, case: str) -> None:
    done = subprocess.run([go_smoke, url, case, topic], capture_output=True, text=True, timeout=GO_LIMIT)
    assert done.returncode == 0, done.stderr


# -- Java


@pytest.fixture
def java(java_process: JavaProcess, url: str) -> Iterator[JavaPeer]:
    peer = JavaPeer(java_process, url)
    yield peer
    peer.close()


@pytest.mark.parametrize("batching", ["off", "default"])
def test_java_publishes_and_consumes(java: JavaPeer, topic: str, batching: str) -> None:
    consumer = java.consumer(topic, "smoke")
    java.producer(topic, ProducerOptions(batching=batching)).send_many(numbered(50))  # type: ignore[arg-type]
    received = receive_exactly(consumer, 50)
    assert [message.data for message in received] == [message.data for message in numbered(50)]
    for message in received:
        consumer.acknowledge(message)
    consumer.close()
    assert java.consumer(topic, "smoke").receive(0.5) is None


def test_java_shares_keys(java: JavaPeer, topic: str) -> None:
    consumers = [java.consumer(topic, "smoke", ConsumerOptions(type="Key_Shared")) for _ in range(2)]
    sent = [Outgoing(data=b"%d" % number, key=f"key-{number % 20}") for number in range(100)]
    java.producer(topic, ProducerOptions(batching="key")).send_many(sent)
    both = receive_rest(*consumers, expected=100)
    keys = [{message.key for message in received} for received in both]
    assert keys[0] and keys[1] and not keys[0] & keys[1]
    found: dict[str | None, list[int]] = defaultdict(list)
    for message in both[0] + both[1]:
        found[message.key].append(int(message.data))
    assert found == {f"key-{key}": list(range(key, 100, 20)) for key in range(20)}


def test_java_seeks(java: JavaPeer, topic: str) -> None:
    consumer = java.consumer(topic, "smoke")
    ids = java.producer(topic).send_many(numbered(10))
    receive_exactly(consumer, 10)
    consumer.seek(ids[5])
    assert [int(message.data) for message in receive_exactly(consumer, 5)] == [5, 6, 7, 8, 9]
    assert consumer.receive(0.5) is None


@pytest.mark.parametrize("kind", ["json", "avro"])
def test_java_keeps_a_schema(java: JavaPeer, topic: str, kind: str) -> None:
    consumer = java.consumer(topic, "smoke", ConsumerOptions(schema="auto"))
    value = as_json(EXAMPLE)
    java.producer(topic, ProducerOptions(schema=kind)).send(Outgoing(value=value))
    message = consumer.receive(20)
    assert message is not None
    assert {"note": None, **message.value} == value  # Java leaves out of JSON what is null
    with pytest.raises(JavaError, match="IncompatibleSchema"):
        java.producer(topic, ProducerOptions(schema="string"))


def test_java_buries_a_dead_letter(java: JavaPeer, new_topic: Callable[..., str]) -> None:
    topic, dead = new_topic(), new_topic("dead")
    letters = java.consumer(dead, "smoke")
    policy = ConsumerOptions(type="Shared", dead_letter=DeadLetter(max_redeliver_count=1, topic=dead))
    consumer = java.consumer(topic, "smoke", policy)
    java.producer(topic).send_many([Outgoing(data=b"good"), Outgoing(data=b"bad")])
    buried = None
    for _ in range(60):
        if message := consumer.receive(0.5):
            (consumer.acknowledge if message.data == b"good" else consumer.negative_acknowledge)(message)
        if buried := letters.receive(0.1):
            break
    assert buried is not None and buried.data == b"bad"
    assert letters.receive(0.5) is None
