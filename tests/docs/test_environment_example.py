"""`docker/.env.example` and `PulsarSettings` know the same variables, with the same defaults."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from fastapi_pulsar.config import PulsarSettings
from fastapi_pulsar.config.aliases import SECOND_NAMES

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docker" / ".env.example"
VARIABLES = {f"PULSAR_{name.upper()}": name for name in PulsarSettings.model_fields}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*VARIABLES, *SECOND_NAMES]:
        monkeypatch.delenv(name, raising=False)


def test_it_has_every_variable_that_the_settings_read_and_no_other() -> None:
    settings = {name for name in dotenv_values(EXAMPLE) if name.startswith("PULSAR_")}
    assert settings == VARIABLES.keys()
    assert set(re.findall(r"^# Also read as (\S+)$", EXAMPLE.read_text(), re.MULTILINE)) == SECOND_NAMES.keys()


def test_read_as_it_is_it_changes_nothing() -> None:
    assert PulsarSettings(_env_file=EXAMPLE) == PulsarSettings()


def test_every_setting_in_it_is_read(tmp_path: Path) -> None:
    """A value of the wrong form is refused for each: no line of the file is one that nobody looks at."""
    changed = {"bool": "neither", "int": "-5", "float": "-5", "tuple": "neither"}
    for name, field in VARIABLES.items():
        default = PulsarSettings.model_fields[field].default
        file = tmp_path / "env"
        file.write_text(f"{name}={changed.get(type(default).__name__, 'other')}\n")
        try:
            read = getattr(PulsarSettings(_env_file=file), field)
        except ValueError:
            continue
        assert read != default, name


@pytest.mark.parametrize("block", EXAMPLE.read_text().split("\n\n")[1:])
def test_each_entry_has_meaning_default_and_unit(block: str) -> None:
    if block.startswith("# ----") or "=" not in block:
        return
    lines = block.strip().splitlines()
    comments = [line for line in lines if line.startswith("# ")]
    assert len(comments) >= 2, block
    assert re.fullmatch(r"# Default: .+ \(.+\)", comments[1]), block
    if len(lines) - len(comments) == 1:
        value = lines[-1].partition("=")[2].strip("'")
        assert comments[1].startswith(f"# Default: {value or 'none'} ("), block


def test_it_is_written_from_the_settings_and_the_page() -> None:
    command = [sys.executable, str(ROOT / "tests" / "tools" / "environment_example.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
