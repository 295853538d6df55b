"""Publishing without waiting."""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..client import telemetry

logger = logging.getLogger("fastapi_pulsar.background_tasks")
_running: "set[asyncio.Task[bool]]" = set()


class BackgroundPulsarTask:
    """Each function starts a publish and returns its task at once, which gives whether it was stored."""

    @staticmethod
    def send_message_background(
        client: Any, topic: str, message: Any, span_name: str | None = None
    ) -> "asyncio.Task[bool]":
        """Publishes a message; a failure is logged.

        Args:
            client: A `PulsarClient`.
            topic: Where the message goes.
            message: As `send_message` takes it.
            span_name: The name of the span, after `pulsar.`.
        """
        task = asyncio.ensure_future(_send(client, topic, message, span_name or "background"))
        _running.add(task)  # the loop holds tasks weakly
        task.add_done_callback(_running.discard)
        return task

    @staticmethod
    def send_login_event_background(client: Any, event_data: Mapping[str, Any]) -> "asyncio.Task[bool]":
        """Publishes to `auth-login`, with `event_id`, `timestamp` and `event_type`."""
        return BackgroundPulsarTask.send_message_background(client, "auth-login", _event("login", event_data))

    @staticmethod
    def send_password_reset_event_background(client: Any, event_data: Mapping[str, Any]) -> "asyncio.Task[bool]":
        """Publishes to `auth-password-reset`, with `event_id`, `timestamp` and `event_type`."""
        event = _event("password_reset", event_data)
        return BackgroundPulsarTask.send_message_background(client, "auth-password-reset", event)


async def _send(client: Any, topic: str, message: Any, span_name: str) -> bool:
    kind = message.get("event_type") if isinstance(message, dict) else None
    attributes = {"pulsar.topic": topic, "pulsar.background": True, "pulsar.message_type": str(kind or "message")}
    with telemetry.span_pulsar_operation(span_name, attributes) as span:
        try:
            sent = bool(await client.send_message(topic, message))
        except Exception as error:
            logger.error("a message was not published to %s in the background: %s", topic, type(error).__name__)
            sent = False
            if span is not None:
                span.set_attribute("pulsar.error", type(error).__name__)
        if span is not None:
            span.set_attribute("pulsar.success", sent)
        return sent


def _event(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    added = {"event_id": str(uuid.uuid4()), "timestamp": datetime.now(UTC).isoformat(), "event_type": kind}
    return {**data, **added}
