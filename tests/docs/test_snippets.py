"""The code of the guides does what they say, on a broker."""

import asyncio
import base64
import hmac
import json
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_pulsar import PulsarClient, PulsarConfig, PulsarRouter, RetryPolicy
from fastapi_pulsar.broker import BrokerTokens, EmbeddedBroker
from fastapi_pulsar.exceptions import AuthenticationError
from fastapi_pulsar.testing import dead_lettered, published, wait_idle
from tests.docs.pages import DOCS, snippet
from tests.fastapi.servers import APP, get, served, until_it_answers
from tests.pulsar.plugin import Broker

KEY = b"0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSAR_CONSUMER_NACK_REDELIVERY_DELAY_MS", "1")


def program(name: str) -> str:
    """What a snippet prints that is a program."""
    path = DOCS / "snippets" / name
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_publishing(pulsar_url: str) -> None:
    ada = {"id": 7, "customer": "ada"}
    with snippet("publishing") as page, TestClient(page.app) as client:
        for path in ("orders", "reminders", "reports", "wishes"):
            assert client.post(f"/{path}", json=ada).status_code == 202
        assert client.post("/imports", json=[ada, ada]).json()
        assert client.delete("/customers/ada").status_code == 204

        first, *imported = published("orders", page.Order, count=3)
        assert (first.key, first.properties, first.value) == ("ada", {"source": "web"}, page.Order(**ada))
        assert [message.value for message in imported] == [page.Order(**ada)] * 2
        [reminder] = published("reminders", page.Order, count=1)
        assert reminder.deliver_at is not None and (reminder.deliver_at - reminder.publish_time).days in (0, 1)
        assert len(published("reports", page.Order, count=1)) == len(published("wishes", page.Order, count=1))
        assert page.kept == []
        [gone] = published("customers", count=1)
        assert gone.is_tombstone and gone.key == "ada"


