"""What a consumer function may raise to say what becomes of its message."""

from datetime import timedelta

from ..exceptions import InvalidOptionError
from .markers import seconds


class Signal(Exception):
    """The root of the signals. They are no failures, but a dependency with `yield` sees them as exceptions."""


class Ack(Signal):
    """Acknowledge the message now: it is handled."""


class Skip(Signal):
    """Acknowledge the message without having handled it: it does not concern this function."""


class Nack(Signal):
    """Give the message back to the broker, which delivers it again, perhaps to another consumer.

    Not bounded by the retry policy's `max_attempts`. On Exclusive and Failover, where the broker cannot take back one message,
    it is tried again on the spot, and there counts as an attempt.
    """

    def __init__(self, delay: float | timedelta | None = None) -> None:
        """`delay` is in seconds, or a timedelta; None takes the retry policy's.

        Raises:
            InvalidOptionError: It is negative.
        """
        self.delay = _checked("Nack", delay)
        super().__init__()


class Retry(Signal):
    """Attempt the message again by the retry policy's way; as a failed attempt it counts."""

    def __init__(self, delay: float | timedelta | None = None) -> None:
        """`delay` is in seconds, or a timedelta; None takes the retry policy's.

        Raises:
            InvalidOptionError: It is negative.
        """
        self.delay = _checked("Retry", delay)
        super().__init__()


class DeadLetter(Signal):
    """Send the message to the dead letter topic now.

    Raised `from` another exception, the class of that one is recorded.
    """

    def __init__(self, reason: str = "") -> None:
        """`reason` is recorded with the dead letter as it is: it must not quote what is confidential."""
        self.reason = reason
        super().__init__(reason)


def _checked(signal: str, delay: float | timedelta | None) -> float | None:
    if delay is None:
        return None
    if not 0 <= seconds(delay) < float("inf"):
        raise InvalidOptionError(f"{signal}: delay must be a number of seconds from 0 on, or a timedelta")
    return seconds(delay)
