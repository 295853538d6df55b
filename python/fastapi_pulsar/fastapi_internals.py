"""The one file that knows FastAPI's private parts: how dependencies are solved, and which application is starting.

FastAPI has no public way to solve the `Depends` of anything but a request, so a message is presented as an empty one.
"""

import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

from fastapi import FastAPI, Request, params
from fastapi.concurrency import contextmanager_in_threadpool
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant, solve_dependencies
from fastapi.routing import _merge_lifespan_context
from fastapi.security.base import SecurityBase
from starlette.applications import Starlette
from starlette.routing import Mount

from .exceptions import HandlerSignatureError

_SOLVER_TAKES = inspect.signature(solve_dependencies).parameters


def is_dependency(marker: object) -> bool:
    """Whether this is `Depends(…)` or `Security(…)`."""
    return isinstance(marker, params.Depends)


def is_http_only(marker: object) -> bool:
    """Whether this is `Query(…)`, `Header(…)`, `Cookie(…)`, `Path(…)`, `Body(…)`, `Form(…)` or `File(…)`."""
    return isinstance(marker, params.Param | params.Body)


@dataclass(frozen=True, slots=True)
class Step:
    """The call of one dependency.

    Attributes:
        call: The dependency; what yields as a function that returns an async context manager.
        way: How it is called: awaited, in a thread, or entered.
        wants: Its parameters that take the results of earlier steps, by their numbers.
        requests: Its parameters that take the request.
    """

    call: Callable[..., Any]
    way: Literal["await", "thread", "enter"]
    wants: tuple[tuple[str, int], ...]
    requests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """The dependencies of a function as calls in their order, each once, and which parameter takes which result."""

    steps: tuple[Step, ...]
    results: tuple[tuple[str, int], ...]


class Dependencies:
    """The `Depends` parameters of one consumer function, in one application."""

    def __init__(self, name: str, parameters: Sequence[inspect.Parameter], app: Any) -> None:
        """Reads the dependencies of all depths.

        Raises:
            HandlerSignatureError: One needs what only an HTTP request has. The text names function and parameter.
        """

        def function(**values: Any) -> None: ...

        function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in parameters]
        )
        self._name = name
        self._app = app
        self._dependant = get_dependant(path="/", call=function)
        for dependant in self._all(self._dependant):
            self._refuse_http(dependant)
        self.steps = _steps_of(self._dependant)
        """None if they need what only FastAPI's solver does."""

    @property
    def overridden(self) -> bool:
        """Whether the application overrides any dependency now."""
        return bool(getattr(self._app, "dependency_overrides", None))

    def request(self) -> Request:
        """The empty request that stands for a message."""
        return Request(self._scope(None, None))

    @asynccontextmanager
    async def solved(self) -> AsyncIterator[dict[str, Any]]:
        """The values for one call; on leaving, what was yielded is closed, and sees the function's exception if there is one.

        Raises:
            HandlerSignatureError: A dependency, perhaps an override of a test, needs what only an HTTP request has.
        """
        async with AsyncExitStack() as request_stack, AsyncExitStack() as function_stack:
            request = Request(self._scope(request_stack, function_stack))
            extra: dict[str, Any] = {"async_exit_stack": request_stack, "embed_body_fields": False}
            solved = await solve_dependencies(
                request=request,
                dependant=self._dependant,
                dependency_overrides_provider=self._app,
                **{name: value for name, value in extra.items() if name in _SOLVER_TAKES},
            )
            if solved.errors:
                places = ", ".join(".".join(map(str, error["loc"])) for error in solved.errors)
                raise HandlerSignatureError(f"consumer function {self._name}: no HTTP request to take {places} from")
            yield solved.values
            if solved.background_tasks is not None:
                await solved.background_tasks()

    def _scope(self, request_stack: AsyncExitStack | None, function_stack: AsyncExitStack | None) -> dict[str, Any]:
        return {
            "type": "http",
            "app": self._app,
            "method": "GET",
            "path": "/",
            "root_path": "",
            "headers": [],
            "query_string": b"",
            "path_params": {},
            "state": {},
            "fastapi_middleware_astack": request_stack,
            "fastapi_inner_astack": request_stack,
            "fastapi_function_astack": function_stack,
        }

    def _all(self, dependant: Dependant) -> Iterator[Dependant]:
        """The dependencies of all depths, a test's overrides in their place."""
        overrides = getattr(self._app, "dependency_overrides", {})
        for inner in dependant.dependencies:
            if inner.call in overrides:
                inner = get_dependant(path="/", call=overrides[inner.call], name=inner.name)
            yield inner
            yield from self._all(inner)

    def _refuse_http(self, dependant: Dependant) -> None:
        function: Any = dependant.call
        call = _call_name(function)
        for fields in (
            dependant.path_params,
            dependant.query_params,
            dependant.header_params,
            dependant.cookie_params,
            dependant.body_params,
        ):
            for field in fields:
                if field.field_info.is_required():
                    raise HandlerSignatureError(
                        f"consumer function {self._name}: parameter {field.name!r} of its dependency {call} is part of an "
                        "HTTP request, which a message does not have: give it a default"
                    )
        if isinstance(function, SecurityBase) and getattr(function, "auto_error", True):
            raise HandlerSignatureError(
                f"consumer function {self._name}: its dependency {call} (parameter {dependant.name!r}) takes credentials "
                "from an HTTP request, which a message does not have: give it auto_error=False"
            )


