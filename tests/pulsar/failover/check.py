"""Compares what was confirmed with what was received: `python -m tests.pulsar.failover.check CONFIRMED RECEIPTS`.

Prints the verdict as one line of JSON; exit code 1 if a confirmed message was never received, or if the first receipts of a
key are out of order.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

Verdict = dict[str, int]


def compare(confirmed: Iterable[tuple[str, int]], receipts: Iterable[tuple[str, int]]) -> Verdict:
    """Counts of messages: confirmed, received (each once), lost, duplicated receipts, first receipts out of order."""
    seen: set[tuple[str, int]] = set()
    latest: dict[str, int] = defaultdict(lambda: -1)
    duplicates = out_of_order = 0
    for key, number in receipts:
        if (key, number) in seen:
            duplicates += 1
            continue
        seen.add((key, number))
        if number < latest[key]:
            out_of_order += 1
        latest[key] = max(latest[key], number)
    wanted = set(confirmed)
    return {
        "confirmed": len(wanted),
        "received": len(seen),
        "lost": len(wanted - seen),
        "duplicates": duplicates,
        "out_of_order": out_of_order,
    }


def read(path: str) -> Iterable[tuple[str, int]]:
    with Path(path).open() as lines:
        for line in lines:
            key, number, _ = line.split(" ", 2)
            yield key, int(number)


if __name__ == "__main__":
    verdict = compare(read(sys.argv[1]), read(sys.argv[2]))
    print(json.dumps(verdict))
    sys.exit(1 if verdict["lost"] or verdict["out_of_order"] else 0)
