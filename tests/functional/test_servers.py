"""A service under real servers on a real broker: several processes share a subscription, also after a fork."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fastapi.servers import LIMIT, SERVERS, get, served, until_it_answers
from tests.pulsar.plugin import Broker

EVENTS = [f"event {number}" for number in range(50)]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("server", ["uvicorn on uvloop", "uvicorn --workers 2", "gunicorn --preload"])
def test_every_event_is_handled_by_some_worker(
    server: str, pulsar_broker: Broker, new_topic: Callable[..., str], tmp_path: Path
) -> None:
    environment = {
        "SERVED_ON": "pulsar",
        "SERVED_TOPIC": new_topic("served"),
        "PULSAR_SERVICE_URL": pulsar_broker.service_url,
    }
    seen: dict[int, list[str]] = {}
    with served(SERVERS[server], tmp_path, **environment) as address:
        until_it_answers(address)
        for name in EVENTS:
            get(f"{address}/events", {"name": name})
        deadline = time.monotonic() + LIMIT
        while sum(map(len, seen.values())) < len(EVENTS) and time.monotonic() < deadline:
            state = get(f"{address}/")
            assert state["ready"]
            seen[state["pid"]] = state["seen"]
    assert sorted(name for names in seen.values() for name in names) == sorted(EVENTS)
