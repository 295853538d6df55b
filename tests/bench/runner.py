"""Runs every case, the clients in turn, each run in a process of its own."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .cases import Case, Client
from .report import Runs
from .settings import Run

ROOT = Path(__file__).parents[2]
RUN_LIMIT = 180
QUIET = 0.1
"""Cores that others may use during a run; above it the run is void and done again."""
TRIES = 4
DELAYED_LISTENER = "delayed"


@dataclass(frozen=True)
class Lab:
    """Where the cases run: one broker, a delaying proxy before it, and the Rust peer's binary."""

    url: str
    delayed_url: str
    broker_pid: int
    proxy_pid: int
    rust_peer: Path


class Noisy(Exception):
    """Other load on the machine made every try void."""


def run_case(case: Case, lab: Lab, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """All clients of one case, in turn, `rounds` times.

    Raises:
        Noisy: a run could not be had without other load.
    """
    results: dict[str, list[dict[str, Any]]] = {client.name: [] for client in case.clients}
    filled = _fill(case, lab) if case.filled else None
    for number in range(rounds):
        turn = case.clients if number % 2 == 0 else case.clients[::-1]
        for client in turn:
            results[client.name].append(_quiet_run(case, client, lab, filled, number))
    return results


def _quiet_run(case: Case, client: Client, lab: Lab, filled: str | None, number: int) -> dict[str, Any]:
    for attempt in range(TRIES):
        stamp = f"{client.module}-{number}-{attempt}-{time.time_ns()}"
        delayed = client.network == "delayed"
        run = Run(
            url=lab.delayed_url if delayed else lab.url,
            topic=filled or f"persistent://public/default/bench-{stamp}",
            subscription=f"bench-{stamp}",
            size=case.size,
            messages=case.messages,
            tasks=case.tasks,
            pending=case.pending,
            listener=DELAYED_LISTENER if delayed else None,
            known=[lab.broker_pid, lab.proxy_pid],
        )
        result = run_once(client, run, lab)
        if result.get("other_cores", 0) <= QUIET:
            print(f"  {case.name} / {client.name}: {json.dumps(result)}", file=sys.stderr, flush=True)
            return result
        print(f"  {case.name} / {client.name}: void, {result['other_cores']} cores of other load", file=sys.stderr)
    raise Noisy(f"{case.name} / {client.name}: other load in each of {TRIES} tries")


def run_once(client: Client, run: Run, lab: Lab) -> dict[str, Any]:
    """One run, in a process of its own."""
    arguments = json.dumps(asdict(run))
    if client.module == "rust":
        command = [str(lab.rust_peer), client.function, arguments]
    else:
        command = [sys.executable, "-m", "tests.bench.worker", client.module, client.function, arguments]
    return json_of(command)


def _fill(case: Case, lab: Lab) -> str:
    topic = f"persistent://public/default/bench-filled-{time.time_ns()}"
    typed = "typed" if case.clients[0].module == "typed" else "bytes"
    json_of([sys.executable, "-m", "tests.bench.fill", lab.url, topic, typed, str(case.size), str(case.messages)])
    return topic


def json_of(command: list[str]) -> dict[str, Any]:
    """What a program of the benchmark prints last. Raises `RuntimeError` with the end of its errors if it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_LIMIT, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:5])} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def all_cases(cases: list[Case], lab: Lab, rounds: int) -> tuple[Runs, list[str]]:
    """The results of all cases, and what could not be measured."""
    runs: Runs = {}
    void: list[str] = []
    for case in cases:
        try:
            runs[case.name] = run_case(case, lab, rounds)
        except Noisy as noisy:
            void.append(str(noisy))
    return runs, void
