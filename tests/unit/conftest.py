"""What every unit test starts from: no `PULSAR_…` variable, nothing set on `PulsarConfig`."""

from tests.clean_settings import clean_settings

__all__ = ["clean_settings"]
