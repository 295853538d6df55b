"""Trying again: how often, after what pauses, and after which errors."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from ..exceptions import (
    CircuitOpenError,
    ConsumerAssignError,
    ConsumerBusyError,
    InvalidOptionError,
    ProducerBusyError,
    PulsarError,
    QuotaExceededError,
    TimeoutError,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retries:
    """So many attempts after the first; `delay` seconds before the first of them, each pause `factor` times the one before."""

    most: int
    delay: float
    factor: float = 1.0

    @classmethod
    def of(cls, policy: Mapping[str, Any] | None, default: Self) -> Self:
        """The original's mapping: `max_retries`, `delay` (seconds) and `backoff_factor` (2), each of them optional.

        Raises:
            InvalidOptionError: A key is unknown, or a value is no number from 0 on.
        """
        if policy is None:
            return default
        if unknown := policy.keys() - {"max_retries", "delay", "backoff_factor"}:
            raise InvalidOptionError(f"retry_policy has the unknown key {min(unknown)!r}")
        for key, value in policy.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise InvalidOptionError(f"retry_policy[{key!r}] must be a number from 0 on")
        return cls(
            int(policy.get("max_retries", default.most)),
            float(policy.get("delay", default.delay)),
            float(policy.get("backoff_factor", 2.0)),
        )


async def retrying(
    work: Callable[[], Awaitable[T]],
    retries: Retries,
    passes: Callable[[Exception], bool],
    again: Callable[[Exception], None] = lambda _: None,
) -> T:
    """Does the work until it succeeds.

    Args:
        work: Makes one attempt.
        retries: How often and after what pauses.
        passes: Whether an error may pass.
        again: Is told the error before each further attempt.

    Raises:
        Exception: The last attempt's, or one that does not pass.
    """
    pause = retries.delay
    for _ in range(retries.most):
        try:
            return await work()
        except Exception as error:
            if not passes(error):
                raise
            again(error)
        await asyncio.sleep(pause)
        pause *= retries.factor
    return await work()


_ANSWERED = (ProducerBusyError, ConsumerBusyError, ConsumerAssignError, QuotaExceededError, CircuitOpenError)


def may_pass(error: Exception) -> bool:
    """Whether opening may succeed later: who is busy or full answers at once, the network's failures may pass."""
    return isinstance(error, PulsarError) and error.retryable and not isinstance(error, _ANSWERED)


def was_not_stored(error: Exception) -> bool:
    """Whether sending again cannot make a second copy: after a timeout the message may be stored."""
    return may_pass(error) and not isinstance(error, TimeoutError)
