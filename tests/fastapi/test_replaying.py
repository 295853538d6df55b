"""Dead letters brought back."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from fastapi_pulsar import Message, PulsarSettings, ReplayReport, replay_dlq_messages
from fastapi_pulsar.exceptions import ConnectionError, InvalidOptionError, NotAllowedError
from tests.fastapi.broker import Broker
from tests.fastapi.serving import Run

ORDERS = "persistent://public/default/orders"
DEAD = f"{ORDERS}-billing-DLQ"


class Order(BaseModel):
    id: int


def dead(broker: Broker, *ids: int, **properties: str) -> None:
    for one in ids:
        broker.put(
            DEAD,
            Order(id=one).model_dump_json().encode(),
            key=f"k{one}",
            properties={
                "mine": "kept",
                "REAL_TOPIC": ORDERS,
                "REAL_SUBSCRIPTION": "billing",
                "ORIGIN_MESSAGE_ID": "1:2:3",
                "ORIGIN_MESSAGE_IDY_TIME": "1:2:3",
                "RECONSUMETIMES": "3",
                "DELAY_TIME": "10",
                "DEAD_LETTER_ERROR": "ValueError",
                "DEAD_LETTER_DETAIL": "x",
                "DEAD_LETTER_ATTEMPTS": "4",
                "DEAD_LETTER_TIME": "2026-01-01",
                **properties,
            },
        )


def replay(run: Run, broker: Broker, **options: Any) -> ReplayReport:
    client = broker.client(PulsarSettings())
    broker.subscribe(DEAD, "billing-dlq")
    report: ReplayReport = run(
        replay_dlq_messages(
            options.pop("original_topic", "orders"),
            options.pop("dlq_topic", "orders-billing-DLQ"),
            client=client,
            idle_timeout=0.05,
            **options,
        )
    )
    assert not client.closed, "it is the caller's"
    return report


def left(broker: Broker) -> list[int]:
    return sorted(stored.number for stored in broker.queues[DEAD, "billing-dlq"])


def test_letters_go_back_and_begin_anew(run: Run, broker: Broker) -> None:
    dead(broker, 1, 2)
    seen: list[int] = []
    report = replay(run, broker, progress=lambda so_far: seen.append(so_far.replayed))
    assert report == ReplayReport(seen=2, replayed=2) and seen == [1, 2]
    assert [(one.data, one.key) for one in broker.topics[ORDERS]] == [(b'{"id":1}', "k1"), (b'{"id":2}', "k2")]
    assert broker.topics[ORDERS][0].properties == {"mine": "kept", "DEAD_LETTER_REPLAYS": "1"}
    assert left(broker) == [] and len(broker.acked) == 2


def test_what_came_back_too_often_stays(run: Run, broker: Broker) -> None:
    dead(broker, 1, DEAD_LETTER_REPLAYS="2")
    dead(broker, 2, DEAD_LETTER_REPLAYS="3")
    dead(broker, 3, DEAD_LETTER_REPLAYS="many")
    assert replay(run, broker) == ReplayReport(seen=3, replayed=2, looping=1)
    assert left(broker) == [1]
    assert [one.properties["DEAD_LETTER_REPLAYS"] for one in broker.topics[ORDERS]] == ["3", "1"]


def test_a_letter_whose_replay_is_not_confirmed_stays(run: Run, broker: Broker) -> None:
    dead(broker, 1, 2)
    broker.send_errors[ORDERS].append(ConnectionError("no"))
    assert replay(run, broker) == ReplayReport(seen=2, replayed=1, failed=1)
    assert left(broker) == [0]


def test_a_dry_run_changes_nothing(run: Run, broker: Broker) -> None:
    dead(broker, 1, 2)
    assert replay(run, broker, dry_run=True) == ReplayReport(seen=2, replayed=2)
    assert left(broker) == [0, 1] and not broker.topics[ORDERS]


def test_filter_limit_and_letters_of_other_topics(run: Run, broker: Broker) -> None:
    dead(broker, 1, REAL_TOPIC="persistent://public/default/bills")
    dead(broker, 2, 3, 4, 5)

    async def odd(message: Message[Any]) -> bool:
        return b"3" in message.data or b"5" in message.data

    assert replay(run, broker, filter=odd, limit=1) == ReplayReport(seen=3, replayed=1, skipped=2)
    assert left(broker) == [0, 1, 3, 4]


def test_letters_that_die_again_meanwhile_are_for_the_next_call(run: Run, broker: Broker) -> None:
    dead(broker, 1)
    report = replay(run, broker, progress=lambda _: dead(broker, 9))
    assert report.replayed == 1 and left(broker) == [1]


def test_a_processor_takes_what_it_is_annotated_to_take(run: Run, broker: Broker) -> None:
    taken: list[Any] = []

    def plain(message):  # type: ignore[no-untyped-def]
        taken.append(message)

    async def model(order: Order) -> None:
        taken.append(order)
        if order.id == 2:
            raise ValueError

    def message(message: Message[Any]) -> None:
        taken.append(message.key)

    def mapping(message: dict[str, int]) -> None:
        taken.append(message)

    dead(broker, 1, 2)
    assert replay(run, broker, processor=model) == ReplayReport(seen=2, replayed=1, failed=1)
    for processor in (plain, message, mapping):
        dead(broker, 3)
        replay(run, broker, processor=processor, filter=lambda message: message.key == "k3")
    assert taken == [Order(id=1), Order(id=2), {"id": 3}, "k3", {"id": 3}]
    assert not broker.topics[ORDERS] and left(broker) == [1]


def enveloped(broker: Broker, original: Any, **properties: str) -> None:
    """A dead letter as `PulsarClient.send_to_dlq` writes it."""
    letter = {"original_message": original, "error": "ValueError", "timestamp": "2026-01-01T00:00:00+00:00"}
    broker.put(DEAD, json.dumps(letter).encode(), properties=properties)


def test_what_send_to_dlq_wrote_goes_back_as_it_was_before(run: Run, broker: Broker) -> None:
    for original in ({"id": 1, "name": "\u00fc"}, "text", None, [1.5]):
        enveloped(broker, original)
    enveloped(broker, {"id": 2}, REAL_TOPIC="persistent://public/default/bills")
    assert replay(run, broker) == ReplayReport(seen=5, replayed=4, skipped=1)
    payloads = [one.data for one in broker.topics[ORDERS]]
    assert payloads == ['{"id":1,"name":"\u00fc"}'.encode(), b"text", b"null", b"[1.5]"]
    assert left(broker) == [4]


def test_a_consumers_payload_that_looks_like_an_envelope_stays_whole(run: Run, broker: Broker) -> None:
    enveloped(broker, {"id": 1}, REAL_TOPIC=ORDERS, REAL_SUBSCRIPTION="billing")
    replay(run, broker)
    assert json.loads(broker.topics[ORDERS][0].data).keys() == {"original_message", "error", "timestamp"}


def test_an_original_that_could_only_be_described_stays(run: Run, broker: Broker) -> None:
    enveloped(broker, "<starlette.requests.Request>")
    assert replay(run, broker) == ReplayReport(seen=1, failed=1)
    assert left(broker) == [0] and not broker.topics[ORDERS]


def test_a_processor_takes_the_original_out_of_its_envelope(run: Run, broker: Broker) -> None:
    taken: list[Any] = []

    async def model(order: Order) -> None:
        taken.append(order)

    def plain(message):  # type: ignore[no-untyped-def]
        taken.append(message)

    for processor in (model, plain):
        enveloped(broker, {"id": 3})
        assert replay(run, broker, processor=processor).replayed == 1
    assert taken == [Order(id=3), {"id": 3}]


def test_a_payload_that_the_processor_cannot_take_stays(run: Run, broker: Broker) -> None:
    broker.put(DEAD, b"no json")
    assert replay(run, broker, processor=lambda message: None) == ReplayReport(seen=1, failed=1)
    assert left(broker) == [0]


@pytest.mark.parametrize(
    ("dlq_topic", "given", "subscription"),
    [("orders-billing-DLQ", None, "billing-dlq"), ("graveyard", None, "dlq"), ("graveyard", "mine", "mine")],
)
def test_the_subscription_is_the_one_that_keeps_the_letters(
    run: Run, broker: Broker, dlq_topic: str, given: str | None, subscription: str
) -> None:
    assert replay(run, broker, dlq_topic=dlq_topic, subscription=given) == ReplayReport()
    assert broker.consumers[0].subscription == subscription


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"max_replays": 0}, {"dlq_topic": "orders"}, {"original_topic": "orders-billing-DLQ"}]
)
def test_arguments_out_of_range(run: Run, broker: Broker, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError, match="replay_dlq_messages"):
        replay(run, broker, **options)


def test_a_topic_that_cannot_be_written_is_an_error(run: Run, broker: Broker) -> None:
    broker.producer_errors[ORDERS].append(NotAllowedError("no"))
    with pytest.raises(NotAllowedError):
        replay(run, broker)
