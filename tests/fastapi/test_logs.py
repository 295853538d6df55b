"""Log records: silent by default, with fields, without payloads."""

import logging
import subprocess
import sys
import threading
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_pulsar import Deduplicate, RetryPolicy
from fastapi_pulsar.client.engine_logs import Drain
from fastapi_pulsar.exceptions import ConnectionError
from tests.fastapi.broker import Broker
from tests.fastapi.serving import MakeRouter, Run, running

ORDERS = "persistent://public/default/orders"
CANARY = "canary-c41d"


class Order(BaseModel):
    id: int
    note: str


def test_nothing_is_written_until_the_application_asks_for_it() -> None:
    program = """
import logging, fastapi_pulsar
logging.getLogger("fastapi_pulsar.consuming").error("unseen")
logging.basicConfig(format="%(name)s %(message)s")
logging.getLogger("fastapi_pulsar.consuming").error("seen")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("", "fastapi_pulsar.consuming seen\n")


def test_records_have_fields_and_no_payloads(
    run: Run, broker: Broker, make_router: MakeRouter, caplog: pytest.LogCaptureFixture
) -> None:
    pulsar = make_router(settings={"auth_token": CANARY, "retry_initial_backoff_ms": 1})
    caplog.set_level(logging.DEBUG)

    @pulsar.consumer(
        "orders",
        subscription="billing",
        retry=RetryPolicy(max_attempts=2, backoff=0.001),
        deduplicate=Deduplicate(by="key"),
    )
    async def bill(order: Order) -> None:
        raise ValueError(f"cannot bill {order.note}")

    async def scenario() -> None:
        app = FastAPI()
        app.include_router(pulsar)
        broker.subscribe_errors.append(ConnectionError("no route"))
        broker.send_errors[f"{ORDERS}-billing-DLQ"].append(ConnectionError("no route"))
        async with running(app):
            await broker.until(lambda: pulsar.ready)
            value = Order(id=1, note=CANARY)
            await pulsar.publish("orders", value, key=CANARY, properties={CANARY: CANARY})
            broker.put(ORDERS, f'{{"note": "{CANARY}"}}'.encode())
            await broker.until(lambda: len(broker.acked) == 2)

    run(scenario())
    ours: list[Any] = [record for record in caplog.records if record.name.startswith("fastapi_pulsar")]
    fields = {(one.topic, one.subscription, one.message_id, one.attempt) for one in ours if hasattr(one, "topic")}
    assert {
        (ORDERS, "billing", None, None),
        (ORDERS, "billing", "1:0:-1", 1),
        (ORDERS, "billing", "1:0:-1", 2),
        (ORDERS, "billing", "1:1:-1", 1),
    } <= fields
    assert {one.levelname for one in ours} >= {"INFO", "WARNING", "ERROR"}
    assert CANARY not in caplog.text and CANARY not in str([vars(record) for record in ours])


class Engine:
    """Notes as an engine does."""

    def __init__(self, *texts: str, lost: int = 0) -> None:
        self.taken = threading.Event()
        self._lost = lost
        self._texts = list(texts)

    def take_events(self) -> dict[str, Any]:
        texts, self._texts = self._texts, []
        lost, self._lost = self._lost, 0
        self.taken.set()
        events = [
            {"level": "warning", "text": text, "topic": ORDERS, "subscription": "billing", "message_id": None}
            for text in texts
        ]
        return {"events": events, "lost": lost}


def test_the_engines_notes_arrive_in_batches_and_the_thread_ends_with_the_engines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engines = [Engine("lost", "found", lost=7), Engine()]
    drain = Drain(lambda: engines, interval=0.001)
    with caplog.at_level(logging.INFO):
        drain.start()
        drain.start()
        thread = drain._thread
        assert thread is not None
        for engine in engines:
            assert engine.taken.wait(10)
        engines.clear()
        thread.join(10)
        assert not thread.is_alive()
    assert [record.getMessage() for record in caplog.records] == [
        "7 records of the engine were lost: too many in a moment",
        f"{ORDERS}: lost",
        f"{ORDERS}: found",
    ]
    record: Any = caplog.records[1]
    assert (record.topic, record.subscription, record.attempt) == (ORDERS, "billing", None)
    again = Engine("again")
    engines.append(again)
    drain.start()
    assert again.taken.wait(10)
    engines.clear()
