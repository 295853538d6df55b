"""The time of the clients."""

from datetime import timedelta

from .. import _core


def advance_clock(seconds: float | timedelta) -> None:
    """Moves the time of all clients in this process forward at once; for tests."""
    _core.advance_clock(seconds)
