"""The demo's ledger: every miscount shows."""

import pytest

from fastapi_pulsar.demo.ledger import Ledger
from fastapi_pulsar.demo.models import Flight, read_flights
from fastapi_pulsar.demo.statistics import Statistics


def flight(row: int, dep_delay: float | None) -> Flight:
    values = {"year": 2013, "month": 1, "day": 1, "sched_dep_time": 515, "sched_arr_time": 819, "carrier": "UA"}
    values |= {"flight": 1545, "origin": "EWR", "dest": "IAH", "distance": 1400, "hour": 5, "minute": 15}
    departed = {} if dep_delay is None else {"dep_time": 517, "dep_delay": dep_delay}
    return Flight.model_validate({"row": row, "time_hour": "2013-01-01T10:00:00Z", **values, **departed})


@pytest.fixture
def ledger() -> Ledger:
    """Three flights, all observed: one on time, one late, one cancelled."""
    ledger = Ledger()
    ledger.expect([flight(1, 2), flight(2, 61), flight(3, None)])
    for row in (1, 2, 3):
        ledger.confirm(row)
    for row in (1, 2):
        ledger.saw(ledger.departures, row)
    ledger.saw(ledger.late, 2)
    ledger.saw(ledger.dead_lettered, 3)
    return ledger


def test_all_observed_is_complete(ledger: Ledger) -> None:
    assert ledger.complete
    assert ledger.summary(1.25) == (
        "demo: published=3 departures=2 late=1 dead_lettered=1 lost=0 duplicated=0 seconds=1.2"
    )


def test_a_second_arrival_is_a_duplicate(ledger: Ledger) -> None:
    ledger.saw(ledger.departures, 1)
    assert ledger.observed["duplicated"] == 1
    assert not ledger.complete


def test_handled_and_dead_lettered_is_a_duplicate(ledger: Ledger) -> None:
    ledger.saw(ledger.dead_lettered, 1)
    assert ledger.observed["duplicated"] == 1


def test_a_row_seen_nowhere_is_lost(ledger: Ledger) -> None:
    del ledger.departures[1]
    assert ledger.observed["lost"] == 1
    assert not ledger.complete


def test_the_shipped_flights_have_the_documented_counts() -> None:
    ledger = Ledger()
    ledger.expect(read_flights())
    expected = {"published": 20000, "departures": 19822, "late": 1062, "dead_lettered": 178}
    assert ledger.expected == expected | {"lost": 0, "duplicated": 0}


def test_statistics_notice_a_flight_out_of_order() -> None:
    statistics = Statistics()
    for row in (1, 3, 2):
        statistics.add(flight(row, 10))  # type: ignore[arg-type]
    (report,) = statistics.report()
    assert (report.departures, report.mean_delay, report.in_order) == (3, 10.0, False)
