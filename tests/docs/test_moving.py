"""The lines that move an application over."""

import subprocess
import sys
from pathlib import Path

from tests.docs.pages import DOCS


def test_the_old_import_paths_work(tmp_path: Path) -> None:
    """In a process of its own: the names stay for as long as it lives."""
    core = tmp_path / "app" / "core"
    core.mkdir(parents=True)
    (core / "__init__.py").write_text((DOCS / "snippets" / "moving.py").read_text())
    program = "from app.core.pulsar.decorators import pulsar_task; from app.core.pulsar.client import PulsarClient"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
