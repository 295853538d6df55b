"""The envelope that `send_to_dlq` puts around a message: `{"original_message", "error", "timestamp"}`."""

import contextlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..exceptions import PayloadValidationError
from ..schemas import codec_of
from .describing import describe

_KEYS = {"original_message", "error", "timestamp"}
_OF_A_CONSUMER = "REAL_SUBSCRIPTION"
"""A consumer's dead letters have this property, and hold the payload itself, whatever it looks like."""
_DESCRIBED = re.compile(r"<[\w.]+>")


def wrapped(message: Any, error: str) -> dict[str, Any]:
    """The envelope of a message; what JSON cannot hold is described, bytes that are UTF-8 are text."""
    if isinstance(message, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            message = message.decode()
    return {"original_message": describe(message), "error": error, "timestamp": datetime.now(UTC).isoformat()}


def unwrapped(data: bytes, properties: Mapping[str, str]) -> bytes:
    """The payload of the message in an envelope, as `send_message` writes it; of any other dead letter its own payload.

    Raises:
        PayloadValidationError: The envelope holds a description only: the message was no JSON.
    """
    if _OF_A_CONSUMER in properties or not data.startswith(b'{"'):
        return data
    try:
        letter = json.loads(data)
    except ValueError:
        return data
    if letter.keys() != _KEYS:
        return data
    original = letter["original_message"]
    if isinstance(original, str) and _DESCRIBED.fullmatch(original):
        raise PayloadValidationError(
            "the dead letter holds a description of its message only", errors=(("original_message", "described"),)
        )
    return codec_of().encode(original)
