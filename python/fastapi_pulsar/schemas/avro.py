"""The Avro record of a model's JSON.

Pulsar describes a JSON schema by an Avro record, which Java's `Schema.JSON` reads. It must describe the JSON as it is
dumped, so it is made from Pydantic's JSON Schema in serialization mode, which says just that: names by alias, dates as
strings, what a custom serializer returns.
"""

import re
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema, NoDefault
from pydantic_core import core_schema

from ..exceptions import SchemaTypeError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PRIMITIVES = {"string": "string", "integer": "long", "number": "double", "boolean": "boolean", "null": "null"}
_PYTHON_TYPES = {str: "string", bool: "boolean", int: "long", float: "double", type(None): "null"}
_EMPTY = (list, dict, set, frozenset, tuple)
"""Factories whose product is known without a model at hand."""


def record_schema(adapter: TypeAdapter[Any], name: str) -> dict[str, Any] | None:
    """The record of a model, a dataclass or a `TypedDict`; None for a type that is none of them.

    Raises:
        SchemaTypeError: A field has no counterpart in Avro.
    """
    try:
        schema = adapter.json_schema(mode="serialization", schema_generator=_Generator)
    except PydanticInvalidForJsonSchema as error:
        raise SchemaTypeError(f"{name} cannot be described as a JSON schema: {error.message}") from error
    translation = _Translation(schema.get("$defs", {}), name)
    record = translation.type_of(schema, name, hint=name) if translation.is_record(schema) else None
    return record if isinstance(record, dict) else None


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, which also knows the default that a factory of empty collections makes."""

    def get_default_value(self, schema: core_schema.WithDefaultSchema) -> Any:
        factory = schema.get("default_factory")
        if factory in _EMPTY:
            return list(factory()) if factory is not dict else {}
        return super().get_default_value(schema) if "default" in schema else NoDefault


class _Translation:
    """Translates one JSON Schema; remembers which named types it has already defined."""

    def __init__(self, definitions: dict[str, Any], model: str) -> None:
        self._definitions = definitions
        self._model = model
        self._names: dict[str, str] = {}
        self._types: dict[str, dict[str, Any]] = {}

    def is_record(self, schema: dict[str, Any]) -> bool:
        """Whether the schema is, or refers to, an object with named fields."""
        return "properties" in self._resolved(schema)[1]

    def type_of(self, schema: dict[str, Any], path: str, hint: str = "") -> Any:
        """The Avro type of a schema; `path` names it in errors, `hint` names it in Avro if it needs a name."""
        key, schema = self._resolved(schema)
        if key in self._names:
            return self._names[key]
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return self._union([self.type_of(option, path) for option in options])
        if "enum" in schema or "const" in schema:
            return self._enum(schema.get("enum", [schema.get("const")]), key, path)
        kind = schema.get("type")
        if kind in _PRIMITIVES:
            return _PRIMITIVES[kind]
        if kind == "array":
            return self._array(schema, path)
        if "properties" in schema:
            return self._record(schema, key or hint or schema.get("title", ""), path)
        if kind == "object":
            return self._map(schema, path)
        raise SchemaTypeError(
            f"{path} may be anything, which Avro cannot describe: give it a type, or publish the model's JSON as bytes"
        )

    def _resolved(self, schema: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The key among the definitions, or an empty one, and the schema itself."""
        key = ""
        if len(schema.get("allOf", ())) == 1:
            schema = schema["allOf"][0]
        while "$ref" in schema:
            key = schema["$ref"].rpartition("/")[2]
            schema = self._definitions[key]
        return key, schema

    def _record(self, schema: dict[str, Any], key: str, path: str) -> dict[str, Any]:
        name = self._define(key)
        required = schema.get("required", ())
        fields = [
            self._field(field, value, f"{path}.{field}", field in required)
            for field, value in schema["properties"].items()
        ]
        self._types[name] = {"type": "record", "name": name, "fields": fields}
        return self._types[name]

    def _field(self, name: str, schema: dict[str, Any], path: str, required: bool) -> dict[str, Any]:
        if not _NAME.fullmatch(name):
            raise SchemaTypeError(f"{path}: a field's name in Avro has only letters, digits and _")
        avro = self.type_of(schema, path)
        if not required and "default" not in schema:
            avro = self._union([avro, "null"])
        options = _options(avro)
        default = schema.get("default")
        if "default" not in schema and "null" not in options:
            return {"name": name, "type": avro}
        for option in options:
            if self._fits(default, option):
                # Avro looks for a default's type in the first branch of a union.
                first = [option, *(other for other in options if other is not option)]
                return {"name": name, "type": first if len(first) > 1 else option, "default": default}
        return {"name": name, "type": avro}

    def _fits(self, default: Any, avro: Any) -> bool:
        """Whether a default, as it stands in JSON, is of a type."""
        avro = self._types.get(avro, avro) if isinstance(avro, str) else avro
        if isinstance(avro, str):
            return avro == _PYTHON_TYPES.get(type(default)) or (avro == "double" and type(default) is int)
        if avro["type"] == "enum":
            return default in avro["symbols"]
        return isinstance(default, list if avro["type"] == "array" else dict)

    def _array(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        path = f"{path}[]"
        if "prefixItems" in schema:
            items = self._union([self.type_of(item, path) for item in schema["prefixItems"]])
        elif schema.get("maxItems") == 0:
            items = "null"
        else:
            items = self.type_of(schema.get("items", {}), path)
        return {"type": "array", "items": items}

    def _map(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        values = schema.get("additionalProperties")
        patterns = schema.get("patternProperties")
        if isinstance(patterns, dict) and len(patterns) == 1:
            values = next(iter(patterns.values()))
        return {"type": "map", "values": self.type_of(values if isinstance(values, dict) else {}, f"{path}{{}}")}

    def _enum(self, values: list[Any], key: str, path: str) -> Any:
        if key and all(isinstance(value, str) and _NAME.fullmatch(value) for value in values):
            name = self._define(key)
            self._types[name] = {"type": "enum", "name": name, "symbols": values}
            return self._types[name]
        try:
            return self._union([_PYTHON_TYPES[type(value)] for value in values])
        except KeyError:
            raise SchemaTypeError(f"{path}: a constant must be a string, a number, a boolean or None") from None

    def _define(self, key: str) -> str:
        """A valid Avro name for a type, which later mentions of it use."""
        name = re.sub(r"\W", "_", key, flags=re.ASCII) or "Record"
        name = f"_{name}" if name[0].isdigit() else name
        while name in self._names.values():
            name += "_"
        self._names[key] = name
        return name

    def _union(self, options: list[Any]) -> Any:
        """The options as one type: flat, each once; of arrays and of maps a union may hold only one."""
        flat: list[Any] = []
        for option in options:
            for branch in _options(option):
                self._add(branch, flat)
        return flat[0] if len(flat) == 1 else flat

    def _add(self, branch: Any, flat: list[Any]) -> None:
        for kind, content in (("array", "items"), ("map", "values")):
            if isinstance(branch, dict) and branch["type"] == kind:
                for other in flat:
                    if isinstance(other, dict) and other["type"] == kind:
                        other[content] = self._union([other[content], branch[content]])
                        return
        if branch not in flat:
            flat.append(branch)


def _options(avro: Any) -> list[Any]:
    return avro if isinstance(avro, list) else [avro]
