"""Time that tests may move."""

from datetime import timedelta

from .. import client
from ..broker import EmbeddedBroker


class PulsarClock:
    """The time of an embedded broker and of all `PulsarClient`s in this process. It only goes forward."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker

    def advance(self, seconds: float | timedelta) -> None:
        """Moves the time at once, instead of sleeping.

        What falls due in between happens: delayed delivery, delays of negative acknowledgements, acknowledgement timeouts,
        back-offs, time to live, retention, expiry of tokens. `asyncio.sleep` and Python's own clocks keep real time.
        """
        client.advance_clock(seconds)
        self._broker.advance(seconds)
