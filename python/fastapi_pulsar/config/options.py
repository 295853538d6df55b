"""Settings as the engine takes them: plain data under the engine's own names, times in seconds."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .settings import PulsarSettings

_NACK_CEILING = 60.0
"""Seconds that the doubling delay of negative acknowledgements ends at, unless it starts higher."""


def client_options(settings: "PulsarSettings") -> dict[str, Any]:
    """Fields of the engine's `ClientOptions`."""
    return {
        "service_url": settings.service_url,
        "connection_timeout": settings.connection_timeout_ms / 1000,
        "operation_timeout": settings.operation_timeout_ms / 1000,
        "keep_alive_interval": settings.keep_alive_interval_seconds,
        "connections_per_broker": settings.connections_per_broker,
        "memory_limit": settings.memory_limit_bytes,
        "initial_backoff": settings.retry_initial_backoff_ms / 1000,
        "max_backoff": settings.retry_max_backoff_ms / 1000,
        "listener_name": settings.listener_name,
        "tls": {
            "ca_file": settings.tls_ca_path,
            "cert_file": settings.tls_cert_path,
            "key_file": settings.tls_key_path,
            "verify_hostname": settings.tls_verify_hostname,
            "insecure": settings.tls_allow_insecure,
        },
    }


def producer_options(settings: "PulsarSettings") -> dict[str, Any]:
    """Fields of the engine's `ProducerOptions`."""
    return {
        "send_timeout": settings.producer_send_timeout_ms / 1000,
        "on_full": "wait" if settings.producer_block_if_queue_full else "error",
        "max_pending_messages": settings.producer_max_pending_messages,
        "batching": "auto" if settings.producer_batching_enabled else "off",
        "batch_max_messages": settings.producer_batching_max_messages,
        "batch_max_delay": settings.producer_batching_max_delay_ms / 1000,
        "compression": settings.producer_compression,
    }


def consumer_options(settings: "PulsarSettings") -> dict[str, Any]:
    """Fields of the engine's `ConsumerOptions`."""
    return {
        "type": settings.consumer_subscription_type,
        "receiver_queue_size": settings.consumer_receiver_queue_size,
        "ack_timeout": settings.consumer_ack_timeout_ms / 1000,
        "negative_ack_delay": growing_delay(settings.consumer_nack_redelivery_delay_ms / 1000),
    }


def growing_delay(first: float) -> dict[str, float]:
    """The delays of negative acknowledgements: the first, in seconds, and then each twice the one before."""
    return {"initial": first, "max": max(first, _NACK_CEILING), "multiplier": 2.0}
