"""Calling a function with its dependencies: by the steps that were found once, or by FastAPI's solver where those do not do."""

from contextlib import AsyncExitStack
from typing import Any

from starlette.concurrency import run_in_threadpool

from ..fastapi_internals import Dependencies, Step, Steps

Arguments = dict[str, Any]


def with_dependencies(inner: Any, dependencies: Dependencies) -> Any:
    """The same call with the values of its dependencies. What they yielded is closed after it, and sees its exception."""

    async def by_fastapi(arguments: Arguments) -> None:
        async with dependencies.solved() as values:
            await inner({**arguments, **values})

    steps = dependencies.steps
    if steps is None:
        return by_fastapi
    by_steps = _by_steps(inner, dependencies, steps)

    async def call(arguments: Arguments) -> None:
        # A test may override dependencies at any time.
        await (by_fastapi if dependencies.overridden else by_steps)(arguments)

    return call


def _by_steps(inner: Any, dependencies: Dependencies, plan: Steps) -> Any:
    async def closing(arguments: Arguments) -> None:
        async with AsyncExitStack() as stack:
            await inner({**arguments, **await _solved(plan, dependencies, stack)})

    async def plain(arguments: Arguments) -> None:
        await inner({**arguments, **await _solved(plan, dependencies, _NOTHING_TO_CLOSE)})

    return closing if any(step.way == "enter" for step in plan.steps) else plain


_NOTHING_TO_CLOSE = AsyncExitStack()


async def _solved(plan: Steps, dependencies: Dependencies, stack: AsyncExitStack) -> Arguments:
    values: list[Any] = []
    request = None
    for step in plan.steps:
        arguments = {name: values[number] for name, number in step.wants}
        if step.requests:
            request = request or dependencies.request()
            arguments |= dict.fromkeys(step.requests, request)
        values.append(await _result(step, arguments, stack))
    return {name: values[number] for name, number in plan.results}


async def _result(step: Step, arguments: Arguments, stack: AsyncExitStack) -> Any:
    if step.way == "await":
        return await step.call(**arguments)
    if step.way == "thread":
        return await run_in_threadpool(step.call, **arguments)
    return await stack.enter_async_context(step.call(**arguments))
