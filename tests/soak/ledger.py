"""What was confirmed and what arrived, and the verdict on it."""

from collections import defaultdict
from dataclasses import dataclass, field


class _Numbers:
    """A growing set of small numbers, a byte each."""

    def __init__(self) -> None:
        self._marks = bytearray()
        self.count = 0

    def add(self, number: int) -> bool:
        """Whether it is new."""
        if number >= len(self._marks):
            self._marks.extend(bytes(number + 1 - len(self._marks)))
        new = not self._marks[number]
        self._marks[number] = 1
        self.count += new
        return new

    def missing(self, other: "_Numbers") -> list[int]:
        """Those that are in the other only."""
        return [
            number
            for number, mark in enumerate(other._marks)
            if mark and not (number < len(self._marks) and self._marks[number])
        ]


@dataclass
class Subscription:
    """What one subscription received of one topic. `ordered` if its first receipts must come in each key's order."""

    name: str
    ordered: bool
    first: int = 0
    again: int = 0
    out_of_order: list[str] = field(default_factory=list)
    _received: dict[str, _Numbers] = field(default_factory=lambda: defaultdict(_Numbers))
    _highest: dict[str, int] = field(default_factory=lambda: defaultdict(lambda: -1))

    def received(self, key: str, number: int) -> bool:
        """Takes in a message; whether it came for the first time."""
        if not self._received[key].add(number):
            self.again += 1
            return False
        self.first += 1
        if number < self._highest[key]:
            self.out_of_order.append(f"{self.name}: {key} {number} after {self._highest[key]}")
        self._highest[key] = max(number, self._highest[key])
        return True

    def lost(self, confirmed: dict[str, _Numbers]) -> list[str]:
        """What was confirmed and never came."""
        return [
            f"{self.name}: {key} {number}"
            for key, numbers in confirmed.items()
            for number in self._received[key].missing(numbers)
        ]


class Topic:
    """The messages of one topic: each has a key, and a number that counts up within the key."""

    def __init__(self, name: str, subscriptions: dict[str, bool]) -> None:
        self.name = name
        self.subscriptions = {kind: Subscription(f"{name} {kind}", ordered) for kind, ordered in subscriptions.items()}
        self._confirmed: dict[str, _Numbers] = defaultdict(_Numbers)

    @property
    def confirmed(self) -> int:
        """How many were confirmed."""
        return sum(numbers.count for numbers in self._confirmed.values())

    def confirm(self, key: str, number: int) -> None:
        """The broker has said that it has the message."""
        self._confirmed[key].add(number)

    def lost(self) -> list[str]:
        """Every confirmed message that a subscription never received."""
        return [line for subscription in self.subscriptions.values() for line in subscription.lost(self._confirmed)]

    def out_of_order(self) -> list[str]:
        """Every first receipt that came after a later one of its key, where that must not be."""
        return [
            line
            for subscription in self.subscriptions.values()
            if subscription.ordered
            for line in subscription.out_of_order
        ]
