"""One call of a function under `pulsar_task`: the function, then the publish, each with its own attempts, and the status."""

import asyncio
import inspect
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from . import metrics
from .client import PulsarClient, TaskStore, describe
from .client.retrying import Retries, retrying
from .config import get_settings
from .exceptions import PulsarError
from .models import TaskState, TaskStatus

logger = logging.getLogger("fastapi_pulsar.decorators")
_next_id: ContextVar[str | None] = ContextVar("next_task_id", default=None)
_current: ContextVar["TaskRun | None"] = ContextVar("current_task", default=None)
_ONCE = {"max_retries": 0}
_LAST_WRITE = 2.0
"""Seconds for which the end of a task waits for its status to be written."""
_writes: set[asyncio.Future[None]] = set()
_said: set[type[Exception]] = set()


@contextmanager
def use_task_id(task_id: str) -> Iterator[str]:
    """The calls of `pulsar_task` functions within have this id, by which `wait_for_task_completion` finds them."""
    token = _next_id.set(task_id)
    try:
        yield task_id
    finally:
        _next_id.reset(token)


async def report_progress(progress: Any) -> None:
    """Writes how far a `pulsar_task` function is, as any JSON value, to its status; elsewhere it does nothing."""
    task = _current.get()
    if task is not None:
        task.write_status("PROGRESS", progress=describe(progress))


class TaskRun:
    """Runs the function and publishes the call."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        client: Any,
        topic: str,
        dlq_topic: str | None,
        max_retries: int,
        retry_delay: float,
        ack_timeout: float | None,
        properties: Mapping[str, str],
    ) -> None:
        self.task_id = _next_id.get() or str(uuid.uuid4())
        self._function, self._args, self._kwargs = function, args, kwargs
        self._client = client
        self._topic, self._dlq_topic = topic, dlq_topic
        self._retries = Retries(max_retries, retry_delay)
        self._ack_timeout = ack_timeout
        self._properties = properties
        self._writing: asyncio.Future[None] | None = None

    async def run(self) -> Any:
        """The function's result.

        Raises:
            Exception: What the function raised in the last attempt, or the publish.
        """
        if not get_settings().enabled:
            return await self._call()
        self.write_status("PENDING")
        try:
            token = _current.set(self)
            try:
                self.write_status("PROGRESS")
                result = await retrying(self._call, self._retries, _any, self._again)
            finally:
                _current.reset(token)
            envelope = {
                "function": getattr(self._function, "__name__", type(self._function).__name__),
                "args": describe(self._args),
                "kwargs": describe(self._kwargs),
                "result": describe(result),
                "topic": self._topic,
            }
            await retrying(lambda: self._publish(envelope), self._retries, _may_pass, self._again)
        except Exception as error:
            metrics.pulsar_errors.labels(type=metrics.error_label(error)).inc()
            await self._bury(error)
            self.write_status("FAILED", error=metrics.error_label(error))
            await self._written()
            raise
        self.write_status("COMPLETED", result=envelope["result"])
        await self._written()
        return result

    async def _call(self) -> Any:
        if inspect.iscoroutinefunction(self._function):
            return await self._function(*self._args, **self._kwargs)
        outcome = await asyncio.to_thread(self._function, *self._args, **self._kwargs)
        return await outcome if inspect.isawaitable(outcome) else outcome

    async def _publish(self, envelope: dict[str, Any]) -> None:
        async with asyncio.timeout(self._ack_timeout):
            if isinstance(self._client, PulsarClient):
                # It would try again by itself, and the attempts would multiply.
                options: dict[str, Any] = {"retry_policy": _ONCE, "properties": self._properties or None}
                await self._client.send_message(self._topic, envelope, **options)
            else:
                await self._client.send_message(self._topic, envelope)

    async def _bury(self, error: Exception) -> None:
        if self._dlq_topic is None:
            return
        call = {"args": describe(self._args), "kwargs": describe(self._kwargs)}
        try:
            await self._client.send_to_dlq(self._topic, call, error, dlq_topic=self._dlq_topic)
        except Exception as failure:
            # The caller is to learn of the first error.
            logger.error("a dead letter was not published to %s: %s", self._dlq_topic, type(failure).__name__)

    def write_status(self, state: TaskState, **more: Any) -> None:
        """Writes the status of the task, in the background and in order: a store that is away delays and fails no task."""
        if not isinstance(self._client, PulsarClient):
            return
        status: TaskStatus = {
            "task_id": self.task_id,
            "state": state,
            "function": getattr(self._function, "__name__", type(self._function).__name__),
            "time": datetime.now(UTC).isoformat(),
            **more,  # type: ignore[typeddict-item]
        }
        self._writing = asyncio.ensure_future(self._write(self._client.task_store, status, self._writing))
        _writes.add(self._writing)
        self._writing.add_done_callback(_writes.discard)

    @staticmethod
    async def _write(store: TaskStore, status: TaskStatus, earlier: "asyncio.Future[None] | None") -> None:
        if earlier is not None:
            await earlier
        try:
            await store.write(status)
        except Exception as error:
            level = logging.DEBUG if type(error) in _said else logging.WARNING
            _said.add(type(error))
            logger.log(level, "the status of a task was not written: %s", type(error).__name__)

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=_LAST_WRITE)

    def _again(self, error: Exception) -> None:
        metrics.pulsar_errors.labels(type=metrics.error_label(error)).inc()
        name = getattr(self._function, "__name__", type(self._function).__name__)
        logger.warning("%s: trying again after %s", name, type(error).__name__)


def _any(error: Exception) -> bool:
    return True


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, PulsarError) or error.retryable
