"""Ends what a harness process started, when that process dies without doing so itself (SIGKILL included).

Run as a program of its own: reads lines `+pid N`, `-pid N`, `+dir P`, `-dir P` from stdin. The end of stdin means that the
harness is gone: every process still listed is killed and every directory still listed is removed.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    pids: set[int] = set()
    folders: set[str] = set()
    for line in sys.stdin:
        action, value = line.rstrip("\n").split(" ", 1)
        match action:
            case "+pid":
                pids.add(int(value))
            case "-pid":
                pids.discard(int(value))
            case "+dir":
                folders.add(value)
            case "-dir":
                folders.discard(value)
    for pid in pids:
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    # A killed JVM may still be closing files for a moment.
    for _ in range(50):
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        if not any(Path(folder).exists() for folder in folders):
            return
        time.sleep(0.1)


main()
