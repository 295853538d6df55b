"""`docker-compose.pulsar.yml` as processes: it comes up as written, for the application and for clients of the host."""

import json
import os
import sys
from collections.abc import Iterator

import pytest

from tests.pulsar.compose.checks import assert_closed, assert_demo_passes
from tests.pulsar.compose.fixtures import DOCKER, require_lab
from tests.pulsar.compose.stack import Stack
from tests.pulsar.test_conf import CONF, settings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300, func_only=True)]
EXTERNAL = 6651
"""The port in the container that the host's 6650 leads to."""
ON_THE_HOST = """
import asyncio, sys
from fastapi_pulsar import PulsarClient

address, port = sys.argv[1:]

async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()

async def publish_port(reader, writer):
    there = await asyncio.open_connection(address, port)
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

async def main():
    async with await asyncio.start_server(publish_port, "127.0.0.1", 6650):
        async with PulsarClient("pulsar://localhost:6650") as client, client.consumer("greetings", "s", str) as consumer:
            async with client.producer("greetings", str) as producer:
                await producer.send("hello")
            print("received", (await consumer.receive()).value, flush=True)

asyncio.run(main())
"""
"""What the engine does for a published port, and a client that knows only that."""


@pytest.fixture(scope="module")
def one_node() -> Iterator[Stack]:
    """The broker of the file, and a namespace `app` beside it."""
    require_lab()
    stack = Stack([DOCKER / "docker-compose.pulsar.yml"], without=("app", "prometheus", "grafana"))
    stack.add_client("client")
    with stack:
        yield stack


def test_the_broker_is_healthy_within_its_memory(one_node: Stack) -> None:
    broker, limit = one_node.containers["broker"], one_node.services["broker"].memory
    assert broker.healthy()
    print(f"most memory held: {broker.memory() >> 20} of {limit >> 20} MiB")
    assert broker.memory() < limit


def test_it_runs_with_the_settings_of_the_file(one_node: Stack) -> None:
    url = "http://localhost:8080/admin/v2/brokers/configuration/runtime"
    runtime = json.loads(one_node.containers["broker"].execute("curl", "--fail", "--silent", url).stdout)
    ours = settings(CONF / "standalone.conf")
    shown = {name: value for name, value in ours.items() if name in runtime}
    assert {"advertisedListeners", "internalListenerName", "bindAddresses"} <= shown.keys()
    assert {name: runtime[name] for name in shown} == shown


def test_it_is_as_closed_as_the_file_says(one_node: Stack) -> None:
    assert_closed(one_node.containers["broker"])


def test_the_host_comes_in_where_it_is_told_its_own_address(one_node: Stack) -> None:
    ports = one_node.services["broker"].raw["ports"]
    assert f"127.0.0.1:6650:{EXTERNAL}" in ports and "127.0.0.1:8080:8080" in ports
    lookup = "http://broker:8080/lookup/v2/topic/persistent/public/default/any"
    for listener, told in ("external", "pulsar://localhost:6650"), ("internal", "pulsar://broker:6650"):
        command = ["curl", "--fail", "--silent", "--max-time", "20", f"{lookup}?listenerName={listener}"]
        answer = one_node.lab.run("client", command, timeout=30)
        assert json.loads(answer.stdout)["brokerUrl"] == told


def test_a_client_of_the_host_needs_no_setting(one_node: Stack) -> None:
    """Its only way to the broker is the published port: the name `broker` means nothing to it."""
    address = one_node.lab.address("broker")
    one_node.lab.show("broker", False)
    try:
        command = [sys.executable, "-c", ON_THE_HOST, address, str(EXTERNAL)]
        result = one_node.lab.run("client", command, timeout=100, environment={**os.environ})
    finally:
        one_node.lab.show("broker", True)
    assert (result.returncode, result.stdout) == (0, "received hello\n"), result.stderr


def test_the_demo_passes_and_what_it_published_survives_a_kill(one_node: Stack) -> None:
    assert_demo_passes(one_node, timeout=200)
    broker = one_node.containers["broker"]
    stats = "http://localhost:8080/admin/v2/persistent/public/default/flights/internalStats"
    before = json.loads(broker.execute("curl", "--fail", "--silent", stats).stdout)
    broker.kill()
    broker.start()
    one_node.wait_healthy("broker")
    after = json.loads(broker.execute("curl", "--fail", "--silent", stats).stdout)
    assert after["cursors"].keys() == before["cursors"].keys() == {"statistics"}


def test_what_was_confirmed_is_there_after_the_container_was_made_again_elsewhere(one_node: Stack, topic: str) -> None:
    """The engine gives a new container another address: nothing on the volume may name the old one."""
    environment = {**os.environ, **one_node.services["app"].environment}

    def attempt(verb: str) -> str:
        command = [sys.executable, "-m", "tests.pulsar.compose.attempt", verb, topic]
        done = one_node.lab.run("client", command, timeout=120, environment=environment)
        return done.stdout.strip() or done.stderr

    assert attempt("subscribe") == attempt("produce") == "ok"
    broker = one_node.containers["broker"]
    broker.kill()
    one_node.lab.move("broker")
    broker.start()
    one_node.wait_healthy("broker")
    assert attempt("consume") == "ok"
