"""Where a message comes from, also after a detour over the retry letter topic; with Java's names and properties."""

import re
from collections.abc import Iterable
from typing import Any

from ..client import Message

REAL_TOPIC = "REAL_TOPIC"
REAL_SUBSCRIPTION = "REAL_SUBSCRIPTION"
ORIGIN_ID = "ORIGIN_MESSAGE_ID"
ORIGIN_ID_OLD = "ORIGIN_MESSAGE_IDY_TIME"
"""A typo of Java's that readers rely on."""
RECONSUME_TIMES = "RECONSUMETIMES"
"""Property of a retry letter: which retry it is, counted from 1."""
DELAY_TIME = "DELAY_TIME"
"""Property of a retry letter: the delay, in milliseconds."""
_PARTITION = re.compile(r"-partition-\d+$")


class Origins:
    """The topics of one subscription, and where their retry and dead letters go."""

    def __init__(
        self,
        topics: Iterable[str],
        subscription: str,
        *,
        retry_topic: str | None = None,
        dead_letter_topic: str | None = None,
    ) -> None:
        """All topics by their full names; None names a topic as Java does, after its topic and the subscription."""
        self.topics = tuple(_PARTITION.sub("", topic) for topic in topics)
        self.subscription = subscription
        self._dead_letter_topic = dead_letter_topic
        self._retry_topic = retry_topic
        self.retry_topics = tuple(dict.fromkeys(self.retry_topic(topic) for topic in self.topics))
        self.dead_letter_topics = tuple(dict.fromkeys(self.dead_letter_topic(topic) for topic in self.topics))

    def retry_topic(self, origin: str) -> str:
        """The retry letter topic of a topic."""
        return self._retry_topic or f"{origin}-{self.subscription}-RETRY"

    def dead_letter_topic(self, origin: str) -> str:
        """The dead letter topic of a topic."""
        return self._dead_letter_topic or f"{origin}-{self.subscription}-DLQ"

    def of(self, message: Message[Any]) -> str:
        """The topic that a message was published to first, without a partition's suffix."""
        topic = _PARTITION.sub("", message.topic)
        if topic not in self.retry_topics:
            return topic
        # Whoever writes to the retry letter topic does not choose where we publish.
        claimed = message.properties.get(REAL_TOPIC)
        named = [one for one in self.topics if one == claimed or self.retry_topic(one) == topic]
        return claimed if claimed in named else named[0]

    def is_retry(self, message: Message[Any]) -> bool:
        """Whether a message is a retry letter."""
        return _PARTITION.sub("", message.topic) in self.retry_topics

    def retries(self, message: Message[Any]) -> int:
        """Times that a message was published to the retry letter topic."""
        if not self.is_retry(message):
            return 0
        return counted(message, RECONSUME_TIMES)

    def attempt(self, message: Message[Any]) -> int:
        """Which attempt the delivery of a message is, counted from 1."""
        return 1 + self.retries(message) + message.redelivery_count

    def message_id(self, message: Message[Any]) -> str:
        """The id that a message was stored under first, as Java writes ids."""
        known = message.properties.get(ORIGIN_ID) if self.is_retry(message) else None
        return known or as_java(message.message_id)

    def properties(self, message: Message[Any]) -> dict[str, str]:
        """The message's properties, and those that tell its origin."""
        message_id = as_java(message.message_id)
        return {
            REAL_TOPIC: self.of(message),
            REAL_SUBSCRIPTION: self.subscription,
            ORIGIN_ID: message_id,
            ORIGIN_ID_OLD: message_id,
            # What came with the message wins: it may have been retried or dead before.
            **message.properties,
        }


def counted(message: Message[Any], name: str) -> int:
    """The number in a property; 0 without one."""
    count = message.properties.get(name, "")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 10 else 0


def key_of(message: Message[Any]) -> str | bytes | None:
    """The key as it was given, text or bytes: of bytes, `key` is only a rendering."""
    key, data = message.key, message.key_bytes
    return key if key is None or key.encode() == data else data


def as_java(message_id: object) -> str:
    """The id's text in Java: `ledger:entry:partition`, and the batch index only of a message that was in a batch."""
    parts = str(message_id).split(":")
    return ":".join(parts[:3] if parts[3:] == ["-1"] else parts)
