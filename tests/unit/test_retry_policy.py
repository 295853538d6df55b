"""Policies of retrying: their delays, and what they refuse."""

import math
from datetime import timedelta
from typing import Any

import pytest

from fastapi_pulsar import Deduplicate, Delivery, Exponential, Nack, PulsarRouter, Retry, RetryPolicy
from fastapi_pulsar.consuming import Batch
from fastapi_pulsar.exceptions import InvalidOptionError, InvalidTopicError


async def plain(order: dict[str, Any]) -> None: ...


async def delivered(order: dict[str, Any], delivery: Delivery) -> None: ...


@pytest.mark.parametrize(
    ("backoff", "delays", "attempts"),
    [
        (5, [5, 5, 5, 5], 4),
        (timedelta(minutes=1), [60, 60, 60, 60], 4),
        ([5, 30, timedelta(minutes=2)], [5, 30, 120, 120], 4),
        ([7], [7, 7, 7, 7], 2),
        (Exponential(1, 5, 2), [1, 2, 4, 5], 4),
        (Exponential(timedelta(seconds=3), timedelta(seconds=3)), [3, 3, 3, 3], 4),
    ],
)
def test_delays(backoff: Any, delays: list[float], attempts: int) -> None:
    policy = RetryPolicy(backoff=backoff, jitter=0)
    assert [policy.delay(attempt) for attempt in (1, 2, 3, 4)] == delays
    assert policy.attempts == attempts


def test_jitter_is_a_share_both_ways() -> None:
    policy = RetryPolicy(backoff=10, jitter=0.2)
    chance = iter((0.0, 0.5, 1.0)).__next__
    assert [policy.delay(1, chance) for _ in range(3)] == pytest.approx([8, 10, 12])
    assert all(8 <= policy.delay(1) <= 12 for _ in range(100))


def test_an_exponential_delay_never_overflows() -> None:
    assert Exponential(1, 60).delay(100_000) == 60


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": -1}, "max_attempts"),
        ({"max_attempts": math.inf}, "max_attempts"),
        ({"max_attempts": True}, "max_attempts"),
        ({"backoff": -1}, "backoff"),
        ({"backoff": []}, "backoff"),
        ({"backoff": [1, [2]]}, "backoff"),
        ({"backoff": math.nan}, "backoff"),
        ({"backoff": math.inf}, "backoff"),
        ({"backoff": "5"}, "backoff"),
        ({"jitter": 1.1}, "jitter"),
        ({"retry_on": ValueError()}, "retry_on"),
        ({"dead_letter_on": "ValueError"}, "dead_letter_on"),
        ({"way": "later"}, "way"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidOptionError, match=f"RetryPolicy: .*{named}"):
        RetryPolicy(**options)


@pytest.mark.parametrize("limits", [(2, 1, 2), (-1, 1, 2), (1, math.inf, 2), (1, 60, 0.5), (1, 60, math.inf)])
def test_an_exponential_that_makes_no_sense_is_refused(limits: tuple[float, float, float]) -> None:
    with pytest.raises(InvalidOptionError, match="Exponential"):
        Exponential(*limits)


@pytest.mark.parametrize("signal", [Nack, Retry])
def test_a_signal_refuses_a_negative_delay(signal: Any) -> None:
    with pytest.raises(InvalidOptionError, match=signal.__name__):
        signal(delay=-1)


@pytest.mark.parametrize("options", [{"by": "id"}, {"window": 0}])
def test_deduplicate_refuses(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError, match="Deduplicate"):
        Deduplicate(**options)


REDELIVER = RetryPolicy(way="redeliver")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"type": "Exclusive", "retry": REDELIVER}, "redeliver"),
        ({"type": "Failover", "retry": REDELIVER}, "redeliver"),
        ({"retry": REDELIVER, "max_redeliver_count": 3}, "max_redeliver_count"),
        ({"retry": REDELIVER, "ack": "on_receive"}, "on_receive"),
        ({"retry_letter_topic": "later"}, "retry_letter_topic"),
        ({"ack": "never"}, "ack"),
        ({"ack": "manual"}, "Delivery"),
        ({"dead_letter_topic": "orders"}, "dead_letter_topic"),
        ({"dead_letter_topic": "persistent://public/default/orders"}, None),
        ({"retry": RetryPolicy(way="retry_topic"), "retry_letter_topic": "orders"}, "retry_letter_topic"),
        (
            {"retry": RetryPolicy(way="retry_topic"), "retry_letter_topic": "x", "dead_letter_topic": "x"},
            "are the same",
        ),
    ],
)
def test_a_consumer_that_makes_no_sense_is_refused(options: dict[str, Any], named: str | None) -> None:
    pulsar = PulsarRouter()
    if named is None:
        pulsar.consumer("orders", subscription="s", **options)(plain)  # the namespace may be another
        return
    with pytest.raises(InvalidOptionError, match=named) as caught:
        pulsar.consumer("orders", subscription="s", **options)(plain)
    assert "test_retry_policy.plain" in str(caught.value)


def test_a_delivery_is_of_use_before_the_acknowledgement_only() -> None:
    with pytest.raises(InvalidOptionError, match="Delivery"):
        PulsarRouter().consumer("orders", subscription="s", ack="on_receive")(delivered)


def test_batches_are_not_deduplicated() -> None:
    async def batch(orders: list[dict[str, Any]]) -> None: ...

    with pytest.raises(InvalidOptionError, match="deduplicate"):
        PulsarRouter().consumer("orders", subscription="s", batch=Batch(), deduplicate=Deduplicate())(batch)


def test_a_malformed_dead_letter_topic_is_refused() -> None:
    with pytest.raises(InvalidTopicError, match=r"test_retry_policy\.plain"):
        PulsarRouter().consumer("orders", subscription="s", dead_letter_topic="a/b")(plain)


def test_what_the_settings_make_of_it_is_refused_at_the_start() -> None:
    from fastapi_pulsar import PulsarSettings

    pulsar = PulsarRouter()
    pulsar.consumer("orders", subscription="s", retry=REDELIVER)(plain)
    pulsar.consumer("orders", subscription="s")(plain)
    first, second = pulsar._subscriptions
    with pytest.raises(InvalidOptionError, match="redeliver"):
        first.policy(PulsarSettings(consumer_subscription_type="Exclusive"))
    with pytest.raises(InvalidOptionError, match="dead_letter_topic"):
        second.origins(PulsarSettings(consumer_dlq_topic="persistent://public/default/orders"))
