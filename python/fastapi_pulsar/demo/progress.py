"""Progress for people: a bar on a terminal, a line every two seconds elsewhere."""

import asyncio
import sys

from .ledger import Ledger
from .statistics import Statistics

BAR_WIDTH = 40


async def show_progress(ledger: Ledger) -> None:
    """Writes to standard error until cancelled."""
    terminal = sys.stderr.isatty()
    try:
        while True:
            _write(ledger, terminal)
            await asyncio.sleep(0.1 if terminal else 2)
    finally:
        _write(ledger, terminal)
        if terminal:
            sys.stderr.write("\n")


def _write(ledger: Ledger, terminal: bool) -> None:
    observed = ledger.observed
    total = ledger.expected.get("published", 0)
    done = observed["departures"] + observed["dead_lettered"]
    text = f"published {observed['published']}/{total}, handled {done}, late {observed['late']}"
    if terminal:
        filled = BAR_WIDTH * done // total if total else 0
        sys.stderr.write(f"\r[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {text} ")
    else:
        sys.stderr.write(text + "\n")
    sys.stderr.flush()


def table(statistics: Statistics, rows: int = 10) -> str:
    """The busiest airports, and whether every airport's flights came in order."""
    reports = statistics.report()
    lines = [f"{'airport':<8} {'departures':>10} {'mean delay':>11} {'worst':>7}  in order"]
    lines += [
        f"{report.airport:<8} {report.departures:>10} {report.mean_delay:>11.1f} {report.worst_delay:>7.0f}  "
        f"{'yes' if report.in_order else 'NO'}"
        for report in reports[:rows]
    ]
    if len(reports) > rows:
        rest = all(report.in_order for report in reports[rows:])
        lines.append(f"and {len(reports) - rows} more airports, in order: {'yes' if rest else 'NO'}")
    return "\n".join(lines)
