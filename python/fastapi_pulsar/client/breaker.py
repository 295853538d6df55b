"""A circuit breaker for publishing: while the connection is known to be bad, callers are told at once instead of waiting."""

import builtins
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeVar, get_args
from weakref import WeakSet

from .. import metrics
from ..exceptions import CircuitOpenError, InvalidOptionError, ServiceNotReadyError

T = TypeVar("T")
State = Literal["closed", "half_open", "open"]
FAILURES = (builtins.ConnectionError, builtins.TimeoutError, ServiceNotReadyError)
"""What counts: failures of the connection. What the broker refuses for a reason of its own does not."""


class CircuitBreaker:
    """Opens after so many connection failures in a row; later lets one call through as a probe, whose success closes it.

    It may be used from several event loops.

    Attributes:
        topic: The topic that it guards.
        failures: Connection failures in a row.
        times_opened: How often it has opened.
    """

    def __init__(
        self,
        topic: str,
        failure_threshold: int = 5,
        recovery_timeout: float = 30.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Closed at first.

        Args:
            topic: The topic that it guards.
            failure_threshold: Connection failures in a row that open it; 0 never does.
            recovery_timeout: Seconds until a probe is let through.
            clock: The time, in seconds.

        Raises:
            InvalidOptionError: A limit is out of range.
        """
        if failure_threshold < 0 or not recovery_timeout > 0:
            raise InvalidOptionError(
                "CircuitBreaker: failure_threshold must not be negative, and recovery_timeout be more than 0 seconds"
            )
        self.topic = topic
        self.failures = 0
        self.times_opened = 0
        self._threshold = failure_threshold
        self._recovery = recovery_timeout
        self._clock = clock
        self._opened_at: float | None = None
        self._probing = False
        self._lock = threading.Lock()
        self._label = metrics.topic_label(topic)

    @property
    def state(self) -> State:
        """`closed`, `open`, or `half_open`: the next call is a probe, or one is on its way."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if self._probing or self._remaining() <= 0 else "open"

    async def call(self, send: Callable[[], Awaitable[T]]) -> T:
        """Awaits what `send` returns, unless the breaker is open.

        Raises:
            CircuitOpenError: It is open, or a probe is on its way.
            Exception: What `send` raises.
        """
        probe = self._opened_at is not None and self._take_probe()
        try:
            result = await send()
        except FAILURES:
            self._failed(probe)
            raise
        except BaseException:
            # Cancelled, or refused for another reason: that tells nothing about the connection.
            if probe:
                self._probing = False
            raise
        if probe or self.failures:
            self._succeeded()
        return result

    def _remaining(self) -> float:
        return self._recovery - (self._clock() - (self._opened_at or 0.0))

    def _take_probe(self) -> bool:
        with self._lock:
            if self._opened_at is None:
                return False
            if self._probing or self._remaining() > 0:
                wait = max(self._remaining(), 0.0)
                raise CircuitOpenError(
                    f"not sent: {self.failures} attempts to publish failed in a row, and the next one is "
                    + ("on its way" if self._probing else f"made in {wait:.1f} s at the earliest"),
                    topic=self.topic,
                )
            self._probing = True
            self._show("half_open")
            return True

    def _failed(self, probe: bool) -> None:
        with self._lock:
            self.failures += 1
            if probe:
                self._probing = False
            opens = self._opened_at is None and 0 < self._threshold <= self.failures
            if probe or opens:
                self._opened_at = self._clock()
                self._show("open")
            self.times_opened += opens
            if opens:
                _opened.add(self)
            metrics.PULSAR_BREAKER_FAILURES.labels(topic=self._label).inc()

    def _succeeded(self) -> None:
        with self._lock:
            self.failures = 0
            self._opened_at = None
            self._probing = False
            self._show("closed")

    def _show(self, state: State) -> None:
        metrics.PULSAR_BREAKER_STATE.labels(topic=self._label).set(get_args(State).index(state))


_opened: "WeakSet[CircuitBreaker]" = WeakSet()
"""Those that have been opened once: by the time alone, open becomes half-open."""


def _show_states() -> None:
    """Of several breakers of one topic, in several clients, the worst is shown."""
    states: dict[str, int] = {}
    for breaker in list(_opened):
        state = get_args(State).index(breaker.state)
        states[breaker._label] = max(state, states.get(breaker._label, 0))
    for label, state in states.items():
        metrics.PULSAR_BREAKER_STATE.labels(topic=label).set(state)


metrics.before_scrape(_show_states)


class Breakers:
    """The breakers of one client, made for each topic when it is first published to."""

    def __init__(self, failure_threshold: int, recovery_timeout: float) -> None:
        """See `CircuitBreaker`."""
        self._limits = failure_threshold, recovery_timeout
        self._of_topics: dict[str, CircuitBreaker] = {}

    def of(self, topic: str) -> CircuitBreaker:
        """The breaker of a topic, by its full name."""
        found = self._of_topics.get(topic)
        return found or self._of_topics.setdefault(topic, CircuitBreaker(topic, *self._limits))

    @property
    def all(self) -> Mapping[str, CircuitBreaker]:
        """Those that there are, by topic."""
        return MappingProxyType(self._of_topics)
