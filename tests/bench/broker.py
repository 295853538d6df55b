"""``python -m tests.bench.broker``: the embedded broker beside a real one, in alternating rounds.

The load comes from our own engine: the Rust program `broker_load`, and for one latency the Python client. Messages are 100 B.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .broker_report import Results, print_table, print_targets, summary
from .brokers import EMBEDDED, REAL, Side, all_sides
from .lab import build_rust_program
from .meter import rss_mib
from .runner import QUIET, ROOT, json_of
from .settings import Run

BATCHED, UNBATCHED = 1_000_000, 100_000
LATENCIES = 1000
TOPICS = {EMBEDDED: 10_000, REAL: 1000}
"""The real one has fewer: what it does in seconds for one, it does in minutes for ten thousand."""
STARTS = 5
TOPICS_LIMIT = 180
SHORT = 10
"""`--short` divides all counts by this."""


class Bench:
    """Runs the cases and gathers what they give."""

    def __init__(self, load: Path, divisor: int) -> None:
        self._load = load
        self._divisor = divisor
        self.results: Results = defaultdict(lambda: defaultdict(list))
        self.noisy = 0
        self.runs = 0

    def round(self, sides: list[Side], *, keep: bool) -> None:
        """Every case once on every side. The first round only warms up the real broker's compiler, and is not kept."""
        for name, function, count in (("batched", "publish", BATCHED), ("unbatched", "publish_unbatched", UNBATCHED)):
            for side in sides:
                run = self._run(side, count)
                self.keep(f"publish, {name}", side, self._rust(function, run), kept=keep)
                self.keep(f"consume, {name}", side, self._rust("consume", run), kept=keep)
                side.admin.delete_topic(run.topic, force=True)  # no run pays for the messages of another
        for side in sides:
            self.keep("latency from Rust", side, self._rust("latency", self._run(side, LATENCIES)), kept=keep)
            self.keep("latency from Python", side, _python("latency", self._run(side, LATENCIES)), kept=keep)

    def start(self) -> None:
        """An embedded broker in a fresh process."""
        for _ in range(STARTS):
            self.results["start in the process"][EMBEDDED].append(_python("start", Run("", "", "", 0, 0)))

    def topics(self, side: Side) -> None:
        """Many topics, each with a producer and a consumer; the broker's memory with them all open."""
        run = self._run(side, TOPICS[side.name])
        command = [str(self._load), "topics", json.dumps(asdict(run))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            limit = threading.Timer(TOPICS_LIMIT, process.kill)
            limit.start()
            line = process.stdout.readline()
            limit.cancel()
            if not line:
                raise RuntimeError(
                    f"{run.messages} topics on {side.name}: not within {TOPICS_LIMIT} s, or the load failed"
                )
            result = {**json.loads(line), "rss_mib": rss_mib(side.pid)}
        self.keep("topics", side, result)

    def _run(self, side: Side, count: int) -> Run:
        stamp = f"bench-{time.time_ns()}"
        topic = f"persistent://public/default/{stamp}"
        return Run(side.url, topic, stamp, size=100, messages=count // self._divisor, known=[side.pid])

    def _rust(self, function: str, run: Run) -> dict[str, Any]:
        return json_of([str(self._load), function, json.dumps(asdict(run))])

    def keep(self, case: str, side: Side, result: dict[str, Any], *, kept: bool = True) -> None:
        """Takes in the figures of a run, or only shows them."""
        print(
            f"  {case} / {side.name}{'' if kept else ' (warm-up)'}: {json.dumps(result)}", file=sys.stderr, flush=True
        )
        if kept:
            self.results[case][side.name].append(result)
            self.runs += 1
            self.noisy += result.get("other_cores", 0) > QUIET


def _python(function: str, run: Run) -> dict[str, Any]:
    return json_of([sys.executable, "-m", "tests.bench.worker", "idle", function, json.dumps(asdict(run))])


def main() -> int:
    """Prints both sides and the targets, and writes `target/bench/broker.json`; 1 if other load spoilt a figure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.broker", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help=f"one {SHORT}th of all counts, to see that it runs")
    parser.add_argument("--out", type=Path, default=ROOT / "target" / "bench")
    arguments = parser.parse_args()
    bench = Bench(build_rust_program("broker_load"), SHORT if arguments.short else 1)
    bench.start()
    with all_sides() as sides:
        for side in sides:
            start = {"start_seconds": side.start_seconds, "rss_mib": rss_mib(side.pid)}
            bench.keep("process", side, start)
        for number in range(arguments.rounds + 1):
            bench.round(sides if number % 2 == 0 else sides[::-1], keep=number > 0)
        for side in sides:
            if side.name in TOPICS:
                bench.topics(side)
    rows = summary(bench.results)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "broker.json").write_text(json.dumps(rows, indent=1) + "\n")
    print_table(rows)
    print_targets(rows)
    if bench.noisy:
        print(f"VOID     {bench.noisy} of {bench.runs} runs had more than {QUIET} cores of other load beside them")
    return 1 if bench.noisy else 0


if __name__ == "__main__":
    sys.exit(main())
