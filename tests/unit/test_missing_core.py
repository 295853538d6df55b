"""A checkout or an installation without the compiled module says what to do."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "python" / "fastapi_pulsar"


@pytest.fixture
def package_without_core(tmp_path: Path) -> Path:
    shutil.copytree(
        PACKAGE, tmp_path / "fastapi_pulsar", ignore=shutil.ignore_patterns("_core*.so", "_core*.pyd", "__pycache__")
    )
    return tmp_path


def test_a_missing_core_is_an_import_error_that_says_what_to_do(package_without_core: Path) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import fastapi_pulsar"
    command = [sys.executable, "-W", "ignore", "-c", code, str(package_without_core)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    for words in ("fastapi_pulsar._core", "pip install fastapi-pulsar", "maturin develop --release"):
        assert words in last
