"""What may be chosen for a producer, consumer or reader. The engine knows the defaults; these are checked and passed on.

Every time is a number of seconds or a `timedelta`.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, InstanceOf, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from .._core import MessageId
from ..config.options import growing_delay
from ..exceptions import InvalidOptionError


def seconds(value: float | timedelta) -> float:
    """A length of time as a number of seconds, not negative.

    Raises:
        ValueError: It is negative or not a number.
    """
    number = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if not 0 <= number < float("inf"):
        raise ValueError("must be a number of seconds from 0 on, or a timedelta")
    return number


Seconds = Annotated[float | timedelta, AfterValidator(seconds)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Id = Annotated[InstanceOf[MessageId], AfterValidator(bytes)]
OnUnsupported = Literal["pause", "skip"]
Position = Literal["earliest", "latest"]
Router = Callable[[str | bytes | None, int], int]
"""A function of a message's key and the number of partitions, which returns the partition."""


class ProducerOptions(TypedDict, total=False):
    """Keywords of `PulsarClient.producer`."""

    name: str
    properties: dict[str, str]
    access_mode: Literal["shared", "exclusive", "wait_for_exclusive", "exclusive_with_fencing"]
    initial_subscription: str
    batching: Literal["auto", "off", "default", "key"]
    batch_max_messages: Positive
    batch_max_bytes: Positive
    batch_max_delay: Seconds
    batch_when_idle: bool
    compression: Literal["none", "lz4", "zlib", "zstd", "snappy"]
    routing: Literal["round_robin", "single"] | Router
    hashing: Literal["java", "murmur3", "cpp"]
    send_timeout: Seconds
    max_pending_messages: Count
    on_full: Literal["wait", "error"]
    initial_sequence_id: int
    register_schema: bool


class KeySharedOptions(TypedDict, total=False):
    """How keys are shared out on Key_Shared."""

    sticky_ranges: list[tuple[int, int]]
    allow_out_of_order: bool


class DelayOptions(TypedDict):
    """A delay that grows with each attempt."""

    initial: Seconds
    max: Seconds
    multiplier: Annotated[float, Field(ge=1)]


def _growing(value: DelayOptions | float) -> DelayOptions | dict[str, float]:
    return growing_delay(value) if isinstance(value, float) else value


Delay = Annotated[DelayOptions | Seconds, AfterValidator(_growing)]
"""A plain time is the first delay, which doubles as the settings' own does."""


class ConsumerOptions(TypedDict, total=False):
    """Keywords of `PulsarClient.consumer`."""

    type: Literal["Exclusive", "Shared", "Failover", "Key_Shared"]
    name: str
    initial_position: Position
    durable: bool
    start_message_id: Id
    start_message_id_inclusive: bool
    properties: dict[str, str]
    subscription_properties: dict[str, str]
    priority: Count
    read_compacted: bool
    key_shared: KeySharedOptions
    replicate_subscription_state: bool
    receiver_queue_size: Positive
    max_total_receiver_queue_size: Positive
    ack_group_max: Positive
    ack_group_delay: Seconds
    ack_receipts: bool
    batch_index_ack: bool
    negative_ack_delay: Delay
    ack_timeout: Seconds
    ack_timeout_backoff: DelayOptions
    on_unsupported: OnUnsupported
    max_pending_chunked_messages: Positive
    max_uncompressed_size: Positive
    start_paused: bool
    register_schema: bool


class ReaderOptions(TypedDict, total=False):
    """Keywords of `PulsarClient.reader`."""

    name: str
    subscription: str
    start: Position
    start_message_id: Id
    start_message_id_inclusive: bool
    read_compacted: bool
    receiver_queue_size: Positive
    on_unsupported: OnUnsupported


# Nothing is guessed: no text for a number, no unknown name.
_STRICT = ConfigDict(extra="forbid", strict=True)
for _options in (ProducerOptions, KeySharedOptions, DelayOptions, ConsumerOptions, ReaderOptions):
    with_config(_STRICT)(_options)

_PRODUCER = TypeAdapter[Any](ProducerOptions)
_CONSUMER = TypeAdapter[Any](ConsumerOptions)
_READER = TypeAdapter[Any](ReaderOptions)


def producer_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a producer, checked, in the engine's form.

    Raises:
        InvalidOptionError: One is unknown or out of range. The text names it.
    """
    return _checked(_PRODUCER, "producer", options)


def consumer_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a consumer."""
    return _checked(_CONSUMER, "consumer", options)


def reader_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a reader."""
    return _checked(_READER, "reader", options)


def _checked(adapter: TypeAdapter[Any], what: str, options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        # `None` is the default, whatever that is.
        given = {name: value for name, value in options.items() if value is not None}
        checked: dict[str, Any] = adapter.validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"] if part in options or part in _NESTED)
        raise InvalidOptionError(f"the {what} option {name}: {first['msg']}") from None
    return checked


_NESTED = {"initial", "max", "multiplier", "sticky_ranges", "allow_out_of_order"}
