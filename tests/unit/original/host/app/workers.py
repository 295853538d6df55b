"""What the sibling packages ask of the client."""

import json
from typing import Any

from app.core.pulsar import PulsarClient, replay_dlq_messages
from app.core.pulsar.decorators import pulsar_task, validate_topic_permissions

JOBS = "persistent://public/default/user-activity"
JOBS_DLQ = "persistent://public/default/user-dlq"


async def forward(client: PulsarClient, rows: list[dict[str, Any]]) -> bool:
    await client.send_batch(topic=JOBS, messages=rows)
    return await client.send_message(JOBS, json.dumps({"rows": len(rows)}))


async def enqueue(client: PulsarClient, callback: Any) -> None:
    await client.consume_messages(
        topic=JOBS, subscription="valkey-enqueue", callback=callback, retry_policy={"max_retries": 1, "delay": 0.01}
    )


async def replay() -> Any:
    return await replay_dlq_messages(original_topic=JOBS, dlq_topic=JOBS_DLQ, processor=None)


def wrapped(function: Any) -> Any:
    validate_topic_permissions(JOBS)
    return pulsar_task(topic=JOBS, max_retries=0, retry_delay=0.01, dlq_topic=JOBS_DLQ)(function)
