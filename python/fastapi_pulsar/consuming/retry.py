"""When a failed message is attempted again, how often, and by which of three ways."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, NoReturn, get_args

from ..exceptions import DecodeError, InvalidOptionError, PayloadValidationError
from .markers import seconds
from .signals import Ack, DeadLetter, Nack, Retry, Skip

Way = Literal["in_place", "redeliver", "retry_topic"]
Exceptions = type[BaseException] | tuple[type[BaseException], ...]
Verdict = Literal["acknowledge", "give_back", "retry", "bury"]
_ATTEMPTS = 4
_LONGEST = 365 * 86_400.0
"""Seconds; no message waits longer than a year."""


@dataclass(frozen=True, slots=True)
class Exponential:
    """Delays that grow: `initial * multiplier ** (attempt - 1)`, at most `max`.

    Args:
        initial: Seconds, or a timedelta, before the second attempt.
        max: Seconds, or a timedelta, that no delay exceeds.
        multiplier: By how much each delay is longer than the one before, at least 1.

    Raises:
        InvalidOptionError: One is out of range. The text names it.
    """

    initial: float | timedelta = 1.0
    max: float | timedelta = 60.0
    multiplier: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= seconds(self.initial) <= seconds(self.max) <= _LONGEST:
            raise InvalidOptionError("Exponential: 0 <= initial <= max must hold, and max be a year at most")
        if not 1 <= self.multiplier < math.inf:
            raise InvalidOptionError("Exponential: multiplier must be at least 1")

    def delay(self, attempt: int) -> float:
        """Seconds between the attempt of this number, counted from 1, and the next."""
        try:
            return min(seconds(self.initial) * self.multiplier ** (attempt - 1), seconds(self.max))
        except OverflowError:
            return seconds(self.max)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What happens when a consumer function fails. After the last attempt a message goes to the dead letter topic.

    The ways:

    * `in_place`: waits in the function's slot and attempts again. Order is kept, and what comes behind waits. The count begins
      anew when the process does. The default on Exclusive and Failover and with `ordering="key"`.
    * `redeliver`: negative acknowledgement. The slot is free meanwhile; later messages overtake. The broker counts, and
      forgets when it restarts. On Shared and Key_Shared only, and the default there.
    * `retry_topic`: publishes to the retry letter topic, as Java's `reconsumeLater`, which a Shared subscription of the same
      name reads after the delay. Delays and counts survive restarts of process and broker; order is lost.

    Args:
        max_attempts: Attempts in all, at least 1; by default one more than `backoff` has tiers, or else 4.
        backoff: The delay before the next attempt: seconds or a timedelta (always the same), a list of tiers such as
            `[5, 30, 120]` (the last one repeats), or `Exponential(…)`.
        jitter: By what share of itself a delay is shortened or prolonged at random, from 0 to 1.
        retry_on: Classes of exceptions that are worth another attempt.
        dead_letter_on: Classes of exceptions that are not; they win over `retry_on`.
        way: `in_place`, `redeliver` or `retry_topic`; None takes the default of the subscription's type.

    Raises:
        InvalidOptionError: One is out of range, or the policy would never end. The text names it.
    """

    max_attempts: int | None = None
    backoff: float | timedelta | Sequence[float | timedelta] | Exponential = Exponential()
    jitter: float = 0.1
    retry_on: Exceptions = Exception
    dead_letter_on: Exceptions = ()
    way: Way | None = None

    def __post_init__(self) -> None:
        if isinstance(self.backoff, Sequence):
            object.__setattr__(self, "backoff", tuple(self.backoff))
        count: object = self.max_attempts
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
            self._refuse("max_attempts must be a whole number from 1 on: a policy must end")
        if not isinstance(self.backoff, Exponential) and not _are_delays(self.backoff):
            self._refuse("backoff must be seconds, a timedelta, a list of those, or Exponential(…)")
        if not 0 <= self.jitter <= 1:
            self._refuse("jitter must be from 0 to 1")
        if not _are_exceptions(self.retry_on) or not _are_exceptions(self.dead_letter_on):
            self._refuse("retry_on and dead_letter_on must be classes of exceptions")
        if self.way is not None and self.way not in get_args(Way):
            self._refuse(f"way must be one of {', '.join(get_args(Way))}")

    def _refuse(self, rule: str) -> NoReturn:
        raise InvalidOptionError(f"RetryPolicy: {rule}")

    @property
    def attempts(self) -> int:
        """Attempts in all."""
        if self.max_attempts is not None:
            return self.max_attempts
        return len(self.backoff) + 1 if isinstance(self.backoff, tuple) else _ATTEMPTS

    def delay(self, attempt: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds between the attempt of this number, counted from 1, and the next.

        Args:
            attempt: The attempt that failed.
            chance: Gives the jitter, a number from 0 to 1.
        """
        backoff: Any = self.backoff
        if isinstance(backoff, Exponential):
            delay = backoff.delay(attempt)
        elif isinstance(backoff, tuple):
            delay = seconds(backoff[min(attempt, len(backoff)) - 1])
        else:
            delay = seconds(backoff)
        return delay * (1 + self.jitter * (2 * chance() - 1)) if self.jitter else delay

    def by(self, way: Way) -> "RetryPolicy":
        """The same with its way decided."""
        return self if self.way == way else replace(self, way=way)

    def decide(self, error: BaseException, attempt: int) -> tuple[Verdict, float]:
        """What becomes of a message whose attempt of this number raised `error`; and after how many seconds."""
        if isinstance(error, Ack | Skip):
            return "acknowledge", 0.0
        if isinstance(error, Nack):
            return "give_back", self.delay(attempt) if error.delay is None else error.delay
        if isinstance(error, DeadLetter) or attempt >= self.attempts:
            return "bury", 0.0
        if isinstance(error, Retry):
            return "retry", self.delay(attempt) if error.delay is None else error.delay
        # No attempt changes what a payload is.
        hopeless = isinstance(error, (PayloadValidationError, DecodeError, self.dead_letter_on))
        if hopeless or not isinstance(error, self.retry_on):
            return "bury", 0.0
        return "retry", self.delay(attempt)


def _are_delays(backoff: Any) -> bool:
    if isinstance(backoff, tuple):
        return bool(backoff) and all(not isinstance(one, tuple) and _are_delays(one) for one in backoff)
    if isinstance(backoff, bool) or not isinstance(backoff, int | float | timedelta):
        return False
    return 0 <= seconds(backoff) <= _LONGEST


def _are_exceptions(classes: Any) -> bool:
    classes = classes if isinstance(classes, tuple) else (classes,)
    return all(isinstance(one, type) and issubclass(one, BaseException) for one in classes)
