"""The cases as the official `pulsar-client` runs them, synchronous and asyncio."""

import asyncio
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pulsar
from pulsar import asyncio as pulsar_asyncio

from .meter import Meter, percentile
from .settings import BATCH_DELAY_MS, BATCH_MESSAGES, Run

WARM_UP = 2000


def _logger() -> Any:
    return pulsar.FileLogger(pulsar.LoggerLevel.Warn, str(Path(tempfile.gettempdir()) / "bench-client.log"))


def _client(run: Run) -> Any:
    return pulsar.Client(run.url, logger=_logger(), listener_name=run.listener)


def publish_many(run: Run) -> dict[str, Any]:
    """`send_async`, flushed at the end; every confirmation is counted."""
    client = _client(run)
    producer = client.create_producer(
        run.topic,
        batching_enabled=True,
        batching_max_messages=BATCH_MESSAGES,
        batching_max_publish_delay_ms=BATCH_DELAY_MS,
        max_pending_messages=run.pending,
        block_if_queue_full=True,
    )
    payload = run.payload
    confirmed = 0
    finished = threading.Event()
    goal = WARM_UP

    def on_confirm(result: Any, _id: Any) -> None:
        nonlocal confirmed
        if result == pulsar.Result.Ok:
            confirmed += 1
            if confirmed == goal:
                finished.set()

    def publish(count: int) -> None:
        nonlocal confirmed, goal
        confirmed, goal = 0, count
        finished.clear()
        for _ in range(count):
            producer.send_async(payload, on_confirm)
        producer.flush()
        if not finished.wait(120):
            raise TimeoutError(f"{confirmed} of {count} confirmed")

    publish(WARM_UP)
    with Meter(run.known) as meter:
        publish(run.messages)
    client.close()
    return meter.result(run.messages)


def receive(run: Run) -> dict[str, Any]:
    """`receive` and `acknowledge`, one thread."""
    client = _client(run)
    with Meter(run.known) as meter:
        consumer = client.subscribe(run.topic, run.subscription, initial_position=pulsar.InitialPosition.Earliest)
        for _ in range(run.messages):
            consumer.acknowledge(consumer.receive())
    client.close()
    return meter.result(run.messages)


def receive_many(run: Run) -> dict[str, Any]:
    """`batch_receive`, each message acknowledged."""
    client = _client(run)
    with Meter(run.known) as meter:
        consumer = client.subscribe(
            run.topic,
            run.subscription,
            initial_position=pulsar.InitialPosition.Earliest,
            batch_receive_policy=pulsar.ConsumerBatchReceivePolicy(1000, 10 << 20, 100),
        )
        left = run.messages
        while left:
            messages = consumer.batch_receive()
            for message in messages:
                consumer.acknowledge(message)
            left -= len(messages)
    client.close()
    return meter.result(run.messages)


def latency(run: Run) -> dict[str, Any]:
    """Publish to receive at a fixed rate, unbatched."""
    client = _client(run)
    consumer = client.subscribe(run.topic, run.subscription)
    producer = client.create_producer(run.topic, batching_enabled=False)
    warm_up = run.rate // 2
    delays: list[float] = []

    def consume() -> None:
        for _ in range(warm_up + run.messages):
            message = consumer.receive(10_000)
            delays.append(time.perf_counter() - float(message.data()[:24]))
            consumer.acknowledge(message)

    def publish(count: int) -> None:
        started = time.perf_counter()
        for index in range(count):
            pause = started + index / run.rate - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            stamp = b"%-24.9f" % time.perf_counter()
            producer.send_async(stamp.ljust(run.size), lambda _result, _id: None)

    consuming = threading.Thread(target=consume)
    consuming.start()
    publish(warm_up)
    with Meter(run.known) as meter:
        publish(run.messages)
        consuming.join(30)
    client.close()
    measured = delays[warm_up:]
    return meter.result(
        run.messages,
        p50_ms=round(percentile(measured, 0.5) * 1000, 3),
        p99_ms=round(percentile(measured, 0.99) * 1000, 3),
    )


async def publish_awaited(run: Run) -> dict[str, Any]:
    """`pulsar.asyncio`: each message awaited, by `tasks` tasks."""
    client = pulsar_asyncio.Client(run.url, logger=_logger())
    producer = await client.create_producer(
        run.topic,
        batching_enabled=True,
        batching_max_messages=BATCH_MESSAGES,
        batching_max_publish_delay_ms=BATCH_DELAY_MS,
        max_pending_messages=run.pending,
    )
    payload = run.payload

    async def work(count: int) -> None:
        for _ in range(count):
            await producer.send(payload)

    async def all_tasks(messages: int) -> None:
        await asyncio.gather(*[work(max(1, messages // run.tasks)) for _ in range(run.tasks)])

    await all_tasks(max(run.tasks, WARM_UP if run.tasks > 1 else 100))
    with Meter(run.known) as meter:
        await all_tasks(run.messages)
    await client.close()
    return meter.result(run.messages)


async def receive_awaited(run: Run) -> dict[str, Any]:
    """`pulsar.asyncio`: `receive` and `acknowledge` awaited, one task."""
    client = pulsar_asyncio.Client(run.url, logger=_logger())
    with Meter(run.known) as meter:
        consumer = await client.subscribe(run.topic, run.subscription, initial_position=pulsar.InitialPosition.Earliest)
        for _ in range(run.messages):
            await consumer.acknowledge(await consumer.receive())
    await client.close()
    return meter.result(run.messages)
