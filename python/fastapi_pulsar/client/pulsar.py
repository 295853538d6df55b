"""`PulsarClient`: the engine's verbs, the original's, and the status of tasks."""

import asyncio
import builtins
import inspect
import logging
from collections.abc import Callable
from datetime import timedelta
from time import perf_counter
from typing import Any, ClassVar

from .. import client as named
from ..config import PulsarSettings
from ..exceptions import PulsarError, TimeoutError
from ..models import TaskStatus
from ..models.task import COMPLETED, FAILED, PENDING, PROGRESS
from .admin import PulsarAdmin
from .engines import TokenSupplier
from .receiving import Receiving
from .task_store import TaskStore, TopicTaskStore

logger = logging.getLogger("fastapi_pulsar.client")
_HEALTH_TOPIC = "__health_check__"


class PulsarClient(Receiving):
    """A client of Apache Pulsar.

    Making one does no I/O and needs no event loop; it connects when it is first needed. It may be used from several event
    loops. Clients of equal settings share their connections.

    Attributes:
        task_store: Where the status of tasks is kept: the topic `pulsar-task-status`, or what is set here.

    Args:
        service_url: `pulsar://host:port` or `pulsar+ssl://host:port`; several hosts are separated by commas. Wins over the
            settings' own.
        max_retries: How often opening and sending are tried again after a failure that may pass, and callbacks after any.
        retry_delay: Seconds, or a timedelta, between those attempts.
        settings: Everything else; those of the environment by default.
        token_supplier: A function, plain or `async`, that gives the token; it is asked with every connection, on a thread of
            its own.

    Raises:
        SettingsError: A setting breaks its rule.
    """

    PENDING = PENDING
    PROGRESS = PROGRESS
    COMPLETED = COMPLETED
    FAILED = FAILED
    CB_FAILURE_THRESHOLD: ClassVar[int] = 5
    CB_RECOVERY_TIMEOUT: ClassVar[float] = 30
    CB_EXPECTED_EXCEPTION: ClassVar[tuple[type[Exception], ...]] = (builtins.ConnectionError, builtins.TimeoutError)

    def __init__(
        self,
        service_url: str | None = None,
        max_retries: int = 3,
        retry_delay: float | timedelta = 5.0,
        *,
        settings: PulsarSettings | None = None,
        token_supplier: TokenSupplier | None = None,
    ) -> None:
        super().__init__(service_url, max_retries, retry_delay, settings=settings, token_supplier=token_supplier)
        self._admin: PulsarAdmin | None = None
        self.task_store: TaskStore = TopicTaskStore(self)

    @property
    def admin(self) -> PulsarAdmin:
        """The broker's administration over HTTP."""
        if self._admin is None:
            self._admin = PulsarAdmin(self.service_url, settings=self.settings)
        return self._admin

    async def health_check(self, timeout: float | timedelta = 5.0) -> bool:
        """Whether the broker answers. It is asked where a topic is; nothing is published.

        Args:
            timeout: Seconds, or a timedelta, to wait.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        try:
            async with asyncio.timeout(seconds):
                await self.partitions(_HEALTH_TOPIC)
        except (PulsarError, builtins.TimeoutError) as error:
            logger.warning("the health check failed: %s", str(error) or "no answer in time")
            return False
        return True

    async def get_task_status(self, task_id: str) -> TaskStatus:
        """The last status of a task; one that is not known is PENDING.

        Args:
            task_id: The id that the task was given (`use_task_id`), or had by itself.

        Raises:
            PulsarError: The status could not be read.
        """
        return await self.task_store.read(task_id) or TaskStatus(task_id=task_id, state=PENDING)

    async def wait_for_task_completion(
        self,
        task_id: str,
        timeout: float | None = None,
        poll_interval: float = 1.0,
        progress_callback: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Waits until a task is COMPLETED or FAILED, and returns its status.

        Args:
            task_id: The task.
            timeout: Seconds to wait at most, whatever happens; None waits for ever.
            poll_interval: Seconds between two looks.
            progress_callback: Called with each status, plain or `async`; its errors are logged and ignored.

        Raises:
            TimeoutError: The task was not done in time. Reading may fail meanwhile, and is tried again.
            PulsarError: The status could not be read, and there is no timeout.
        """
        started = perf_counter()
        try:
            async with asyncio.timeout(timeout):
                return await self._until_done(task_id, poll_interval, progress_callback, patient=timeout is not None)
        except builtins.TimeoutError:
            raise TimeoutError(f"the task was not done within {timeout} s") from None
        finally:
            named.PULSAR_WAIT_DURATION.observe(perf_counter() - started)

    async def _until_done(
        self, task_id: str, interval: float, report: Callable[[Any], Any] | None, *, patient: bool
    ) -> Any:
        while True:
            named.PULSAR_WAIT_POLLS.inc()
            try:
                status = await self.get_task_status(task_id)
            except Exception as error:
                if not patient:
                    raise
                logger.warning("the status of a task could not be read: %s", type(error).__name__)
            else:
                await _report(report, status)
                if status["state"] in (COMPLETED, FAILED):
                    return status
            await asyncio.sleep(interval)


async def _report(callback: Callable[[Any], Any] | None, status: Any) -> None:
    if callback is None:
        return
    try:
        outcome = callback(status)
        if inspect.isawaitable(outcome):
            await outcome
    except Exception as error:
        logger.warning("a progress callback failed: %s", type(error).__name__)


_MADE = {
    "breakers", "settings", "task_store", "_admin", "_batch", "_children", "_closed", "_consuming", "_engine", "_max_retries",
    "_retry_delay", "_said_disabled", "_senders", "_token_supplier",
}  # fmt: skip
"""The attributes that making a client sets."""


class DefaultClient(PulsarClient):
    """The client of everybody who was not given one. It reads the settings when it is first used, and may be used again after
    it was closed."""

    def __init__(self) -> None:
        """Reads nothing yet."""

    def __getattr__(self, name: str) -> Any:
        # Whoever only looks, as pytest does at every name of a module, reads no settings, which may be wrong.
        if name not in _MADE or "settings" in vars(self):
            raise AttributeError(f"PulsarClient has no attribute {name!r}")
        PulsarClient.__init__(self)
        return getattr(self, name)

    async def close(self, *, timeout: float | timedelta = 30.0) -> None:
        """Closes what was opened, if anything was."""
        if "settings" not in vars(self):
            return
        await super().close(timeout=timeout)
        vars(self).clear()


default_client = DefaultClient()
