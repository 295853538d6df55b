"""What a consumer function wants, read from its signature once, at decoration."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from ..client import Message
from ..exceptions import HandlerSignatureError, PayloadValidationError, SchemaTypeError
from ..fastapi_internals import is_dependency, is_http_only
from ..schemas import Codec, codec_of
from .delivery import Delivery
from .markers import Key, Property

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter that takes a property or the key of the message."""

    name: str
    source: Property | Key
    type: TypeAdapter[Any] | None
    """None passes the text on as it is."""
    required: bool

    def read(self, message: Message[Any], into: dict[str, Any]) -> None:
        """Puts the value into the arguments, or leaves it to the parameter's default.

        Raises:
            PayloadValidationError: It is missing, or does not validate.
        """
        source = self.source
        text = message.properties.get(source.name) if isinstance(source, Property) else message.key
        if text is None and not self.required:
            return
        if self.type is None:
            if text is None:
                self._refuse("missing", message.topic)
            into[self.name] = text
            return
        try:
            into[self.name] = self.type.validate_python(text)
        except ValidationError as error:
            rule = "missing" if text is None else error.errors(include_input=False, include_url=False)[0]["type"]
            self._refuse(rule, message.topic)

    def _refuse(self, rule: str, topic: str) -> NoReturn:
        place = f"property {self.source.name}" if isinstance(self.source, Property) else "key"
        raise PayloadValidationError(
            f"the message's {place} does not validate ({rule})", topic=topic, errors=((place, rule),)
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """How a message becomes the arguments of one function."""

    function: Function
    name: str
    codec: Codec[Any]
    payload: str | None
    """The parameter that takes the value, or the list of values."""
    message: str | None
    """The parameter that takes the message itself, or the list of messages."""
    delivery: str | None
    """The parameter that takes the `Delivery`."""
    arguments: tuple[Argument, ...]
    dependencies: tuple[inspect.Parameter, ...]
    is_async: bool
    is_batch: bool

    def bind(self, message: Message[Any]) -> dict[str, Any]:
        """The arguments for one message, dependencies apart.

        Raises:
            PayloadValidationError: The payload, a property or the key does not validate.
        """
        value = message.value
        arguments: dict[str, Any] = {}
        if self.payload is not None:
            if value is None:
                self.check(message)
            arguments[self.payload] = value
        if self.message is not None:
            arguments[self.message] = message
        for argument in self.arguments:
            argument.read(message, arguments)
        return arguments

    def check(self, message: Message[Any]) -> None:
        """Whether a message may be part of a batch.

        Raises:
            PayloadValidationError: It does not validate.
        """
        if message.value is None and message.is_tombstone and self.payload is not None and not self.codec.takes_none:
            raise _tombstone(message)

    def bind_batch(self, messages: list[Message[Any]]) -> dict[str, Any]:
        """The arguments for messages whose payloads were found valid."""
        if self.message is not None:
            return {self.message: messages}
        return {str(self.payload): [message.value for message in messages]}


def _tombstone(message: Message[Any]) -> PayloadValidationError:
    return PayloadValidationError(
        "the message is a tombstone, which the function's payload parameter does not take: annotate it as … | None",
        topic=message.topic,
        errors=(("", "tombstone"),),
    )


def read_plan(function: Function, *, batch: bool = False) -> Plan:
    """Reads the signature of a consumer function.

    Raises:
        HandlerSignatureError: It cannot be called with a message. The text names function and parameter.
    """
    return _Reader(function, batch).plan()


class _Reader:
    """Reads one signature, parameter by parameter."""

    def __init__(self, function: Function, batch: bool) -> None:
        self.function = function
        self.batch = batch
        self.name = _name(function)
        self.payload: tuple[str, Any] | None = None
        self.message: tuple[str, Any] | None = None
        self.delivery: tuple[str, Any] | None = None
        self.arguments: list[Argument] = []
        self.dependencies: list[inspect.Parameter] = []

    def plan(self) -> Plan:
        try:
            signature = inspect.signature(self.function, eval_str=True)
        except (NameError, TypeError, ValueError, SyntaxError) as error:
            self.refuse(f"its annotations cannot be read: {error}")
        for parameter in signature.parameters.values():
            self.read(parameter)
        if self.payload is None and self.message is None:
            self.refuse("it has no payload parameter: one that is neither Depends(…), Property(…) nor Key()")
        if self.batch and self.arguments:
            self.refuse("a batch has no single property or key: take list[Message[…]] and read them there")
        if self.batch and self.delivery:
            self.refuse("a batch has no single Delivery")
        call = inspect.unwrap(_unpartial(self.function))
        call = call if inspect.isroutine(call) or inspect.isclass(call) else call.__call__
        if inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call):
            self.refuse("it is a generator: a consumer function returns, it does not yield")
        return Plan(
            function=self.function,
            name=self.name,
            codec=self.codec(),
            payload=self.payload[0] if self.payload else None,
            message=self.message[0] if self.message else None,
            delivery=self.delivery[0] if self.delivery else None,
            arguments=tuple(self.arguments),
            dependencies=tuple(self.dependencies),
            is_async=inspect.iscoroutinefunction(call),
            is_batch=self.batch,
        )

    def read(self, parameter: inspect.Parameter) -> None:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            self.refuse(f"it cannot take *{parameter.name}: name its parameters")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            self.refuse(f"parameter {parameter.name!r} is positional-only: leave out the /")
        annotation = parameter.annotation
        markers = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
        for marker in (*markers, parameter.default):
            if is_dependency(marker):
                self.dependencies.append(parameter)
                return
            if is_http_only(marker):
                self.refuse(f"parameter {parameter.name!r} is part of an HTTP request, which a message does not have")
            if isinstance(marker, Property | Key):
                self.read_argument(parameter, marker, annotation)
                return
            if marker is Property or marker is Key:
                self.refuse(f"parameter {parameter.name!r}: write {marker.__name__}(…), with parentheses")
        if annotation is parameter.empty:
            self.refuse(f"parameter {parameter.name!r} has no annotation")
        if annotation is Delivery:
            self.delivery = self.only("delivery", self.delivery, parameter.name, None)
            return
        item = self.item_of(parameter.name, annotation) if self.batch else annotation
        if item is Message or get_origin(item) is Message:
            self.message = self.only("message", self.message, parameter.name, (get_args(item) or (None,))[0])
        else:
            self.payload = self.only("payload", self.payload, parameter.name, item)

    def read_argument(self, parameter: inspect.Parameter, marker: Property | Key, annotation: Any) -> None:
        plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
        adapter = None if plain is str else TypeAdapter(annotation)
        required = parameter.default is parameter.empty or parameter.default is marker
        self.arguments.append(Argument(parameter.name, marker, adapter, required))

    def item_of(self, name: str, annotation: Any) -> Any:
        if get_origin(annotation) is not list:
            self.refuse(f"parameter {name!r} of a batch handler must be a list[…]")
        return get_args(annotation)[0]

    def only(self, what: str, known: tuple[str, Any] | None, name: str, model: Any) -> tuple[str, Any]:
        if known is not None:
            self.refuse(
                f"parameters {known[0]!r} and {name!r} are both the {what}: mark the others with Depends(…), "
                "Property(…) or Key()"
            )
        return name, model

    def codec(self) -> Codec[Any]:
        payload = self.payload[1] if self.payload else None
        message = self.message[1] if self.message else None
        if payload is not None and message is not None and payload != message:
            self.refuse("its payload parameter and its Message[…] parameter are of different types")
        try:
            return codec_of(payload if payload is not None else message)
        except SchemaTypeError as error:
            raise HandlerSignatureError(f"consumer function {self.name}: {error}") from error

    def refuse(self, why: str) -> NoReturn:
        raise HandlerSignatureError(f"consumer function {self.name}: {why}")


def _unpartial(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _name(function: Any) -> str:
    named = _unpartial(function)
    named = named if hasattr(named, "__qualname__") else type(named)
    return f"{named.__module__}.{named.__qualname__}"
