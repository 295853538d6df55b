"""Medians with their spread, the targets, and a chart."""

import json
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

from .cases import CASES, OURS, Case, Target

FIGURES = ("msgs_per_s", "client_cpu_s_per_100k", "p50_ms", "p99_ms")
Runs = dict[str, dict[str, list[dict[str, Any]]]]
"""Case name to client name to the results of its rounds."""


def rows(runs: Runs) -> list[dict[str, Any]]:
    """One row a case and client, each figure the median, with its minimum and maximum."""
    table = []
    for case, clients in runs.items():
        for client, results in clients.items():
            row: dict[str, Any] = {"case": case, "client": client, "rounds": len(results)}
            for figure in FIGURES:
                values = [result[figure] for result in results if figure in result]
                row[figure] = median(values) if values else None
                row[f"{figure}_range"] = [min(values), max(values)] if values else None
            table.append(row)
    return table


def print_table(table: list[dict[str, Any]]) -> None:
    """The rows for people."""
    print(f"{'case':<40} {'client':<24} {'msg/s':>24} {'CPU s per 100k':>26} {'p50/p99 ms':>14}")
    for row in table:
        speed = _spread(row, "msgs_per_s", ",.0f")
        cpu = _spread(row, "client_cpu_s_per_100k", ".3f")
        latency = f"{row['p50_ms']:.2f}/{row['p99_ms']:.2f}" if row["p50_ms"] is not None else ""
        print(f"{row['case']:<40} {row['client']:<24} {speed:>24} {cpu:>26} {latency:>14}")


def _spread(row: dict[str, Any], figure: str, form: str) -> str:
    low, high = row[f"{figure}_range"]
    return f"{row[figure]:{form}} ({low:{form}}-{high:{form}})"


def print_targets(table: list[dict[str, Any]]) -> bool:
    """Each target with the ratio that was measured; whether all were reached."""
    values = {(row["case"], row["client"]): row for row in table}
    reached_all = True
    for case in CASES:
        for target in case.targets:
            measured = _measured(values, case, target)
            if measured is None:
                continue
            most = target.at_most if target.more_at_most is None else target.more_at_most
            reached = (target.at_least is None or measured >= target.at_least) and (most is None or measured <= most)
            reached_all &= reached
            print(f"{'reached' if reached else 'SHORT  '}  {case.name}: {_sentence(target, measured)}")
    return reached_all


def _measured(values: dict[tuple[str, str], dict[str, Any]], case: Case, target: Target) -> float | None:
    """The ratio of ours to the other's, or their difference."""
    ours, other = values.get((case.name, OURS)), values.get((case.name, target.against))
    if not ours or not other or not other[target.figure]:
        return None
    if target.more_at_most is not None:
        return float(ours[target.figure] - other[target.figure])
    return float(ours[target.figure] / other[target.figure])


def _sentence(target: Target, ratio: float) -> str:
    if target.more_at_most is not None:
        return f"{target.figure} {ratio:.3f} more than {target.against} (target at most {target.more_at_most})"
    if target.figure == "client_cpu_s_per_100k" and target.at_most is not None and target.at_most < 1:
        return f"{1 / ratio:.1f} times less CPU than {target.against} (target {1 / target.at_most:.0f})"
    bound = f"at least {target.at_least}" if target.at_least is not None else f"at most {target.at_most}"
    return f"{target.figure} {ratio:.2f} times that of {target.against} (target {bound})"


def write(table: list[dict[str, Any]], folder: Path) -> None:
    """`results.json` and `cpu.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(table, indent=1) + "\n")
    (folder / "cpu.svg").write_text(chart(table))


def chart(table: list[dict[str, Any]]) -> str:
    """Client CPU per 100,000 messages as horizontal bars, each case on a scale of its own."""
    width, label, bar, line = 900, 300, 430, 20
    parts: list[str] = []
    y = 30
    for case in dict.fromkeys(row["case"] for row in table):
        group = [row for row in table if row["case"] == case and row["client_cpu_s_per_100k"] is not None]
        longest = max((row["client_cpu_s_per_100k"] for row in group), default=0) or 1
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{escape(case)}</text>')
        y += line
        for row in group:
            value = row["client_cpu_s_per_100k"]
            colour = "#0b7285" if row["client"].startswith(OURS) else "#adb5bd"
            parts.append(f'<text x="{label - 8}" y="{y}" text-anchor="end">{escape(row["client"])}</text>')
            parts.append(
                f'<rect x="{label}" y="{y - 12}" width="{max(1, bar * value / longest):.1f}" height="14" fill="{colour}"/>'
            )
            parts.append(f'<text x="{label + bar * value / longest + 6:.1f}" y="{y}">{value:.3f} s</text>')
            y += line
        y += 10
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" font-family="sans-serif" font-size="13">'
    title = '<text x="8" y="14">Client CPU seconds per 100,000 messages, median; less is better</text>'
    return "\n".join([head, title, *parts, "</svg>", ""])
