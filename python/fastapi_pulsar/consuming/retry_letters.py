"""Retry letters: messages to be attempted again after a delay, as Java's `reconsumeLater` publishes them."""

from typing import Any

from ..client import Message
from .letters import Letters
from .origin import DELAY_TIME, RECONSUME_TIMES, Origins


class RetryLetters:
    """Publishes the retry letters of one subscription."""

    def __init__(self, origins: Origins, letters: Letters) -> None:
        self._origins = origins
        self._letters = letters

    async def open(self) -> None:
        """Makes the retry letter topics, each with the subscription.

        Raises:
            PulsarError: The broker refuses.
        """
        for topic in self._origins.retry_topics:
            await self._letters.producer(topic, self._origins.subscription)

    async def publish(self, message: Message[Any], delay: float) -> str:
        """Publishes one message; returns the topic once the broker has confirmed it.

        Args:
            delay: Seconds until it is attempted again.

        Raises:
            PulsarError: It could not be stored. The original must not be acknowledged then.
        """
        topic = self._origins.retry_topic(self._origins.of(message))
        properties = self._origins.properties(message) | {
            RECONSUME_TIMES: str(self._origins.retries(message) + 1),
            DELAY_TIME: str(round(delay * 1000)),
        }
        await self._letters.publish(topic, self._origins.subscription, message, properties, deliver_after=delay)
        return topic
