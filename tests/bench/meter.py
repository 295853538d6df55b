"""What a run cost: wall time, this process's CPU, and how busy the rest of the machine was (Linux)."""

import os
import resource
import time
from pathlib import Path
from typing import Any, Self

TICKS = os.sysconf("SC_CLK_TCK")


def own_cpu() -> float:
    """User and system seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def process_cpu(pid: int) -> float:
    """User and system seconds of another process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def machine_cpu() -> float:
    """Busy seconds of all cores so far."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / TICKS


def rss_mib(pid: int | str = "self") -> float:
    """Resident memory of this process or another."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


class Meter:
    """Measures a block. `known` are processes whose load belongs to the case (the broker, a proxy)."""

    def __init__(self, known: list[int]) -> None:
        self._known = known

    def __enter__(self) -> Self:
        self._before = (own_cpu(), self._known_cpu(), machine_cpu())
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._started
        own, known, machine = self._before
        self.cpu = own_cpu() - own
        self.broker_cpu = self._known_cpu() - known
        self.other_cores = max(0.0, (machine_cpu() - machine - self.cpu - self.broker_cpu) / self.seconds)

    def _known_cpu(self) -> float:
        return sum(process_cpu(pid) for pid in self._known)

    def result(self, messages: int, **more: Any) -> dict[str, Any]:
        """The figures of `messages` operations done inside the block."""
        return {
            "msgs_per_s": round(messages / self.seconds),
            "client_cpu_s_per_100k": round(self.cpu / messages * 1e5, 4),
            "broker_cpu_s_per_100k": round(self.broker_cpu / messages * 1e5, 4),
            "other_cores": round(self.other_cores, 3),
            **more,
        }


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
