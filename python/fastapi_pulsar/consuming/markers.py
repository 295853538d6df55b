"""What a parameter of a consumer function may be besides the payload."""

from dataclasses import dataclass
from datetime import timedelta

from ..exceptions import InvalidOptionError


@dataclass(frozen=True, slots=True)
class Property:
    """Marks a parameter that receives a property of the message: `Annotated[str, Property("name")]`.

    The property's text is validated as the annotated type. A message without it does not validate, unless the parameter
    has a default.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Key:
    """Marks a parameter that receives the message's key: `Annotated[str, Key()]`, or `str | None` if there may be none."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Makes a batch handler, whose payload parameter is a list.

    Args:
        max_messages: Messages of one call, at most.
        max_wait: Seconds, or a timedelta, to wait for a batch to fill once asked for.

    Raises:
        InvalidOptionError: A limit is not positive.
    """

    max_messages: int = 100
    max_wait: float | timedelta = 1.0

    def __post_init__(self) -> None:
        if self.max_messages < 1 or seconds(self.max_wait) <= 0:
            raise InvalidOptionError("Batch: max_messages must be at least 1 and max_wait more than 0 seconds")


def seconds(time: float | timedelta) -> float:
    """A duration in seconds."""
    return time.total_seconds() if isinstance(time, timedelta) else float(time)
