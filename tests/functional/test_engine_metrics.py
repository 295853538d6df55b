"""What the engine counts arrives in the metrics, also of what is gone, also from several processes."""

import asyncio
import gc
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from fastapi_pulsar import PulsarClient, PulsarSettings, metrics
from fastapi_pulsar.client.engine_metrics import READER
from fastapi_pulsar.testing import EmbeddedBroker
from tests.fastapi.servers import LIMIT, get, served, until_it_answers
from tests.pulsar.plugin import Broker

pytestmark = pytest.mark.anyio
TOPIC = "persistent://public/default/counted-by-engine"
CONF = """
from prometheus_client import multiprocess

def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
"""


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_engines_counts_are_true_at_each_scrape_and_never_fall() -> None:
    both = {"topic": TOPIC, "subscription": "billing"}

    def counts() -> dict[str, float]:
        consumer = ("received_messages", "received_bytes", "acknowledged_messages", "redeliveries_requested")
        producer = ("sent_messages", "sent_bytes", "confirmed_messages", "failed_messages")
        return {
            **{f"consumer_{name}": value(f"pulsar_consumer_{name}_total", **both) for name in consumer},
            **{f"producer_{name}": value(f"pulsar_producer_{name}_total", topic=TOPIC) for name in producer},
            "readers": value("pulsar_consumer_received_messages_total", topic=TOPIC, subscription=READER),
        }

    before = counts()
    opened = value("pulsar_client_connections_opened_total")

    def grown() -> dict[str, float]:
        return {name: count - before[name] for name, count in counts().items()}

    expected = {
        "consumer_received_messages": 2, "consumer_received_bytes": 8, "consumer_acknowledged_messages": 1,
        "consumer_redeliveries_requested": 1, "producer_sent_messages": 5, "producer_sent_bytes": 20,
        "producer_confirmed_messages": 5, "producer_failed_messages": 0, "readers": 0,
    }  # fmt: skip

    async def use(client: PulsarClient) -> None:
        consumer = await client.consumer(TOPIC, "billing", initial_position="earliest")
        producer = await client.producer(TOPIC, batching="off")
        await producer.send_many([b"four"] * 5)
        consumer.acknowledge(await consumer.receive(timeout=5))
        consumer.negative_acknowledge(await consumer.receive(timeout=5), delay=0)
        await until(lambda: consumer.queued == 4)
        assert grown() == expected
        assert value("pulsar_consumers_connected", **both) == value("pulsar_producers_connected", topic=TOPIC) == 1
        assert value("pulsar_queue_size", topic=TOPIC) == 4
        assert value("pulsar_client_memory_limit_bytes") >= client.settings.memory_limit_bytes
        assert value("pulsar_client_connections_opened_total") == opened + 1
        async with client.reader(TOPIC) as reader:
            await reader.receive(timeout=5)
        expected["readers"] = 1
        await producer.close()
        await consumer.close()
        assert value("pulsar_consumers", **both) == value("pulsar_producers", topic=TOPIC) == 0
        assert value("pulsar_queue_size", topic=TOPIC) == 0

    async with EmbeddedBroker() as broker:
        client = PulsarClient(broker.service_url)
        await use(client)
        gc.collect()
        assert grown() == expected, "the producer and the consumer are gone"
        await client.close()
        del client
        gc.collect()
        assert grown() == expected, "the engine is gone"


async def test_a_reconnect_is_counted() -> None:
    both = {"topic": TOPIC, "subscription": "again"}
    before = value("pulsar_consumer_reconnects_total", **both), value("pulsar_client_connections_lost_total")
    async with EmbeddedBroker() as broker, PulsarClient(broker.service_url) as client:
        consumer = await client.consumer(TOPIC, "again")
        assert broker.drop_connections() == 1
        await until(lambda: value("pulsar_consumer_reconnects_total", **both) == before[0] + 1)
        assert value("pulsar_client_connections_lost_total") == before[1] + 1
        await until(lambda: consumer.is_connected)


async def test_an_engine_without_metrics_is_not_counted() -> None:
    async with EmbeddedBroker() as broker:
        settings = PulsarSettings(service_url=broker.service_url, metrics_enabled=False)
        async with PulsarClient(settings=settings) as client, client.producer("silent-engine") as producer:
            await producer.send(b"x")
            assert "silent-engine" not in metrics.exposition().decode()


@pytest.mark.timeout(120)
def test_the_workers_of_gunicorn_are_added_up(
    pulsar_broker: Broker, new_topic: Callable[..., str], tmp_path: Path
) -> None:
    topic = new_topic("counted")
    (tmp_path / "conf.py").write_text(CONF)
    (tmp_path / "metrics").mkdir()
    environment = {
        "SERVED_ON": "pulsar",
        "SERVED_TOPIC": topic,
        "PULSAR_SERVICE_URL": pulsar_broker.service_url,
        "PULSAR_METRICS_INTERVAL_SECONDS": "0.1",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }
    server = ["gunicorn", "tests.fastapi.served:app", "--worker-class", "asgi", "--workers", "2", "-c", "conf.py"]
    wanted = {
        "pulsar_messages_sent_total": 40,
        "pulsar_messages_received_total": 40,
        "pulsar_producer_confirmed_messages_total": 40,
        "pulsar_consumer_acknowledged_messages_total": 40,
        "pulsar_message_latency_seconds_count": 40,
        "pulsar_handler_duration_seconds_count": 40,
        "pulsar_consumers_connected": 2,
        "pulsar_messages_in_flight": 0,
    }
    pids: set[int] = set()
    with served(server, tmp_path, **environment) as address:
        until_it_answers(address)
        deadline = time.monotonic() + LIMIT
        while len(pids) < 2:  # both have started
            assert time.monotonic() < deadline
            pids.add(get(f"{address}/")["pid"])
        for number in range(40):
            get(f"{address}/events", {"name": f"event {number}"})
        found: dict[str, float] = {}
        while found != wanted:
            assert time.monotonic() < deadline, found
            found = scraped(address, wanted, topic)
        assert len(list((tmp_path / "metrics").glob("counter_*.db"))) >= 2


def scraped(address: str, names: dict[str, int], topic: str) -> dict[str, float]:
    """The samples of those names, of the topic, summed."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = dict.fromkeys(names, 0.0)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in found and metrics.topic_label(topic) == sample.labels.get("topic"):
                found[sample.name] += sample.value
    return found
