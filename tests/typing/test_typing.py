"""The package's types, as mypy sees them from outside: right use passes, wrong use does not."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["usage.py", "misuse.py"])
def test_mypy_agrees(name: str, tmp_path: Path) -> None:
    # `--strict` warns of an ignored error that is none, so each marked line must be one.
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), f"tests/typing/{name}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "python" / "fastapi_pulsar" / "py.typed").is_file()
