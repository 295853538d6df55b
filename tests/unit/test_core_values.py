"""The core's plain values: message ids, the table of errors, what is refused before any connection."""

import asyncio
import pickle
from collections.abc import Callable
from typing import get_args, get_origin

import pytest

from fastapi_pulsar import _core
from fastapi_pulsar._core import Message, MessageId, Producer
from fastapi_pulsar.client import PulsarClient
from fastapi_pulsar.exceptions import InvalidMessageIdError, InvalidOptionError, InvalidTopicError
from fastapi_pulsar.exceptions import pulsar as exceptions


def test_message_ids_are_ordered_as_in_the_topic() -> None:
    ids = [
        MessageId.EARLIEST,
        MessageId(3, 1),
        MessageId(3, 2, batch_index=0, batch_size=2),
        MessageId(3, 2, batch_index=1, batch_size=2),
        MessageId(4, 0),
        MessageId.LATEST,
    ]
    shuffled = ids[::-1]
    assert sorted(shuffled) == ids
    assert len(set(ids + ids)) == len(ids)


def by_bytes(message_id: MessageId) -> MessageId:
    return MessageId.from_bytes(bytes(message_id))


def by_pickle(message_id: MessageId) -> MessageId:
    copy: MessageId = pickle.loads(pickle.dumps(message_id))
    return copy


@pytest.mark.parametrize("copy", [by_bytes, by_pickle])
def test_message_ids_survive_their_bytes(copy: Callable[[MessageId], MessageId]) -> None:
    original = MessageId(7, 8, partition=2, batch_index=3, batch_size=10)
    made = copy(original)
    assert made == original and hash(made) == hash(original)
    assert (made.ledger, made.entry, made.partition, made.batch_index, made.batch_size) == (7, 8, 2, 3, 10)
    assert str(made) == "7:8:2:3"


def test_bytes_that_are_no_message_id_are_refused() -> None:
    with pytest.raises(InvalidMessageIdError):
        MessageId.from_bytes(b"\xff\xff")


def test_each_kind_of_error_is_one_class() -> None:
    for name, retryable, doc in _core.error_kinds():
        kind = getattr(exceptions, f"{name}Error")
        assert issubclass(kind, exceptions.PulsarError)
        assert kind.retryable == retryable and kind.__doc__ == doc


def test_classes_are_generic_at_run_time() -> None:
    assert get_origin(Message[int]) is Message
    assert get_args(Producer[int]) == (int,)


def test_the_core_names_an_unknown_option() -> None:
    with pytest.raises(InvalidOptionError, match="colour"):
        _core.Client({"service_url": "pulsar://localhost", "colour": "red"})
    with pytest.raises(InvalidOptionError, match="seconds"):
        _core.Client({"operation_timeout": -1.0})


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"batch_max_messages": 0}, "batch_max_messages"),
        ({"batching": "sometimes"}, "batching"),
        ({"send_timeout": -1}, "send_timeout"),
        ({"send_timeout": "soon"}, "send_timeout"),
        ({"max_pending_messages": 1.5}, "max_pending_messages"),
        ({"colour": "red"}, "colour"),
        ({"properties": {"a": 1}}, "properties"),
    ],
)
def test_producer_options_are_checked_at_the_call(options: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidOptionError, match=named):
        PulsarClient("pulsar://localhost:1").producer("t", **options)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"type": "shared"}, "type"),
        ({"receiver_queue_size": 0}, "receiver_queue_size"),
        ({"negative_ack_delay": {"initial": 1, "max": 2}}, "multiplier"),
        ({"start_message_id": b"x"}, "start_message_id"),
        ({"key_shared": {"sticky_ranges": "all"}}, "sticky_ranges"),
    ],
)
def test_consumer_options_are_checked_at_the_call(options: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidOptionError, match=named):
        PulsarClient("pulsar://localhost:1").consumer("t", "s", **options)  # type: ignore[call-overload]


def test_topics_are_checked_at_the_call() -> None:
    with pytest.raises(InvalidTopicError):
        PulsarClient("pulsar://localhost:1").producer("a/b")
    with pytest.raises(InvalidTopicError):
        PulsarClient("pulsar://localhost:1").consumer(["t", ""], "s")


def test_a_client_does_nothing_before_it_is_used() -> None:
    client = PulsarClient("pulsar://localhost:1")
    assert client.service_url == "pulsar://localhost:1" and client.stats() == {}
    asyncio.run(client.close())
    asyncio.run(client.close())
