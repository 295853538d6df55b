"""The events of the demo, and the reader of its data file."""

import csv
import gzip
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

DATA = Path(__file__).with_name("flights.csv.gz")
"""The 20,000 flights that ship with the package."""


class Flight(BaseModel):
    """A scheduled flight as it is published: what did not happen is null."""

    row: int
    year: int
    month: int
    day: int
    dep_time: int | None = None
    sched_dep_time: int
    dep_delay: float | None = None
    arr_time: int | None = None
    sched_arr_time: int
    arr_delay: float | None = None
    carrier: str
    flight: int
    tailnum: str | None = None
    origin: str
    dest: str
    air_time: float | None = None
    distance: float
    hour: int
    minute: int
    time_hour: datetime


class Departure(BaseModel):
    """A flight that took off: a cancelled one does not validate and ends in the dead letter topic."""

    row: int
    dep_time: int
    dep_delay: float
    carrier: str
    flight: int
    origin: str
    dest: str
    distance: float


class LateDeparture(BaseModel):
    """A departure delayed by over an hour."""

    row: int
    carrier: str
    flight: int
    dest: str
    dep_delay: float


def read_flights(path: Path = DATA) -> Iterator[Flight]:
    """The flights of a CSV file, gzipped or not, in order; ``NA`` becomes null.

    Raises:
        OSError: the file cannot be read.
        pydantic.ValidationError: a row is not a flight.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=1):
            known = {name: None if value == "NA" else value for name, value in row.items()}
            yield Flight.model_validate({"row": number, **known})
