"""`Depends` in consumer functions is FastAPI's own."""

import contextvars
import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import fastapi
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Query, Request, Response, Security
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPBearer, OAuth2PasswordBearer, SecurityScopes

from fastapi_pulsar import Message, PulsarRouter
from fastapi_pulsar.consuming.solving import with_dependencies
from fastapi_pulsar.exceptions import HandlerSignatureError
from fastapi_pulsar.fastapi_internals import Dependencies
from tests.fastapi.broker import Broker
from tests.fastapi.serving import MakeRouter, Run, running


def with_page(page: Annotated[int, Query()] = 7) -> int:
    return page


TOPIC = "persistent://public/default/numbers"
DEAD = f"{TOPIC}-sums-DLQ"


@pytest.fixture
def app(pulsar: PulsarRouter) -> FastAPI:
    app = FastAPI()
    app.state.name = "state"
    app.include_router(pulsar)
    return app


async def handle(broker: Broker, app: FastAPI, *numbers: int) -> None:
    """Lets the application handle these numbers."""
    for number in numbers:
        broker.put(TOPIC, str(number).encode())
    async with running(app):
        await broker.until(lambda: len(broker.acked) == len(numbers))


def test_dependencies_of_all_kinds(run: Run, broker: Broker, pulsar: PulsarRouter, app: FastAPI) -> None:
    events: list[Any] = []

    def state(request: Request) -> str:
        return str(request.app.state.name)

    class Counter:
        def __init__(self) -> None:
            events.append("counted")

    async def session(name: Annotated[str, Depends(state)]) -> AsyncIterator[str]:
        events.append(f"open {name}")
        yield f"session of {name}"
        events.append(f"close, {len(broker.acked)} acknowledged")

    def blocking() -> Iterator[str]:
        events.append("enter")
        yield "threaded"
        events.append("leave")

    @pulsar.consumer("numbers", subscription="sums")
    async def add(
        number: int,
        message: Message[int],
        session: Annotated[str, Depends(session)],
        threaded: Annotated[str, Depends(blocking)],
        first: Annotated[Counter, Depends()],
        same: Annotated[Counter, Depends()],
        fresh: Annotated[Counter, Depends(use_cache=False)],
        old_style: str = Depends(state),
    ) -> None:
        events.append((number, message.topic, session, threaded, first is same, first is fresh, old_style))

    run(handle(broker, app, 5))
    assert events == [
        "open state",
        "enter",
        "counted",
        "counted",
        (5, TOPIC, "session of state", "threaded", True, False, "state"),
        "leave",
        "close, 0 acknowledged",
    ]


def test_overrides_are_honoured(run: Run, broker: Broker, pulsar: PulsarRouter, app: FastAPI) -> None:
    seen: list[str] = []

    def inner(query: Annotated[str, Query()]) -> str:
        raise AssertionError("overridden")

    def outer(inner: Annotated[str, Depends(inner)]) -> str:
        return f"outer of {inner}"

    @pulsar.consumer("numbers", subscription="sums")
    async def add(number: int, outer: Annotated[str, Depends(outer)]) -> None:
        seen.append(outer)

    app.dependency_overrides[inner] = lambda: "override"
    run(handle(broker, app, 1))
    assert seen == ["outer of override"]


def test_an_override_holds_from_the_next_message_on(
    run: Run, broker: Broker, pulsar: PulsarRouter, app: FastAPI
) -> None:
    seen: list[str] = []

    async def name() -> str:
        return "own"

    @pulsar.consumer("numbers", subscription="sums")
    async def add(number: int, name_now: Annotated[str, Depends(name)]) -> None:
        seen.append(name_now)
        if number == 1:
            app.dependency_overrides[name] = lambda: "override"
        else:
            app.dependency_overrides.clear()

    run(handle(broker, app, 1, 2, 3))
    assert seen == ["own", "override", "own"]


@dataclass
class Page:
    number: int = field(default=7, init=False)


class Callable:
    def __call__(self) -> str:
        return "called"


def by_request(request: Request, connection: HTTPConnection) -> bool:
    return request is connection


async def by_step(same: Annotated[bool, Depends(by_request)]) -> AsyncIterator[str]:
    yield f"step {same}"


def by_background(tasks: BackgroundTasks) -> str:
    return "tasks"


SOLVED: list[tuple[list[Any], bool]] = [
    ([Depends(by_step), Depends(by_request), Depends(lambda: "plain"), Depends(Page)], True),
    ([Depends(Callable())], False),
    ([Depends(functools.partial(lambda text: text, "partial"))], False),
    ([Depends(by_background)], False),
    ([Security(by_request, scopes=["s"])], False),
    ([Depends(with_page)], False),
]


@pytest.mark.parametrize(("dependencies", "by_steps"), SOLVED)
def test_steps_give_what_fastapis_solver_gives(run: Run, dependencies: list[Any], by_steps: bool) -> None:
    """What the steps do not know is left to the solver; what they know has the same values, made as often."""
    app = FastAPI()
    names = [f"p{number}" for number in range(len(dependencies))]
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=dependency)
        for name, dependency in zip(names, dependencies, strict=True)
    ]
    known = Dependencies("add", parameters, app)
    assert (known.steps is not None) == by_steps
    seen: list[Any] = []

    async def note(arguments: dict[str, Any]) -> None:
        seen.append(arguments)

    async def both() -> None:
        await with_dependencies(note, known)({"number": 1})
        known.steps = None
        await with_dependencies(note, known)({"number": 1})

    run(both())
    assert seen[0] == seen[1] and list(seen[0]) == ["number", *names]


