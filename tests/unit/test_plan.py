"""Signatures are read, and refused, at decoration; an error names function and parameter."""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import Body, Cookie, Depends, Header, Query, Request
from pydantic import BaseModel

from fastapi_pulsar import Batch, Key, Message, Property, PulsarRouter, PulsarSettings
from fastapi_pulsar.consuming.plan import read_plan
from fastapi_pulsar.exceptions import HandlerSignatureError, InvalidOptionError, InvalidTopicError, PulsarError


class Order(BaseModel):
    id: int


def service() -> int:
    return 1


class Callee:
    async def __call__(self, order: Order) -> None: ...

    async def method(self, order: Order) -> None: ...


async def plain(order: Order) -> None: ...


async def everything(
    order: Order,
    message: Message[Order],
    name: Annotated[str, Property("name")],
    key: Annotated[str, Key()],
    one: Annotated[int, Depends(service)],
    two: int = Depends(service),
) -> None: ...


async def only_message(message: Message[Order]) -> None: ...


async def raw_message(message: Message[bytes]) -> None: ...


async def later(order: "Order") -> None: ...


def threaded(data: bytes) -> None: ...


def with_extra(order: Order, factor: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "model", "payload", "message", "is_async"),
    [
        (plain, Order, "order", None, True),
        (everything, Order, "order", "message", True),
        (only_message, Order, None, "message", True),
        (raw_message, bytes, None, "message", True),
        (later, Order, "order", None, True),
        (threaded, bytes, "data", None, False),
        (Callee(), Order, "order", None, True),
        (Callee().method, Order, "order", None, True),
        (functools.partial(plain), Order, "order", None, True),
    ],
)
def test_reading(function: Any, model: Any, payload: str | None, message: str | None, is_async: bool) -> None:
    plan = read_plan(function)
    assert (plan.codec.model, plan.payload, plan.message, plan.is_async) == (model, payload, message, is_async)
    assert plan.name.startswith("tests.unit.test_plan.")


def test_markers_and_dependencies_are_told_apart() -> None:
    plan = read_plan(everything)
    assert [argument.name for argument in plan.arguments] == ["name", "key"]
    assert [parameter.name for parameter in plan.dependencies] == ["one", "two"]


def test_a_list_is_a_json_array_unless_it_is_a_batch() -> None:
    async def orders(orders: list[Order]) -> None: ...

    assert read_plan(orders).codec.model == list[Order]
    assert read_plan(orders, batch=True).codec.model is Order


async def no_payload(key: Annotated[str, Key()]) -> None: ...


async def nothing() -> None: ...


async def two_payloads(first: Order, second: Order) -> None: ...


async def two_messages(first: Message[Order], second: Message[Order]) -> None: ...


async def unlike(order: Order, message: Message[int]) -> None: ...


async def unannotated(order) -> None: ...  # type: ignore[no-untyped-def]


async def unknown(order: "NoSuchType") -> None: ...  # type: ignore[name-defined]  # noqa: F821


async def variadic(order: Order, *rest: int) -> None: ...


async def keywords(order: Order, **rest: int) -> None: ...


async def positional(order: Order, /) -> None: ...


async def http_query(order: Order, page: Annotated[int, Query()]) -> None: ...


async def http_header(order: Order, agent: str = Header("x")) -> None: ...


async def http_cookie(order: Order, session: Annotated[str, Cookie()]) -> None: ...


async def http_body(order: Annotated[Order, Body()]) -> None: ...


async def http_request(order: Order, request: Request) -> None: ...


async def bare_marker(order: Order, key: Annotated[str, Key]) -> None: ...


async def opaque(order: Callee) -> None: ...


