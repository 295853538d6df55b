"""What the guides say besides their code."""

from decimal import Decimal

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from fastapi_pulsar import PulsarRouter
from fastapi_pulsar.exceptions import IncompatibleSchemaError
from fastapi_pulsar.testing import published, wait_idle
from tests.docs.pages import snippet


def application() -> tuple[FastAPI, PulsarRouter]:
    pulsar = PulsarRouter()
    app = FastAPI()
    app.include_router(pulsar)
    return app, pulsar


def test_a_changed_field_is_refused_at_the_first_publish(pulsar_url: str) -> None:
    """docs/guides/schemas.md"""
    app, pulsar = application()

    class Order(BaseModel):
        id: int
        amount: int

    with snippet("schemas") as page, TestClient(app) as client:
        assert client.portal is not None
        client.portal.call(pulsar.publish, "orders", page.Order(id=1, amount=Decimal(1)))
        with pytest.raises(IncompatibleSchemaError):
            client.portal.call(pulsar.publish, "orders", Order(id=1, amount=1))


def test_without_a_model(pulsar_url: str) -> None:
    """docs/guides/schemas.md and publishing.md"""
    app, pulsar = application()
    seen: list[object] = []

    @pulsar.consumer("numbers", subscription="s")
    async def numbers(values: list[int]) -> None:
        seen.append(values)

    @pulsar.consumer("texts", subscription="s")
    async def texts(text: str) -> None:
        seen.append(text)

    @pulsar.consumer("data", subscription="s")
    async def data(data: bytes) -> None:
        seen.append(data)

    with TestClient(app) as client:
        assert client.portal is not None
        client.portal.call(pulsar.publish, "numbers", [1, 2])
        client.portal.call(pulsar.publish, "texts", "grüezi")
        client.portal.call(pulsar.publish, "data", b"\x00")
        for topic in ("numbers", "texts", "data"):
            wait_idle(topic, "s")
        assert sorted(seen, key=str) == [[1, 2], b"\x00", "grüezi"]
        assert [message.data for message in published("numbers", count=1)] == [b"[1,2]"]


def test_a_second_process_on_exclusive_is_not_ready(pulsar_url: str) -> None:
    """docs/guides/deployment.md"""
    apps = [application() for _ in range(2)]
    for _, pulsar in apps:

        @pulsar.consumer("orders", subscription="one", type="Exclusive")
        async def alone(order: dict[str, int]) -> None: ...

    (first, one), (second, two) = apps
    with TestClient(first):
        assert one.ready
        with TestClient(second):
            assert (one.ready, two.ready) == (True, False)
