"""A consumer that drains a backlog leaves the event loop time for requests."""

import asyncio
import json
import sys

import pytest
import uvicorn
from fastapi import FastAPI

from fastapi_pulsar import PulsarClient
from tests.pulsar.plugin import Broker

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
MESSAGES = 1_000_000
MOST_SECONDS = 0.020

ASK = """
import http.client, json, sys, time
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
times = []
try:
    while True:
        started = time.perf_counter()
        connection.request("GET", "/health")
        answer = connection.getresponse()
        drained = json.loads(answer.read())["drained"]
        times.append(time.perf_counter() - started)
        if drained:
            break
        time.sleep(0.002)
finally:
    print(json.dumps(times))
"""


async def test_health_answers_while_a_million_messages_are_drained(pulsar_broker: Broker, topic: str) -> None:
    state = {"drained": False}
    app = FastAPI()

    @app.get("/health")
    async def health() -> dict[str, bool]:
        return state

    async with PulsarClient(pulsar_broker.service_url) as client:
        consumer = await client.consumer(topic, "s", type="Exclusive", initial_position="earliest", start_paused=True)
        producer = await client.producer(topic, max_pending_messages=50_000)
        for _ in range(MESSAGES // 20_000):
            await producer.send_many([b"x" * 100] * 20_000)

        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        asking = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASK, str(port), stdout=asyncio.subprocess.PIPE
        )

        consumer.resume()
        count = 0
        async for message in consumer:
            consumer.acknowledge(message)
            count += 1
            if count == MESSAGES:
                break
        state["drained"] = True
        output, _ = await asking.communicate()
        server.should_exit = True
        await serving

    times = sorted(json.loads(output))
    p99 = times[int(len(times) * 0.99)]
    print(f"{len(times)} requests, p50 {times[len(times) // 2] * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")
    assert len(times) > 100, "drained too soon to tell"
    assert p99 < MOST_SECONDS
