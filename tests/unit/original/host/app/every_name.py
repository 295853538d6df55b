"""Uses each name that the rest of the application does not."""

import asyncio
import logging
from typing import Any, get_args

from app.core.pulsar import index, metrics
from app.core.pulsar.background import SUBSCRIPTION_PREFIX, start_background_processors
from app.core.pulsar.background_tasks import BackgroundPulsarTask
from app.core.pulsar.client import (
    PULSAR_BATCH_DURATION,
    PULSAR_BATCH_SIZE,
    PULSAR_BATCH_SUCCESS,
    PULSAR_BATCHES_SENT,
    PULSAR_DLQ_MESSAGES,
    PULSAR_ENABLED,
    PULSAR_MESSAGE_LATENCY,
    PULSAR_PROCESSING_TIME,
    PULSAR_RETRIES,
    PULSAR_WAIT_DURATION,
    PULSAR_WAIT_POLLS,
    PulsarAdmin,
    PulsarClient,
    telemetry,
)
from app.core.pulsar.config import PulsarConfig
from app.core.pulsar.config_override import DEFAULT_ROLE
from app.core.pulsar.decorators import client, track_lag_and_callback
from app.core.pulsar.exceptions.exceptions import (
    APIError,
    BadRequestError,
    ForbiddenError,
    InsufficientCreditsError,
    NotFoundError,
    RateLimitError,
    ServiceTimeoutError,
    UnauthorizedError,
    log_and_raise_http_exception,
)
from app.core.pulsar.index import (
    COMPLETED,
    FAILED,
    PENDING,
    PROGRESS,
    pulsar_consumer,
    pulsar_task,
    validate_topic_permissions,
)
from app.core.pulsar.models.credit import CreditType
from app.core.pulsar.producer_decorators import track_producer_metrics

TOPIC = "persistent://public/default/notifications"


def names_without_a_broker() -> None:
    assert (PENDING, PROGRESS, COMPLETED, FAILED) == ("PENDING", "PROGRESS", "COMPLETED", "FAILED")
    assert (PulsarClient.PENDING, PulsarClient.PROGRESS) == (PENDING, PROGRESS)
    assert (PulsarClient.COMPLETED, PulsarClient.FAILED) == (COMPLETED, FAILED)
    assert PulsarClient.CB_FAILURE_THRESHOLD == 5 and PulsarClient.CB_RECOVERY_TIMEOUT == 30
    assert (ConnectionError, TimeoutError) == PulsarClient.CB_EXPECTED_EXCEPTION
    assert index.client is client and index.PulsarClient is PulsarClient
    assert PULSAR_ENABLED is True and SUBSCRIPTION_PREFIX == "backend-service" and DEFAULT_ROLE == "service"
    assert get_args(CreditType) == ("ai", "leads", "skiptrace")
    assert PulsarAdmin("pulsar://h:6650").admin_url == "http://h:8080"
    assert PulsarConfig.SERVICE_URLS == [PulsarConfig.SERVICE_URL] and PulsarConfig.POLL_INTERVAL == 1.0
    assert (
        PulsarConfig.SECURITY["service_role"] == DEFAULT_ROLE and "service" in PulsarConfig.SECURITY["topic_roles"]["*"]
    )
    assert PulsarConfig.PRODUCER["max_pending_messages"] > 0 and PulsarConfig.CONSUMER["receiver_queue_size"] > 0
    assert PulsarConfig.RETRY["max_retries"] and PulsarConfig.MONITORING["stats_interval_seconds"]
    assert PulsarConfig.AUTHENTICATION["tls"] and PulsarConfig.CACHE_METRICS["enabled"]
    validate_topic_permissions(TOPIC, "admin")
    labelled = [
        (metrics.pulsar_messages_sent, {"topic": "t"}), (metrics.pulsar_messages_received, {"topic": "t"}),
        (metrics.pulsar_errors, {"type": "E"}), (PULSAR_RETRIES, {"topic": "t"}), (PULSAR_BATCH_SUCCESS, {"topic": "t"}),
        (PULSAR_BATCHES_SENT, {"compression_type": "json"}),
        (PULSAR_DLQ_MESSAGES, {"original_topic": "t", "error_type": "E"}),
    ]  # fmt: skip
    for counter, labels in labelled:
        counter.labels(**labels).inc()
    assert metrics.PULSAR_MESSAGE_LATENCY is PULSAR_MESSAGE_LATENCY
    for observed in (
        PULSAR_MESSAGE_LATENCY,
        metrics.PULSAR_PRODUCER_LATENCY,
        PULSAR_PROCESSING_TIME,
        PULSAR_BATCH_DURATION,
    ):
        observed.labels(topic="t").observe(0.1)
    for gauge in (metrics.PULSAR_QUEUE_SIZE, metrics.PULSAR_PRODUCER_LAG):
        gauge.labels(topic="t").set(1)
    for gauge in (metrics.PULSAR_CONSUMER_LAG, metrics.PULSAR_SUBSCRIPTION_BACKLOG):
        gauge.labels(topic="t", subscription="s").set(1)
    PULSAR_BATCH_SIZE.set(1)
    PULSAR_WAIT_POLLS.inc()
    PULSAR_WAIT_DURATION.observe(0.1)
    metrics.PULSAR_HEALTH.set(1)


