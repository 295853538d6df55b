"""Streams real flights through typed handlers: ``python -m fastapi_pulsar.demo``."""

import argparse
import asyncio
import contextlib
import logging
import socket
import sys
from pathlib import Path
from time import monotonic

import uvicorn

from fastapi_pulsar import PulsarConfig

from .app import Demo
from .models import DATA, read_flights
from .progress import show_progress, table

LOOPBACK = "127.0.0.1"
FIRST_PORT = 8000
PATIENCE = 10.0
"""Seconds without any progress after which the rest counts as lost."""


def main() -> int:
    """Runs the demo; the exit code is 0 only if every count is as the data demands."""
    arguments = _parse()
    if arguments.broker == "embedded":
        PulsarConfig.SERVICE_URL = "embedded://demo"
    elif arguments.broker != "pulsar":
        PulsarConfig.SERVICE_URL = arguments.broker
    try:
        flights = list(read_flights(arguments.data))
    except (OSError, ValueError) as error:
        print(f"demo: {arguments.data} cannot be read as flights: {type(error).__name__}", file=sys.stderr)
        return 2
    demo = Demo(flights, drop_row=arguments.drop_row)
    with _listen(arguments.host, arguments.port) as listener:
        try:
            return asyncio.run(_run(demo, listener, once=arguments.once))
        except KeyboardInterrupt:
            return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fastapi_pulsar.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when all flights have arrived")
    parser.add_argument(
        "--broker",
        default="embedded",
        help="embedded (one in this process), pulsar (the one that PULSAR_SERVICE_URL names) or a URL such as "
        "pulsar://localhost:6650",
    )
    parser.add_argument(
        "--host", default=LOOPBACK, help=f"address to serve on (default: {LOOPBACK}); 0.0.0.0 in a container"
    )
    parser.add_argument("--port", type=int, help=f"HTTP port (default: {FIRST_PORT} or the next free one)")
    parser.add_argument("--data", type=Path, default=DATA, help="a CSV file of flights, gzipped or not")
    parser.add_argument("--drop-row", type=int, help="let the handler forget this row, to see lost=1")
    return parser.parse_args()


def _listen(host: str, port: int | None) -> socket.socket:
    """A listening socket: at the given port, or the first free one from 8000."""
    candidates = [port] if port is not None else range(FIRST_PORT, FIRST_PORT + 100)
    for candidate in candidates:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen()
        except OSError:
            listener.close()
            continue
        return listener
    sys.exit(f"demo: port {port} is taken" if port is not None else "demo: ports 8000 to 8099 are all taken")


async def _run(demo: Demo, listener: socket.socket, *, once: bool) -> int:
    # The cancelled flights fail on purpose; the ledger counts them.
    logging.getLogger("fastapi_pulsar.consuming.failure").setLevel(logging.CRITICAL)
    server = uvicorn.Server(uvicorn.Config(demo.app, log_level="warning"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if serving.done():
            print("demo: the application did not start", file=sys.stderr)
            return 1
        await asyncio.sleep(0.01)
    print(f"demo: http://{LOOPBACK}:{listener.getsockname()[1]}/docs", file=sys.stderr)
    try:
        code = await _stream(demo, serving)
        if not once and not serving.done():
            print("demo: still serving; Ctrl-C ends it", file=sys.stderr)
            await serving
            return 0
        return code
    finally:
        server.should_exit = True
        await serving


async def _stream(demo: Demo, serving: asyncio.Task[None]) -> int:
    """Publishes, waits until all has arrived or nothing moves any more, and prints what was observed."""
    started = monotonic()
    async with contextlib.AsyncExitStack() as stack:
        for job in (show_progress(demo.ledger), demo.watch_dead_letters()):
            task = asyncio.create_task(job)
            stack.push_async_callback(_stop, task)
        publishing = asyncio.create_task(demo.publish_flights())
        stack.push_async_callback(_stop, publishing)
        while not (publishing.done() and demo.ledger.complete):
            if serving.done():
                return 0
            if publishing.done() and (publishing.exception() or demo.ledger.idle_for() > PATIENCE):
                break
            await asyncio.sleep(0.05)
        seconds = monotonic() - started
    if publishing.exception():
        print(f"demo: publishing failed: {publishing.exception()}", file=sys.stderr)
    print(table(demo.statistics), file=sys.stderr)
    print(demo.ledger.summary(seconds), flush=True)
    in_order = all(report.in_order for report in demo.statistics.report())
    return 0 if demo.ledger.complete and in_order else 1


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


if __name__ == "__main__":
    sys.exit(main())
