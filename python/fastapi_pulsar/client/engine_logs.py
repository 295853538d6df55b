"""Brings what the engines note into Python's log, under `fastapi_pulsar.engine`.

The engines note in memory, and no thread of theirs calls Python: a thread here fetches what there is a few times a second,
as long as there is an engine.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ..logs import about

logger = logging.getLogger("fastapi_pulsar.engine")
_INTERVAL = 0.2
"""Seconds between two looks."""
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Notes(Protocol):
    """An engine's client."""

    def take_events(self) -> dict[str, Any]: ...


class Drain:
    """Fetches from the engines that there are.

    Args:
        engines: Gives those that there are now; the thread ends when there is none.
        interval: Seconds between two looks.
    """

    def __init__(self, engines: Callable[[], Iterable[Notes]], interval: float = _INTERVAL) -> None:
        self._engines = engines
        self._interval = interval
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Sees to it that the thread runs."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fastapi-pulsar-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(self._interval)
            with self._lock:
                engines = list(self._engines())
                if not engines:
                    self._thread = None
                    return
            for engine in engines:
                write(engine)
            del engines


def write(engine: Notes) -> None:
    """Writes what an engine noted since the last time."""
    taken = engine.take_events()
    if taken["lost"]:
        logger.warning("%d records of the engine were lost: too many in a moment", taken["lost"])
    for event in taken["events"]:
        level = _LEVELS[event["level"]]
        if logger.isEnabledFor(level):
            text = event["text"] if event["topic"] is None else f"{event['topic']}: {event['text']}"
            fields = about(topic=event["topic"], subscription=event["subscription"])
            logger.log(level, "%s", text, extra=fields | {"message_id": event["message_id"]})
