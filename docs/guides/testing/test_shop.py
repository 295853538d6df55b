from collections.abc import Iterator
from decimal import Decimal

import pytest
from fastapi.testclient import TestClient
from shop import Invoice, app

from fastapi_pulsar.testing import dead_lettered, published, wait_idle


@pytest.fixture
def client(pulsar_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("PULSAR_CONSUMER_NACK_REDELIVERY_DELAY_MS", "1")  # tests need not wait before trying again
    with TestClient(app) as client:
        yield client


def test_an_order_is_billed(client: TestClient) -> None:
    client.post("/orders", json={"id": 7, "amount": "12.50"})

    [invoice] = published("invoices", Invoice, count=1)
    assert invoice.value == Invoice(order=7, total=Decimal("12.50"))
    wait_idle("orders", "billing")


def test_what_cannot_be_billed_is_set_aside(client: TestClient) -> None:
    client.post("/orders", json={"id": 8, "amount": "-1"})

    [letter] = dead_lettered("orders", "billing", count=1)
    assert letter.properties["DEAD_LETTER_ERROR"] == "ValueError"
    assert published("invoices", count=0) == []
