"""What happens to the engine's connections is in Python's log, and no credentials are."""

import asyncio
import logging
from typing import Any

import pytest

from fastapi_pulsar import PulsarClient
from fastapi_pulsar.exceptions import AuthenticationError
from fastapi_pulsar.testing import BrokerTokens, EmbeddedBroker
from tests.functional.helpers import until
from tests.pulsar.harness.credentials import make_token

pytestmark = pytest.mark.anyio
ORDERS = "persistent://public/default/orders"


def engine(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.name == "fastapi_pulsar.engine"]


def texts(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(f"{one.levelname} {one.getMessage()}" for one in engine(caplog))


async def test_a_broken_connection_and_its_return_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with EmbeddedBroker() as broker, PulsarClient(broker.service_url) as client:
        producer = await client.producer("orders")
        consumer = await client.consumer("orders", "billing")
        await until(lambda: "INFO connected to" in texts(caplog))
        broker.drop_connections()
        await until(lambda: "subscribed again" in texts(caplog) and "producer is connected again" in texts(caplog))
        await producer.send(b"canary-payload")
        assert (await consumer.receive(timeout=10)).data == b"canary-payload"
        again = next(one for one in engine(caplog) if "subscribed again" in one.getMessage())
        assert (again.topic, again.subscription, again.message_id, again.attempt) == (ORDERS, "billing", None, None)
        assert "WARNING disconnected: " in texts(caplog)
    assert "canary" not in caplog.text


async def test_a_damaged_message_is_logged_with_its_id_only(caplog: pytest.LogCaptureFixture) -> None:
    async with EmbeddedBroker() as broker, PulsarClient(broker.service_url) as client:
        consumer = await client.consumer("orders", "billing")
        producer = await client.producer("orders")
        broker.corrupt_next()
        await producer.send(b"canary-1")
        await producer.send(b"good")
        assert (await consumer.receive(timeout=10)).data in (b"good", b"canary-1")
        await until(lambda: "a damaged message was discarded" in texts(caplog))
    (record,) = [one for one in engine(caplog) if "damaged" in one.getMessage()]
    assert record.levelname == "ERROR" and record.message_id.count(":") == 1 and record.subscription == "billing"
    assert "canary" not in caplog.text


async def test_refused_credentials_are_an_error_and_not_quoted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = make_token(b"x" * 32, "canary-subject", None)
    async with EmbeddedBroker(tokens=BrokerTokens(secret_key=b"k" * 32)) as broker:
        client = PulsarClient(broker.service_url, token_supplier=lambda: token)
        with pytest.raises(AuthenticationError):
            await client.producer("orders")
        await client.close()
    assert "ERROR cannot connect: " in texts(caplog), "what is left is written when the client closes"
    assert all(part not in caplog.text for part in token.split("."))


async def test_nobody_has_to_listen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="fastapi_pulsar")
    async with EmbeddedBroker() as broker, PulsarClient(broker.service_url) as client:
        await client.producer("orders")
        await asyncio.to_thread(broker.restart)
    assert engine(caplog) == []
