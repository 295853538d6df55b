"""The original's collection of names: the client's verbs as functions, on the one default client."""

from typing import Any

from ..client import PulsarClient
from ..decorators import client, pulsar_consumer, pulsar_task, validate_topic_permissions
from ..models.task import COMPLETED, FAILED, PENDING, PROGRESS

__all__ = ["PulsarClient", "pulsar_consumer", "pulsar_task", "validate_topic_permissions"]

_STATES = (PENDING, PROGRESS, COMPLETED, FAILED)

shutdown_client: Any = client.close
send_message: Any = client.send_message
send_batch: Any = client.send_batch
consume_messages: Any = client.consume_messages
batch_consume: Any = client.batch_consume
batch_process_messages: Any = client.batch_process_messages
wait_for_task_completion: Any = client.wait_for_task_completion
