"""The original's verbs of consuming."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from .. import client as named
from .._core import Message
from ..config import PulsarConfig
from ..exceptions import InvalidOptionError
from ..metrics import PARTITION, error_label, topic_label
from ..permissions import check_permission
from .callbacks import Callbacks, payload_type
from .options import Position
from .retrying import Retries
from .sending import DLQ_SUBSCRIPTION, Sending


class Receiving(Sending):
    """`consume_messages`, `batch_consume`, `create_consumer`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._consuming: set[asyncio.Task[None]] = set()

    async def consume_messages(
        self,
        topic: str,
        subscription: str,
        callback: Callable[[Any], Any],
        filter_fn: Callable[[Any], Any] | None = None,
        retry_policy: Mapping[str, Any] | None = None,
        *,
        max_parallelism: int = 1,
        dlq_topic: str | None = None,
        initial_position: Position = "latest",
    ) -> None:
        """Calls a function with each message, until cancelled.

        Args:
            topic: Where the messages are.
            subscription: The subscription's name.
            callback: Takes one message: what its parameter's annotation says, or the JSON value. Plain or `async`.
            filter_fn: Messages for which it is false are acknowledged and dropped. Plain or `async`.
            retry_policy: `max_retries`, `delay` (seconds) and `backoff_factor`; by default the client's own. A message that
                fails to the end is published to the dead letter topic, and acknowledged then.
            max_parallelism: Calls in progress at the same time.
            dlq_topic: The dead letter topic; by default the settings' own, or `<topic>-<subscription>-DLQ`.
            initial_position: Where a new subscription starts: `latest` or `earliest`.

        Raises:
            PermissionError: The topic roles do not permit it.
            PulsarError: The consumer could not be opened, or ended.
        """
        await self._consume(
            topic, subscription, callback, filter_fn, retry_policy, max_parallelism, dlq_topic, initial_position
        )

    async def batch_consume(
        self,
        topic: str,
        subscription: str,
        batch_size: int,
        callback: Callable[[list[Any]], Any],
        filter_fn: Callable[[Any], Any] | None = None,
        retry_policy: Mapping[str, Any] | None = None,
        max_parallelism: int = 10,
        *,
        dlq_topic: str | None = None,
        initial_position: Position = "latest",
    ) -> None:
        """Calls a function with lists of messages, until cancelled.

        Args:
            batch_size: Messages in a list, at most; a list that does not fill within `PulsarConfig.POLL_INTERVAL` is shorter.
            callback: Takes a list.

        The others are those of `consume_messages`. If the call fails to the end, every message of the list is a dead letter.
        """
        if batch_size < 1:
            raise InvalidOptionError("batch_size must be a positive integer", topic=topic)
        await self._consume(
            topic,
            subscription,
            callback,
            filter_fn,
            retry_policy,
            max_parallelism,
            dlq_topic,
            initial_position,
            batch_size,
        )

    async def create_consumer(
        self, topic: str, subscription: str, processor: Callable[[Any], Any]
    ) -> "asyncio.Task[None]":
        """Starts to consume in the background, from the earliest message on; returns once subscribed.

        Args:
            processor: Takes one message, as the callback of `consume_messages`.

        Returns:
            The task; it ends with the client, or when it is cancelled.
        """
        subscribed = asyncio.get_running_loop().create_future()
        work = self._consume(
            topic,
            subscription,
            processor,
            None,
            None,
            1,
            None,
            "earliest",
            subscribed=lambda: subscribed.set_result(None),
        )
        task = asyncio.ensure_future(work)
        self._consuming.add(task)
        task.add_done_callback(self._consuming.discard)
        await asyncio.wait({task, subscribed}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        return task

    async def close(self, *, timeout: float | timedelta = 30.0) -> None:
        """Ends what `create_consumer` started, and closes."""
        for task in self._consuming:
            task.cancel()
        await asyncio.gather(*self._consuming, return_exceptions=True)
        await super().close(timeout=timeout)

    async def _consume(
        self,
        topic: str,
        subscription: str,
        callback: Callable[[Any], Any],
        filter_fn: Callable[[Any], Any] | None,
        retry_policy: Mapping[str, Any] | None,
        parallel: int,
        dlq_topic: str | None,
        initial_position: Position,
        batch_size: int | None = None,
        subscribed: Callable[[], None] = lambda: None,
    ) -> None:
        retries = Retries.of(retry_policy, Retries(self._max_retries, self._retry_delay, 2.0))
        named_dead = dlq_topic or self.settings.consumer_dlq_topic
        dead = self.settings.topic(named_dead or f"{self.settings.topic(topic)}-{subscription}-DLQ")
        if dead == self.settings.topic(topic):
            raise InvalidOptionError("the dead letter topic is the topic itself", topic=topic)
        check_permission(dead, "produce")
        if not self._enabled():
            return
        model = payload_type(callback, in_lists=batch_size is not None)
        opening = self.consumer(topic, subscription, model, initial_position=initial_position)
        async with opening as consumer:
            subscribed()

            async def bury(message: Message[Any], error: BaseException) -> None:
                await self._bury(
                    message, error, subscription, dead, DLQ_SUBSCRIPTION if named_dead else f"{subscription}-dlq"
                )

            loop = Callbacks(
                topic,
                subscription,
                consumer,
                callback,
                wanted=filter_fn,
                retries=retries,
                bury=bury,
                parallel=parallel,
                batch_size=batch_size,
                batch_wait=PulsarConfig.POLL_INTERVAL,
            )
            await loop.run()

    async def _bury(
        self, message: Message[Any], error: BaseException, subscription: str, topic: str, keeper: str
    ) -> None:
        """Publishes payload, key and properties as they came, with where from and why; `keeper` is the subscription."""
        message_id = str(message.message_id)
        properties = {
            "REAL_TOPIC": PARTITION.sub("", message.topic),
            "REAL_SUBSCRIPTION": subscription,
            "ORIGIN_MESSAGE_ID": message_id,
            "ORIGIN_MESSAGE_IDY_TIME": message_id,
            **message.properties,
            "DEAD_LETTER_ERROR": error_label(error),
        }
        options = {"key": message.key, "properties": properties}
        label = topic_label(message.topic)
        payload = None if message.is_tombstone else message.data
        await self._retrying(None, label, lambda: self._send(topic, payload, options, keeper))
        named.PULSAR_DLQ_MESSAGES.labels(original_topic=label, error_type=error_label(error)).inc()