def test_a_fallback_takes_what_cannot_be_published(pulsar_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSAR_BREAKER_FAILURE_THRESHOLD", "1")
    with snippet("publishing") as page, TestClient(page.app) as client:

        async def fail() -> None:
            raise ConnectionError

        async def open_breaker() -> None:
            with pytest.raises(ConnectionError):
                await page.pulsar.client.breaker("wishes").call(fail)

        assert client.portal is not None
        client.portal.call(open_breaker)
        assert client.post("/wishes", json={"id": 1, "customer": "bob"}).json() is False
        assert page.kept == [page.Order(id=1, customer="bob")]


def test_consuming(pulsar_url: str) -> None:
    with snippet("consuming") as page, TestClient(page.app) as client:
        order = page.Order(id=7, customer="ada")
        publish: Any = page.pulsar.publish
        assert client.portal is not None

        async def everything() -> None:
            await publish("orders", order, key="ada", properties={"source": "web"})
            await publish("customers", order, key="ada")
            await publish("customers", None, key="ada")
            await publish("parcels", 500)
            await publish("letters", 20)

        client.portal.call(everything)
        for topic, subscription in (
            ("orders", "billing"),
            ("orders", "audit"),
            ("orders", "archive"),
            ("customers", "names"),
            ("parcels", "sorting"),
            ("letters", "sorting"),
        ):
            wait_idle(topic, subscription)
        assert sorted(page.ledger) == [
            "ada ordered 7 by web",
            "archived [7]",
            "audited 7, delivered 1 times",
            "forgot ada",
            "sorted 20 g at attempt 1",
            "sorted 500 g at attempt 1",
        ]


def test_the_client(pulsar_url: str) -> None:
    assert program("client.py").splitlines() == [
        *(f"received {number}" for number in (1, 2, 3)),
        "again 1",
        *(f"read {number}" for number in (1, 2, 3)),
    ]


def test_ordering(pulsar_url: str) -> None:
    with snippet("ordering") as page:
        save, failed = page.save, set[str]()

        async def save_sometimes(event: Any) -> None:
            await asyncio.sleep(0.001 * (3 - event.number % 3))  # some take longer than the next one
            if event.number == 3 and event.account not in failed:
                failed.add(event.account)
                raise ConnectionError
            await save(event)

        vars(page)["save"] = save_sometimes
        accounts = ("ada", "bob", "eve")
        with TestClient(page.app) as client:
            for number in range(8):
                for account in accounts:
                    assert client.post("/events", json={"account": account, "number": number}).status_code == 202
            wait_idle("events", "accounts", timeout=10)
        assert failed == set(accounts)
        assert page.saved == {account: list(range(8)) for account in accounts}


def test_schemas(pulsar_url: str) -> None:
    with snippet("schemas") as page, TestClient(page.app) as client:

        async def both() -> None:
            async with PulsarClient() as old:
                producer = await old.producer("orders", page.OrderOfLastYear)
                await producer.send(page.OrderOfLastYear(id=1, amount=Decimal("1.50")))
            await page.pulsar.publish("orders", page.Order(id=2, amount=Decimal(2), currency="CHF"))

        assert client.portal is not None
        client.portal.call(both)
        wait_idle("orders", "billing")
        assert [(order.id, order.currency) for order in page.billed] == [(1, "EUR"), (2, "CHF")]
        [old, _] = published("orders", page.OrderOfLastYear, count=2)
        assert old.value == page.OrderOfLastYear(id=1, amount=Decimal("1.50"))


def test_replay(pulsar_url: str) -> None:
    broken = True
    pulsar = PulsarRouter(retry=RetryPolicy(max_attempts=1))
    billed: list[int] = []

    @pulsar.consumer("orders", subscription="billing")
    async def bill(order: dict[str, int]) -> None:
        if order["id"] == 2:
            raise KeyError(2)
        if broken:
            raise ConnectionError
        billed.append(order["id"])

    app = FastAPI()
    app.include_router(pulsar)
    with TestClient(app) as client:
        assert client.portal is not None
        for number in (1, 2, 3):
            client.portal.call(pulsar.publish, "orders", {"id": number})
        dead_lettered("orders", "billing", count=3)
        broken = False
        assert program("replay.py") == "2 brought back, 1 left, 0 failed\n"
        wait_idle("orders", "billing")
    assert sorted(billed) == [1, 3]


def token(key: bytes) -> str:
    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    # Far away: a broker begins at the clients' time, which a test before this one may have moved.
    claims = {"sub": "shop", "exp": int(time.time()) + 10 * 365 * 86400}
    signed = f"{part(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(hmac.digest(key, signed.encode(), 'sha256'))}"


def test_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("TOKEN_FILE", str(file))
    with EmbeddedBroker(tokens=BrokerTokens(secret_key=KEY)) as broker, snippet("tokens") as page:
        monkeypatch.setenv("PULSAR_SERVICE_URL", broker.service_url)
        file.write_text(f"{token(KEY)}\n")
        with TestClient(page.app) as client:
            assert client.post("/greetings").status_code == 202
    with EmbeddedBroker(tokens=BrokerTokens(secret_key=KEY)) as broker, snippet("tokens") as page:
        monkeypatch.setenv("PULSAR_SERVICE_URL", broker.service_url)
        PulsarConfig.SERVICE_URL = broker.service_url
        file.write_text(token(b"another key"))
        with TestClient(page.app) as client, pytest.raises(AuthenticationError):
            client.post("/greetings")


def test_roles(pulsar_url: str) -> None:
    with snippet("roles") as page, TestClient(page.app) as client:
        assert client.portal is not None
        assert client.portal.call(page.pulsar.publish, "invoices-2026", "an invoice") is not None
        with pytest.raises(PermissionError, match=r"Role 'billing' not authorized for topic '.*/orders'"):
            client.portal.call(page.pulsar.publish, "orders", "an order")


def test_probes(pulsar_url: str) -> None:
    with snippet("probes") as page, TestClient(page.app) as client:
        for path in ("startup", "live", "ready"):
            answer = client.get(f"/health/pulsar/{path}")
            assert answer.status_code == 200, answer.text
        assert "pulsar_messages_received" in client.get("/metrics").text


def test_what_used_the_official_client(pulsar_url: str) -> None:
    assert program("official.py") == "b'hello' 42 {'source': 'web'}\n"


@pytest.mark.timeout(120)
def test_gunicorn(pulsar_broker: Broker, pulsar_topic: str, tmp_path: Path) -> None:
    config = DOCS / "snippets" / "gunicorn_conf.py"
    command = ["gunicorn", APP, "--config", str(config), "--workers", "2"]
    environment = {"SERVED_ON": "pulsar", "SERVED_TOPIC": pulsar_topic, "PULSAR_SERVICE_URL": pulsar_broker.service_url}
    with served(command, tmp_path, **environment) as address:
        until_it_answers(address)
        assert get(f"{address}/events", {"name": "hello"})
