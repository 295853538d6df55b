"""Values of any kind as JSON: what JSON cannot hold is described by its type, never dumped."""

import math
from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

_DEEPEST = 20
_PLAIN = (str, int, bool, type(None))
_WRITTEN = (BaseModel, date, time, timedelta, Decimal, UUID, PurePath)


def describe(value: Any, depth: int = 0) -> Any:
    """The value as JSON has it.

    Models, dataclasses, dates, UUIDs and decimals are written as Pydantic writes them. Requests, sessions, open files and other
    objects become `<module.Class>`: their contents may be secret or endless.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Enum):
        return describe(value.value, depth)
    if isinstance(value, _WRITTEN) or (is_dataclass(value) and not isinstance(value, type)):
        try:
            return to_jsonable_python(value, by_alias=True, fallback=_name, inf_nan_mode="strings")
        except (PydanticSerializationError, ValueError, RecursionError):
            return _name(value)
    if depth >= _DEEPEST:
        return _name(value)
    if isinstance(value, dict) or type(value).__module__ == "types":
        return _mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [describe(item, depth + 1) for item in value]
    return _name(value)


def _mapping(value: Any, depth: int) -> Any:
    if not isinstance(value, Mapping):
        return _name(value)
    return {str(key): describe(item, depth + 1) for key, item in value.items()}


def _name(value: object) -> str:
    cls = type(value)
    return f"<{cls.__module__}.{cls.__qualname__}>"
