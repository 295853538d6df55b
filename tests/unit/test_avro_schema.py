"""The Avro record describes the JSON as it is dumped."""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, PlainSerializer, computed_field, create_model
from typing_extensions import TypedDict

from fastapi_pulsar.exceptions import SchemaTypeError
from fastapi_pulsar.schemas import Codec

T = TypeVar("T")


class Color(Enum):
    RED = "RED"
    BLUE = "BLUE"


class Label(Enum):
    FIRST = "first-class"


class Level(IntEnum):
    LOW = 1


class Line(BaseModel):
    sku: str
    count: int = 1


class Box(BaseModel, Generic[T]):
    item: T


class Node(BaseModel):
    value: int
    children: list["Node"] = Field(default_factory=list)
    parent: "Node | None" = None


LINE = {
    "type": "record",
    "name": "Line",
    "fields": [{"name": "sku", "type": "string"}, {"name": "count", "type": "long", "default": 1}],
}
COLOR = {"type": "enum", "name": "Color", "symbols": ["RED", "BLUE"]}
REQUIRED = object()

FIELDS: list[tuple[Any, Any, Any, Any]] = [
    (int, ..., "long", REQUIRED),
    (float, ..., "double", REQUIRED),
    (float, 1, "double", 1),
    (bool, True, "boolean", True),
    (str, "x", "string", "x"),
    (bytes, ..., "string", REQUIRED),
    (datetime, ..., "string", REQUIRED),
    (date, ..., "string", REQUIRED),
    (timedelta, ..., "string", REQUIRED),
    (UUID, ..., "string", REQUIRED),
    (Decimal, Decimal("1.5"), "string", "1.5"),
    (int | None, ..., ["null", "long"], None),
    (int | None, None, ["null", "long"], None),
    (int | None, 3, ["long", "null"], 3),
    (Color, Color.BLUE, COLOR, "BLUE"),
    (Color | None, None, ["null", COLOR], None),
    (Label, ..., "string", REQUIRED),
    (Level, ..., "long", REQUIRED),
    (Literal["a", "b"], "a", "string", "a"),
    (Literal[1, "x"], ..., ["long", "string"], REQUIRED),
    (int | str, "x", ["string", "long"], "x"),
    (Line, ..., LINE, REQUIRED),
    (Line, Line(sku="s"), LINE, {"sku": "s", "count": 1}),
    (Line | None, None, ["null", LINE], None),
    (list[Line], ..., {"type": "array", "items": LINE}, REQUIRED),
    (list[int] | list[str], [], {"type": "array", "items": ["long", "string"]}, []),
    (set[int], {1}, {"type": "array", "items": "long"}, [1]),
    (tuple[int, str], ..., {"type": "array", "items": ["long", "string"]}, REQUIRED),
    (dict[str, float], {}, {"type": "map", "values": "double"}, {}),
    (dict[int, Line], ..., {"type": "map", "values": LINE}, REQUIRED),
    (Annotated[int, PlainSerializer(str, return_type=str)], ..., "string", REQUIRED),
    (Box[int], ..., {"type": "record", "name": "Box_int_", "fields": [{"name": "item", "type": "long"}]}, REQUIRED),
]


def record_of(model: Any) -> dict[str, Any]:
    schema = Codec(model).schema
    assert schema is not None
    assert schema["type"] == "JSON"
    record: dict[str, Any] = json.loads(schema["data"])
    assert schema["name"] == record["name"]
    return record


@pytest.mark.parametrize(("annotation", "value", "avro", "default"), FIELDS)
def test_field(annotation: Any, value: Any, avro: Any, default: Any) -> None:
    model: Any = create_model("Model", field=(annotation, value))
    expected = {"name": "field", "type": avro} | ({} if default is REQUIRED else {"default": default})
    assert record_of(model) == {"type": "record", "name": "Model", "fields": [expected]}


def test_a_named_type_is_defined_once_and_then_mentioned() -> None:
    class Two(BaseModel):
        first: Line
        second: Line = Line(sku="s")
        color: Color
        other: Color = Color.RED

    fields = record_of(Two)["fields"]
    assert [field["type"] for field in fields] == [LINE, "Line", COLOR, "Color"]
    assert [field.get("default") for field in fields] == [None, {"sku": "s", "count": 1}, None, "RED"]


def test_a_recursive_model_mentions_itself() -> None:
    assert record_of(Node) == {
        "type": "record",
        "name": "Node",
        "fields": [
            {"name": "value", "type": "long"},
            {"name": "children", "type": {"type": "array", "items": "Node"}, "default": []},
            {"name": "parent", "type": ["null", "Node"], "default": None},
        ],
    }


def test_names_are_those_of_the_dump() -> None:
    class Named(BaseModel):
        plain: int = Field(alias="Alias")
        other: int = Field(serialization_alias="written")

        @computed_field
        def total(self) -> float:
            return 1.0

    assert [field["name"] for field in record_of(Named)["fields"]] == ["Alias", "written", "total"]


def test_dataclass_and_typed_dict_are_records_too() -> None:
    @dataclass
    class Point:
        x: int
        y: float = 0.5

    class Options(TypedDict):
        name: str
        size: NotRequired[int]

    assert record_of(Point)["fields"] == [
        {"name": "x", "type": "long"},
        {"name": "y", "type": "double", "default": 0.5},
    ]
    assert record_of(Options)["fields"] == [
        {"name": "name", "type": "string"},
        {"name": "size", "type": ["null", "long"], "default": None},
    ]


@pytest.mark.parametrize("model", [None, bytes, str, int, list[Line], dict[str, int], Line | None])
def test_what_is_no_record_has_no_schema(model: Any) -> None:
    assert Codec(model).schema is None


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ({"anything": (Any, ...)}, "Model.anything"),
        ({"lines": (list[Box[Any]], ...)}, r"Model.lines\[\].item"),
        ({"mapping": (dict[str, Any], ...)}, r"Model.mapping\{\}"),
        ({"first": (int, Field(alias="first-name"))}, "Model.first-name"),
    ],
)
def test_what_avro_cannot_describe_is_refused_with_its_place(field: Any, place: str) -> None:
    model: Any = create_model("Model", **field)
    with pytest.raises(SchemaTypeError, match=place):
        _ = Codec(model).schema
