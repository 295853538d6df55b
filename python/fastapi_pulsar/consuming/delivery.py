"""What a consumer function takes to settle its message itself: a parameter annotated as `Delivery`."""

from datetime import timedelta
from typing import Any

from ..client import Consumer, Message
from .origin import Origins
from .signals import Signal


class GivenBack(Signal):
    """The function has negatively acknowledged its message itself."""


class Delivery:
    """One delivery of one message.

    Attributes:
        message: The message.
        settled: Whether it is acknowledged.
        given_back: Whether it is negatively acknowledged.
    """

    def __init__(self, consumer: Consumer[Any], message: Message[Any], origins: Origins, attempt: int | None) -> None:
        """`attempt` is counted from 1; None: not attempted on the spot before."""
        self.message = message
        self.settled = self.given_back = False
        self._consumer = consumer
        self._origins = origins
        self._attempt = attempt

    @property
    def attempt(self) -> int:
        """Which attempt this is, counted from 1."""
        return self._origins.attempt(self.message) if self._attempt is None else self._attempt

    def acknowledge(self) -> None:
        """Acknowledges the message; not a second time, nor after `negative_acknowledge`.

        Raises:
            ClosedError: The consumer is closed.
        """
        if not self.settled and not self.given_back:
            self._consumer.acknowledge(self.message)
            self.settled = True

    def negative_acknowledge(self, delay: float | timedelta | None = None) -> None:
        """Has the message delivered again; on Exclusive and Failover everything that is not acknowledged.

        Args:
            delay: Seconds or a timedelta; None takes the consumer's `negative_ack_delay`.

        Raises:
            ClosedError: The consumer is closed.
        """
        if not self.settled and not self.given_back:
            self._consumer.negative_acknowledge(self.message, delay=delay)
            self.given_back = True
