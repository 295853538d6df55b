"""One run in a process of its own: ``python -m tests.bench.worker CLIENT CASE JSON`` prints a JSON result."""

import asyncio
import importlib
import inspect
import json
import os
import sys

from .settings import Run


def main() -> None:
    """Runs one function of one client's module."""
    module, function, arguments = sys.argv[1:]
    run = Run(**json.loads(arguments))
    result = getattr(importlib.import_module(f"tests.bench.{module}"), function)(run)
    if inspect.isawaitable(result):
        result = asyncio.run(_await(result))
    print(json.dumps(result), flush=True)
    # The official client crashes at the interpreter's exit now and then; the figures are out by now.
    os._exit(0)


async def _await(result: object) -> object:
    return await result  # type: ignore[misc]


if __name__ == "__main__":
    main()
