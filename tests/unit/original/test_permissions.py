"""Who may produce and consume: the policy, and every path that asks it."""

import logging
from typing import Any

import pytest
from prometheus_client import REGISTRY

from fastapi_pulsar import PulsarClient, PulsarConfig
from fastapi_pulsar.config import get_settings
from fastapi_pulsar.decorators import pulsar_consumer, pulsar_task, validate_topic_permissions
from fastapi_pulsar.exceptions import SettingsError
from fastapi_pulsar.permissions import check_permission
from tests.unit.original.broker import MemoryBroker

pytestmark = pytest.mark.anyio


def policy(**topics: Any) -> None:
    PulsarConfig.SECURITY["service_role"] = "billing"
    PulsarConfig.SECURITY["topic_roles"] = topics


def may(topic: str, action: Any, role: str | None = None) -> bool:
    try:
        check_permission(topic, action, role)
    except PermissionError:
        return False
    return True


def test_without_a_policy_everything_is_allowed_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    from fastapi_pulsar import permissions

    permissions._say_once.cache_clear()
    with caplog.at_level(logging.INFO, "fastapi_pulsar.permissions"):
        assert may("orders", "produce") and may("anything", "consume")
    assert len(caplog.records) == 1


def test_with_a_policy_what_is_not_allowed_is_denied() -> None:
    policy(orders=["billing"])
    assert may("orders", "produce") and may("persistent://public/default/orders", "consume")
    assert may("orders-partition-3", "consume")
    assert not may("orders", "produce", "stranger") and not may("invoices", "produce")
    assert not may("non-persistent://public/default/orders", "produce")


def test_patterns_add_to_exact_topics_and_produce_is_not_consume() -> None:
    policy(**{"orders": {"produce": ["till"], "consume": ["billing"]}, "persistent://shop/*": ["billing"]})
    assert may("orders", "consume") and not may("orders", "produce") and may("orders", "produce", "till")
    assert may("persistent://shop/sales/x", "produce") and not may("persistent://shops/sales/x", "produce")


def test_a_role_that_is_defined_does_at_most_what_its_permissions_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSAR_ROLES_CONFIG", '[{"name": "billing", "permissions": ["consume"]}]')
    get_settings.cache_clear()
    policy(orders=["billing"])
    assert may("orders", "consume") and not may("orders", "produce")
    del PulsarConfig.SECURITY["topic_roles"]
    assert may("whatever", "consume") and not may("whatever", "produce")


BAD_POLICIES: list[tuple[Any, str]] = [
    (["orders"], "topic_roles'\\] must be a mapping"),
    ({"orders": "billing"}, "\\['orders'\\] must be a list"),
    ({"orders": [1]}, "\\['orders'\\] must be a list"),
    ({"orders": {"send": ["billing"]}}, "\\['orders'\\] has keys besides"),
    ({" ": ["billing"]}, "non-empty string"),
    ({"orders": ["other"]}, "service_role'\\] is 'billing', which neither"),
]


@pytest.mark.parametrize(("roles", "text"), BAD_POLICIES)
def test_a_policy_that_does_not_parse_is_refused_by_its_key(roles: Any, text: str) -> None:
    PulsarConfig.SECURITY["service_role"] = "billing"
    PulsarConfig.SECURITY["topic_roles"] = roles
    with pytest.raises(SettingsError, match=text):
        check_permission("orders", "produce")


def test_an_unknown_role_in_a_policy_is_refused_when_the_roles_are_given() -> None:
    PulsarConfig.SECURITY["roles"] = [{"name": "billing", "permissions": ["produce"]}]
    policy(orders=["biling"])
    with pytest.raises(SettingsError, match="'biling'"):
        check_permission("orders", "produce")


def test_a_denial_is_counted() -> None:
    policy(orders=["billing"])
    name, labels = "pulsar_permission_denials_total", {"action": "produce"}
    before = REGISTRY.get_sample_value(name, labels) or 0
    with pytest.raises(
        PermissionError, match=r"Role 'x' not authorized for topic 'orders'. Allowed roles: \['billing'\]"
    ):
        check_permission("orders", "produce", "x")
    assert REGISTRY.get_sample_value(name, labels) == before + 1


def test_decorators_ask_for_every_topic_they_name() -> None:
    policy(orders={"produce": ["billing"]}, dead={"consume": ["billing"]}, inbox={"consume": ["billing"]})
    pulsar_task("orders")
    with pytest.raises(PermissionError, match="inbox"):
        pulsar_task("inbox")
    with pytest.raises(PermissionError, match="dead"):
        pulsar_task("orders", dlq_topic="dead")
    pulsar_consumer("inbox", "s")
    with pytest.raises(PermissionError, match="orders"):
        pulsar_consumer("orders", "s")
    with pytest.raises(PermissionError, match="dead"):
        pulsar_consumer("inbox", "s", dlq_topic="dead")
    validate_topic_permissions("dead")


async def test_no_path_of_the_client_goes_round_the_policy(memory: MemoryBroker) -> None:
    policy(orders={"produce": ["billing"]}, inbox={"consume": ["billing"]})

    async def ignore(message: Any) -> None: ...

    async with PulsarClient(max_retries=0) as client:
        await client.send_message("orders", {"n": 1})
        paths: list[Any] = [
            client.send_message("inbox", {}),
            client.send_message("orders", {"topic": "inbox"}),
            client.send_batch("inbox", [{}]),
            client.send_to_dlq("orders", {}, "why"),
            client.send_to_dlq("orders", {}, "why", dlq_topic="inbox"),
            client.consume_messages("orders", "s", ignore),
            client.consume_messages("inbox", "s", ignore),  # its dead letter topic
            client.batch_consume("orders", "s", 2, ignore),
            client.create_consumer("orders", "s", ignore),
            _await(client.producer("inbox")),
            _await(client.consumer("orders", "s")),
            _await(client.reader("orders")),
        ]
        for path in paths:
            with pytest.raises((PermissionError, ValueError)):
                await path
        assert await client.batch_process_messages("inbox", [{}]) == [False]
        PulsarConfig.SECURITY["topic_roles"] = {"*": ["other", "billing"]}
        PulsarConfig.SECURITY["service_role"] = "stranger"
        PulsarConfig.SECURITY["topic_roles"] = {"orders": ["stranger"], "x": ["billing"]}
        await client.send_message("orders", {"n": 2})
        PulsarConfig.SECURITY["topic_roles"] = {"orders": ["billing"], "x": ["stranger"]}
        with pytest.raises(PermissionError):  # the producer is open already
            await client.send_message("orders", {"n": 3})
    assert {topic for topic, stored in memory.topics.items() if stored} == {"persistent://public/default/orders"}


async def _await(opening: Any) -> None:
    await opening
