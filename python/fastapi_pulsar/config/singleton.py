"""The one settings object that everything uses which was not given its own."""

from functools import cache

from .settings import PulsarSettings


@cache
def get_settings() -> PulsarSettings:
    """The settings from `PulsarConfig` and the environment, read once; `get_settings.cache_clear()` forgets them.

    Raises:
        SettingsError: A variable breaks its rule, or two contradict each other.
    """
    return PulsarSettings()
