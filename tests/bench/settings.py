"""What both sides are given, so that the clients differ and nothing else."""

from dataclasses import dataclass, field

BATCH_MESSAGES = 1000
BATCH_DELAY_MS = 1
PENDING = 5000
DELAYED_PENDING = 50_000
"""The pending limit of the case with a slow network."""


@dataclass(frozen=True)
class Run:
    """One run of one case by one client, in a process of its own."""

    url: str
    topic: str
    subscription: str
    size: int
    messages: int
    tasks: int = 1
    rate: int = 500
    pending: int = PENDING
    listener: str | None = None
    """The advertised listener to ask the broker for: the slow network has one of its own."""
    known: list[int] = field(default_factory=list)
    """Processes whose load belongs to the case."""

    @property
    def payload(self) -> bytes:
        """Incompressible enough, and the same for everyone."""
        return bytes(index * 37 % 251 for index in range(self.size))
