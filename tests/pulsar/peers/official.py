"""The official client for Python (`pulsar-client`, a C++ core)."""

import re
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pulsar

from tests.pulsar.peers.interface import EXCLUSIVE, PLAIN, ConsumerOptions, Outgoing, ProducerOptions, Received

BATCHING = {
    "off": pulsar.BatchingType.Default,
    "default": pulsar.BatchingType.Default,
    "key": pulsar.BatchingType.KeyBased,
}
COMPRESSION = {
    "none": pulsar.CompressionType.NONE,
    "lz4": pulsar.CompressionType.LZ4,
    "zlib": pulsar.CompressionType.ZLib,
    "zstd": pulsar.CompressionType.ZSTD,
    "snappy": pulsar.CompressionType.SNAPPY,
}
ACCESS = {
    "shared": pulsar.ProducerAccessMode.Shared,
    "exclusive": pulsar.ProducerAccessMode.Exclusive,
    "wait_for_exclusive": pulsar.ProducerAccessMode.WaitForExclusive,
    "exclusive_with_fencing": pulsar.ProducerAccessMode.ExclusiveWithFencing,
}
SUBSCRIPTION = {
    "Exclusive": pulsar.ConsumerType.Exclusive,
    "Shared": pulsar.ConsumerType.Shared,
    "Failover": pulsar.ConsumerType.Failover,
    "Key_Shared": pulsar.ConsumerType.KeyShared,
}


class OfficialPeer:
    name = "official"

    def __init__(self, service_url: str, **options: Any) -> None:
        logger = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
        self._client = pulsar.Client(service_url, logger=logger, **options)

    def producer(self, topic: str, options: ProducerOptions = PLAIN) -> "OfficialProducer":
        assert options.hashing in (None, "cpp"), "the official client for Python has one way of hashing"
        arguments = {} if options.schema is None else {"schema": options.schema}
        return OfficialProducer(
            self._client.create_producer(
                topic,
                producer_name=options.name,
                batching_enabled=options.batching != "off",
                batching_type=BATCHING[options.batching],
                batching_max_messages=options.batch_max_messages,
                compression_type=COMPRESSION[options.compression],
                chunking_enabled=options.chunking,
                block_if_queue_full=True,
                access_mode=ACCESS[options.access_mode],
                **arguments,
            )
        )

    def consumer(self, topic: str, subscription: str, options: ConsumerOptions = EXCLUSIVE) -> "OfficialConsumer":
        arguments: dict[str, Any] = {} if options.schema is None else {"schema": options.schema}
        if options.dead_letter:
            policy = options.dead_letter
            arguments["dead_letter_policy"] = pulsar.ConsumerDeadLetterPolicy(
                policy.max_redeliver_count, policy.topic, policy.initial_subscription
            )
        if options.sticky_ranges:
            sticky, ranges = pulsar.KeySharedMode.Sticky, list(options.sticky_ranges)
            arguments["key_shared_policy"] = pulsar.ConsumerKeySharedPolicy(sticky, sticky_ranges=ranges)
        return OfficialConsumer(
            self._client.subscribe(
                topic,
                subscription,
                consumer_type=SUBSCRIPTION[options.type],
                consumer_name=options.name,
                initial_position=pulsar.InitialPosition.Earliest,
                negative_ack_redelivery_delay_ms=int(options.negative_ack_delay * 1000),
                start_message_id_inclusive=True,
                is_read_compacted=options.read_compacted,
                batch_index_ack_enabled=options.batch_index_ack,
                **arguments,
            ),
            options.schema is not None,
        )

    def matching(self, pattern: str, subscription: str) -> "OfficialConsumer":
        """Consumes every topic of a namespace whose full name matches."""
        start = pulsar.InitialPosition.Earliest
        return OfficialConsumer(
            self._client.subscribe(re.compile(pattern), subscription, initial_position=start), False
        )

    def reader(self, topic: str, after: bytes | None = None) -> "OfficialReader":
        start = pulsar.MessageId.deserialize(after) if after else pulsar.MessageId.earliest
        return OfficialReader(self._client.create_reader(topic, start))

    def close(self) -> None:
        self._client.close()


