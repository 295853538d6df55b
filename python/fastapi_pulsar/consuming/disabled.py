"""What `PULSAR_ENABLED=false` gives in place of a producer."""

from collections.abc import Iterable
from typing import Any


class DisabledProducer:
    """Takes what a `Producer` takes and does nothing."""

    def __init__(self, topic: str) -> None:
        self.topic = topic

    async def send(self, value: Any, **options: Any) -> None:
        """Sends nothing."""

    async def send_many(self, values: Iterable[Any], **options: Any) -> list[None]:
        """Sends nothing; one None for each value."""
        return [None for _ in values]

    def send_blocking(self, value: Any, **options: Any) -> None:
        """Sends nothing."""

    async def flush(self) -> None:
        """Has nothing to wait for."""

    async def close(self) -> None:
        """Has nothing to close."""
