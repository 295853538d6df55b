"""Starting every consumer of the process at once."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from ..decorators import CONSUMERS

SUBSCRIPTION_PREFIX = "backend-service"


async def start_background_processors() -> "list[asyncio.Task[None]]":
    """Starts each function under `pulsar_consumer` that has been imported, as a task. Cancel the tasks at shutdown."""
    return [asyncio.ensure_future(cast("Coroutine[Any, Any, None]", consume(None))) for consume in CONSUMERS]
