"""One attempt at one message, from its arguments to whether it is to be acknowledged. What is not asked for costs nothing."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Literal, Protocol

from .. import tracing
from ..client import Consumer, Message
from .deduplication import Deduplication
from .delivery import Delivery, GivenBack
from .failure import FailurePolicy
from .invocation import Invoke
from .metering import Meter
from .origin import Origins
from .plan import Plan
from .signals import Ack, Skip
from .solving import Arguments

AckPolicy = Literal["on_success", "on_receive", "manual"]


class Handle(Protocol):
    """Handles a message; whether it is to be acknowledged then."""

    def __call__(self, message: Message[Any], attempt: int | None = None) -> Awaitable[bool]: ...


class Handling:
    """What all attempts at the messages of one consumer share."""

    def __init__(
        self,
        plan: Plan,
        invoke: Invoke,
        consumer: Consumer[Any],
        origins: Origins,
        failure: FailurePolicy,
        *,
        ack: AckPolicy = "on_success",
        deduplication: Deduplication | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.meter = meter or Meter()
        self.plan = plan
        self.consumer = consumer
        self.failure = failure
        self.ack = ack
        self._invoke = invoke
        self._origins = origins
        self.subscription = origins.subscription
        self.handle = self._chosen(deduplication)

    def _chosen(self, deduplication: Deduplication | None) -> Handle:
        handle: Handle = self._plain
        if self.plan.delivery is not None:
            handle = self._delivered
        if self.ack == "on_receive":
            handle = self._received
        if tracing.enabled():
            handle = _Traced(handle, self.subscription)
        return handle if deduplication is None else _Deduplicated(handle, deduplication)

    async def call(self, arguments: Arguments) -> None:
        """Calls the function; a `CancelledError` of its own, without anyone having cancelled its task, is a failure."""
        try:
            await self._invoke(arguments)
        except asyncio.CancelledError:
            raise own_failure() from None

    async def _plain(self, message: Message[Any], attempt: int | None = None) -> bool:
        await self.call(self.plan.bind(message))
        return True

    async def _delivered(self, message: Message[Any], attempt: int | None = None) -> bool:
        delivery = Delivery(self.consumer, message, self._origins, attempt)
        try:
            await self.call({**self.plan.bind(message), str(self.plan.delivery): delivery})
        except Exception as error:
            if not delivery.settled and not delivery.given_back:
                raise
            self.failure.unheeded(message, error)
        if delivery.given_back:
            raise GivenBack
        return self.ack != "manual" and not delivery.settled

    async def _received(self, message: Message[Any], attempt: int | None = None) -> bool:
        arguments = self.plan.bind(message)
        self.consumer.acknowledge(message)
        try:
            await self.call(arguments)
        except Exception as error:
            self.failure.unheeded(message, error)
        return False


class _Traced:
    """Handles a message in a span."""

    def __init__(self, handle: Handle, subscription: str) -> None:
        self._handle = handle
        self._subscription = subscription

    async def __call__(self, message: Message[Any], attempt: int | None = None) -> bool:
        with tracing.processing(message.topic, self._subscription, [message]):
            return await self._handle(message, attempt)


class _Deduplicated:
    """Handles a message unless one like it was processed."""

    def __init__(self, handle: Handle, deduplication: Deduplication) -> None:
        self._handle = handle
        self._deduplication = deduplication

    async def __call__(self, message: Message[Any], attempt: int | None = None) -> bool:
        known = self._deduplication
        identity = known.identity(message)
        if identity is None:
            return await self._handle(message, attempt)
        async with known.alone(identity):
            if await known.seen(identity):
                return True
            try:
                acknowledge = await self._handle(message, attempt)
            except (Ack, Skip):
                await known.add(identity)
                raise
            await known.add(identity)
            return acknowledge


def own_failure() -> RuntimeError:
    """The failure of a call that raised `CancelledError` although its task was not cancelled: something that it awaited was.

    Raises:
        CancelledError: The task was cancelled, at shutdown.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    return RuntimeError("the function raised CancelledError")
