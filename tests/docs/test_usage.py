"""The page on usage names every setting, with its true default."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from fastapi_pulsar.config import PulsarSettings
from fastapi_pulsar.config.aliases import SECOND_NAMES, variable

PAGE = Path(__file__).parents[2] / "docs" / "usage.md"
ROW = re.compile(r"^\| `(PULSAR_[A-Z_]+)` \| (?:`([^`]*)`|(three roles)?) ?\|", re.MULTILINE)


def documented() -> dict[str, str]:
    """Variable to default, of the page's tables of settings."""
    tables = PAGE.read_text().split("## Second names")[0]
    return {name: default or words for name, default, words in ROW.findall(tables)}


def as_written(value: object) -> str:
    """A default as the page writes it."""
    if value is None or isinstance(value, SecretStr):
        return ""
    if isinstance(value, tuple):
        return "three roles" if len(value) == 3 else "?"
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_setting_is_documented_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in documented():
        monkeypatch.delenv(name, raising=False)
    fields = {f"PULSAR_{name.upper()}": field.default for name, field in PulsarSettings.model_fields.items()}
    numbers = {name: float(default) for name, default in fields.items() if type(default) in (int, float)}
    page = documented()
    assert page.keys() == fields.keys()
    for name, default in fields.items():
        if name in numbers:
            assert float(page[name]) == numbers[name], name
        else:
            assert page[name] == as_written(default), name


def test_every_second_name_is_documented() -> None:
    table = PAGE.read_text().split("## Second names")[1].split("##")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", table, re.MULTILINE)) == {
        name: variable(field) for name, field in SECOND_NAMES.items()
    }


@pytest.mark.parametrize("module", ["fastapi_pulsar broker", "fastapi_pulsar.demo"])
def test_every_option_of_the_commands_is_documented(module: str) -> None:
    command = [sys.executable, "-m", *module.split(), "--help"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    [line] = re.findall(rf"^    python -m {re.escape(module)} .*$", PAGE.read_text(), re.MULTILINE)
    hidden = {"--help", "--drop-row"}  # the latter shows that the demonstration notices
    assert set(re.findall(r"--[a-z-]+", line)) == set(re.findall(r"--[a-z-]+", told)) - hidden
