"""Under real servers: each worker process starts its router once, also when the application was loaded before the fork."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.fastapi.servers import LIMIT, SERVERS, get, served, until_it_answers


@pytest.mark.parametrize("command", SERVERS.values(), ids=SERVERS)
def test_each_worker_starts_its_router_once(command: list[str], tmp_path: Path) -> None:
    workers = 2 if "2" in command else 1
    states: dict[int, dict[str, Any]] = {}
    with served(command, tmp_path) as address:
        until_it_answers(address)
        assert get(f"{address}/events", {"name": "e"}).startswith("1:")
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            state = get(f"{address}/")
            states[state["pid"]] = state
            if len(states) == workers and any(state["seen"] for state in states.values()):
                break
    assert len(states) == workers
    assert all(state["ready"] and state["consumers"] == 1 for state in states.values())
    assert [name for state in states.values() for name in state["seen"]] == ["e"]
