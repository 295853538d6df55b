"""What happens to each message, decided by a seed, so that every process knows it without being told."""

import random
from typing import Literal, NamedTuple

Kind = Literal["fine", "raises", "hangs", "invalid"]
MOST_ATTEMPTS = 3
RAISES, HANGS, INVALID = 0.05, 0.01, 0.005
"""Shares of the messages."""


class Fate(NamedTuple):
    """`failures` are the attempts that fail; with as many as there are attempts, a message becomes a dead letter."""

    kind: Kind
    failures: int


def fate(seed: int, number: int) -> Fate:
    """What happens to the message of this number."""
    chance = random.Random(f"{seed}:{number}")
    draw, failures = chance.random(), chance.randint(1, MOST_ATTEMPTS)
    if draw < RAISES:
        return Fate("raises", failures)
    if draw < RAISES + HANGS:
        return Fate("hangs", failures)
    if draw < RAISES + HANGS + INVALID:
        return Fate("invalid", MOST_ATTEMPTS)
    return Fate("fine", 0)
