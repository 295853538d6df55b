"""Topic roles for one application, as version B set them: the role `service` may use its topics.

Unlike there, only importing this module sets them, and a topic outside the list is denied to other roles than these.
"""

# In full: the module is also found as `app.core.pulsar.config_override`, beside which there is another `config`.
from fastapi_pulsar.config import PulsarConfig

__all__ = ["DEFAULT_ROLE", "TOPICS"]

DEFAULT_ROLE = "service"
TOPICS = tuple(
    f"persistent://public/default/{name}"
    for name in (
        "auth-login", "auth-password-reset", "auth-suspicious-activity", "auth-dlq",
        "user-created", "user-updated", "user-deleted", "user-dlq",
        "item-created", "item-updated", "item-deleted",
        "notifications", "user-activity", "system-alerts", "dead-letter-queue",
    )
)  # fmt: skip
PulsarConfig.SECURITY["service_role"] = DEFAULT_ROLE
PulsarConfig.SECURITY["topic_roles"] = {topic: [DEFAULT_ROLE, "admin"] for topic in ("*", *TOPICS)}
