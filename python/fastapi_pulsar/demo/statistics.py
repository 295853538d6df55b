"""Delays per airport, kept in the order of each airport's flights."""

from dataclasses import dataclass

from pydantic import BaseModel

from .models import Departure


class AirportReport(BaseModel):
    """What `GET /airports` says of one destination. Delays are minutes."""

    airport: str
    departures: int
    mean_delay: float
    worst_delay: float
    in_order: bool


@dataclass
class _Airport:
    departures: int = 0
    total_delay: float = 0.0
    worst_delay: float = float("-inf")
    last_row: int = 0
    in_order: bool = True


class Statistics:
    """Running figures, one entry per destination."""

    def __init__(self) -> None:
        self._airports: dict[str, _Airport] = {}

    def add(self, departure: Departure) -> None:
        """Counts one departure."""
        airport = self._airports.setdefault(departure.dest, _Airport())
        airport.departures += 1
        airport.total_delay += departure.dep_delay
        airport.worst_delay = max(airport.worst_delay, departure.dep_delay)
        airport.in_order &= departure.row > airport.last_row
        airport.last_row = departure.row

    def report(self) -> list[AirportReport]:
        """All airports, the busiest first."""
        reports = [
            AirportReport(
                airport=code,
                departures=airport.departures,
                mean_delay=round(airport.total_delay / airport.departures, 1),
                worst_delay=airport.worst_delay,
                in_order=airport.in_order,
            )
            for code, airport in self._airports.items()
        ]
        return sorted(reports, key=lambda report: (-report.departures, report.airport))
