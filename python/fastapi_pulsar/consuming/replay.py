"""Bringing dead letters back: to the topic that they come from, or to a function."""

import builtins
import inspect
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_origin

from ..client import Consumer, Message, Producer, PulsarClient
from ..client.envelope import unwrapped
from ..config import get_settings
from ..exceptions import InvalidOptionError, PayloadValidationError
from ..logs import about
from ..schemas import codec_of
from . import dead_letters, origin
from .markers import seconds

logger = logging.getLogger("fastapi_pulsar.consuming.replay")
REPLAYS = "DEAD_LETTER_REPLAYS"
"""Property: how often it was brought back."""
_OWN = {
    origin.REAL_TOPIC,
    origin.REAL_SUBSCRIPTION,
    origin.ORIGIN_ID,
    origin.ORIGIN_ID_OLD,
    origin.RECONSUME_TIMES,
    origin.DELAY_TIME,
    dead_letters.ERROR,
    dead_letters.DETAIL,
    dead_letters.ATTEMPTS,
    dead_letters.TIME,
    REPLAYS,
}
"""Properties of a dead letter that a replayed message does not keep: it begins anew."""


@dataclass(slots=True)
class ReplayReport:
    """What became of the dead letters.

    Attributes:
        seen: Received in all.
        replayed: Brought back and acknowledged; in a dry run, those that would be.
        skipped: Left: the filter did not want them, or they come from another topic.
        looping: Left: they were brought back `max_replays` times already.
        failed: Left: the processor or the publish failed.
    """

    seen: int = 0
    replayed: int = 0
    skipped: int = 0
    looping: int = 0
    failed: int = 0


async def replay_dlq_messages(
    original_topic: str,
    dlq_topic: str,
    processor: Callable[[Any], Any] | None = None,
    filter: Callable[[Message[Any]], Any] | None = None,  # noqa: A002  the original's name
    limit: int | None = None,
    dry_run: bool = False,
    *,
    subscription: str | None = None,
    max_replays: int = 3,
    progress: Callable[[ReplayReport], Any] | None = None,
    idle_timeout: float | timedelta = 3.0,
    client: PulsarClient | None = None,
) -> ReplayReport:
    """Publishes dead letters to their original topic again, or hands them to a function; each is acknowledged after that.

    What `send_to_dlq` wrote, and `pulsar_task` with it, is taken out of its envelope.

    Those that arrive meanwhile are not brought back by the same call. What is left is delivered again to whoever reads the
    dead letter topic next.

    Args:
        original_topic: Where they come from; letters of other topics are left.
        dlq_topic: The dead letter topic.
        processor: A function, plain or `async`, that takes each instead. It gets what its first parameter is annotated as: a
            `Message`, or a model; without an annotation what the JSON says. An exception leaves the letter.
        filter: A function of the `Message`, plain or `async`, which says whether to bring it back.
        limit: At most so many are brought back.
        dry_run: Only counts.
        subscription: Which subscription of the dead letter topic; None takes the one that its letters are kept by:
            `<subscription>-dlq` of a topic `<original topic>-<subscription>-DLQ`, of others `dlq`.
        max_replays: A letter that was brought back so often is left.
        progress: A function, plain or `async`, called after each with the report so far.
        idle_timeout: Seconds, or a timedelta, without a letter after which there are no more.
        client: Instead of one of the environment's settings, which is closed at the end.

    Raises:
        InvalidOptionError: An argument is out of range, or both topics are the same.
        PulsarError: The topics cannot be read or written.
    """
    if limit is not None and limit < 1:
        raise InvalidOptionError("replay_dlq_messages: limit must be at least 1")
    if max_replays < 1 or seconds(idle_timeout) <= 0:
        raise InvalidOptionError("replay_dlq_messages: max_replays and idle_timeout must be more than 0")
    settings = client.settings if client is not None else get_settings()
    source, target = settings.topic(dlq_topic), settings.topic(original_topic)
    if source == target:
        raise InvalidOptionError("replay_dlq_messages: dlq_topic is original_topic")
    name = subscription or _subscription_of(source, target)
    async with AsyncExitStack() as stack:
        if client is None:
            client = await stack.enter_async_context(PulsarClient(settings=settings))
        deliver = await _delivery(client, target, processor, stack)
        consumer = await stack.enter_async_context(
            client.consumer(source, name, type="Shared", initial_position="earliest")
        )
        replay = _Replay(consumer, target, deliver, filter, max_replays, dry_run, progress)
        return await replay.run(limit, seconds(idle_timeout))


