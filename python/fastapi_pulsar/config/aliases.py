"""Second names of settings: those that the original's `PulsarConfig` used where its environment keys differed."""

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

SECOND_NAMES = {
    "PULSAR_PRODUCER_BATCHING_MAX_PUBLISH_DELAY_MS": "producer_batching_max_delay_ms",
    "PULSAR_CONSUMER_NEGATIVE_ACK_REDELIVERY_DELAY_MS": "consumer_nack_redelivery_delay_ms",
    "PULSAR_CONSUMER_MAX_REDELIVER_COUNT": "consumer_dlq_max_redeliver_count",
    "PULSAR_CONSUMER_DEAD_LETTER_TOPIC": "consumer_dlq_topic",
    "PULSAR_MONITORING_STATS_INTERVAL_SECONDS": "stats_interval_seconds",
}


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return f"PULSAR_{field.upper()}"


class Source(PydanticBaseSettingsSource):
    """Reads the second names from the same variables as another source; the first name wins there."""

    def __init__(self, settings_cls: type[BaseSettings], beside: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        variables: Mapping[str, str | None] = getattr(beside, "env_vars", {})
        self._found = {
            field: variables[name.lower()] for name, field in SECOND_NAMES.items() if variables.get(name.lower())
        }

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value under the second name, if there is one."""
        return self._found.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self._found)
