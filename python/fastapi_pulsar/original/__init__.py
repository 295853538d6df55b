"""What the original package offered as `app.core.pulsar`, and its modules that have no successor elsewhere.

`install_as` puts this in the original's place. New code imports from `fastapi_pulsar`.
"""

from ..client import PulsarClient
from ..consuming import replay_dlq_messages
from ..decorators import pulsar_consumer, pulsar_task, validate_topic_permissions
from . import index

__all__ = [
    "PulsarClient",
    "index",
    "pulsar_consumer",
    "pulsar_task",
    "replay_dlq_messages",
    "validate_topic_permissions",
]
