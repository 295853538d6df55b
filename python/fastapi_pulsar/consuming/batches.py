"""Handing out lists of messages."""

from typing import Any

from ..client import Message
from ..exceptions import PayloadValidationError, PulsarError
from ..logs import about
from ..tracing import processing
from .dispatch import Dispatcher
from .failure import logger
from .handling import Handling
from .markers import Batch, seconds


class BatchDispatcher(Dispatcher):
    """Calls the function with a list; what does not validate is taken out of it first.

    If the call fails, each message of the list has failed once; a signal concerns each. Where failed messages are tried
    again on the spot, each is then in a list of its own, in order, so that one bad message does not take the others along.
    """

    def __init__(self, handling: Handling, concurrency: int, *, batch: Batch) -> None:
        super().__init__(handling, concurrency)
        self._call = handling.call
        self._first = handling.ack == "on_receive"
        self._most = batch.max_messages
        self._wait = seconds(batch.max_wait)

    async def run(self) -> None:
        while True:
            await self._wait_for_room()
            messages = await self._consumer.receive_many(self._most, max_wait=self._wait)
            if messages:
                self._note(messages)
                self._free -= 1
                self._start(self._list(messages))

    async def _list(self, messages: list[Message[Any]]) -> None:
        try:
            await self._settle_list(messages)
        except PulsarError as error:
            logger.warning(
                "%s: messages of a batch could not be settled: %s", self._plan.name, error,
                extra=about(topic=messages[0].topic, subscription=self._subscription),
            )  # fmt: skip
        finally:
            self._leave()

    async def _settle_list(self, messages: list[Message[Any]]) -> None:
        valid = [message for message in messages if await self._validates(message)]
        if not valid:
            return
        if self._first:
            self._acknowledge(valid)
        try:
            with processing(valid[0].topic, self._subscription, valid):
                await self._call(self._plan.bind_batch(valid))
        except Exception as error:
            for message in valid:
                if self._first:
                    self._failure.unheeded(message, error)
                else:
                    await self._failure.failed(self._consumer, message, error, self._again)
        else:
            if not self._first:
                self._acknowledge(valid)

    def _acknowledge(self, messages: list[Message[Any]]) -> None:
        for message in messages:
            self._consumer.acknowledge(message)

    async def _validates(self, message: Message[Any]) -> bool:
        try:
            self._plan.check(message)
        except PayloadValidationError as error:
            await self._failure.failed(self._consumer, message, error, self._again)
            return False
        return True

    async def _again(self, message: Message[Any], attempt: int) -> bool:
        await self._call(self._plan.bind_batch([message]))
        return True
