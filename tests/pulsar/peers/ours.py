"""Our own client, driven from blocking tests: each call runs the event loop until it is answered."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from fastapi_pulsar import Consumer, Message, MessageId, Producer, PulsarClient, Reader
from tests.pulsar.peers.interface import EXCLUSIVE, PLAIN, ConsumerOptions, Outgoing, ProducerOptions, Received

T = TypeVar("T")


class OursPeer:
    name = "ours"

    def __init__(self, service_url: str) -> None:
        self.runner = asyncio.Runner()
        self._client = PulsarClient(service_url)

    def run(self, awaitable: Awaitable[T]) -> T:
        async def wait() -> T:
            return await awaitable

        return self.runner.run(wait())

    def producer(self, topic: str, options: ProducerOptions = PLAIN) -> "OursProducer":
        # Options that are None are left to the client.
        arguments: dict[str, Any] = {"name": options.name, "hashing": options.hashing}
        handle = self._client.producer(
            topic,
            options.schema,
            batching=options.batching,
            batch_max_messages=options.batch_max_messages,
            batch_max_delay=0.05,
            batch_when_idle=True,
            compression=options.compression,
            access_mode=options.access_mode,
            **arguments,
        )
        return OursProducer(self, self.run(handle))

    def consumer(self, topic: str, subscription: str, options: ConsumerOptions = EXCLUSIVE) -> "OursConsumer":
        delay = options.negative_ack_delay
        arguments: dict[str, Any] = {"name": options.name, "on_unsupported": options.on_unsupported}
        if options.sticky_ranges:
            arguments["key_shared"] = {"sticky_ranges": list(options.sticky_ranges)}
        handle = self._client.consumer(
            topic,
            subscription,
            options.schema,
            type=options.type,
            initial_position="earliest",
            start_message_id_inclusive=True,
            negative_ack_delay={"initial": delay, "max": delay, "multiplier": 1.0},
            read_compacted=options.read_compacted,
            batch_index_ack=options.batch_index_ack,
            **arguments,
        )
        return OursConsumer(self, self.run(handle), options.schema is not None)

    def reader(self, topic: str, after: bytes | None = None) -> "OursReader":
        options: dict[str, Any] = {"start_message_id": MessageId.from_bytes(after)} if after else {}
        return OursReader(self, self.run(self._client.reader(topic, **options)))

    def close(self) -> None:
        self.run(self._client.close())
        self.runner.close()


class OursProducer:
    def __init__(self, peer: OursPeer, producer: "Producer[Any]") -> None:
        self._peer = peer
        self._producer = producer

    def send(self, message: Outgoing) -> bytes:
        return self.send_many([message])[0]

    def send_many(self, messages: list[Outgoing]) -> list[bytes]:
        async def send() -> list[MessageId]:
            return await asyncio.gather(*[self._send(message) for message in messages])

        return [bytes(message_id) for message_id in self._peer.run(send())]

    def _send(self, message: Outgoing) -> Awaitable[MessageId]:
        return self._producer.send(
            message.data if message.value is None else message.value,
            key=message.key,
            ordering_key=message.ordering_key,
            properties=message.properties,
            event_time=None if message.event_time is None else message.event_time / 1000,
            deliver_after=message.deliver_after,
            sequence_id=message.sequence_id,
        )

    def close(self) -> None:
        self._peer.run(self._producer.close())


class OursConsumer:
    def __init__(self, peer: OursPeer, consumer: "Consumer[Any]", typed: bool) -> None:
        self._peer = peer
        self._consumer = consumer
        self._typed = typed

    def receive(self, timeout: float = 10) -> Received | None:
        try:
            return received(self._peer.run(self._consumer.receive(timeout)), self._typed)
        except TimeoutError:
            return None

    def acknowledge(self, message: Received) -> None:
        self._consumer.acknowledge(message.native)

    def acknowledge_cumulative(self, message: Received) -> None:
        self._consumer.acknowledge_cumulative(message.native)

    def negative_acknowledge(self, message: Received) -> None:
        self._consumer.negative_acknowledge(message.native)

    def seek(self, message_id: bytes) -> None:
        self._peer.run(self._consumer.seek(MessageId.from_bytes(message_id)))

    def seek_time(self, seconds: float) -> None:
        """To the first message published at a moment (since 1970) or later."""
        self._peer.run(self._consumer.seek(seconds))

    def published(self, message: Received) -> float:
        """When it was published by its sender's clock, in seconds since 1970."""
        return float(message.native.publish_time.timestamp())

    def last_message_id(self) -> bytes:
        return bytes(self._peer.run(self._consumer.last_message_id()) or b"")

    def unsubscribe(self, *, force: bool = False) -> None:
        self._peer.run(self._consumer.unsubscribe(force=force))

    def broker_stats(self) -> dict[str, Any]:
        """What the broker counts of it, on a topic without partitions."""
        (stats,) = self._peer.run(self._consumer.broker_stats()).values()
        return stats

    @property
    def is_active(self) -> bool:
        return self._consumer.is_active

    def close(self) -> None:
        self._peer.run(self._consumer.close())


class OursReader:
    def __init__(self, peer: OursPeer, reader: "Reader[Any]") -> None:
        self._peer = peer
        self._reader = reader

    def receive(self, timeout: float = 10) -> Received | None:
        try:
            return received(self._peer.run(self._reader.receive(timeout)))
        except TimeoutError:
            return None

    def close(self) -> None:
        self._peer.run(self._reader.close())


def received(message: "Message[Any]", typed: bool = False) -> Received:
    return Received(
        data=message.data,
        tombstone=message.is_tombstone,
        message_id=bytes(message.message_id),
        topic=message.topic,
        key=message.key,
        key_bytes=message.key_bytes,
        ordering_key=message.ordering_key,
        properties=dict(message.properties),
        event_time=None if message.event_time is None else round(message.event_time.timestamp() * 1000),
        redelivery_count=message.redelivery_count,
        value=message.value if typed else None,
        native=message,
    )
