"""What several of these tests do."""

import asyncio
from collections.abc import Callable
from typing import Literal

from fastapi_pulsar import Consumer, Message, MessageId, PulsarClient


async def publish(
    client: PulsarClient, topic: str, count: int, *, batching: Literal["off", "default"] = "off"
) -> list[MessageId]:
    async with client.producer(topic, batching=batching, max_pending_messages=0) as producer:
        return await producer.send_many([b"%d" % number for number in range(count)])


async def drain(consumer: "Consumer[bytes]", quiet: float = 1.0) -> list["Message[bytes]"]:
    """What comes until nothing comes for `quiet` seconds."""
    found: list[Message[bytes]] = []
    while True:
        try:
            found.append(await consumer.receive(timeout=quiet))
        except TimeoutError:
            return found


def numbers(messages: list["Message[bytes]"]) -> list[int]:
    return [int(message.data) for message in messages]


async def until(condition: Callable[[], bool], timeout: float = 30) -> None:
    """Waits for what the broker or a task of the engine does; polls, since neither tells."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        if condition():
            return
        assert loop.time() < deadline, f"not within {timeout} s"
        await asyncio.sleep(0.02)
