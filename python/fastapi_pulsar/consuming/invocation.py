"""One call of a consumer function: in the loop or in a thread, with its dependencies, within its time."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter

from ..fastapi_internals import Dependencies
from .plan import Plan
from .solving import Arguments, with_dependencies

Invoke = Callable[[Arguments], Awaitable[Any]]


def invocation(plan: Plan, dependencies: Dependencies | None, *, threads: int, timeout: float | None) -> Invoke:
    """How to call a plan's function; what is not needed is not in the way of a call.

    Args:
        dependencies: The function's `Depends` in its application; None without any.
        threads: The number of threads that a `def` function may occupy.
        timeout: Seconds after which a call is cancelled and raises `TimeoutError`; a thread cannot be stopped and is left
            to itself then.
    """
    call: Invoke = _direct(plan) if plan.is_async else _in_thread(plan, CapacityLimiter(threads))
    if dependencies is not None:
        call = with_dependencies(call, dependencies)
    return call if timeout is None else _within(call, timeout)


def _direct(plan: Plan) -> Invoke:
    function = plan.function
    return lambda arguments: function(**arguments)


def _in_thread(plan: Plan, limiter: CapacityLimiter) -> Invoke:
    async def call(arguments: Arguments) -> None:
        function = functools.partial(plan.function, **arguments)
        await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=limiter)

    return call


def _within(inner: Invoke, timeout: float) -> Invoke:
    async def call(arguments: Arguments) -> None:
        async with asyncio.timeout(timeout):
            await inner(arguments)

    return call
