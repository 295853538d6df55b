"""The programs of the failover and chaos tests as child processes."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[3]
Place = Callable[[list[str]], list[str]]


def anywhere(command: list[str]) -> list[str]:
    """Runs it here."""
    return command


def confirmed(line: str) -> int:
    return int(line.removeprefix("confirmed=")) if line.startswith("confirmed=") else -1


class Program:
    """One program of `tests.pulsar.failover`, or of another package beside it: ends when its stdin does; its lines are read as
    they come.

    `place` makes of its command line one that runs elsewhere, in a namespace for example.
    """

    def __init__(self, name: str, *arguments: str, place: Place = anywhere, package: str = "failover") -> None:
        command = place([sys.executable, "-m", f"tests.pulsar.{package}.{name}", *arguments])
        self.name = name
        self._child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._child.stdout
        for line in self._child.stdout:
            self._lines.append(line.strip())

    def kill(self) -> None:
        """SIGKILL: it gets no chance to say goodbye."""
        self._child.kill()
        self._child.wait(20)

    @property
    def lines(self) -> list[str]:
        return list(self._lines)

    @property
    def last_line(self) -> str:
        return self._lines[-1] if self._lines else ""

    def wait_for(self, condition: Callable[[str], bool], what: str, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while not condition(self.last_line):
            assert self._child.poll() is None, f"{self.name} died waiting for {what}, last line: {self.last_line!r}"
            assert time.monotonic() < deadline, (
                f"{self.name}: no {what} within {timeout} s, last line: {self.last_line!r}"
            )
            time.sleep(0.1)

    def finish(self, timeout: float = 120) -> dict[str, Any]:
        """Ends its stdin, waits for its end; the summary."""
        assert self._child.stdin
        self._child.stdin.close()
        code = self._child.wait(timeout)
        self._thread.join(timeout)
        assert code == 0, f"{self.name} ended with {code}"
        summary: dict[str, Any] = json.loads(next(line for line in reversed(self._lines) if line.startswith("{")))
        return summary

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._thread.join(20)
        for stream in (self._child.stdin, self._child.stdout):
            if stream:
                stream.close()