def test_a_dependency_that_yields_sees_the_functions_exception(
    run: Run, broker: Broker, pulsar: PulsarRouter, app: FastAPI
) -> None:
    seen: list[str] = []

    async def session() -> AsyncIterator[int]:
        try:
            yield 1
        except ValueError:
            seen.append("rolled back")
            raise
        else:
            seen.append("committed")

    @pulsar.consumer("numbers", subscription="sums", max_redeliver_count=1)
    async def add(number: int, session: Annotated[int, Depends(session)]) -> None:
        if number == 1:
            raise ValueError

    run(handle(broker, app, 1, 2))
    assert sorted(seen) == ["committed", "rolled back", "rolled back"]
    assert len(broker.topics[DEAD]) == 1


def test_a_dependency_that_fails_on_closing_fails_the_message(
    run: Run, broker: Broker, pulsar: PulsarRouter, app: FastAPI
) -> None:
    async def session() -> AsyncIterator[int]:
        yield 1
        raise OSError("commit failed")

    @pulsar.consumer("numbers", subscription="sums", max_redeliver_count=0)
    async def add(number: int, session: Annotated[int, Depends(session)]) -> None: ...

    run(handle(broker, app, 1))
    assert broker.topics[DEAD][0].properties["DEAD_LETTER_ERROR"] == "OSError"


def test_a_dependency_that_refuses_fails_the_message(
    run: Run, broker: Broker, pulsar: PulsarRouter, app: FastAPI
) -> None:
    def refuse() -> None:
        raise HTTPException(403)

    @pulsar.consumer("numbers", subscription="sums", max_redeliver_count=0)
    def add(number: int, refused: Annotated[None, Depends(refuse)]) -> None: ...

    run(handle(broker, app, 1))
    assert broker.topics[DEAD][0].properties["DEAD_LETTER_ERROR"] == "HTTPException"


def test_background_tasks_run_after_the_function_and_before_the_acknowledgement(
    run: Run, broker: Broker, pulsar: PulsarRouter, app: FastAPI
) -> None:
    events: list[Any] = []

    def later(tasks: BackgroundTasks, response: Response, scopes: SecurityScopes) -> None:
        tasks.add_task(lambda: events.append(f"task, {len(broker.acked)} acknowledged"))

    @pulsar.consumer("numbers", subscription="sums")
    async def add(number: int, later: Annotated[None, Depends(later)]) -> None:
        events.append("function")

    run(handle(broker, app, 1))
    assert events == ["function", "task, 0 acknowledged"]


def test_a_message_without_values_of_the_last(run: Run, broker: Broker, pulsar: PulsarRouter, app: FastAPI) -> None:
    variable = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    async def set_variable() -> AsyncIterator[None]:
        seen.append(variable.get())
        variable.set(1)
        yield

    @pulsar.consumer("numbers", subscription="sums")
    async def add(number: int, nothing: Annotated[None, Depends(set_variable)]) -> None: ...

    run(handle(broker, app, 1, 2, 3))
    assert seen == [0, 0, 0]


def by_query(page: Annotated[int, Query()]) -> None: ...


def by_plain_parameter(page: int) -> None: ...


def by_header(x_name: Annotated[str, Header()]) -> None: ...


def by_body(body: dict[str, int]) -> None: ...


def deep(inner: Annotated[None, Depends(by_header)]) -> None: ...


def by_security(token: Annotated[str, Security(OAuth2PasswordBearer("token"))]) -> None: ...


def with_defaults(
    page: Annotated[int, Query()] = 7,
    x_name: Annotated[str | None, Header()] = None,
    token: Annotated[Any, Security(HTTPBearer(auto_error=False))] = None,
) -> int:
    return page


@pytest.mark.parametrize(
    ("dependency", "parameter"),
    [
        (by_query, "'page'"),
        (by_plain_parameter, "'page'"),
        (by_header, "'x_name'"),
        (by_body, "'body'"),
        (deep, "'x_name'"),
        (by_security, "'token'"),
    ],
)
def test_what_needs_an_http_request_is_refused_at_start(
    run: Run, broker: Broker, pulsar: PulsarRouter, app: FastAPI, dependency: Any, parameter: str
) -> None:
    @pulsar.consumer("numbers", subscription="sums")
    async def add(number: int, value: Annotated[Any, Depends(dependency)]) -> None: ...

    with pytest.raises(HandlerSignatureError, match=parameter) as caught:
        run(handle(broker, app, 1))
    assert "add" in str(caught.value)


def test_what_has_defaults_is_used_with_them(run: Run, broker: Broker, pulsar: PulsarRouter, app: FastAPI) -> None:
    seen: list[int] = []

    @pulsar.consumer("numbers", subscription="sums")
    async def add(number: int, page: Annotated[int, Depends(with_defaults)]) -> None:
        seen.append(page)

    run(handle(broker, app, 1))
    assert seen == [7], f"with FastAPI {fastapi.__version__}"


def test_routers_dependencies_and_prefix_are_http_only(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    def refuse() -> None:
        raise HTTPException(403)

    pulsar = make_router(prefix="/p", dependencies=[Depends(refuse)])

    @pulsar.consumer("numbers", subscription="sums")
    async def add(number: int) -> None: ...

    app = FastAPI()
    app.include_router(pulsar)
    run(handle(broker, app, 1))
    assert broker.topics[DEAD] == []
