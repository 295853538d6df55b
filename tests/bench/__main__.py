"""``python -m tests.bench``: every client on the same broker, medians of several rounds."""

import argparse
import json
import sys
from pathlib import Path

from . import memory_check, report
from .cases import CASES
from .lab import lab
from .runner import ROOT, all_cases


def main() -> int:
    """Prints the tables and writes `target/bench/`; the exit code is 1 if a case could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--no-memory", action="store_true", help="leave out the check of memory growth")
    parser.add_argument("--out", type=Path, default=ROOT / "target" / "bench")
    arguments = parser.parse_args()
    cases = [case for case in CASES if arguments.only in case.name]
    with lab() as place:
        runs, void = all_cases(cases, place, arguments.rounds)
        memory = None if arguments.no_memory or arguments.only else memory_check.measure(place)
    table = report.rows(runs)
    report.write(table, arguments.out)
    report.print_table(table)
    report.print_targets(table)
    if memory:
        (arguments.out / "memory.json").write_text(json.dumps(memory, indent=1) + "\n")
        memory_check.print_result(memory)
    for reason in void:
        print(f"VOID     {reason}")
    return 1 if void else 0


if __name__ == "__main__":
    sys.exit(main())
