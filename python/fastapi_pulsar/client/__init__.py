"""The client: connect, publish, consume, read; and under their original names the metrics of it."""

from typing import Any

from .._core import Consumer, Message, MessageId, Producer, Reader
from ..metrics import (
    PULSAR_BATCH_DURATION,
    PULSAR_BATCH_SIZE,
    PULSAR_BATCH_SUCCESS,
    PULSAR_BATCHES_SENT,
    PULSAR_DLQ_MESSAGES,
    PULSAR_MESSAGE_LATENCY,
    PULSAR_PROCESSING_TIME,
    PULSAR_RETRIES,
    PULSAR_WAIT_DURATION,
    PULSAR_WAIT_POLLS,
)
from ..tracing import telemetry
from .admin import PulsarAdmin
from .breaker import Breakers, CircuitBreaker
from .clock import advance_clock
from .describing import describe
from .opening import Opening
from .options import ConsumerOptions, DelayOptions, KeySharedOptions, ProducerOptions, ReaderOptions
from .pulsar import PulsarClient, default_client
from .task_store import KeyValueTaskStore, TaskStore, TopicTaskStore

__all__ = [
    "PULSAR_BATCHES_SENT",
    "PULSAR_BATCH_DURATION",
    "PULSAR_BATCH_SIZE",
    "PULSAR_BATCH_SUCCESS",
    "PULSAR_DLQ_MESSAGES",
    "PULSAR_MESSAGE_LATENCY",
    "PULSAR_PROCESSING_TIME",
    "PULSAR_RETRIES",
    "PULSAR_WAIT_DURATION",
    "PULSAR_WAIT_POLLS",
    "Breakers",
    "CircuitBreaker",
    "Consumer",
    "ConsumerOptions",
    "DelayOptions",
    "KeySharedOptions",
    "KeyValueTaskStore",
    "Message",
    "MessageId",
    "Opening",
    "Producer",
    "ProducerOptions",
    "PulsarAdmin",
    "PulsarClient",
    "Reader",
    "ReaderOptions",
    "TaskStore",
    "TopicTaskStore",
    "advance_clock",
    "default_client",
    "describe",
    "telemetry",
]


def __getattr__(name: str) -> Any:
    if name == "PULSAR_ENABLED":
        from ..config import get_settings

        return get_settings().enabled
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
