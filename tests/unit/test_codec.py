import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, field_validator
from typing_extensions import TypedDict

from fastapi_pulsar.exceptions import EncodeError, PayloadValidationError, SchemaTypeError
from fastapi_pulsar.schemas import codec_of

CANARY = "canary-7f3a"


class Order(BaseModel):
    id: int
    amount: Decimal
    placed: datetime | None = None
    note: str = Field("", alias="Note")


@dataclass
class Point:
    x: int
    y: float = 0.5


class Track(TypedDict):
    name: str
    points: list[Point]


ROUND_TRIPS: list[tuple[Any, Any]] = [
    (Order, Order(id=1, amount=Decimal("1.10"), placed=datetime(2026, 1, 2, tzinfo=UTC), Note="n")),
    (Point, Point(1, 2.0)),
    (Track, {"name": "t", "points": [Point(1), Point(2)]}),
    (int, 5),
    (list[Order], [Order(id=1, amount=Decimal(2), Note="")]),
    (dict[str, date], {"a": date(2026, 1, 1)}),
    (UUID | None, None),
    (str, "Grüße"),
    (bytes, b"\x00\xff"),
    (None, b"\x00\xff"),
]


@pytest.mark.parametrize(("model", "value"), ROUND_TRIPS, ids=[str(model) for model, _ in ROUND_TRIPS])
def test_round_trip(model: Any, value: Any) -> None:
    codec = codec_of(model)
    data = codec.encode(value)
    assert isinstance(data, bytes)
    assert codec.decode(data) == value


def test_json_is_written_by_alias_and_without_a_model_as_it_is() -> None:
    assert codec_of(Order).encode(Order(id=1, amount=Decimal(2), Note="n")).endswith(b'"Note":"n"}')
    assert codec_of().encode({"a": [1, None]}) == b'{"a":[1,null]}'
    assert codec_of().encode("text") == b"text"
    assert codec_of().encode(bytearray(b"xy")) == codec_of(bytes).encode(memoryview(b"xy")) == b"xy"


def test_one_codec_per_model() -> None:
    assert codec_of(Order) is codec_of(Order)
    assert codec_of(Annotated[int, Field(gt=0)]) is not codec_of(int)


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (Order, {"id": CANARY}),
        (Order, Point(1)),
        (int, CANARY),
        (str, b"x"),
        (bytes, CANARY),
        (str, "\ud800"),
        (None, object()),
    ],
)
def test_what_does_not_encode_is_an_error_without_the_value(model: Any, value: Any) -> None:
    with pytest.raises(EncodeError) as caught:
        codec_of(model).encode(value)
    assert type(value).__name__ in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_type_without_validation_is_refused_by_name() -> None:
    class Opaque: ...

    with pytest.raises(SchemaTypeError, match="Opaque"):
        codec_of(Opaque)


class Shade(Enum):
    DARK = "dark"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Strict(BaseModel, extra="forbid"):
    id: int = 0
    shade: Shade = Shade.DARK
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    counts: dict[str, int] = {}
    checked: str = ""

    @field_validator("checked")
    @classmethod
    def quotes_its_input(cls, value: str) -> str:
        if value:
            raise ValueError(f"bad value {value}")
        return value


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (f'{{"id": "{CANARY}"}}', ("id", "int_parsing")),
        (f'{{"shade": "{CANARY}"}}', ("shade", "enum")),
        (f'{{"pet": {{"kind": "{CANARY}"}}}}', ("pet", "union_tag_invalid")),
        (f'{{"counts": {{"{CANARY}": "x"}}}}', ("counts.*", "int_parsing")),
        (f'{{"{CANARY}": 1}}', ("*", "extra_forbidden")),
        (f'{{"checked": "{CANARY}"}}', ("checked", "value_error")),
        (CANARY, ("", "json_invalid")),
        ("", ("", "json_invalid")),
    ],
)
def test_a_validation_error_tells_place_and_rule_but_not_the_input(
    payload: str, error: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(PayloadValidationError) as caught:
        codec_of(Strict).decode(payload.encode())
    assert caught.value.errors == (error,)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").error("failed", exc_info=caught.value)
    for text in (str(caught.value), repr(caught.value), caplog.text):
        assert error[1] in text
        assert CANARY not in text


def test_bytes_that_are_no_text_are_a_validation_error() -> None:
    with pytest.raises(PayloadValidationError, match="utf8"):
        codec_of(str).decode(b"\xff")


def test_a_long_list_of_bad_items_is_shown_in_part() -> None:
    with pytest.raises(PayloadValidationError) as caught:
        codec_of(list[int]).decode(b'["a"' + b',"a"' * 999 + b"]")
    assert len(caught.value.errors) == 10
