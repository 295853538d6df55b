"""One decorated function with everything that was asked for it; checked at decoration."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NoReturn, get_args

from ..client.options import consumer_options
from ..config import PulsarSettings
from ..config.address import full_topic
from ..config.settings import SubscriptionType
from ..exceptions import InvalidOptionError, InvalidTopicError
from .deduplication import Deduplicate
from .handling import AckPolicy
from .markers import Batch, seconds
from .origin import Origins
from .plan import Plan
from .retry import Exponential, RetryPolicy, Way

Ordering = Literal["none", "key"]
WHOLE_TYPES = ("Exclusive", "Failover")
"""Types without redelivery of single messages: the broker would redeliver all that is unacknowledged."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A plan and the options of its consumer. `None` takes what the settings say.

    Raises:
        InvalidOptionError: An option is out of range or contradicts another. The text names the function.
    """

    plan: Plan
    topics: tuple[str, ...]
    name: str
    type: SubscriptionType | None = None
    concurrency: int = 1
    ordering: Ordering = "none"
    batch: Batch | None = None
    timeout: float | timedelta | None = None
    max_redeliver_count: int | None = None
    dead_letter_topic: str | None = None
    retry: RetryPolicy | None = None
    retry_letter_topic: str | None = None
    ack: AckPolicy = "on_success"
    deduplicate: Deduplicate | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for wrong, rule in (
            (not self.topics, "it needs a topic"),
            (not _is_text(self.name), "subscription must be a non-empty string"),
            (self.type is not None and self.type not in get_args(SubscriptionType), f"type must be one of {_TYPES}"),
            (not _is_positive_int(self.concurrency), "concurrency must be a positive integer"),
            (self.ordering not in get_args(Ordering), "ordering must be 'none' or 'key'"),
            (
                self.ordering == "key" and self.type not in (None, "Key_Shared"),
                f"ordering='key' needs type='Key_Shared', not {self.type!r}",
            ),
            (
                self.ordering == "key" and self.batch is not None,
                "ordering='key' hands out one message at a time: no batch",
            ),
            (self.timeout is not None and seconds(self.timeout) <= 0, "timeout must be more than 0 seconds"),
            (
                self.max_redeliver_count is not None and self.max_redeliver_count < 0,
                "max_redeliver_count must not be negative",
            ),
            *self._of_failure(),
        ):
            if wrong:
                self._refuse(rule)
        try:
            consumer_options(self.options)
        except InvalidOptionError as error:
            self._refuse(str(error))
        for letters in (self.dead_letter_topic, self.retry_letter_topic):
            if letters is not None:
                checked_topics(self.plan.name, letters)
        # The namespace that completes short names is known at the start only: here they are compared with each other.
        self._refuse_circle(self._origins(lambda topic: full_topic(topic, "-/-"), self.dead_letter_topic))

    def _of_failure(self) -> tuple[tuple[bool, str], ...]:
        """What must not be, about acknowledgement and retries."""
        way = self.retry.way if self.retry else None
        return (
            (
                way == "redeliver" and self.type in WHOLE_TYPES,
                f"retries by 'redeliver' need type='Shared' or 'Key_Shared': on {self.type} the broker redelivers everything",
            ),
            (
                self.retry_letter_topic is not None and way != "retry_topic",
                "retry_letter_topic needs retry=RetryPolicy(way='retry_topic')",
            ),
            (self.ack not in get_args(AckPolicy), "ack must be 'on_success', 'on_receive' or 'manual'"),
            (self.ack == "on_receive" and self.retry is not None, "ack='on_receive' leaves nothing to retry: no retry"),
            (
                self.ack == "on_receive" and self.plan.delivery is not None,
                "ack='on_receive' leaves a Delivery nothing to do",
            ),
            (
                self.ack == "manual" and self.plan.delivery is None,
                "ack='manual' needs a parameter annotated as Delivery",
            ),
            (self.deduplicate is not None and self.batch is not None, "deduplicate is not for batches"),
        )

    def _refuse(self, rule: str) -> NoReturn:
        raise InvalidOptionError(f"consumer function {self.plan.name}: {rule}", topic=", ".join(self.topics)) from None

    def resolved_type(self, settings: PulsarSettings) -> SubscriptionType:
        """The subscription's type: as asked for, as the ordering implies, or as the settings say."""
        if self.ordering == "key":
            return "Key_Shared"
        return self.type or settings.consumer_subscription_type

    def policy(self, settings: PulsarSettings) -> RetryPolicy:
        """What becomes of failed messages, as asked for or as the settings say; its way is decided.

        Raises:
            InvalidOptionError: The subscription's type, which the settings say, does not permit the way.
        """
        whole = self.resolved_type(settings) in WHOLE_TYPES
        policy = self.retry or RetryPolicy(self._max_attempts(settings), Exponential(**self._delay(settings)), jitter=0)
        if whole and policy.way == "redeliver":
            self._refuse("retries by 'redeliver' need PULSAR_CONSUMER_SUBSCRIPTION_TYPE to be Shared or Key_Shared")
        default: Way = "in_place" if whole or self.ordering == "key" else "redeliver"
        return policy.by(policy.way or default)

    def origins(self, settings: PulsarSettings) -> Origins:
        """The full names of the topics, and of those where failed messages go.

        Raises:
            InvalidOptionError: Failed messages would go where they come from.
        """
        origins = self._origins(settings.topic, self.dead_letter_topic or settings.consumer_dlq_topic)
        self._refuse_circle(origins)
        return origins

    def _origins(self, complete: Callable[[str], str], dead_letter_topic: str | None) -> Origins:
        return Origins(
            [complete(topic) for topic in self.topics],
            self.name,
            retry_topic=complete(self.retry_letter_topic) if self.retry_letter_topic else None,
            dead_letter_topic=complete(dead_letter_topic) if dead_letter_topic else None,
        )

    def attempt_timeout(self, settings: PulsarSettings) -> float | None:
        """Seconds that one attempt may take; None: as long as it likes.

        Where attempts are made in place, the ack timeout is one of an attempt: the broker's would run on between them.
        """
        if self.timeout is not None:
            return seconds(self.timeout)
        return self._ack_timeout(settings) or None if self.policy(settings).way == "in_place" else None

    def consumer_options(self, settings: PulsarSettings) -> dict[str, Any]:
        """The options of the client's consumer."""
        if self.policy(settings).way != "in_place" or not self._ack_timeout(settings):
            return dict(self.options)
        kept = {name: value for name, value in self.options.items() if name != "ack_timeout_backoff"}
        return {**kept, "ack_timeout": 0.0}

    def _ack_timeout(self, settings: PulsarSettings) -> float:
        own = consumer_options(self.options).get("ack_timeout")
        return float(settings.consumer_options()["ack_timeout"] if own is None else own)

    def _refuse_circle(self, origins: Origins) -> None:
        for kind, topics in (("dead_letter", origins.dead_letter_topics), ("retry_letter", origins.retry_topics)):
            if same := set(topics).intersection(origins.topics):
                self._refuse(f"{kind}_topic {same.pop()} is a topic that it consumes")
        if set(origins.dead_letter_topics).intersection(origins.retry_topics):
            self._refuse("dead_letter_topic and retry_letter_topic are the same")

    def _max_attempts(self, settings: PulsarSettings) -> int:
        """How often a message is handed to the function in all: once, and once for each redelivery."""
        count = self.max_redeliver_count
        return 1 + (settings.consumer_dlq_max_redeliver_count if count is None else count)

    def _delay(self, settings: PulsarSettings) -> dict[str, float]:
        """The growing delay before the next attempt, with the engine's fields `initial`, `max` and `multiplier`."""
        own = consumer_options(self.options).get("negative_ack_delay")
        return own or settings.consumer_options()["negative_ack_delay"]  # type: ignore[no-any-return]


_TYPES = ", ".join(get_args(SubscriptionType))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def checked_topics(name: str, topic: str | Sequence[str]) -> tuple[str, ...]:
    """One topic or several, as several; `name` is the function's.

    Raises:
        InvalidTopicError: One is malformed.
    """
    topics = (topic,) if isinstance(topic, str) else tuple(topic)
    for one in topics:
        try:
            full_topic(one, "public/default")
        except InvalidTopicError as error:
            raise InvalidTopicError(f"consumer function {name}: {error}", topic=error.topic) from None
    return topics
