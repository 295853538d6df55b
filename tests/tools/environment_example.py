"""Writes the settings' part of docker/.env.example: names and defaults from `PulsarSettings`, meanings from docs/usage.md.

`--check` compares instead of writing. What stands above the marker is written by hand: the variables of the compose files.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from fastapi_pulsar.config import PulsarSettings
from fastapi_pulsar.config.aliases import SECOND_NAMES, variable

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docker" / ".env.example"
PAGE = ROOT / "docs" / "usage.md"
MARKER = (
    "# The settings of the application (written by tests/tools/environment_example.py; do not edit below this line)\n"
)
ROW = re.compile(r"^\| `(PULSAR_[A-Z_]+)` \| [^|]*\| (.+) \|$")
UNITS = {
    "MS": "milliseconds",
    "SECONDS": "seconds",
    "BYTES": "bytes",
    "PORT": "a port",
    "PATH": "a file in the container",
}
TYPES = {bool: "true or false", int: "a number", float: "a number", tuple: "JSON"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    text = render(EXAMPLE.read_text())
    if not parser.parse_args().check:
        EXAMPLE.write_text(text)
    elif EXAMPLE.read_text() != text:
        print("docker/.env.example is out of date; run: python tests/tools/environment_example.py", file=sys.stderr)
        return 1
    return 0


def render(current: str) -> str:
    """The whole file: the part above the marker as it is, then one entry for each setting, grouped as on the page."""
    groups, second = meanings(PAGE.read_text()), {field: name for name, field in SECOND_NAMES.items()}
    fields = {variable(name): (name, field.default) for name, field in PulsarSettings.model_fields.items()}
    missing = sorted(fields.keys() - {name for group in groups.values() for name in group})
    if missing:
        sys.exit(f"docs/usage.md does not explain {', '.join(missing)}")
    parts = [current.split(MARKER)[0] + MARKER]
    for title, group in groups.items():
        parts.append(f"\n# ---- {title}\n")
        for name, meaning in group.items():
            if name in fields:
                field, default = fields[name]
                parts.append(entry(name, meaning, default, second.get(field)))
    return "".join(parts)


def meanings(page: str) -> dict[str, dict[str, str]]:
    """Heading → variable → what it means, of the page's tables of settings."""
    groups: dict[str, dict[str, str]] = {}
    title = ""
    for line in page.splitlines():
        if line.startswith("## "):
            title = line[3:]
        elif (row := ROW.match(line)) and not any(row[1] in group for group in groups.values()):
            groups.setdefault(title, {})[row[1]] = row[2].replace("`", "")
    return groups


def entry(name: str, meaning: str, default: Any, second_name: str | None) -> str:
    """Three or four lines: what it means, its default and unit, its other name, and the variable."""
    value = as_written(default)
    lines = ["", f"# {meaning}", f"# Default: {value or 'none'} ({unit(name, default)})"]
    if second_name:
        lines.append(f"# Also read as {second_name}")
    return "\n".join([*lines, f"{name}={quoted(value)}", ""])


def unit(name: str, default: Any) -> str:
    """In what the value is given."""
    return UNITS.get(name.rpartition("_")[2]) or TYPES.get(type(default), "text")


def as_written(default: Any) -> str:
    """A default as a variable has it; nothing if there is none."""
    if default is None or isinstance(default, SecretStr):
        return ""
    if isinstance(default, tuple):
        return json.dumps([role.model_dump(mode="json") for role in default])
    if isinstance(default, float) and default.is_integer():
        return str(int(default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def quoted(value: str) -> str:
    return f"'{value}'" if " " in value or '"' in value else value


if __name__ == "__main__":
    sys.exit(main())
