"""Policies of a namespace, on either broker: they are kept, and they are acted on."""

import uuid
from typing import Any

import pytest

from tests.conformance.conftest import Client, Connect, until
from tests.pulsar.peers import Outgoing
from tests.pulsar.peers.interface import receive_exactly
from tests.pulsar.plugin import Broker

POLICIES: dict[str, tuple[str, Any]] = {
    "retention": ("retention", {"retentionTimeInMinutes": 10, "retentionSizeInMB": 20}),
    "time to live": ("messageTTL", 60),
    "compaction threshold": ("compactionThreshold", 1 << 20),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_of_a_namespace_is_kept(pulsar_broker: Broker, policy: str) -> None:
    admin, namespace = pulsar_broker.admin, "/namespaces/public/policies"
    if "public/policies" not in admin.get("/namespaces/public"):
        admin.put(namespace)
    path, value = POLICIES[policy]
    write = admin.put if policy == "compaction threshold" else admin.post
    write(f"{namespace}/{path}", value)
    until(policy, lambda: bool(admin.get(f"{namespace}/{path}") == value))


def test_a_backlog_quota_of_a_namespace_is_kept(pulsar_broker: Broker) -> None:
    admin, namespace = pulsar_broker.admin, "/namespaces/public/quotas"
    if "public/quotas" not in admin.get("/namespaces/public"):
        admin.put(namespace)
    quota = {"limitSize": 1 << 20, "limitTime": -1, "policy": "producer_exception"}
    admin.post(f"{namespace}/backlogQuota?backlogQuotaType=destination_storage", quota)
    found = admin.get(f"{namespace}/backlogQuotaMap")["destination_storage"]
    assert (found["limitSize"], found["policy"]) == (1 << 20, "producer_exception")


@pytest.fixture
def namespace(pulsar_broker: Broker) -> str:
    """One that nothing else uses."""
    name = f"public/policies-{uuid.uuid4().hex[:8]}"
    pulsar_broker.admin.put(f"/namespaces/{name}")
    return name


def test_messages_expire_at_their_time_to_live(
    connect: Connect, client: Client, pulsar_broker: Broker, namespace: str
) -> None:
    topic, ttl = f"persistent://{namespace}/t", f"/namespaces/{namespace}/messageTTL"
    client.consumer(topic, "s").close()
    # By the official client: the clock of ours may have been moved by a test before this one, the broker's not.
    connect("official").producer(topic).send_many([Outgoing(b"old")] * 3)

    def expired() -> bool:
        # A real broker looks every five minutes, and whenever the policy is set.
        pulsar_broker.admin.post(ttl, 1)
        return bool(pulsar_broker.admin.stats(topic)["subscriptions"]["s"]["msgBacklog"] == 0)

    until("messages older than a second are expired", expired)
    assert client.consumer(topic, "s").receive(0.5) is None


@pytest.mark.parametrize("policy", ["producer_request_hold", "producer_exception"])
def test_a_backlog_over_its_quota_keeps_producers_out(
    client: Client, another: Client, pulsar_broker: Broker, namespace: str, policy: str
) -> None:
    admin, topic = pulsar_broker.admin, f"persistent://{namespace}/t"
    quota = {"limitSize": 20_000, "limitTime": -1, "policy": policy}
    admin.post(f"/namespaces/{namespace}/backlogQuota?backlogQuotaType=destination_storage", quota)
    consumer = client.consumer(topic, "s")
    producer = client.producer(topic)
    producer.send_many([Outgoing(b"x" * 1_000)] * 15)
    another.producer(topic).close()
    producer.send(Outgoing(b"x" * 10_000))  # The one that crosses the limit is still taken.
    with pytest.raises(Exception, match=r"(?i)quota"):
        another.producer(topic)
    for message in receive_exactly(consumer, 16):
        consumer.acknowledge(message)
    consumer.close()

    def let_in() -> bool:
        try:
            another.producer(topic).close()
        except Exception as error:
            assert "quota" in str(error).lower()
            return False
        return True

    until("producers are let in once the backlog is gone", let_in)
