"""The cases as fastapi_pulsar runs them."""

import asyncio
import time
from typing import Any, Literal

from fastapi_pulsar import Consumer, Producer, PulsarClient, PulsarSettings

from .meter import Meter, percentile
from .settings import BATCH_DELAY_MS, BATCH_MESSAGES, Run

WARM_UP = 2000


def _client(run: Run) -> PulsarClient:
    return PulsarClient(settings=PulsarSettings(service_url=run.url, listener_name=run.listener))


async def _producer(client: PulsarClient, run: Run, *, batching: Literal["auto", "off"] = "auto") -> Producer[Any]:
    return await client.producer(
        run.topic,
        batching=batching,
        batch_max_messages=BATCH_MESSAGES,
        batch_max_delay=BATCH_DELAY_MS / 1000,
        max_pending_messages=run.pending,
    )


async def _consumer(client: PulsarClient, run: Run) -> Consumer[Any]:
    # The other clients' default type: on Shared the broker does more for each entry.
    return await client.consumer(run.topic, run.subscription, type="Exclusive", initial_position="earliest")


async def publish_awaited(run: Run) -> dict[str, Any]:
    """Each message awaited, by `tasks` tasks."""
    async with _client(run) as client:
        producer = await _producer(client, run)
        payload = run.payload

        async def work(count: int) -> None:
            for _ in range(count):
                await producer.send(payload)

        async def all_tasks(messages: int) -> None:
            await asyncio.gather(*[work(max(1, messages // run.tasks)) for _ in range(run.tasks)])

        await all_tasks(max(run.tasks, WARM_UP if run.tasks > 1 else 100))
        with Meter(run.known) as meter:
            await all_tasks(run.messages)
    return meter.result(run.messages)


async def publish_many(run: Run) -> dict[str, Any]:
    """`send_many` of bytes; the pending limit decides how many are on their way, as it does for the others."""
    async with _client(run) as client:
        producer = await _producer(client, run)
        await producer.send_many([run.payload] * WARM_UP)
        values = [run.payload] * run.messages
        with Meter(run.known) as meter:
            await producer.send_many(values)
    return meter.result(run.messages)


async def receive(run: Run) -> dict[str, Any]:
    """`receive` and `acknowledge`, one task."""
    async with _client(run) as client:
        with Meter(run.known) as meter:
            consumer = await _consumer(client, run)
            for _ in range(run.messages):
                consumer.acknowledge(await consumer.receive())
        await consumer.close()
    return meter.result(run.messages)


async def receive_many(run: Run) -> dict[str, Any]:
    """`receive_many`, each message acknowledged."""
    async with _client(run) as client:
        with Meter(run.known) as meter:
            consumer = await _consumer(client, run)
            acknowledge = consumer.acknowledge
            left = run.messages
            while left:
                messages = await consumer.receive_many(max_messages=1000, max_wait=0.1)
                for message in messages:
                    acknowledge(message)
                left -= len(messages)
        await consumer.close()
    return meter.result(run.messages)


async def latency(run: Run) -> dict[str, Any]:
    """Publish to receive at a fixed rate, unbatched."""
    async with _client(run) as client:
        consumer = await _consumer(client, run)
        producer = await _producer(client, run, batching="off")
        warm_up = run.rate // 2
        delays: list[float] = []
        pending: set[asyncio.Task[object]] = set()

        async def consume() -> None:
            for _ in range(warm_up + run.messages):
                message = await consumer.receive()
                delays.append(time.perf_counter() - float(message.data[:24]))
                consumer.acknowledge(message)

        async def publish(count: int) -> None:
            started = time.perf_counter()
            for index in range(count):
                pause = started + index / run.rate - time.perf_counter()
                if pause > 0:
                    await asyncio.sleep(pause)
                stamp = b"%-24.9f" % time.perf_counter()
                task = asyncio.ensure_future(producer.send(stamp.ljust(run.size)))
                pending.add(task)
                task.add_done_callback(pending.discard)

        consuming = asyncio.create_task(consume())
        await publish(warm_up)
        with Meter(run.known) as meter:
            await publish(run.messages)
            await asyncio.wait_for(consuming, 30)
    measured = delays[warm_up:]
    return meter.result(
        run.messages,
        p50_ms=round(percentile(measured, 0.5) * 1000, 3),
        p99_ms=round(percentile(measured, 0.99) * 1000, 3),
    )
