"""The embedded broker with the interface that tests use of the real one."""

from fastapi_pulsar.broker import EmbeddedBroker
from tests.pulsar.harness.admin import Admin


class Embedded(EmbeddedBroker):
    """An embedded broker with default settings."""

    @property
    def admin(self) -> Admin:
        """Requests to its admin interface."""
        return Admin(self.admin_url)
