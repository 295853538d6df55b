"""Programs in the application of the original's users, `host/`."""

import os
import subprocess
import sys
from pathlib import Path

HOST = Path(__file__).parent / "host"


def run_in_host(program: str, timeout: float, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a process of its own, where no `PULSAR_` variable is set but those given; `timeout` in seconds."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("PULSAR_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=HOST,
        env=others | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
