"""One `Codec` per model: how its values become the payload of a message, and a payload a value again."""

import json
from dataclasses import is_dataclass
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import PydanticSerializationError, to_json

from ..exceptions import EncodeError, PayloadValidationError, SchemaTypeError
from .avro import record_schema
from .rendering import field_names, rendered

T = TypeVar("T")


class Codec(Generic[T]):
    """Writes and reads the payloads of one type.

    Pydantic models, dataclasses, `TypedDict`s and plain types are JSON, written by alias and validated when read.
    `bytes` and `str` (UTF-8) pass through. Without a model, bytes and text pass through, anything else is written as JSON, and
    what is read is bytes.
    """

    def __init__(self, model: Any = None) -> None:
        """Prepares validation and serialization, once.

        Raises:
            SchemaTypeError: Pydantic cannot validate the type.
        """
        self.model = model
        self.name = "bytes" if model is None else getattr(model, "__name__", None) or str(model)
        self._class = model if _is_class_of_records(model) else object
        if model in (None, bytes, str):
            self._adapter: TypeAdapter[Any] | None = None
            return
        try:
            self._adapter = TypeAdapter(model)
        except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as error:
            raise SchemaTypeError(f"{self.name} is no type that Pydantic can validate: {error.message}") from error
        self._validate_json = self._adapter.validator.validate_json
        self._to_json = self._adapter.serializer.to_json

    def encode(self, value: T) -> bytes:
        """The payload of a value.

        Raises:
            EncodeError: The value is not of the model's type, or cannot be written as JSON.
        """
        try:
            if self._adapter is not None:
                if not isinstance(value, self._class):
                    raise self._unfit(value)
                return self._to_json(value, by_alias=True, warnings="error")
            if isinstance(value, bytes | bytearray | memoryview):
                if self.model is not str:
                    return bytes(value)
            elif isinstance(value, str):
                if self.model is not bytes:
                    return value.encode()
            elif self.model is None:
                return to_json(value, by_alias=True)
        except (PydanticSerializationError, UnicodeEncodeError):
            pass  # Its text holds the value.
        raise self._unfit(value)

    def decode(self, data: bytes) -> T:
        """The value of a payload.

        Raises:
            PayloadValidationError: The payload does not validate. The text names fields and rules, never the input.
        """
        if self._adapter is not None:
            try:
                return self._validate_json(data)  # type: ignore[no-any-return]
            except ValidationError as error:
                raise self._refusal(rendered(error, self._field_names)) from None
        if self.model is str:
            try:
                return data.decode()  # type: ignore[return-value]
            except UnicodeDecodeError:
                raise self._refusal((("", "utf8"),)) from None
        return data  # type: ignore[return-value]

    @cached_property
    def takes_none(self) -> bool:
        """Whether `None`, the value of a tombstone, is of the type."""
        try:
            return self._adapter is not None and self._adapter.validate_python(None) is None
        except ValidationError:
            return False

    @cached_property
    def schema(self) -> dict[str, Any] | None:
        """The schema to register, as the engine takes it: JSON, described by an Avro record; None where there is none.

        Raises:
            SchemaTypeError: A field of the model has no counterpart in Avro. The text names it.
        """
        record = None if self._adapter is None else record_schema(self._adapter, self.name)
        if record is None:
            return None
        return {"name": record["name"], "type": "JSON", "data": json.dumps(record, separators=(",", ":"))}

    @cached_property
    def _field_names(self) -> frozenset[str]:
        return frozenset() if self._adapter is None else field_names(self._adapter)

    def _unfit(self, value: object) -> EncodeError:
        return EncodeError(f"this value of type {type(value).__name__} cannot be written as {self.name}")

    def _refusal(self, errors: tuple[tuple[str, str], ...]) -> PayloadValidationError:
        text = ", ".join(f"{place}: {rule}" if place else rule for place, rule in errors)
        return PayloadValidationError(f"the payload does not validate as {self.name} ({text})", errors=errors)


def model_of(value: object) -> type | None:
    """The model of a value that says itself what it is: its class, if that is a Pydantic model or a dataclass."""
    cls = type(value)
    return cls if _is_class_of_records(cls) else None


def _is_class_of_records(model: Any) -> bool:
    """Whether `isinstance` tells the model's values; Pydantic would write some strangers by their attributes."""
    return isinstance(model, type) and (issubclass(model, BaseModel) or is_dataclass(model))


@lru_cache(maxsize=1024)
def codec_of(model: Any = None) -> Codec[Any]:
    """The codec of a model, made once."""
    return Codec(model)