class _Replay:
    """One run over a dead letter topic."""

    def __init__(
        self,
        consumer: Consumer[Any],
        origin_topic: str,
        deliver: Callable[[Message[Any]], Awaitable[None]],
        wanted: Callable[[Message[Any]], Any] | None,
        max_replays: int,
        dry_run: bool,
        progress: Callable[[ReplayReport], Any] | None,
    ) -> None:
        self._consumer = consumer
        self._origin = origin_topic
        self._deliver = deliver
        self._wanted = wanted
        self._max = max_replays
        self._dry = dry_run
        self._progress = progress
        self.report = ReplayReport()

    async def run(self, limit: int | None, idle: float) -> ReplayReport:
        last = await self._consumer.last_message_id()
        while last is not None and (limit is None or self.report.replayed < limit):
            try:
                message = await self._consumer.receive(timeout=idle)
            except builtins.TimeoutError:
                break
            if message.message_id.partition == last.partition and message.message_id > last:
                break
            await self._one(message)
            if self._progress is not None:
                await _result(self._progress(self.report))
        return self.report

    async def _one(self, message: Message[Any]) -> None:
        report = self.report
        report.seen += 1
        if message.properties.get(origin.REAL_TOPIC, self._origin) != self._origin or not await self._is_wanted(
            message
        ):
            report.skipped += 1
        elif replays_of(message) >= self._max:
            report.looping += 1
        elif self._dry:
            report.replayed += 1
        else:
            try:
                await self._deliver(message)
            except Exception as error:
                report.failed += 1
                logger.error(
                    "a dead letter of %s was not brought back: %s", self._origin, type(error).__name__,
                    extra=about(message),
                )  # fmt: skip
            else:
                self._consumer.acknowledge(message)
                report.replayed += 1

    async def _is_wanted(self, message: Message[Any]) -> bool:
        return self._wanted is None or bool(await _result(self._wanted(message)))


async def _delivery(
    client: PulsarClient, topic: str, processor: Callable[[Any], Any] | None, stack: AsyncExitStack
) -> Callable[[Message[Any]], Awaitable[None]]:
    """What brings one letter back."""
    if processor is None:
        producer = await stack.enter_async_context(client.producer(topic))

        async def publish(message: Message[Any]) -> None:
            await _publish(producer, message)

        return publish
    read = _reading(processor)

    async def process(message: Message[Any]) -> None:
        await _result(processor(read(message)))

    return process


async def _publish(producer: Producer[Any], message: Message[Any]) -> None:
    kept = {name: value for name, value in message.properties.items() if name not in _OWN}
    await producer.send(
        None if message.is_tombstone else unwrapped(message.data, message.properties),
        key=origin.key_of(message),
        ordering_key=message.ordering_key,
        event_time=message.event_time,
        properties=kept | {REPLAYS: str(replays_of(message) + 1)},
    )


def _reading(processor: Callable[[Any], Any]) -> Callable[[Message[Any]], Any]:
    """What a processor's first parameter takes of a message."""
    parameters = inspect.signature(processor, eval_str=True).parameters.values()
    annotation = next((parameter.annotation for parameter in parameters), Any)
    if annotation is Message or get_origin(annotation) is Message:
        return lambda message: message
    if annotation in (inspect.Parameter.empty, Any, dict):
        return lambda message: _json(unwrapped(message.data, message.properties))
    codec = codec_of(annotation)
    return lambda message: codec.decode(unwrapped(message.data, message.properties))


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise PayloadValidationError("the payload is no JSON", errors=(("", "json_invalid"),)) from None


def replays_of(message: Message[Any]) -> int:
    """How often a dead letter was brought back before."""
    return origin.counted(message, REPLAYS)


async def _result(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _subscription_of(source: str, target: str) -> str:
    if source.startswith(f"{target}-") and source.endswith("-DLQ"):
        return f"{source[len(target) + 1 : -len('-DLQ')]}-dlq"
    return "dlq"
