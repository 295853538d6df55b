"""The demo's application: what a service with `fastapi_pulsar` looks like."""

import asyncio
from typing import Annotated
from uuid import uuid4

from fastapi import FastAPI, HTTPException

from fastapi_pulsar import Producer, Property, PulsarRouter, health_check

from .ledger import LATE_MINUTES, Ledger
from .models import Departure, Flight, LateDeparture
from .statistics import AirportReport, Statistics

FLIGHTS = "flights"
LATE_DEPARTURES = "late-departures"
SUBSCRIPTION = "statistics"
DEAD_LETTERS = f"{FLIGHTS}-{SUBSCRIPTION}-DLQ"
IN_FLIGHT = 1000


class Demo:
    """One run: an application with its router, and the ledger of what it observed.

    Messages carry the run's id in a property, so that a second run on the same broker counts only its own.
    """

    def __init__(self, flights: list[Flight], *, drop_row: int | None = None) -> None:
        """`drop_row` names one row that the handler forgets on purpose, to show that the ledger notices."""
        self.run = uuid4().hex
        self.flights = flights
        self.drop_row = drop_row
        self.ledger = Ledger()
        self.ledger.expect(flights)
        self.statistics = Statistics()
        self.pulsar = PulsarRouter(on_startup="wait")
        self._collect_handlers()
        self.app = FastAPI(title="fastapi-pulsar demo: flights from New York")
        self.app.include_router(self.pulsar)
        self.app.include_router(health_check.router)

    def _collect_handlers(self) -> None:
        @self.pulsar.consumer(
            FLIGHTS, subscription=SUBSCRIPTION, ordering="key", concurrency=100, initial_position="earliest"
        )
        async def keep_statistics(departure: Departure, run: Annotated[str, Property("run")]) -> None:
            if run != self.run or departure.row == self.drop_row:
                return
            self.statistics.add(departure)
            self.ledger.saw(self.ledger.departures, departure.row)
            if departure.dep_delay > LATE_MINUTES:
                late = LateDeparture.model_validate(departure, from_attributes=True)
                await self.pulsar.publish(LATE_DEPARTURES, late, key=late.dest, properties={"run": run})

        @self.pulsar.consumer(LATE_DEPARTURES, subscription="board", initial_position="earliest")
        async def show_on_board(late: LateDeparture, run: Annotated[str, Property("run")]) -> None:
            if run == self.run:
                self.ledger.saw(self.ledger.late, late.row)

        @self.pulsar.get("/airports")
        async def airports() -> list[AirportReport]:
            """Delays per destination, the busiest first."""
            return self.statistics.report()

        @self.pulsar.get("/airports/{code}")
        async def airport(code: str) -> AirportReport:
            """Delays of one destination."""
            for report in self.statistics.report():
                if report.airport == code.upper():
                    return report
            raise HTTPException(404, f"no departure to {code.upper()} yet")

        @self.pulsar.get("/progress")
        async def progress() -> dict[str, int]:
            """The counts of the demo's last line, so far."""
            return self.ledger.observed

    async def publish_flights(self) -> None:
        """Publishes all flights, keyed by destination, with up to 1,000 sends awaited at a time."""
        room = asyncio.Semaphore(IN_FLIGHT)

        async def publish(flight: Flight, producer: Producer[Flight]) -> None:
            try:
                message_id = await producer.send(flight, key=flight.dest, properties={"run": self.run})
                self.ledger.confirm(message_id)
            finally:
                room.release()

        async with self.pulsar.client.producer(FLIGHTS, Flight) as producer, asyncio.TaskGroup() as tasks:
            for flight in self.flights:
                await room.acquire()
                tasks.create_task(publish(flight, producer))

    async def watch_dead_letters(self) -> None:
        """Notes what arrives in the dead letter topic, until cancelled."""
        async with self.pulsar.client.reader(DEAD_LETTERS, Flight, start="earliest") as reader:
            async for message in reader:
                if message.properties.get("run") == self.run:
                    self.ledger.saw(self.ledger.dead_lettered, message.value.row)
