"""What becomes of a message whose handling failed: the retry policy decides, and here it is done.

It is acknowledged only when its retry letter or dead letter is confirmed by the broker.
"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ..client import Consumer, Message
from ..exceptions import PulsarError
from ..logs import about
from .dead_letters import DeadLetters, cause, detail
from .delivery import GivenBack
from .metering import Meter
from .origin import Origins
from .retry import Exponential, RetryPolicy
from .retry_letters import RetryLetters
from .signals import DeadLetter, Nack, Retry, Signal

logger = logging.getLogger("fastapi_pulsar.consuming.failure")
_HERE = str(Path(__file__).parent)
_STORING = Exponential(0.1, 30.0)
"""Between attempts to store a letter, which nothing bounds: the message waits."""
Again = Callable[[Message[Any], int], Awaitable[bool]]
"""Handles a message once more, as the attempt of that number; whether it is to be acknowledged then."""


class FailurePolicy:
    """Settles the failed messages of one subscription."""

    def __init__(
        self,
        name: str,
        policy: RetryPolicy,
        origins: Origins,
        dead_letters: DeadLetters,
        retry_letters: RetryLetters,
        *,
        gives_back: bool,
        closing: asyncio.Event,
        meter: Meter | None = None,
    ) -> None:
        """`name` is the function's, `gives_back` whether the broker takes single messages back."""
        self._meter = meter or Meter()
        self._name = name
        self._policy = policy
        self._origins = origins
        self._dead_letters = dead_letters
        self._retry_letters = retry_letters
        self._gives_back = gives_back
        self._closing = closing

    async def failed(self, consumer: Consumer[Any], message: Message[Any], error: Exception, again: Again) -> None:
        """Settles a message whose first attempt here raised `error`."""
        attempt = self._origins.attempt(message)
        while True:
            if isinstance(error, GivenBack):
                return
            if isinstance(error, Nack) and not self._gives_back:
                error = Retry(error.delay)
            verdict, delay = self._policy.decide(error, attempt)
            self._log(message, error, attempt, verdict == "bury")
            if not isinstance(error, Signal):
                self._meter.failed(error)
            if verdict == "acknowledge":
                consumer.acknowledge(message)
                return
            if verdict == "bury":
                await self._bury(consumer, message, error, attempt)
                return
            self._meter.retried()
            if verdict == "give_back" or self._policy.way == "redeliver":
                consumer.negative_acknowledge(message, delay=delay)
                return
            if self._policy.way == "retry_topic":
                await self._send_back(consumer, message, delay)
                return
            if await self._closes_within(delay):
                return
            attempt += 1
            try:
                if await again(message, attempt):
                    consumer.acknowledge(message)
            except Exception as once_more:
                error = once_more
            else:
                return

    def unheeded(self, message: Message[Any], error: Exception) -> None:
        """Takes note of a failure after the acknowledgement, which changes nothing any more."""
        if not isinstance(error, Signal):
            self._log(message, error, self._origins.attempt(message), final=True)

    async def _send_back(self, consumer: Consumer[Any], message: Message[Any], delay: float) -> None:
        await self._store(consumer, message, "retry", lambda: self._retry_letters.publish(message, delay))

    async def _bury(self, consumer: Consumer[Any], message: Message[Any], error: Exception, attempt: int) -> None:
        async def publish() -> str:
            topic = await self._dead_letters.publish(message, error, attempt)
            self._meter.buried(cause(error))
            return topic

        await self._store(consumer, message, "dead", publish)

    async def _store(
        self, consumer: Consumer[Any], message: Message[Any], kind: str, publish: Callable[[], Awaitable[str]]
    ) -> None:
        tries = 0
        while True:
            try:
                topic = await publish()
            except PulsarError as failure:
                logger.error(
                    "%s: a %s letter of %s could not be stored, the message is kept: %s",
                    self._name, kind, message.topic, failure, extra=self._about(message),
                )  # fmt: skip
            else:
                logger.info(
                    "%s: a message of %s went to %s", self._name, message.topic, topic, extra=self._about(message)
                )
                consumer.acknowledge(message)
                return
            tries += 1
            if self._gives_back and self._policy.way != "in_place":
                consumer.negative_acknowledge(message, delay=_STORING.delay(tries))
                return
            if await self._closes_within(_STORING.delay(tries)):
                return

    async def _closes_within(self, delay: float) -> bool:
        """Waits before the next attempt; true if the subscription closes meanwhile, which leaves the message to redelivery."""
        try:
            async with asyncio.timeout(delay):
                await self._closing.wait()
        except TimeoutError:
            return False
        return True

    def _log(self, message: Message[Any], error: Exception, attempt: int, final: bool) -> None:
        # The exception's text may quote the message, so the log tells its class and where it was raised. Our own errors
        # quote nothing and say all there is to say.
        level = logging.ERROR if final else logging.WARNING
        extra = self._about(message, attempt)
        if isinstance(error, Signal) and not isinstance(error, DeadLetter):
            level = level if final else logging.DEBUG
            logger.log(level, "%s raised %s", self._name, type(error).__name__, extra=extra)
            return
        if isinstance(error, PulsarError | DeadLetter):
            text = detail(error) if isinstance(error, DeadLetter) else str(error)
            kind = type(cause(error)).__name__
            logger.log(
                level, "%s failed on a message of %s: %s: %s", self._name, message.topic, kind, text, extra=extra
            )
            return
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_HERE)]
        logger.log(
            level,
            "%s failed on a message of %s (attempt %d of %d): %s\n%s",
            self._name, message.topic, attempt, self._policy.attempts, type(error).__name__,
            "".join(traceback.format_list(frames)).rstrip(), extra=extra,
        )  # fmt: skip

    def _about(self, message: Message[Any], attempt: int | None = None) -> dict[str, Any]:
        return about(
            message,
            subscription=self._origins.subscription,
            attempt=self._origins.attempt(message) if attempt is None else attempt,
        )
