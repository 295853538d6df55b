"""`docker compose up` without an engine: the services of compose files as processes, in the order that the files ask for."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.pulsar.compose.container import Container
from tests.pulsar.compose.files import Service, load
from tests.pulsar.compose.lab import Lab
from tests.pulsar.harness.fetch import distribution
from tests.pulsar.harness.process import HarnessError
from tests.pulsar.harness.wait import wait_until

READY = 600.0
"""Seconds within which a service must be healthy, on a busy machine."""
INTERVAL = 1.0
"""Seconds between two health checks: each is a process or two."""


class Stack:
    """Use as a context manager, or `close()` it.

    `without` names services that are not started: the application, which the tests are, and what needs an image of ours.
    """

    def __init__(
        self, files: Sequence[Path], without: Iterable[str] = ("app",), variables: Mapping[str, str] | None = None
    ) -> None:
        self.services: dict[str, Service] = load(files, variables)
        self._only = self.services.keys() - set(without)
        self._home = distribution()
        self.lab = Lab()
        self.containers: dict[str, Container] = {}

    def start(self) -> Self:
        try:
            for name in self.order():
                for other, condition in self.services[name].depends_on.items():
                    if other in self._only:
                        self._wait(other, condition)
                self.containers[name] = Container(self.services[name], self.lab, self._home)
                self.containers[name].start()
            for name in self.containers:
                self._wait(name, "service_settled")
        except BaseException:
            self.close()
            raise
        return self

    def order(self) -> list[str]:
        """The services to start, each after those on which it depends."""
        found: list[str] = []

        def visit(name: str) -> None:
            for other in self.services[name].depends_on:
                visit(other)
            if name in self._only and name not in found:
                found.append(name)

        for name in self.services:
            visit(name)
        return found

    def add_client(self, name: str) -> None:
        """A namespace for programs of the tests, as a client of the network."""
        self.lab.add(name)

    def wait_healthy(self, name: str) -> None:
        self._wait(name, "service_healthy")

    def close(self) -> None:
        for container in reversed(list(self.containers.values())):
            if container.running:
                container.kill()
        self.lab.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, name: str, condition: str) -> None:
        container = self.containers[name]
        match condition:
            case "service_started":
                return
            case "service_completed_successfully":
                self._completed(container)
            case "service_healthy":
                wait_until(
                    f"{name} to be healthy",
                    container.healthy,
                    timeout=READY,
                    process=container.process,
                    interval=INTERVAL,
                )
            case "service_settled" if container.service.health:
                self._wait(name, "service_healthy")
            case "service_settled":
                return
            case _:
                raise HarnessError(f"depends_on {name}: unknown condition {condition}")

    def _completed(self, container: Container) -> None:
        try:
            code = container.process.wait(READY)
        except subprocess.TimeoutExpired:
            raise HarnessError(f"{container.service.name} did not end:\n{container.process.tail()}") from None
        if code:
            raise HarnessError(f"{container.service.name} ended with {code}:\n{container.process.tail(40)}")
