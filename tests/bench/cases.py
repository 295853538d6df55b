"""What is compared with what, and what is to be reached."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Client:
    """A client's side of a case: a function of a module of this package, or the Rust peer."""

    name: str
    module: str
    function: str
    network: Literal["direct", "delayed"] = "direct"


@dataclass(frozen=True)
class Target:
    """A bound on a ratio of medians, ours against another client of the case."""

    against: str
    figure: Literal["client_cpu_s_per_100k", "msgs_per_s", "p50_ms", "p99_ms"]
    at_least: float | None = None
    at_most: float | None = None
    more_at_most: float | None = None
    """A bound on the difference in place of the ratio."""


@dataclass(frozen=True)
class Case:
    """One row of the benchmark."""

    name: str
    clients: list[Client]
    messages: int
    size: int = 100
    tasks: int = 1
    filled: bool = False
    """Reads a topic that was filled before, the same for all clients."""
    pending: int = 5000
    targets: list[Target] = field(default_factory=list)


OURS = "fastapi-pulsar"
ASYNCIO = "pulsar.asyncio"
SYNC = "pulsar-client"
RUST = "pulsar-rs"


def _cheaper(against: str, times: float) -> Target:
    return Target(against, "client_cpu_s_per_100k", at_most=1 / times)


def _faster(against: str, times: float) -> Target:
    return Target(against, "msgs_per_s", at_least=times)


def _publish_awaited(tasks: int, messages: int, size: int = 100, targets: list[Target] | None = None) -> Case:
    return Case(
        f"awaited publish, {tasks} task{'s' if tasks > 1 else ''}, {size} B",
        [Client(OURS, "ours", "publish_awaited"), Client(ASYNCIO, "official", "publish_awaited")],
        messages=messages,
        size=size,
        tasks=tasks,
        targets=targets or [],
    )


def _publish_many(size: int, targets: list[Target]) -> Case:
    return Case(
        f"send_many, {size} B",
        [
            Client(OURS, "ours", "publish_many"),
            Client(SYNC, "official", "publish_many"),
            Client(RUST, "rust", "publish_many"),
        ],
        messages=200_000,
        size=size,
        targets=targets,
    )


def _receive(size: int, targets: list[Target]) -> Case:
    return Case(
        f"receive + ack, {size} B",
        [
            Client(OURS, "ours", "receive"),
            Client(ASYNCIO, "official", "receive_awaited"),
            Client(SYNC, "official", "receive"),
        ],
        messages=200_000,
        size=size,
        filled=True,
        targets=targets,
    )


def _receive_many(size: int, targets: list[Target]) -> Case:
    return Case(
        f"receive_many + ack, {size} B",
        [
            Client(OURS, "ours", "receive_many"),
            Client(SYNC, "official", "receive_many"),
            Client(RUST, "rust", "receive_many"),
        ],
        messages=200_000,
        size=size,
        filled=True,
        targets=targets,
    )


CASES = [
    _publish_awaited(1, 2_000),
    _publish_awaited(100, 100_000),
    _publish_awaited(1000, 200_000, targets=[_cheaper(ASYNCIO, 10), _faster(ASYNCIO, 6)]),
    _publish_awaited(1000, 100_000, size=1024),
    _publish_many(100, [_cheaper(SYNC, 30), _faster(SYNC, 8)]),
    _publish_many(1024, []),
    _receive(100, [_cheaper(ASYNCIO, 20), _faster(ASYNCIO, 5)]),
    _receive(1024, []),
    _receive_many(100, [_cheaper(SYNC, 5), _faster(SYNC, 1)]),
    _receive_many(1024, []),
    Case(
        "typed handler, 19 fields",
        [Client(OURS, "typed", "handler"), Client("floor", "typed", "floor")],
        messages=100_000,
        filled=True,
        targets=[Target("floor", "client_cpu_s_per_100k", at_most=2.5)],
    ),
    Case(
        "typed handler with policy, metrics and roles",
        [Client(OURS, "typed", "layered"), Client("plain", "typed", "plain")],
        messages=100_000,
        filled=True,
        targets=[Target("plain", "client_cpu_s_per_100k", at_most=1.5)],
    ),
    Case(
        "the same with one Depends",
        [Client(OURS, "typed", "depending"), Client("without", "typed", "layered")],
        messages=100_000,
        filled=True,
        # 40 us a message.
        targets=[Target("without", "client_cpu_s_per_100k", more_at_most=4.0)],
    ),
    Case(
        "latency at 500 msg/s, unbatched, 100 B",
        [Client(OURS, "ours", "latency"), Client(SYNC, "official", "latency")],
        messages=2_500,
        targets=[Target(SYNC, "p50_ms", at_most=1.1), Target(SYNC, "p99_ms", at_most=1.5)],
    ),
    Case(
        "send_many, 20 ms round trip, 100 B",
        [
            Client(OURS, "ours", "publish_many", network="delayed"),
            Client(SYNC, "official", "publish_many", network="delayed"),
            Client(f"{OURS} at 0 ms", "ours", "publish_many"),
        ],
        messages=200_000,
        pending=50_000,
        targets=[_faster(SYNC, 4), _faster(f"{OURS} at 0 ms", 0.5)],
    ),
]
