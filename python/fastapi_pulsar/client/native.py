"""The engine's verbs of `PulsarClient`: from settings to producers, consumers and readers."""

import asyncio
import builtins
import functools
import weakref
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, Unpack, cast, overload

from .. import _core
from .._core import Consumer, Producer, Reader
from ..config import PulsarSettings, get_settings
from ..exceptions import ClosedError, SchemaTypeError, TimeoutError
from ..permissions import check_permission
from ..schemas import Codec, codec_of
from . import engine_logs, engines, options
from .breaker import Breakers, CircuitBreaker
from .opening import Opening
from .retrying import Retries, may_pass, retrying

T = TypeVar("T")

_NOT_JSON = {"AVRO", "PROTOBUF", "PROTOBUF_NATIVE", "KEY_VALUE"}


class _Child(Protocol):
    def close(self) -> Coroutine[Any, Any, None]: ...


C = TypeVar("C", bound=_Child)


class NativeClient:
    """Opens producers, consumers and readers. `PulsarClient` says what its arguments are."""

    def __init__(
        self,
        service_url: str | None = None,
        max_retries: int = 3,
        retry_delay: float | timedelta = 5.0,
        *,
        settings: PulsarSettings | None = None,
        token_supplier: engines.TokenSupplier | None = None,
    ) -> None:
        settings = settings or get_settings()
        if service_url is not None and service_url != settings.service_url:
            settings = PulsarSettings(**{**dict(settings), "service_url": service_url})
        self.settings = settings
        self._max_retries = max_retries
        self._retry_delay = options.seconds(retry_delay)
        self._token_supplier = token_supplier
        self.breakers = Breakers(settings.breaker_failure_threshold, settings.breaker_recovery_seconds)
        self._engine: engines.Engine | None = None
        self._closed = False
        self._children: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def service_url(self) -> str:
        """Where the brokers are."""
        return self.settings.service_url

    @overload
    def producer(
        self, topic: str, model: None = None, **kwargs: Unpack[options.ProducerOptions]
    ) -> Opening[Producer[Any]]: ...

    @overload
    def producer(
        self, topic: str, model: type[T], **kwargs: Unpack[options.ProducerOptions]
    ) -> Opening[Producer[T]]: ...

    def producer(
        self, topic: str, model: Any = None, **kwargs: Unpack[options.ProducerOptions]
    ) -> Opening[Producer[Any]]:
        """A producer; await it, or use it in `async with`.

        Args:
            topic: A name in full, or a short one, which the settings' namespace completes.
            model: The type of the values, whose schema is registered with the topic; without one, bytes and text pass
                through and anything else is written as JSON.
            **kwargs: See `ProducerOptions`.

        Raises:
            InvalidTopicError, InvalidOptionError: At once.
            IncompatibleSchemaError, AuthenticationError, AuthorizationError, ProducerBusyError: When it is opened.
        """
        return self._producer(topic, model, kwargs, self._max_retries)

    def _producer(
        self, topic: str, model: Any, kwargs: options.ProducerOptions, retries: int
    ) -> Opening[Producer[Any]]:
        checked = self.settings.producer_options() | options.producer_options(kwargs)
        checked["topic"] = self.settings.topic(topic)
        codec = codec_of(model)
        route = None
        if callable(checked.get("routing")):
            route = checked.pop("routing")
        if checked.pop("register_schema", True):
            checked["schema"] = codec.schema
        takes_bytes = model is None or model is bytes

        # Asked here and again with every publish: the policy may change while the producer is open.
        permit = functools.partial(check_permission, checked["topic"], "produce")

        async def produce(core: _core.Client) -> Producer[Any]:
            permit()
            return await core.producer(checked, codec.encode, takes_bytes, route, permit)

        return self._opening(produce, retries)

    @overload
    def consumer(
        self,
        topics: str | Iterable[str],
        subscription: str,
        model: None = None,
        **kwargs: Unpack[options.ConsumerOptions],
    ) -> Opening[Consumer[bytes]]: ...

    @overload
    def consumer(
        self,
        topics: str | Iterable[str],
        subscription: str,
        model: type[T],
        **kwargs: Unpack[options.ConsumerOptions],
    ) -> Opening[Consumer[T]]: ...

    def consumer(
        self,
        topics: str | Iterable[str],
        subscription: str,
        model: Any = None,
        **kwargs: Unpack[options.ConsumerOptions],
    ) -> Opening[Consumer[Any]]:
        """A consumer; await it, or use it in `async with`.

        Args:
            topics: One topic or several, as for `producer`.
            subscription: The subscription's name.
            model: The type that payloads are validated as; bytes without one. `register_schema=True` registers its schema.
            **kwargs: See `ConsumerOptions`.

        Raises:
            InvalidTopicError, InvalidOptionError: At once.
            SchemaTypeError: The topic's schema is no JSON that the model could read.
            AuthenticationError, AuthorizationError, ConsumerBusyError: When it is opened. The topic roles are asked too.
        """
        checked = self.settings.consumer_options() | options.consumer_options(kwargs)
        names = [self.settings.topic(topic) for topic in ([topics] if isinstance(topics, str) else topics)]
        checked |= {"topics": names, "subscription": subscription}
        codec = codec_of(model)
        if checked.pop("register_schema", False):
            checked["schema"] = codec.schema

        async def subscribe(core: _core.Client) -> Consumer[Any]:
            for name in names:
                check_permission(name, "consume")
            await _check_schemas(core, names, codec)
            return await core.consumer(checked, _decoder(codec))

        return self._opening(subscribe)

    @overload
    def reader(
        self, topic: str, model: None = None, **kwargs: Unpack[options.ReaderOptions]
    ) -> Opening[Reader[bytes]]: ...

    @overload
    def reader(self, topic: str, model: type[T], **kwargs: Unpack[options.ReaderOptions]) -> Opening[Reader[T]]: ...

    def reader(self, topic: str, model: Any = None, **kwargs: Unpack[options.ReaderOptions]) -> Opening[Reader[Any]]:
        """A reader; await it, or use it in `async with`. It starts at the earliest message unless told otherwise.

        Args and errors are those of `consumer`; see `ReaderOptions`.
        """
        checked = options.reader_options(kwargs)
        checked["topic"] = self.settings.topic(topic)
        codec = codec_of(model)

        async def read(core: _core.Client) -> Reader[Any]:
            check_permission(checked["topic"], "consume")
            await _check_schemas(core, [checked["topic"]], codec)
            return await core.reader(checked, _decoder(codec))

        return self._opening(read)

    def breaker(self, topic: str) -> CircuitBreaker:
        """The circuit breaker of a topic in this client: `await client.breaker(topic).call(lambda: producer.send(value))`.

        Raises:
            InvalidTopicError: The name is malformed.
        """
        return self.breakers.of(self.settings.topic(topic))

    async def partitions(self, topic: str) -> int:
        """The number of partitions of a topic; 0 if it has none."""
        return await self._engine_core().partitions(self.settings.topic(topic))

    def stats(self) -> dict[str, Any]:
        """Counts of what happened, for all clients that share the connections; empty before the first is needed."""
        return {} if self._engine is None else self._engine.core.stats()

    async def close(self, *, timeout: float | timedelta = 30.0) -> None:
        """Closes what was opened: sends what is pending and the grouped acknowledgements, then disconnects.

        May be called again, and without anything opened.

        Args:
            timeout: Seconds, or a timedelta, that this may take.

        Raises:
            TimeoutError: It took longer; what was still pending is lost.
        """
        self._closed = True
        engine, self._engine = self._engine, None
        limit = options.seconds(timeout)
        try:
            async with asyncio.timeout(limit):
                closing = [child.close() for child in list(self._children)]
                outcomes = await asyncio.gather(*closing, return_exceptions=True)
                if engine is not None and engines.leave(self, engine):
                    await engine.core.close()
                    engine_logs.write(engine.core)
        except builtins.TimeoutError:
            raise TimeoutError(f"the client could not send everything and close within {limit:g} s") from None
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, ClosedError):
                raise outcome

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<PulsarClient of {self.service_url}>"

    def _engine_core(self) -> _core.Client:
        if self._closed:
            raise ClosedError("the client is closed")
        if self._engine is None:
            self._engine = engines.join(self, self.settings, self._token_supplier)
        return self._engine.core

    def _opening(
        self, make: Callable[[_core.Client], Coroutine[Any, Any, C]], retries: int | None = None
    ) -> Opening[C]:
        policy = Retries(self._max_retries if retries is None else retries, self._retry_delay)

        async def opened() -> C:
            child = await retrying(lambda: make(self._engine_core()), policy, may_pass)
            if self._closed:
                await child.close()
                raise ClosedError("the client was closed meanwhile")
            self._children.add(child)
            return child

        return Opening(opened)


def _decoder(codec: Codec[Any]) -> Callable[[bytes], Any] | None:
    return None if codec.model is None or codec.model is bytes else cast("Callable[[bytes], Any]", codec.decode)


async def _check_schemas(core: _core.Client, topics: list[str], codec: Codec[Any]) -> None:
    """Refuses a model on topics whose payloads it cannot read."""
    if codec.model in (None, bytes, str):
        return
    for topic in topics:
        schema = await core.schema(topic)
        if schema is not None and schema["type"] in _NOT_JSON:
            raise SchemaTypeError(
                f"the topic's schema is {schema['type']}, and {codec.name} reads JSON: consume it without a model",
                topic=topic,
            )
