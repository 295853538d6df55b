"""Models of ours with their counterparts: `Everything` in `java/Peer.java`, `OfficialOrder` for the official client."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from pulsar.schema import Double, Long, Record, String
from pydantic import BaseModel


class Colour(StrEnum):
    RED = "RED"
    GREEN = "GREEN"


class Inner(BaseModel):
    name: str
    size: int


class Everything(BaseModel):
    """A field of every kind."""

    text: str
    whole: int
    real: float
    flag: bool
    moment: datetime
    day: date
    identity: UUID
    price: Decimal
    colour: Colour
    inner: Inner
    words: list[str]
    inners: list[Inner]
    counts: dict[str, int]
    note: str | None = None


EXAMPLE = Everything(
    text="çödé 東京",
    whole=2**53 + 1,
    real=0.1,
    flag=True,
    moment=datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC),
    day=date(2026, 2, 28),
    identity=UUID("12345678-1234-5678-1234-567812345678"),
    price=Decimal("1234567890.123456789"),
    colour=Colour.GREEN,
    inner=Inner(name="nested", size=-1),
    words=["a", "", "c"],
    inners=[Inner(name="x", size=1), Inner(name="y", size=2)],
    counts={"one": 1, "two": 2},
)


def as_json(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json")


class Order(BaseModel):
    id: int
    customer: str
    amount: float | None = None


class OfficialOrder(Record):  # type: ignore[misc]
    """The same record as the official client declares it."""

    id = Long(required=True)
    customer = String(required=True)
    amount = Double()


class Narrow(BaseModel):
    """Not compatible with `Order`: `customer` has another type, and a required field is new."""

    id: int
    customer: int
    address: str
