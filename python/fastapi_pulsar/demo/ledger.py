"""What the demo promised and what it observed, so that a loss cannot hide."""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from time import monotonic

from .models import Flight

LATE_MINUTES = 60


@dataclass
class Ledger:
    """Row numbers seen at each place, each counted where it is observed."""

    expected: dict[str, int] = field(default_factory=dict)
    rows: set[int] = field(default_factory=set)
    confirmed: set[Hashable] = field(default_factory=set)
    departures: Counter[int] = field(default_factory=Counter)
    late: Counter[int] = field(default_factory=Counter)
    dead_lettered: Counter[int] = field(default_factory=Counter)
    last_change: float = field(default_factory=monotonic)

    def expect(self, flights: Iterable[Flight]) -> None:
        """Works out from the data alone what every count must be."""
        flights = list(flights)
        departed = [flight for flight in flights if flight.dep_time is not None]
        self.rows = {flight.row for flight in flights}
        self.expected = {
            "published": len(flights),
            "departures": len(departed),
            "late": sum(1 for flight in departed if (flight.dep_delay or 0) > LATE_MINUTES),
            "dead_lettered": len(flights) - len(departed),
            "lost": 0,
            "duplicated": 0,
        }

    def saw(self, place: Counter[int], row: int) -> None:
        """Notes one arrival of a row at a place."""
        place[row] += 1
        self.last_change = monotonic()

    def confirm(self, message_id: Hashable) -> None:
        """Notes the broker's confirmation of one published message."""
        self.confirmed.add(message_id)
        self.last_change = monotonic()

    @property
    def observed(self) -> dict[str, int]:
        """The counts of the demo's last line."""
        arrived = self.departures.keys() | self.dead_lettered.keys()
        twice = self.departures.keys() & self.dead_lettered.keys()
        places = (self.departures, self.late, self.dead_lettered)
        return {
            "published": len(self.confirmed),
            "departures": len(self.departures),
            "late": len(self.late),
            "dead_lettered": len(self.dead_lettered),
            "lost": len(self.rows - arrived),
            "duplicated": len(twice) + sum(place.total() - len(place) for place in places),
        }

    @property
    def complete(self) -> bool:
        """Whether everything that was promised has been observed."""
        return bool(self.rows) and self.observed == self.expected

    def idle_for(self) -> float:
        """Seconds since the last observation."""
        return monotonic() - self.last_change

    def summary(self, seconds: float) -> str:
        """The demo's last line."""
        counts = " ".join(f"{name}={count}" for name, count in self.observed.items())
        return f"demo: {counts} seconds={seconds:.1f}"