class OfficialProducer:
    def __init__(self, producer: pulsar.Producer) -> None:
        self._producer = producer

    def send(self, message: Outgoing) -> bytes:
        return self.send_many([message])[0]

    def send_many(self, messages: list[Outgoing]) -> list[bytes]:
        futures: list[Future[bytes]] = []
        for message in messages:
            future: Future[bytes] = Future()
            futures.append(future)
            self._producer.send_async(
                message.data if message.value is None else message.value, _resolver(future), **_metadata(message)
            )
        self._producer.flush()
        return [future.result(30) for future in futures]

    def close(self) -> None:
        self._producer.close()


def _resolver(future: "Future[bytes]") -> Any:
    def done(result: pulsar.Result, message_id: Any) -> None:
        if result == pulsar.Result.Ok:
            future.set_result(message_id.serialize())
        else:
            future.set_exception(RuntimeError(f"send failed: {result}"))

    return done


def _metadata(message: Outgoing) -> dict[str, Any]:
    assert not isinstance(message.key, bytes), "the official client for Python has no byte keys"
    return {
        "properties": message.properties,
        "partition_key": message.key,
        # It takes text only, but its C++ core writes what it is given.
        "ordering_key": message.ordering_key.decode() if message.ordering_key else None,
        "sequence_id": message.sequence_id,
        "event_timestamp": message.event_time,
        "deliver_after": None if message.deliver_after is None else timedelta(seconds=message.deliver_after),
    }


class OfficialReader:
    def __init__(self, reader: pulsar.Reader) -> None:
        self._reader = reader

    def receive(self, timeout: float = 10) -> Received | None:
        try:
            return _received(self._reader.read_next(int(timeout * 1000)))
        except pulsar.Timeout:
            return None

    def close(self) -> None:
        self._reader.close()


class OfficialConsumer:
    def __init__(self, consumer: pulsar.Consumer, typed: bool) -> None:
        self._consumer = consumer
        self._typed = typed

    def receive(self, timeout: float = 10) -> Received | None:
        try:
            return _received(self._consumer.receive(int(timeout * 1000)), self._typed)
        except pulsar.Timeout:
            return None

    def acknowledge(self, message: Received) -> None:
        self._consumer.acknowledge(message.native)

    def acknowledge_cumulative(self, message: Received) -> None:
        self._consumer.acknowledge_cumulative(message.native)

    def negative_acknowledge(self, message: Received) -> None:
        self._consumer.negative_acknowledge(message.native)

    def seek(self, message_id: bytes) -> None:
        self._consumer.seek(pulsar.MessageId.deserialize(message_id))

    def seek_time(self, seconds: float) -> None:
        """To the first message published at a moment (since 1970) or later."""
        self._consumer.seek(int(seconds * 1000))

    def published(self, message: Received) -> float:
        """When it was published by its sender's clock, in seconds since 1970."""
        return float(message.native.publish_timestamp()) / 1000

    def last_message_id(self) -> bytes:
        found: bytes = self._consumer.get_last_message_id().serialize()
        return found

    def unsubscribe(self) -> None:
        self._consumer.unsubscribe()

    def close(self) -> None:
        self._consumer.close()


def _received(message: pulsar.Message, typed: bool = False) -> Received:
    ordering_key = message.ordering_key()
    return Received(
        data=message.data(),
        tombstone=message.has_null_value(),
        message_id=message.message_id().serialize(),
        topic=message.topic_name(),
        # The client gives "" for no key.
        key=message.partition_key() or None,
        ordering_key=ordering_key.encode() if ordering_key else None,
        properties=message.properties(),
        event_time=message.event_timestamp() or None,
        redelivery_count=message.redelivery_count(),
        value=message.value() if typed else None,
        native=message,
    )
