"""Compose files as services: read, interpolated, overlays laid over them. What the project's files use, and no more.

A key that is not known here is an error, so that nothing in a file is silently left out of the proof.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>[A-Za-z_]\w*)(?:(?P<kind>:?[-?])(?P<rest>[^}]*))?\})")
# What has no effect on a process without an engine: images, restarts by the engine, publishing ports on the host.
ENGINE_ONLY = {"image", "build", "restart", "stop_grace_period", "ports", "expose", "security_opt", "profiles", "init"}
KNOWN = {
    "command", "entrypoint", "environment", "user", "read_only", "tmpfs", "volumes", "cap_drop", "mem_limit", "healthcheck",
    "depends_on", "working_dir", "env_file", "hostname",
}  # fmt: skip


@dataclass(frozen=True)
class Mount:
    source: str
    """A path of the host, or the name of a volume."""
    target: str
    read_only: bool

    @property
    def is_volume(self) -> bool:
        return not self.source.startswith("/")


@dataclass(frozen=True)
class Service:
    """One service as the engine would see it."""

    name: str
    command: tuple[str, ...]
    """Entry point and command."""
    environment: Mapping[str, str]
    user: str
    read_only: bool
    tmpfs: tuple[str, ...]
    mounts: tuple[Mount, ...]
    health: tuple[str, ...]
    """The command of the health check; empty if there is none."""
    depends_on: Mapping[str, str]
    """Service → condition."""
    memory: int
    """Limit in bytes; 0 is none."""
    raw: Mapping[str, Any] = field(repr=False)
    """As written, after interpolation."""


def load(paths: Sequence[Path], variables: Mapping[str, str] | None = None) -> dict[str, Service]:
    """The services of compose files, later ones laid over earlier ones; paths are relative to the first one's folder.

    Raises:
        ValueError: A file uses what this reader does not know, or a variable that is required is missing.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        content = yaml.safe_load(path.read_text())
        merged = overlay(merged, interpolate(content, variables or {}))
    folder = paths[0].parent.resolve()
    return {name: _service(name, raw, folder) for name, raw in merged["services"].items()}


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """`${NAME}`, `${NAME:-default}` and `${NAME:?error}` in every string; `$$` is a dollar."""
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    return VARIABLE.sub(lambda match: _replace(match, variables), value) if isinstance(value, str) else value


def _replace(match: re.Match[str], variables: Mapping[str, str]) -> str:
    name, kind, rest = match["name"], match["kind"] or "", match["rest"] or ""
    if name is None:
        return "$"
    value = variables.get(name)
    if value is not None and (value or not kind.startswith(":")):
        return value
    if kind.endswith("?"):
        raise ValueError(f"the variable {name} is required: {rest}")
    return rest


def overlay(base: Any, over: Any, key: str = "") -> Any:
    """As the engine merges files: maps by key, mounts by target, ports and others added, commands replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {name: overlay(base[name], item, name) if name in base else item for name, item in over.items()}
    if key == "environment":
        return _pairs(base) | _pairs(over)
    if key == "volumes" and isinstance(base, list):
        return list({_target(item): item for item in [*base, *over]}.values())
    if key in ("ports", "tmpfs", "expose", "cap_drop", "security_opt", "env_file"):
        return [*base, *(item for item in over if item not in base)]
    return over


def _target(volume: str) -> str:
    return volume.split(":")[1]


def _pairs(value: Any) -> dict[str, str]:
    pairs = (item.partition("=")[::2] for item in value) if isinstance(value, list) else (value or {}).items()
    return {name: _text(item) for name, item in pairs}


def _env_files(value: Any, folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in [value] if isinstance(value, str) else value or ():
        path, required = (item["path"], item.get("required", True)) if isinstance(item, dict) else (item, True)
        if required or (folder / path).exists():
            found |= {name: value or "" for name, value in dotenv_values(folder / path, interpolate=False).items()}
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _service(name: str, raw: Mapping[str, Any], folder: Path) -> Service:
    unknown = raw.keys() - KNOWN - ENGINE_ONLY
    if unknown:
        raise ValueError(f"service {name}: this reader does not know {sorted(unknown)}")
    conditions = raw.get("depends_on") or {}
    if isinstance(conditions, list):
        conditions = {other: {"condition": "service_started"} for other in conditions}
    return Service(
        name=name,
        command=(*_words(raw.get("entrypoint")), *_words(raw.get("command"))),
        environment=_env_files(raw.get("env_file"), folder) | _pairs(raw.get("environment")),
        user=str(raw.get("user", "")),
        read_only=bool(raw.get("read_only", False)),
        tmpfs=tuple(_words(raw.get("tmpfs"))),
        mounts=tuple(_mount(volume, folder) for volume in raw.get("volumes") or ()),
        health=_health(raw.get("healthcheck")),
        depends_on={other: how["condition"] for other, how in conditions.items()},
        memory=_bytes(str(raw.get("mem_limit", "0"))),
        raw=raw,
    )


def _words(value: Any) -> list[str]:
    return value.split() if isinstance(value, str) else [str(word) for word in value or ()]


def _mount(volume: str, folder: Path) -> Mount:
    source, target, *options = volume.split(":")
    if source.startswith("."):
        source = str((folder / source).resolve())
    return Mount(source, target, "ro" in ",".join(options).split(","))


def _health(check: Mapping[str, Any] | None) -> tuple[str, ...]:
    test = (check or {}).get("test") or []
    match test:
        case ["CMD", *command]:
            return tuple(command)
        case ["CMD-SHELL", command]:
            return ("/bin/sh", "-c", command)
        case str():
            return ("/bin/sh", "-c", test)
    return ()


def _bytes(text: str) -> int:
    units = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)
