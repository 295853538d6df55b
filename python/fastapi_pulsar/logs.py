"""The package's log records: all under the logger `fastapi_pulsar`, which is silent until an application gives it a handler.

Records about a message or a subscription have the fields `topic`, `subscription`, `message_id` and `attempt`, None where one
does not apply. Payloads, keys, properties and credentials are in no record; of an exception that may quote them only the
class is.
"""

import logging
from typing import Any

NAME = "fastapi_pulsar"


def be_silent() -> None:
    """Without a handler of the application's, Python would write warnings to standard error."""
    logging.getLogger(NAME).addHandler(logging.NullHandler())


def about(
    message: Any = None,
    *,
    topic: str | None = None,
    subscription: str | None = None,
    attempt: int | None = None,
) -> dict[str, Any]:
    """The fields of a record, for `extra`.

    Args:
        message: A received message, for topic and id.
        topic: The topic, where there is no message.
        subscription: The subscription's name.
        attempt: Which attempt at the message it was, from 1 on.
    """
    return {
        "topic": topic if message is None else message.topic,
        "subscription": subscription,
        "message_id": None if message is None else str(message.message_id),
        "attempt": attempt,
    }
