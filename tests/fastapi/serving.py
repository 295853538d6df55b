"""An application that runs as under a server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fastapi_pulsar import PulsarRouter

Run = Callable[[Coroutine[Any, Any, Any]], Any]
"""The fixture `run`: runs a coroutine on a new event loop."""
MakeRouter = Callable[..., PulsarRouter]
"""The fixture `make_router`: a router on the broker in memory."""


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[None]:
    """Runs an application's lifespan as a server does: one task, from the ASGI messages of start and shutdown."""
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    await _answer(task, from_app)
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        await _answer(task, from_app)
        await task


async def ask(app: Any, path: str) -> tuple[int, bytes]:
    """The status and the body of a GET, in the loop of the caller."""
    url, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": url,
        "raw_path": url.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"test")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def _answer(task: "asyncio.Future[None]", from_app: "asyncio.Queue[dict[str, Any]]") -> None:
    message = await from_app.get()
    if message["type"].endswith(".failed"):
        await task
        raise AssertionError(message)
