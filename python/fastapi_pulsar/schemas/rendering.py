"""Validation errors without the input.

A message's content may be confidential, and errors end in logs and in properties of dead letters. Pydantic's sentences
may quote the input (a validator's own text, the tag of a union), and so may its locations (the keys of a dict): shown are
only the names of rules and of fields that the model itself declares.
"""

from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

_MOST = 10
"""Errors shown of one payload; a long list of bad items has one for each."""


def rendered(error: ValidationError, names: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """What is wrong as `(location, rule)`, such as `("lines.0.amount", "decimal_parsing")`."""
    details = error.errors(include_input=False, include_url=False, include_context=False)
    return tuple((_location(detail["loc"], names), detail["type"]) for detail in details[:_MOST])


def field_names(adapter: TypeAdapter[Any]) -> frozenset[str]:
    """The names of all fields of a type, at any depth, as they stand in its JSON."""
    try:
        return frozenset(_properties(adapter.json_schema(mode="validation")))
    except (PydanticInvalidForJsonSchema, PydanticUserError):
        return frozenset()


def _location(parts: tuple[int | str, ...], names: frozenset[str]) -> str:
    return ".".join(str(part) if isinstance(part, int) or part in names else "*" for part in parts)


def _properties(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for item in schema for name in _properties(item)]
    if not isinstance(schema, dict):
        return []
    own = schema.get("properties")
    names = list(own) if isinstance(own, dict) else []
    return names + [name for value in schema.values() for name in _properties(value)]
