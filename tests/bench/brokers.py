"""The brokers that `tests.bench.broker` compares, each in a process of its own."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.pulsar.harness import Admin, Standalone

from .runner import ROOT

STOP_LIMIT = 20


@dataclass(frozen=True)
class Side:
    """A running broker."""

    name: str
    url: str
    admin: Admin
    pid: int
    start_seconds: float
    """From the start of the process until it serves."""


EMBEDDED = "embedded"
ON_DISK = "embedded, data directory"
REAL = "real standalone"


@contextmanager
def embedded(name: str, *options: str) -> Iterator[Side]:
    """`python -m fastapi_pulsar broker` on free ports."""
    command = [sys.executable, "-m", "fastapi_pulsar", "broker", "--port", "0", "--admin-port", "0", *options]
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            urls = dict(process.stdout.readline().split() for _ in range(2))
            seconds = time.perf_counter() - started
            yield Side(name, urls["service_url"], Admin(urls["admin_url"]), process.pid, seconds)
        finally:
            process.terminate()
            process.wait(STOP_LIMIT)


@contextmanager
def embedded_on_disk() -> Iterator[Side]:
    """The same with a data directory: what is acknowledged is stored, as a real broker does."""
    with tempfile.TemporaryDirectory(prefix="bench-broker-") as folder, embedded(ON_DISK, "--data-dir", folder) as side:
        yield side


@contextmanager
def real() -> Iterator[Side]:
    """Apache Pulsar standalone, its store in the same process."""
    started = time.perf_counter()
    # By default the broker looks for new entries every 10 ms, which would hide its latency.
    with Standalone({"managedLedgerNewEntriesCheckDelayInMillis": 0}) as broker:
        assert broker.pid
        yield Side(REAL, broker.service_url, broker.admin, broker.pid, time.perf_counter() - started)


@contextmanager
def all_sides() -> Iterator[list[Side]]:
    """All of them, at once."""
    with embedded(EMBEDDED) as first, embedded_on_disk() as second, real() as third:
        yield [first, second, third]
