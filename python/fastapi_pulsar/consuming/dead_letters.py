"""Where messages go that cannot be handled: the dead letter topic, by Java's name and with Java's properties."""

import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..client import Message
from ..exceptions import PayloadValidationError, PulsarError
from ..schemas.rendering import rendered
from .letters import Letters
from .origin import Origins
from .signals import DeadLetter

ERROR = "DEAD_LETTER_ERROR"
"""Property: the class of the exception."""
DETAIL = "DEAD_LETTER_DETAIL"
"""Property: what the exception says, as far as that cannot quote the message; at most 4 KiB."""
ATTEMPTS = "DEAD_LETTER_ATTEMPTS"
"""Property: how many attempts there were."""
TIME = "DEAD_LETTER_TIME"
"""Property: when it was given up, in UTC by ISO 8601."""
_MOST = 4096
"""Bytes of `DETAIL`."""


class DeadLetters:
    """Publishes the dead letters of one subscription."""

    def __init__(self, origins: Origins, letters: Letters) -> None:
        self._origins = origins
        self._letters = letters

    async def open(self) -> None:
        """Makes the topics, each with a subscription: one without keeps nothing of what arrives before its first reader.

        Raises:
            PulsarError: The broker refuses.
        """
        for topic in self._origins.dead_letter_topics:
            await self._letters.producer(topic, self.subscription)

    @property
    def subscription(self) -> str:
        """The subscription that keeps the dead letters."""
        return f"{self._origins.subscription}-dlq"

    async def publish(self, message: Message[Any], error: BaseException, attempts: int) -> str:
        """Publishes one message with why it failed; returns the topic once the broker has confirmed it.

        Raises:
            PulsarError: It could not be stored. The original must not be acknowledged then.
        """
        topic = self._origins.dead_letter_topic(self._origins.of(message))
        properties = self._origins.properties(message) | {
            ERROR: type(cause(error)).__name__,
            DETAIL: detail(error),
            ATTEMPTS: str(attempts),
            TIME: datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        if not properties[DETAIL]:
            del properties[DETAIL]
        await self._letters.publish(topic, self.subscription, message, properties)
        return topic


def cause(error: BaseException) -> BaseException:
    """What a function failed with: of a `DeadLetter` signal, what it was raised from."""
    return error.__cause__ or error if isinstance(error, DeadLetter) else error


def detail(error: BaseException) -> str:
    """What an exception says, without the message's content, cut to 4 KiB.

    The rules that a payload breaks; the text of our own exceptions, which quote nothing; the reason of a `DeadLetter`; of
    any other exception, whose text may quote the message, the place where it was raised.
    """
    return _detail(error).encode()[:_MOST].decode(errors="ignore")


def _detail(error: BaseException) -> str:
    if isinstance(error, DeadLetter) and (error.reason or error.__cause__ is None):
        return error.reason
    error = cause(error)
    if isinstance(error, PayloadValidationError):
        return _rules(error.errors)
    if isinstance(error, ValidationError):
        return _rules(rendered(error, frozenset()))
    if isinstance(error, PulsarError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    return f"raised in {frames[-1].name} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""


def _rules(errors: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{place}: {rule}" for place, rule in errors)
