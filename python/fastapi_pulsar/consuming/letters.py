"""Publishing received messages to other topics as they are: retry letters and dead letters."""

from collections.abc import Iterator
from typing import Any

from ..client import Message, Producer, PulsarClient
from .origin import key_of


class Letters:
    """Keeps a producer for each topic."""

    def __init__(self, client: PulsarClient) -> None:
        self._client = client
        self._producers: dict[str, Producer[Any]] = {}

    async def producer(self, topic: str, subscription: str) -> Producer[Any]:
        """The producer of a topic, which has that subscription from the start.

        Raises:
            PulsarError: The broker refuses.
        """
        producer = self._producers.get(topic)
        if producer is None:
            producer = await self._client.producer(topic, initial_subscription=subscription)
            self._producers[topic] = producer
        return producer

    def producers(self) -> Iterator[tuple[str, Producer[Any]]]:
        """Topic and producer."""
        yield from list(self._producers.items())

    async def publish(
        self,
        topic: str,
        subscription: str,
        message: Message[Any],
        properties: dict[str, str],
        deliver_after: float | None = None,
    ) -> None:
        """Publishes a message's payload, keys and event time with other properties; returns once the broker confirmed it.

        Args:
            deliver_after: Seconds before which it is not to be delivered.

        Raises:
            PulsarError: It could not be stored.
        """
        producer = await self.producer(topic, subscription)
        options: dict[str, Any] = {} if deliver_after is None else {"deliver_after": deliver_after}
        await producer.send(
            None if message.is_tombstone else message.data,
            key=key_of(message),
            ordering_key=message.ordering_key,
            event_time=message.event_time,
            properties=properties,
            **options,
        )

    async def close(self) -> None:
        """Closes the producers."""
        producers, self._producers = self._producers, {}
        for producer in producers.values():
            await producer.close()
