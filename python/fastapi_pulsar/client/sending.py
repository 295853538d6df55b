"""The original's verbs of sending."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

# Its metrics are looked up here at every use, since that is where the original's tests patch them.
from .. import client as named
from .. import metrics
from .._core import Producer
from ..exceptions import ClosedError, InvalidTopicError
from ..permissions import check_permission
from ..schemas import model_of
from ..tracing import publishing
from .envelope import wrapped
from .native import NativeClient
from .retrying import Retries, retrying, was_not_stored
from .senders import Key, Senders

logger = logging.getLogger("fastapi_pulsar.client")
DLQ_SUBSCRIPTION = "dlq"
"""Every dead letter topic has this subscription from the start: a topic without one keeps nothing."""


class Sending(NativeClient):
    """`send_message`, `send_batch`, `batch_process_messages`, `send_to_dlq`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._batch: list[Any] = []
        self._senders: WeakKeyDictionary[asyncio.AbstractEventLoop, Senders] = WeakKeyDictionary()
        self._said_disabled = False

    async def send_message(
        self,
        topic: str,
        message: Any,
        *,
        key: str | bytes | None = None,
        properties: Mapping[str, str] | None = None,
        retry_policy: Mapping[str, Any] | None = None,
    ) -> bool:
        """Publishes a message and waits until the broker has stored it.

        Args:
            topic: Where it goes. A mapping's own `"topic"` never redirects it.
            message: A dict or another JSON value, a Pydantic model, text or bytes.
            key: Chooses the partition, and is kept in order.
            properties: Text by name.
            retry_policy: `max_retries`, `delay` (seconds) and `backoff_factor`, in place of the client's own. A timeout is not
                tried again: the engine has tried for the whole time, and the message may be stored.

        Returns:
            True; False if `PULSAR_ENABLED` is false, and nothing was sent.

        Raises:
            ValueError: The message's own `"topic"` is another one.
            PermissionError: The topic roles do not permit it.
            PulsarError: It was not stored.
        """
        if not self._enabled():
            return False
        self._refuse_redirection(topic, message)
        check_permission(self.settings.topic(topic), "produce")
        label = metrics.topic_label(topic)
        started = perf_counter()
        with publishing(topic, properties) as carried:
            options = {"key": key, "properties": carried}
            breaker = self.breaker(topic)
            await self._retrying(retry_policy, label, lambda: breaker.call(lambda: self._send(topic, message, options)))
        named.PULSAR_MESSAGE_LATENCY.labels(topic=label).observe(perf_counter() - started)
        metrics.pulsar_messages_sent.labels(topic=label).inc()
        return True

    async def send_batch(self, topic: str, messages: Sequence[Any] | None = None) -> None:
        """Publishes several messages together and waits until all are stored.

        Args:
            topic: Where they go.
            messages: As `send_message` takes them; None sends what is in `_batch`, and empties it.

        Raises:
            SendManyError: Some were not stored; its `results` has an id or an error for each.
            PermissionError: The topic roles do not permit it.
        """
        batch = self._batch if messages is None else list(messages)
        if not batch or not self._enabled():
            return
        for message in batch:
            self._refuse_redirection(topic, message)
        check_permission(self.settings.topic(topic), "produce")
        key = (topic, _common_model(batch), None)
        producer = await self._retrying(None, metrics.topic_label(topic), lambda: self._sender(key))
        with publishing(topic, count=len(batch)):  # a message of a batch has no properties to carry the context
            await producer.send_many(batch)
        if messages is None:
            self._batch.clear()
        named.PULSAR_BATCHES_SENT.labels(compression_type=self.settings.producer_compression).inc()
        metrics.pulsar_messages_sent.labels(topic=metrics.topic_label(topic)).inc(len(batch))

    async def batch_process_messages(self, topic: str, messages: Sequence[Any], batch_size: int = 100) -> list[bool]:
        """Publishes each message on its own.

        Args:
            topic: Where they go.
            messages: As `send_message` takes them.
            batch_size: How many are on the way at the same time.

        Returns:
            For each, in order, whether it was stored. Failures are logged.
        """
        if not messages:
            return []
        label = metrics.topic_label(topic)
        room = asyncio.Semaphore(batch_size)
        started = perf_counter()

        async def one(message: Any) -> bool:
            async with room:
                try:
                    return bool(await self._process_message(topic, message))
                except Exception as error:
                    metrics.pulsar_errors.labels(type=metrics.error_label(error)).inc()
                    logger.warning("a message of a batch was not published to %s: %s", topic, type(error).__name__)
                    return False

        results = await asyncio.gather(*(one(message) for message in messages))
        named.PULSAR_BATCH_SIZE.set(len(messages))
        named.PULSAR_BATCH_DURATION.labels(topic=label).observe(perf_counter() - started)
        named.PULSAR_BATCH_SUCCESS.labels(topic=label).inc(sum(results))
        return results

    async def send_to_dlq(
        self, original_topic: str, message: Any, error: str | BaseException, *, dlq_topic: str | None = None
    ) -> None:
        """Publishes a dead letter: `{"original_message", "error", "timestamp"}`.

        Args:
            original_topic: Where the message was to go, or came from.
            message: The message; what JSON cannot hold is described, and cannot be brought back.
            error: Why; of an exception its class.
            dlq_topic: The dead letter topic; by default the topic's own name after `dlq.`.

        Raises:
            PulsarError: It was not stored.
        """
        if not self._enabled():
            return
        destination = self.settings.topic(dlq_topic) if dlq_topic else self._dlq_of(original_topic)
        check_permission(destination, "produce")
        text = metrics.error_label(error) if isinstance(error, BaseException) else error
        letter = wrapped(message, text)
        # Whoever brings it back can tell the letters of several topics apart.
        options: dict[str, Any] = {"properties": {"REAL_TOPIC": self.settings.topic(original_topic)}}
        label = metrics.topic_label(original_topic)
        await self._retrying(None, label, lambda: self._send(destination, letter, options, DLQ_SUBSCRIPTION))
        kind = metrics.error_label(error) if isinstance(error, BaseException) else "error"
        named.PULSAR_DLQ_MESSAGES.labels(original_topic=label, error_type=kind).inc()

    async def _process_message(self, topic: str, message: Any) -> bool:
        return await self.send_message(topic, message)

    async def _send(
        self, topic: str, message: Any, options: Mapping[str, Any], subscription: str | None = None
    ) -> None:
        key = (topic, model_of(message), subscription)
        producer = await self._sender(key)
        try:
            await producer.send(message, **options)
        except ClosedError:
            # It was closed for another topic's, between the two lines above.
            self._loop_senders().forget(key)
            await (await self._sender(key)).send(message, **options)

    async def _sender(self, key: Key) -> Producer[Any]:
        return await self._loop_senders().get(key)

    def _loop_senders(self) -> Senders:
        loop = asyncio.get_running_loop()
        if (senders := self._senders.get(loop)) is None:
            senders = self._senders[loop] = Senders(self._open_sender)
        return senders

    async def _open_sender(self, key: Key) -> Producer[Any]:
        topic, model, subscription = key
        # Whoever sends has its own way of trying again: the two together would multiply.
        return await self._producer(topic, model, {"initial_subscription": subscription} if subscription else {}, 0)

    async def _retrying(self, policy: Mapping[str, Any] | None, label: str, work: Callable[[], Awaitable[Any]]) -> Any:
        retries = Retries.of(policy, Retries(self._max_retries, self._retry_delay, 2.0))
        return await retrying(work, retries, was_not_stored, lambda _: named.PULSAR_RETRIES.labels(topic=label).inc())

    def _refuse_redirection(self, topic: str, message: Any) -> None:
        other = message.get("topic") if isinstance(message, dict) else None
        if isinstance(other, str) and other and not self._is_same(topic, other):
            raise InvalidTopicError("the message's own 'topic' is another one than the topic argument", topic=topic)

    def _is_same(self, topic: str, other: str) -> bool:
        try:
            return self.settings.topic(other) == self.settings.topic(topic)
        except InvalidTopicError:
            return False

    def _dlq_of(self, topic: str) -> str:
        head, _, name = self.settings.topic(topic).rpartition("/")
        return f"{head}/dlq.{name}"

    def _enabled(self) -> bool:
        if not self.settings.enabled and not self._said_disabled:
            self._said_disabled = True
            logger.warning("PULSAR_ENABLED is false: nothing is published or consumed")
        return self.settings.enabled


def _common_model(messages: Sequence[Any]) -> type | None:
    """The model of all, or None: then each is written as what it is."""
    models = {model_of(message) for message in messages}
    return models.pop() if len(models) == 1 else None
