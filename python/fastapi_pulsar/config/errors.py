"""Errors of settings as people need them: the variable and its rule. The value may be a secret: it is never shown."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError as SourceError

from ..exceptions import SettingsError
from . import overrides
from .aliases import SECOND_NAMES, variable


def describe(error: ValidationError, *, given: Mapping[str, Any]) -> str:
    """One sentence for each setting that breaks a rule."""
    lines = []
    for detail in error.errors(include_input=False, include_url=False, include_context=False):
        rule = detail["msg"].removeprefix("Value error, ")
        lines.append(f"{_origin(str(detail['loc'][0]), given)}: {rule}" if detail["loc"] else rule)
    return "; ".join(lines)


def describe_source(error: SourceError) -> str:
    """The sentence for a variable whose text is no JSON where JSON is needed."""
    field = next((word for word in str(error).split('"') if word.isidentifier()), "")
    return f"{variable(field) if field else 'a PULSAR_ variable'}: Input should be valid JSON"


def refuse_unknown_arguments(values: Mapping[str, Any], fields: Iterable[str]) -> None:
    """Raises `SettingsError` for a misspelt argument, which pydantic-settings would silently ignore."""
    known = set(fields)
    for name in values:
        if name in known or name.startswith("_"):
            continue
        close = difflib.get_close_matches(name, known, 1)
        hint = f": did you mean {close[0]!r}?" if close else ""
        raise SettingsError(f"PulsarSettings has no setting {name!r}{hint}")


def refuse_missing_env_file(asked: Any) -> None:
    """Raises `SettingsError` for a `.env` file that was asked for and is not there."""
    for path in [asked] if isinstance(asked, str | Path) else asked or []:
        if not Path(path).is_file():
            raise SettingsError(f"_env_file: the file {path} does not exist")


def _origin(field: str, given: Mapping[str, Any]) -> str:
    """Where the value came from, as the person who set it would call it."""
    if field in given:
        return f"argument {field}"
    if field in overrides.VALUES:
        return f"PulsarConfig setting {field}"
    name = variable(field)
    if name in os.environ:
        return name
    return next((second for second, known in SECOND_NAMES.items() if known == field and second in os.environ), name)
