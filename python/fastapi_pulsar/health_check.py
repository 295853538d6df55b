"""The health of the connections: `GET /health/pulsar` as the original answered it, and probes for whoever runs the process.

Include `router` for all of it, or `health_router` and `metrics_router` alone. Nothing is ever published, no check takes longer
than its deadline, and what failed is told with its reason and without secrets.
"""

import asyncio
import logging
import math
from collections import deque
from time import monotonic
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from . import metrics
from .client import default_client
from .consuming.health import ask_backlogs, dead, look, missing, told
from .consuming.run import Run
from .consuming.runs import open_runs
from .exceptions import PulsarError
from .fastapi_internals import included_routers
from .publishing import Publishing

logger = logging.getLogger("fastapi_pulsar.health")
health_router = APIRouter()
metrics_router = APIRouter()
_TOPIC = "__health_check__"
_LIMIT, _WINDOW = 2, 3.0


class PulsarHealth:
    """Asks the broker whether it answers; nothing is published.

    Args:
        client: A `PulsarClient`. Without one those of the running routers are asked, or else the package's own.

    Attributes:
        cache_ttl: Seconds for which an answer is kept.
        reasons: Why the last checks failed, by their names.
    """

    def __init__(self, client: Any = None) -> None:
        self.client = default_client if client is None else client
        self.cache_ttl = 30.0
        self.last_check: float | None = None
        self.cached_status: JSONResponse | None = None
        self.reasons: dict[str, str] = {}
        self._checking: asyncio.Task[JSONResponse] | None = None

    async def check_connection(self) -> bool:
        """Whether the broker answers."""
        return self._note("connection", await self._why_silent(_TOPIC))

    async def check_producer(self, topic: str = _TOPIC) -> bool:
        """Whether the broker serves the topic to producers, and every producer is connected."""
        reason = await self._why_silent(topic)
        health = await look(self._runs(), self.client)
        failed = [one.reason for one in (*health.producers, *health.breakers) if one.reason is not None]
        return self._note("producer", reason or next(iter(failed), None))

    async def check_consumer(self, topic: str = _TOPIC) -> bool:
        """Whether the broker serves the topic to consumers, and every subscription is consumed from."""
        reason = await self._why_silent(topic)
        health = await look(self._runs(), self.client)
        failed = [one.reason for one in health.subscriptions if one.reason is not None]
        return self._note("consumer", reason or next(iter(failed), None))

    async def get_health_status(self) -> JSONResponse:
        """`{"healthy", "details": {"connection", "producer", "consumer"}}` with status 200; or 503, and then `reasons` too.

        An answer is kept for `cache_ttl` seconds, and callers at the same time share one check.
        """
        now = monotonic()
        if self.cached_status is not None and self.last_check is not None and now - self.last_check < self.cache_ttl:
            return self.cached_status
        task = self._checking
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            task = self._checking = asyncio.ensure_future(self._check())
        return await asyncio.shield(task)

    async def _check(self) -> JSONResponse:
        checks = (self.check_connection(), self.check_producer(), self.check_consumer())
        details = dict(zip(("connection", "producer", "consumer"), await asyncio.gather(*checks), strict=True))
        healthy = all(details.values())
        metrics.PULSAR_HEALTH.set(healthy)
        body: dict[str, Any] = {"healthy": healthy, "details": details}
        if not healthy:
            body["reasons"] = dict(self.reasons)
        self.cached_status = JSONResponse(body, 200 if healthy else 503)
        self.last_check = monotonic()
        return self.cached_status

    def _runs(self) -> list[Run]:
        return open_runs() if self.client is default_client else []

    def _note(self, check: str, reason: str | None) -> bool:
        if reason is None:
            self.reasons.pop(check, None)
            return True
        self.reasons[check] = reason
        logger.warning("the health check of the %s failed: %s", check, reason)
        return False

    async def _why_silent(self, topic: str) -> str | None:
        clients = [run.client for run in self._runs()] or [self.client]
        reasons = await asyncio.gather(*(_why_silent(client, topic) for client in clients))
        return next((reason for reason in reasons if reason is not None), None)


async def _why_silent(client: Any, topic: str) -> str | None:
    deadline = client.settings.health_timeout_ms
    try:
        async with asyncio.timeout(deadline / 1000):
            await client.partitions(topic)
    except TimeoutError:
        return f"the broker did not answer within {deadline} ms"
    except PulsarError as error:
        return told(error, client.settings)
    return None


pulsar_health = PulsarHealth()
_asked: deque[float] = deque(maxlen=_LIMIT)


async def check_pulsar_health() -> JSONResponse:
    """The status, at most 2 times in 3 seconds.

    Raises:
        HTTPException: 429 with `Retry-After`: it was asked more often.
    """
    now = monotonic()
    if len(_asked) == _LIMIT and (wait := _asked[0] + _WINDOW - now) > 0:
        raise HTTPException(
            429, "Pulsar health checks limited to 2 per 3 seconds", {"Retry-After": str(math.ceil(wait))}
        )
    _asked.append(now)
    return await pulsar_health.get_health_status()


@health_router.get("/health/pulsar")
async def pulsar_health_endpoint() -> JSONResponse:
    """The status: 200 or 503. Not limited, since probes and people may ask at the same time, and share its answers."""
    return await pulsar_health.get_health_status()


@health_router.get("/health/pulsar/live")
async def pulsar_live() -> JSONResponse:
    """200 as long as a new process would be no better than this one: a broker that is away does not count."""
    return _answer("alive", "dead", dead(open_runs()))


@health_router.get("/health/pulsar/startup")
async def pulsar_startup(request: Request) -> JSONResponse:
    """200 once every subscription has been consumed from; it stays so when the broker goes away."""
    runs = open_runs()
    return _answer("started", "starting", {**_unstarted(request.app), **missing(runs)})


@health_router.get("/health/pulsar/ready")
async def pulsar_ready(request: Request) -> JSONResponse:
    """200 while every subscription and producer is connected, no breaker is open and no backlog is over its limit; else 503."""
    health = await look(open_runs(), default_client)
    report = {
        kind: [check.shown() for check in getattr(health, kind)] for kind in ("subscriptions", "producers", "breakers")
    }
    return _answer("ready", "not ready", {**_unstarted(request.app), **health.failed}, report)


@metrics_router.get("/metrics")
async def metrics_endpoint(backlog: bool = False) -> Response:
    """The metrics, in Prometheus' text format; with `?backlog=true` the brokers are asked for the backlogs first."""
    if backlog:
        await ask_backlogs(open_runs())
    return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


router = APIRouter()
router.include_router(health_router)
router.include_router(metrics_router)


def _answer(good: str, bad: str, reasons: dict[str, str], report: dict[str, Any] | None = None) -> JSONResponse:
    body = {"status": bad if reasons else good, "reasons": reasons, **(report or {})}
    return JSONResponse(body, 503 if reasons else 200, {"Cache-Control": "no-store"})


def _unstarted(app: Any) -> dict[str, str]:
    """The routers of the application, and of those mounted in it, whose consumer functions do not run."""
    routers = (one for one in included_routers(app) if isinstance(one, Publishing))
    return {f"router of {', '.join(one.unstarted)}": "not started" for one in routers if one.unstarted}
