"""What was set on `PulsarConfig`: stronger than the environment, weaker than an argument."""

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

VALUES: dict[str, Any] = {}
"""Setting → value, for this process."""


class Source(PydanticBaseSettingsSource):
    """Gives `VALUES` to pydantic-settings."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value that was set, if one was."""
        return VALUES.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(VALUES)