_OF_HTTP = (
    "path_params", "query_params", "header_params", "cookie_params", "body_params", "websocket_param_name",
    "response_param_name", "background_tasks_param_name", "security_scopes_param_name", "own_oauth_scopes",
    "parent_oauth_scopes", "security_scopes", "security_requirements", "concurrency",
)  # fmt: skip
"""What a `Dependant` of some version of FastAPI has for its solver alone."""


def _steps_of(dependant: Dependant) -> Steps | None:
    """The calls that FastAPI's solver would make; None where this does not know them all."""
    compiler = _Compiler()
    results = compiler.of(dependant)
    if results is None or len(compiler.scopes) > 1:  # of several scopes some close before others
        return None
    return Steps(tuple(compiler.steps), results)


class _Compiler:
    """Walks the dependencies as the solver does: depth first, each result kept for whoever wants it again."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.scopes: set[str] = set()
        self._known: dict[tuple[Any, str], int] = {}

    def of(self, dependant: Dependant) -> tuple[tuple[str, int], ...] | None:
        """What a dependant's parameters take."""
        results: list[tuple[str, int]] = []
        for inner in dependant.dependencies:
            number = self._step(inner)
            if number is None:
                return None
            if inner.name is not None:
                results.append((inner.name, number))
        return tuple(results)

    def _step(self, dependant: Dependant) -> int | None:
        call: Any = dependant.call
        way = _way(call)
        if way is None or any(getattr(dependant, name, None) for name in _OF_HTTP):
            return None
        wants = self.of(dependant)
        if wants is None:
            return None
        scope = (getattr(dependant, "scope", None) or "request") if way.startswith("enter") else ""
        if scope:
            self.scopes.add(scope)
        key = call, scope
        if dependant.use_cache and key in self._known:
            return self._known[key]
        requests = (dependant.request_param_name, dependant.http_connection_param_name)
        self.steps.append(Step(*_callable(call, way), wants, tuple(name for name in requests if name)))
        return self._known.setdefault(key, len(self.steps) - 1) if dependant.use_cache else len(self.steps) - 1


def _way(call: Any) -> Literal["await", "thread", "enter", "enter_thread"] | None:
    """How a plain function or class is called; None of what versions of FastAPI see differently."""
    if hasattr(call, "__wrapped__") or hasattr(call, "_is_coroutine"):
        return None
    if inspect.isasyncgenfunction(call):
        return "enter"
    if inspect.isgeneratorfunction(call):
        return "enter_thread"
    if inspect.iscoroutinefunction(call):
        return "await"
    return "thread" if inspect.isroutine(call) or inspect.isclass(call) else None


def _callable(call: Any, way: str) -> tuple[Callable[..., Any], Literal["await", "thread", "enter"]]:
    if way == "enter":
        return asynccontextmanager(call), "enter"
    if way == "enter_thread":
        opened = contextmanager(call)
        return lambda **values: contextmanager_in_threadpool(opened(**values)), "enter"
    return call, "await" if way == "await" else "thread"


def starting_application() -> Any | None:
    """The application whose lifespan the caller runs in, if it does.

    Starlette passes the application to lifespans as an argument only, not to what they call, so it is looked up in the frames
    of the current call.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") in ("starlette.routing", "fastapi.routing"):
            app = frame.f_locals.get("app")
            if frame.f_code.co_name in ("lifespan", "merged_lifespan") and isinstance(app, Starlette):
                return app
        frame = frame.f_back
    return None


def joined_lifespan(first: Any, then: Callable[[Any], Any]) -> Any:
    """The lifespan that enters one and then the other, as `include_router` joins them."""
    return _merge_lifespan_context(first, then)


def included_routers(app: Any) -> Iterator[Any]:
    """What the startup handlers of an application, and of those mounted in it, belong to: routers that were included, once."""
    handlers = [*getattr(app.router, "on_startup", ()), *mounted_startup_handlers(app)]
    owners = (getattr(handler, "__self__", None) for handler in handlers)
    yield from {id(owner): owner for owner in owners}.values()


def mounted_startup_handlers(app: Any) -> Iterator[Callable[..., Any]]:
    """The startup handlers of applications mounted in this one, at any depth: of each router in them, `include_router` copied
    the handlers there."""
    for route in app.router.routes:
        inner = getattr(route, "app", None) if isinstance(route, Mount) else None
        if isinstance(inner, FastAPI):
            yield from inner.router.on_startup
            yield from mounted_startup_handlers(inner)


def reaches(lifespan: Any, target: Callable[..., Any]) -> bool:
    """Whether entering a lifespan, made by `include_router` out of several, enters `target`."""
    if lifespan == target:
        return True
    function = inspect.unwrap(lifespan) if callable(lifespan) else lifespan
    cells = getattr(function, "__closure__", None) or ()
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    return any(
        reaches(cell.cell_contents, target)
        for name, cell in zip(names, cells, strict=False)
        if name in ("original_context", "nested_context")
    )


def _call_name(call: Any) -> str:
    return getattr(call, "__qualname__", None) or type(call).__qualname__