def http_errors() -> list[int]:
    errors: list[APIError] = [
        BadRequestError(), UnauthorizedError(), ForbiddenError(), NotFoundError("note"), RateLimitError(3),
        InsufficientCreditsError(1, 2), ServiceTimeoutError("pulsar", 3),
    ]  # fmt: skip
    try:
        log_and_raise_http_exception(logging.getLogger("app"), NotFoundError, "note", log_message="no note")
    except NotFoundError as error:
        errors.append(error)
    return [error.status_code for error in errors]


@track_producer_metrics(TOPIC)
async def notify(sender: PulsarClient, message: dict) -> bool:
    return await sender.send_message(TOPIC, message)


async def names_with_a_broker(sender: PulsarClient) -> dict[str, Any]:
    seen: list[Any] = []
    batches: list[Any] = []
    both = asyncio.Event()

    async def one(message: dict) -> None:
        seen.append(message)
        both.set()

    async def several(messages: list) -> None:
        batches.extend(messages)

    with telemetry.span_pulsar_operation("send", {"topic": TOPIC}):
        sent = await index.send_message(TOPIC, {"text": "hello"})
    await sender.create_consumer(TOPIC, "reader", one)
    await asyncio.wait_for(both.wait(), 10)
    batching = asyncio.create_task(
        index.batch_consume(TOPIC, "batches", 10, several, filter_fn=lambda message: message["text"] != "no")
    )
    await index.send_batch(TOPIC, [{"text": "a"}, {"text": "no"}, {"text": "b"}])
    results = await index.batch_process_messages(TOPIC, [{"text": "c"}, {"text": "d"}], batch_size=2)
    tracked = await notify(sender, message={"text": "e", "timestamp": "2026-01-01T00:00:00+00:00"})
    for task in (
        BackgroundPulsarTask.send_message_background(sender, TOPIC, {"text": "f"}),
        BackgroundPulsarTask.send_login_event_background(sender, {"user": 1}),
        BackgroundPulsarTask.send_password_reset_event_background(sender, {"user": 1}),
    ):
        await task
    await sender.send_to_dlq(TOPIC, {"text": "g"}, "it failed")
    await track_lag_and_callback([{"text": "h"}], TOPIC, "batches", several)
    reading = asyncio.create_task(index.consume_messages(TOPIC, "last", one))
    consumers = await start_background_processors()

    @pulsar_task(TOPIC, max_retries=0, retry_delay=0.01)
    def doubled(number: int) -> int:
        return 2 * number

    @pulsar_consumer(TOPIC, "never-called")
    async def never(message: dict) -> None: ...

    done = await doubled(4)
    await sender.admin.delete_topic("no-such-topic-at-all") if sender.admin.admin_url.startswith("https") else None
    while len(batches) < 3:
        await asyncio.sleep(0.01)
    for task in (batching, reading, *consumers):
        task.cancel()
    await asyncio.gather(batching, reading, *consumers, return_exceptions=True)
    return {
        "sent": sent, "seen": seen[:1], "batches": batches[:3], "results": results, "tracked": tracked, "done": done,
        "healthy": await sender.health_check(), "url": sender.service_url == PulsarConfig.SERVICE_URL,
    }  # fmt: skip


async def tasks(sender: PulsarClient) -> dict[str, Any]:
    states = iter([{"state": PENDING}, {"state": COMPLETED}])

    async def status(task_id: str) -> dict[str, Any]:
        return next(states)

    known = await sender.get_task_status("no-such-task")
    sender.get_task_status = status
    client.get_task_status = status
    done = await sender.wait_for_task_completion("7", timeout=5, poll_interval=0.01)
    assert callable(index.wait_for_task_completion) and callable(index.shutdown_client)
    return {"unknown": known["state"], "done": done["state"]}