async def generator(order: Order) -> Any:
    yield order


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (no_payload, "no payload parameter"),
        (nothing, "no payload parameter"),
        (two_payloads, "'first' and 'second' are both the payload"),
        (two_messages, "'first' and 'second' are both the message"),
        (unlike, "different types"),
        (unannotated, "'order' has no annotation"),
        (unknown, "NoSuchType"),
        (variadic, r"\*rest"),
        (keywords, r"\*rest"),
        (positional, "'order' is positional-only"),
        (http_query, "'page' is part of an HTTP request"),
        (http_header, "'agent' is part of an HTTP request"),
        (http_cookie, "'session' is part of an HTTP request"),
        (http_body, "'order' is part of an HTTP request"),
        (http_request, "'order' and 'request' are both the payload"),
        (bare_marker, r"write Key\("),
        (opaque, "Callee is no type that Pydantic can validate"),
        (generator, "generator"),
        (with_extra, "'order' and 'factor' are both the payload"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_called_with_a_message_is_refused(function: Any, text: str) -> None:
    with pytest.raises(HandlerSignatureError, match=text) as caught:
        read_plan(function)
    assert function.__name__ in str(caught.value)
    assert isinstance(caught.value, TypeError)


async def not_a_list(order: Order) -> None: ...


async def list_and_key(orders: list[Order], key: Annotated[str, Key()]) -> None: ...


@pytest.mark.parametrize(("function", "text"), [(not_a_list, "must be a list"), (list_and_key, "no single property")])
def test_what_cannot_be_called_with_a_batch_is_refused(function: Callable[..., Any], text: str) -> None:
    with pytest.raises(HandlerSignatureError, match=text):
        read_plan(function, batch=True)


BAD_OPTIONS: list[tuple[dict[str, Any], type[PulsarError], str]] = [
    ({"topic": ""}, InvalidTopicError, "topic name"),
    ({"topic": "kafka://a/b/c"}, InvalidTopicError, "domain"),
    ({"topic": []}, InvalidOptionError, "needs a topic"),
    ({"subscription": " "}, InvalidOptionError, "subscription"),
    ({"type": "Sharded"}, InvalidOptionError, "type must be one of"),
    ({"concurrency": 0}, InvalidOptionError, "concurrency"),
    ({"concurrency": 1.5}, InvalidOptionError, "concurrency"),
    ({"concurrency": True}, InvalidOptionError, "concurrency"),
    ({"ordering": "strict"}, InvalidOptionError, "ordering"),
    ({"ordering": "key", "type": "Shared"}, InvalidOptionError, "Key_Shared"),
    ({"timeout": 0}, InvalidOptionError, "timeout"),
    ({"max_redeliver_count": -1}, InvalidOptionError, "max_redeliver_count"),
    ({"receiver_queue_size": 0}, InvalidOptionError, "receiver_queue_size"),
    ({"inital_position": "earliest"}, InvalidOptionError, "inital_position"),
]


@pytest.mark.parametrize(("options", "error", "text"), BAD_OPTIONS)
def test_bad_options_are_refused_with_the_functions_name(
    options: dict[str, Any], error: type[PulsarError], text: str
) -> None:
    arguments = {"topic": "orders", "subscription": "billing"} | options
    with pytest.raises(error, match=text) as caught:
        PulsarRouter().consumer(arguments.pop("topic"), **arguments)(plain)
    assert "test_plan.plain" in str(caught.value)


def test_a_batch_in_key_order_is_refused() -> None:
    async def orders(orders: list[Order]) -> None: ...

    with pytest.raises(InvalidOptionError, match="no batch"):
        PulsarRouter().consumer("orders", subscription="s", ordering="key", batch=Batch())(orders)


@pytest.mark.parametrize("limits", [{"max_messages": 0}, {"max_wait": 0}])
def test_limits_of_a_batch_are_positive(limits: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError):
        Batch(**limits)


def test_the_delay_of_the_next_attempt_is_the_options_or_the_settings() -> None:
    pulsar, settings = PulsarRouter(), PulsarSettings(consumer_nack_redelivery_delay_ms=500)
    own = {"initial": 2.0, "max": 3.0, "multiplier": 1.5}
    for delay in (None, 0.1, timedelta(seconds=90), own):
        pulsar.consumer("orders", subscription="s", negative_ack_delay=delay)(plain)
    policies = [one.policy(settings) for one in pulsar._subscriptions]
    assert [[policy.delay(attempt) for attempt in (1, 2, 3, 99)] for policy in policies] == [
        [0.5, 1.0, 2.0, 60.0],
        [0.1, 0.2, 0.4, 60.0],
        [90.0, 90.0, 90.0, 90.0],
        [2.0, 3.0, 3.0, 3.0],
    ]
