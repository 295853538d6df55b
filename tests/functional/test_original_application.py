"""The application of the original's users, unchanged and on the old paths, on a broker."""

import json
from typing import Any
from urllib.parse import urlsplit

from tests.pulsar.plugin import Broker
from tests.unit.original.hosted import run_in_host

HEAD = """
import asyncio, json
from fastapi_pulsar import install_as
install_as("app.core.pulsar")
from app.core.pulsar.client import PulsarClient

async def subscribe(topic, *names):
    # As in a deployment that has run before: a new subscription begins with the latest message.
    async with PulsarClient() as client:
        for name in names:
            async with client.consumer(topic, name, type="Shared"):
                pass
"""
EVERY_NAME = """
from app.core.pulsar.index import shutdown_client
from app import every_name

async def main():
    every_name.names_without_a_broker()
    await subscribe(every_name.TOPIC, "batches", "last")
    async with PulsarClient() as client:
        found = await every_name.names_with_a_broker(client)
        found["tasks"] = await every_name.tasks(client)
    await shutdown_client()
    print(json.dumps(found))

asyncio.run(main())
"""
SERVING = """
from fastapi.testclient import TestClient
from app.main import app
from app.api import items

asyncio.run(subscribe(items.ITEM_CREATED, "backend-service-item-created"))
with TestClient(app) as http:
    assert http.post("/items", json={"name": "a"}).json() == {"accepted": True}
    assert http.post("/items/direct", json={"name": "b"}).json() == {"name": "b", "path": "/items/direct"}
    http.portal.call(asyncio.wait_for, items.arrived.wait(), 20)
    async def both():
        while len(items.received) < 2:
            await asyncio.sleep(0.01)
    http.portal.call(asyncio.wait_for, both(), 20)
    health = http.get("/health/all").json()
    direct = http.get("/health/pulsar")
    statuses = [http.get("/health/limited").status_code for _ in range(3)]
    try:
        http.portal.call(items.item_refused, {"name": "c"})
    except ValueError as error:
        refused = str(error)
    async def letter():
        async with items.get_pulsar_client() as client:
            async with client.consumer(items.ITEM_DLQ, "dlq", initial_position="earliest") as consumer:
                return json.loads((await consumer.receive(timeout=20)).data)
    dead = http.portal.call(letter)
print(json.dumps({
    "received": sorted((one["function"], one["result"]["name"]) for one in items.received),
    "health": health, "direct": [direct.status_code, direct.json()["details"]], "limited": statuses,
    "refused": refused, "dead": [dead["original_message"], dead["error"]],
}))
"""
WORKERS = """
from app import workers

async def main():
    got = []
    enough = asyncio.Event()
    def callback(message):
        got.append(message)
        if len(got) == 3:
            enough.set()
    await subscribe(workers.JOBS, "valkey-enqueue")
    async with PulsarClient() as client:
        consuming = asyncio.create_task(workers.enqueue(client, callback))
        sent = await workers.forward(client, [{"n": 1}, {"n": 2}])
        await asyncio.wait_for(enough.wait(), 20)

        async def fails(number):
            raise ValueError("no")

        try:
            await workers.wrapped(fails)(4)
        except ValueError:
            pass
        report = await workers.replay()
        while len(got) < 4:
            await asyncio.sleep(0.01)
        consuming.cancel()
    print(json.dumps({"sent": sent, "got": sorted(map(json.dumps, got)), "replayed": report.replayed}))

asyncio.run(asyncio.wait_for(main(), 60))
"""


def run(broker: Broker, program: str) -> Any:
    """What a program prints in a process of its own, with the broker's address where the original had it."""
    address = urlsplit(broker.service_url)
    place = {"PULSAR_ADVERTISED_ADDRESS": str(address.hostname), "PULSAR_BROKER_PORT": str(address.port)}
    done = run_in_host(HEAD + program, timeout=90, **place)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_name_works_on_a_broker(pulsar_broker: Broker) -> None:
    found = run(pulsar_broker, EVERY_NAME)
    # Three of all that were sent, but for the one that the filter drops: in which order lists come side by side is not said.
    texts = [one["text"] for one in found.pop("batches")]
    assert len(set(texts)) == len(texts) == 3 and set(texts) < {"hello", *"abcdefgh"}
    assert found == {
        "sent": True, "seen": [{"text": "hello"}], "results": [True, True], "tracked": True, "done": 8,
        "healthy": True, "url": True, "tasks": {"unknown": "PENDING", "done": "COMPLETED"},
    }  # fmt: skip


def test_the_application_serves(pulsar_broker: Broker) -> None:
    assert run(pulsar_broker, SERVING) == {
        "received": [["create_directly", "b"], ["item_created", "a"]],
        "health": {"pulsar": True, "is_health": True},
        "direct": [200, {"connection": True, "producer": True, "consumer": True}],
        "limited": [200, 200, 429],
        "refused": "no such item",
        "dead": [{"args": [{"name": "c"}], "kwargs": {}}, "ValueError"],
    }


def test_the_workers_work(pulsar_broker: Broker) -> None:
    found = run(pulsar_broker, WORKERS)
    assert found == {
        "sent": True,
        "got": ['{"args": [4], "kwargs": {}}', '{"n": 1}', '{"n": 2}', '{"rows": 2}'],
        "replayed": 1,
    }
