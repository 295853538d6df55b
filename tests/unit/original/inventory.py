"""The original's public names, module by module, as the test application must use them."""

INVENTORY: dict[str, set[str]] = {
    "": {"PulsarClient", "pulsar_task", "replay_dlq_messages"},
    "index": {
        "COMPLETED", "FAILED", "PENDING", "PROGRESS", "PulsarClient", "batch_consume", "batch_process_messages", "client",
        "consume_messages", "pulsar_consumer", "pulsar_task", "send_batch", "send_message", "shutdown_client",
        "validate_topic_permissions", "wait_for_task_completion",
    },
    "client": {
        "PULSAR_BATCHES_SENT", "PULSAR_BATCH_DURATION", "PULSAR_BATCH_SIZE", "PULSAR_BATCH_SUCCESS",
        "PULSAR_DLQ_MESSAGES", "PULSAR_ENABLED", "PULSAR_MESSAGE_LATENCY", "PULSAR_PROCESSING_TIME", "PULSAR_RETRIES",
        "PULSAR_WAIT_DURATION", "PULSAR_WAIT_POLLS", "PulsarAdmin", "PulsarClient", "telemetry",
    },
    "decorators": {"client", "pulsar_consumer", "pulsar_task", "track_lag_and_callback", "validate_topic_permissions"},
    "config": {"PulsarConfig"},
    "config_override": {"DEFAULT_ROLE"},
    "metrics": {
        "PULSAR_CONSUMER_LAG", "PULSAR_HEALTH", "PULSAR_MESSAGE_LATENCY", "PULSAR_PRODUCER_LAG",
        "PULSAR_PRODUCER_LATENCY", "PULSAR_QUEUE_SIZE", "PULSAR_SUBSCRIPTION_BACKLOG", "pulsar_errors",
        "pulsar_messages_received", "pulsar_messages_sent",
    },
    "health_check": {"PulsarHealth", "check_pulsar_health", "pulsar_health", "router"},
    "exceptions.exceptions": {
        "APIError", "BadRequestError", "ForbiddenError", "InsufficientCreditsError", "NotFoundError", "RateLimitError",
        "ServiceTimeoutError", "UnauthorizedError", "log_and_raise_http_exception",
    },
    "models.credit": {"CreditType"},
    "background": {"SUBSCRIPTION_PREFIX", "start_background_processors"},
    "background_tasks": {"BackgroundPulsarTask"},
    "producer_decorators": {"track_producer_metrics"},
}  # fmt: skip

CLIENT = {
    "CB_EXPECTED_EXCEPTION", "CB_FAILURE_THRESHOLD", "CB_RECOVERY_TIMEOUT", "COMPLETED", "FAILED", "PENDING", "PROGRESS",
    "admin", "batch_consume", "batch_process_messages", "close", "consume_messages", "create_consumer", "get_task_status",
    "health_check", "send_batch", "send_message", "send_to_dlq", "service_url", "wait_for_task_completion",
}  # fmt: skip
"""Public attributes of `PulsarClient`."""

CONFIG = {
    "AUTHENTICATION", "CACHE_METRICS", "CONSUMER", "MONITORING", "POLL_INTERVAL", "PRODUCER", "RETRY", "SECURITY",
    "SERVICE_URL", "SERVICE_URLS",
}  # fmt: skip
"""Attributes of `PulsarConfig`."""
