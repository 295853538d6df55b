"""The loop behind `consume_messages` and `batch_consume`: receive, filter, call, try again, acknowledge or bury."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from time import perf_counter, time
from typing import Any, get_args, get_origin

from .. import client as named
from .. import metrics
from .._core import Consumer, Message
from ..exceptions import DecodeError, PayloadValidationError, PulsarError
from ..logs import about
from ..tracing import processing
from .retrying import Retries, retrying

logger = logging.getLogger("fastapi_pulsar.client")
Bury = Callable[[Message[Any], BaseException], Awaitable[None]]


class Callbacks:
    """Calls a function with the messages of one consumer, one by one or in lists.

    A message is acknowledged when the call has returned, when the filter does not want it, or when it has been buried. What is
    not acknowledged when this ends is redelivered.
    """

    def __init__(
        self,
        topic: str,
        subscription: str,
        consumer: Consumer[Any],
        callback: Callable[..., Any],
        *,
        wanted: Callable[[Any], Any] | None,
        retries: Retries,
        bury: Bury,
        parallel: int,
        batch_size: int | None = None,
        batch_wait: float = 1.0,
    ) -> None:
        self._topic, self._subscription = metrics.topic_label(topic), subscription
        self._consumer = consumer
        self._callback = callback
        self._wanted = wanted
        self._retries = retries
        self._bury = bury
        self._room = asyncio.Semaphore(parallel)
        self._batch_size = batch_size
        self._batch_wait = batch_wait
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Goes on until cancelled.

        Raises:
            PulsarError: The consumer ended.
        """
        try:
            while True:
                await self._room.acquire()
                messages = await self._receive()
                task = asyncio.ensure_future(self._handle(messages))
                self._tasks.add(task)
                task.add_done_callback(self._done)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._room.release()

    async def _receive(self) -> list[Message[Any]]:
        if self._batch_size is None:
            return [await self._consumer.receive()]
        while not (messages := await self._consumer.receive_many(self._batch_size, max_wait=self._batch_wait)):
            pass
        return messages

    async def _handle(self, messages: list[Message[Any]]) -> None:
        try:
            valid = [message for message in messages if await self._is_for_callback(message)]
            if not valid:
                return
            metrics.pulsar_messages_received.labels(topic=self._topic).inc(len(valid))
            lag = time() - valid[-1].publish_time.timestamp()
            metrics.PULSAR_CONSUMER_LAG.labels(topic=self._topic, subscription=self._subscription).set(max(0.0, lag))
            try:
                await retrying(lambda: self._call(valid), self._retries, lambda _: True, self._again)
            except Exception as error:
                for message in valid:
                    await self._give_up(message, error)
            else:
                for message in valid:
                    self._consumer.acknowledge(message)
        except PulsarError as error:
            # Unacknowledged, and so redelivered.
            fields = about(topic=self._topic, subscription=self._subscription)
            logger.warning("messages of %s could not be settled: %s", self._topic, error, extra=fields)

    async def _is_for_callback(self, message: Message[Any]) -> bool:
        """Whether it validates and is wanted; otherwise it is settled."""
        try:
            value = message.value
            wanted = True if self._wanted is None else self._wanted(value)
            wanted = await wanted if inspect.isawaitable(wanted) else wanted
        except Exception as error:
            await self._give_up(message, error)
            return False
        if not wanted:
            self._consumer.acknowledge(message)
        return bool(wanted)

    async def _call(self, messages: list[Message[Any]]) -> None:
        argument = messages[0].value if self._batch_size is None else [message.value for message in messages]
        started = perf_counter()
        with processing(self._topic, self._subscription, messages):
            if inspect.iscoroutinefunction(self._callback):
                await self._callback(argument)
            else:
                outcome = await asyncio.to_thread(self._callback, argument)
                if inspect.isawaitable(outcome):
                    await outcome
        named.PULSAR_PROCESSING_TIME.labels(topic=self._topic).observe(perf_counter() - started)

    def _again(self, error: Exception) -> None:
        self._count(error)
        named.PULSAR_RETRIES.labels(topic=self._topic).inc()

    def _count(self, error: BaseException) -> None:
        metrics.pulsar_errors.labels(type=metrics.error_label(error)).inc()

    async def _give_up(self, message: Message[Any], error: Exception) -> None:
        """Acknowledged only once the dead letter is confirmed; until then it is redelivered."""
        self._count(error)
        invalid = isinstance(error, PayloadValidationError | DecodeError)
        logger.error(
            "a message of %s %s: %s",
            self._topic,
            "does not validate" if invalid else "failed and is a dead letter now",
            error if invalid else type(error).__name__,
            extra=about(message, subscription=self._subscription),
        )
        await self._bury(message, error)
        self._consumer.acknowledge(message)


def payload_type(callback: Callable[..., Any], *, in_lists: bool) -> Any:
    """What a callback's first parameter says that a payload is; any JSON value if it says nothing.

    Args:
        callback: The function.
        in_lists: Whether it takes lists of payloads.
    """
    try:
        parameters = list(inspect.signature(callback, eval_str=True).parameters.values())
    except (NameError, TypeError, ValueError):
        return Any
    annotation = parameters[0].annotation if parameters else inspect.Parameter.empty
    if in_lists and annotation is not inspect.Parameter.empty:
        annotation = get_args(annotation)[0] if get_origin(annotation) is list else Any
    if annotation in (inspect.Parameter.empty, dict):
        # A bare `dict` is what every example of the original has; a payload that is another JSON value passes as it did.
        return Any
    return annotation
