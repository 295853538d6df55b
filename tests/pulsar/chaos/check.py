"""Where each confirmed message is: `python -m tests.pulsar.chaos.check CONFIRMED PROCESSED LETTERS MOST_DUPLICATES`.

Prints the verdict as one line of JSON; exit code 1 if a confirmed message is neither processed nor a dead letter, or if more
were duplicated than the interruptions explain.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

Verdict = dict[str, int]


def compare(confirmed: Iterable[int], processed: Iterable[int], letters: Iterable[int]) -> Verdict:
    """Counts of messages: confirmed, processed and dead (each once), lost, and outcomes beyond the first of each message."""
    wanted = set(confirmed)
    done, dead = Counter(processed), Counter(letters)
    outcomes = done + dead
    return {
        "confirmed": len(wanted),
        "processed": len(done),
        "dead": len(dead),
        "lost": len(wanted - outcomes.keys()),
        "duplicates": outcomes.total() - len(outcomes),
    }


def numbers(path: str) -> list[int]:
    return [int(line.split(" ")[0]) for line in Path(path).read_text().splitlines()]


if __name__ == "__main__":
    verdict = compare(*map(numbers, sys.argv[1:4]))
    verdict["most_duplicates"] = int(sys.argv[4])
    print(json.dumps(verdict))
    sys.exit(1 if verdict["lost"] or verdict["duplicates"] > verdict["most_duplicates"] else 0)
