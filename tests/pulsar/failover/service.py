"""An application as users write it, on the topic that is under load; its readiness is what an orchestrator would ask.

`python -m tests.pulsar.failover.service TOPIC PORT`, with the settings in the environment; ends with its stdin.
"""

import asyncio
import sys

import uvicorn
from fastapi import FastAPI

from fastapi_pulsar import PulsarRouter, health_check
from tests.pulsar.failover import stop_at_end_of_input

EVERY = 20
"""Of so many messages one is passed on."""


def application(topic: str) -> FastAPI:
    pulsar = PulsarRouter(on_startup="wait")

    @pulsar.consumer(topic, subscription="application", concurrency=100, initial_position="earliest")
    async def pass_on(number: int) -> None:
        if number % EVERY == 0:
            await pulsar.publish(f"{topic}-passed-on", number)

    app = FastAPI()
    app.include_router(pulsar)
    app.include_router(health_check.router)
    return app


async def main(topic: str, port: int) -> None:
    stop = stop_at_end_of_input()
    server = uvicorn.Server(uvicorn.Config(application(topic), port=port, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    await stop.wait()
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
