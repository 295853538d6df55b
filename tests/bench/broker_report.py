"""What the comparison of brokers found: medians with their spread, and the targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from .brokers import EMBEDDED, ON_DISK, REAL

Results = Mapping[str, Mapping[str, list[dict[str, Any]]]]
"""Case to side to the figures of its rounds."""
NAMES = {
    "msgs_per_s": "messages a second",
    "broker_cpu_s_per_100k": "broker CPU, s per 100k",
    "other_cores": "other load, cores",
    "p50_us": "p50, µs",
    "p99_us": "p99, µs",
    "ready_ms": "ready after, ms",
    "idle_rss_mib": "memory added, MiB",
    "start_seconds": "start, s",
    "rss_mib": "memory, MiB",
    "topics": "topics",
}


@dataclass(frozen=True)
class Target:
    """A bound on the embedded broker's median, or with `ratio` on its ratio to the real one's."""

    case: str
    figure: str
    at_most: float | None = None
    at_least: float | None = None
    ratio: bool = False


TARGETS = [
    *(
        Target(f"{verb}, {batching}", "broker_cpu_s_per_100k", at_most=0.2, ratio=True)
        for verb in ("publish", "consume")
        for batching in ("batched", "unbatched")
    ),
    Target("publish, unbatched", "msgs_per_s", at_least=1.5, ratio=True),
    Target("consume, unbatched", "msgs_per_s", at_least=1.5, ratio=True),
    Target("publish, batched", "msgs_per_s", at_least=1, ratio=True),
    Target("consume, batched", "msgs_per_s", at_least=1, ratio=True),
    Target("latency from Rust", "p50_us", at_most=200),
    Target("latency from Python", "p50_us", at_most=300),
    Target("topics", "rss_mib", at_most=1024),
    Target("topics", "start_seconds", at_most=30),
    Target("start in the process", "idle_rss_mib", at_most=20),
    Target("start in the process", "ready_ms", at_most=50),
]


def summary(results: Results) -> list[dict[str, Any]]:
    """One row a case, figure and side."""
    return [
        {
            "case": case,
            "figure": figure,
            "side": side,
            "median": median(values),
            "min": min(values),
            "max": max(values),
            "values": values,
        }
        for case, sides in results.items()
        for side, runs in sides.items()
        for figure in NAMES
        if (values := [run[figure] for run in runs if figure in run])
    ]


def print_table(rows: list[dict[str, Any]]) -> None:
    """The rows for people."""
    print(f"{'case':<22} {'figure':<24} {'broker':<26} {'median':>12} {'min':>12} {'max':>12}")
    sides = [EMBEDDED, ON_DISK, REAL]
    for row in sorted(rows, key=lambda row: (row["case"], row["figure"], sides.index(row["side"]))):
        figures = " ".join(f"{_rounded(row[name]):>12}" for name in ("median", "min", "max"))
        print(f"{row['case']:<22} {NAMES[row['figure']]:<24} {row['side']:<26} {figures}")


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def print_targets(rows: list[dict[str, Any]]) -> None:
    """Each target beside what was measured."""
    medians = {(row["case"], row["figure"], row["side"]): row["median"] for row in rows}
    for target in TARGETS:
        value = medians[target.case, target.figure, EMBEDDED]
        if target.ratio:
            value /= medians[target.case, target.figure, REAL]
        reached = (target.at_most is None or value <= target.at_most) and (
            target.at_least is None or value >= target.at_least
        )
        bound = f"at most {target.at_most:g}" if target.at_most is not None else f"at least {target.at_least:g}"
        what = f"{value:.3g} times that of the real one" if target.ratio else f"{value:,.4g}"
        print(f"{'reached' if reached else 'SHORT  '}  {target.case}: {NAMES[target.figure]} {what} (target {bound})")
