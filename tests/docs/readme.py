"""The README's example: taken out of the README and run, as a person would, on the broker that PULSAR_SERVICE_URL names.

As a program it needs nothing but the installed package and FastAPI's test client.
"""

import builtins
import re
import sys
import threading
import types
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
MARKED = re.compile(r"<!-- example -->\n```python\n(.*?)```\n<!-- /example -->", re.DOTALL)
LIMIT = 30.0
"""Seconds until the order must have reached its handler."""


def source() -> str:
    """The code between the README's two markers."""
    found: list[str] = MARKED.findall(README.read_text(encoding="utf-8"))
    if len(found) != 1:
        raise LookupError(f"README.md has {len(found)} marked examples, not one")
    return found[0]


def run() -> str:
    """Posts an order to the example's application; what its consumer printed about it.

    Raises:
        TimeoutError: nothing arrived in time.
    """
    from fastapi.testclient import TestClient

    arrived = threading.Event()
    printed: list[str] = []

    def note(*values: object) -> None:
        printed.append(" ".join(map(str, values)))
        arrived.set()

    module = types.ModuleType("readme_example")
    sys.modules[module.__name__] = module  # annotations are looked up there
    vars(module)["print"] = note
    try:
        exec(compile(source(), str(README), "exec"), vars(module))  # noqa: S102 - running it is the point
        with TestClient(vars(module)["app"]) as client:
            answer = client.post("/orders", json={"id": 7, "amount": "12.50"})
            if answer.status_code != 202:
                raise RuntimeError(f"POST /orders answered {answer.status_code}")
            if not arrived.wait(LIMIT):
                raise TimeoutError(f"the order did not reach its handler within {LIMIT:.0f} s")
    finally:
        del sys.modules[module.__name__]
    return printed[0]


if __name__ == "__main__":
    builtins.print("README example:", run())
