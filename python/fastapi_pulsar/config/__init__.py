"""Settings from the environment, and the original's `PulsarConfig` as a view of them."""

from .settings import PulsarSettings, RoleSettings
from .singleton import get_settings
from .unknown import SettingsWarning
from .view import PulsarConfig

__all__ = ["PulsarConfig", "PulsarSettings", "RoleSettings", "SettingsWarning", "get_settings"]
