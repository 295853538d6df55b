"""Where the status of tasks is kept: in a compacted topic, or in a store of keys such as Valkey or Redis."""

import asyncio
import json
import logging
from collections import OrderedDict
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from .._core import Reader
from ..models import TaskStatus
from .receiving import Receiving

logger = logging.getLogger("fastapi_pulsar.client")
TOPIC = "pulsar-task-status"
_MOST_TASKS = 100_000


class TaskStore(Protocol):
    """Keeps the last status of each task."""

    async def write(self, status: TaskStatus) -> None:
        """Keeps a status in place of the task's last one."""

    async def read(self, task_id: str) -> TaskStatus | None:
        """The last status, or None if the task is not known."""


class TopicTaskStore:
    """Keeps statuses in a topic, by the task's id as key.

    The broker compacts the topic if its policy says so (`pulsar-admin topics set-compaction-threshold`); what is older than the
    newest 100,000 tasks is forgotten here.
    """

    def __init__(self, client: Receiving, topic: str = TOPIC) -> None:
        """Opens nothing yet.

        Args:
            client: Whose connections to use.
            topic: Where the statuses are.
        """
        self._client = client
        self._topic = topic
        self._views: WeakKeyDictionary[asyncio.AbstractEventLoop, _View] = WeakKeyDictionary()

    async def write(self, status: TaskStatus) -> None:
        """Publishes it, and waits until it is stored."""
        await self._client.send_message(
            self._topic, dict(status), key=status["task_id"], retry_policy={"max_retries": 0}
        )

    async def read(self, task_id: str) -> TaskStatus | None:
        """Reads up to the end of the topic first: what was written before is seen."""
        loop = asyncio.get_running_loop()
        if (view := self._views.get(loop)) is None:
            view = self._views[loop] = _View(self._client, self._topic)
        return await view.read(task_id)


class _View:
    """What one event loop has read of the topic."""

    def __init__(self, client: Receiving, topic: str) -> None:
        self._client = client
        self._topic = topic
        self._reader: Reader[bytes] | None = None
        self._lock = asyncio.Lock()
        self._known: OrderedDict[str, TaskStatus] = OrderedDict()

    async def read(self, task_id: str) -> TaskStatus | None:
        async with self._lock:
            if self._reader is None:
                self._reader = await self._client.reader(self._topic, read_compacted=True)
            while await self._reader.has_message_available():
                self._keep((await self._reader.receive(timeout=5)).data)
        return self._known.get(task_id)

    def _keep(self, data: bytes) -> None:
        try:
            status: TaskStatus = json.loads(data)
            task_id = status["task_id"]
        except (ValueError, TypeError, KeyError):
            logger.warning("a message of %s is no status of a task", self._topic)
            return
        self._known[task_id] = status
        self._known.move_to_end(task_id)
        if len(self._known) > _MOST_TASKS:
            self._known.popitem(last=False)


class KeyValues(Protocol):
    """The two verbs of `redis.asyncio.Redis` and Valkey's client that are used."""

    async def get(self, name: str) -> Any:
        """The value of a key as bytes or text, or None."""

    async def set(self, name: str, value: str, *, ex: int | None = None) -> Any:
        """Sets a key, which expires after `ex` seconds."""


class KeyValueTaskStore:
    """Keeps statuses under `pulsar:task:{id}:status`, and what came of a task under `pulsar:task:{id}:result`."""

    def __init__(self, store: KeyValues, *, expire: int | None = 86_400) -> None:
        """`expire` is in seconds; None keeps statuses for ever."""
        self._store = store
        self._expire = expire

    async def write(self, status: TaskStatus) -> None:
        """Sets the key of the result before that of the state, so that a finished task has its result."""
        key = f"pulsar:task:{status['task_id']}"
        await self._store.set(f"{key}:result", json.dumps(status), ex=self._expire)
        await self._store.set(f"{key}:status", status["state"], ex=self._expire)

    async def read(self, task_id: str) -> TaskStatus | None:
        """The last status."""
        if await self._store.get(f"pulsar:task:{task_id}:status") is None:
            return None
        found = await self._store.get(f"pulsar:task:{task_id}:result")
        return None if found is None else json.loads(found)
