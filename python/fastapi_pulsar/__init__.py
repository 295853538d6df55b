"""Typed, reliable messaging on Apache Pulsar for FastAPI services."""

try:
    from . import _core as _core
except ImportError as error:
    raise ImportError(
        "the compiled module fastapi_pulsar._core is missing or does not fit this Python: install a wheel (pip install "
        f"fastapi-pulsar) or build it in a checkout (make, or maturin develop --release). {error}"
    ) from error

from . import logs
from .client import Consumer, Message, MessageId, Producer, PulsarClient, Reader
from .config import PulsarConfig, PulsarSettings, get_settings
from .consuming import (
    Ack,
    Batch,
    DeadLetter,
    Deduplicate,
    DeduplicationStore,
    Delivery,
    Exponential,
    Key,
    Nack,
    Property,
    ReplayReport,
    Retry,
    RetryPolicy,
    Skip,
    replay_dlq_messages,
)
from .exceptions import PulsarError
from .mounting import install_as
from .router import PulsarRouter

logs.be_silent()

__all__ = [
    "Ack",
    "Batch",
    "Consumer",
    "DeadLetter",
    "Deduplicate",
    "DeduplicationStore",
    "Delivery",
    "Exponential",
    "Key",
    "Message",
    "MessageId",
    "Nack",
    "Producer",
    "Property",
    "PulsarClient",
    "PulsarConfig",
    "PulsarError",
    "PulsarRouter",
    "PulsarSettings",
    "Reader",
    "ReplayReport",
    "Retry",
    "RetryPolicy",
    "Skip",
    "get_settings",
    "install_as",
    "replay_dlq_messages",
]
