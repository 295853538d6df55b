"""When a router starts and stops, however the application is put together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from fastapi_pulsar import Producer, PulsarRouter
from fastapi_pulsar.exceptions import (
    AuthenticationError,
    ConnectionError,
    IncompatibleSchemaError,
    InvalidOptionError,
    NotAllowedError,
    NotStartedError,
    PulsarError,
)
from tests.fastapi.broker import Broker
from tests.fastapi.serving import MakeRouter, Run, running

EVENTS = "persistent://public/default/events"


class Event(BaseModel):
    name: str


def consume(pulsar: PulsarRouter) -> None:
    @pulsar.consumer("events", subscription="log")
    async def log_event(event: Event) -> None: ...


def included(pulsar: PulsarRouter) -> FastAPI:
    app = FastAPI()
    app.include_router(pulsar)
    return app


def included_twice(pulsar: PulsarRouter) -> FastAPI:
    app = FastAPI()
    app.include_router(pulsar, prefix="/a")
    app.include_router(pulsar, prefix="/b")
    return app


def nested(pulsar: PulsarRouter) -> FastAPI:
    app, parent, grandparent = FastAPI(), APIRouter(), APIRouter()
    parent.include_router(pulsar)
    grandparent.include_router(parent)
    app.include_router(grandparent)
    return app


def nested_in_reverse_order(pulsar: PulsarRouter) -> FastAPI:
    app, parent, grandparent = FastAPI(), APIRouter(), APIRouter()
    grandparent.include_router(parent)
    app.include_router(grandparent)
    parent.include_router(pulsar)
    return app


def reversed_under_a_lifespan_of_its_own(pulsar: PulsarRouter) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    app, parent = FastAPI(lifespan=lifespan), APIRouter()
    app.include_router(parent)
    parent.include_router(pulsar)
    return app


def nested_and_included(pulsar: PulsarRouter) -> FastAPI:
    app, parent = FastAPI(), APIRouter()
    parent.include_router(pulsar)
    app.include_router(pulsar, prefix="/direct")
    app.include_router(parent)
    return app


def within_a_pulsar_router(pulsar: PulsarRouter) -> FastAPI:
    outer = PulsarRouter(client_factory=pulsar._runs._client_factory)
    outer.include_router(pulsar)
    return included(outer)


SHAPES = [
    included,
    included_twice,
    nested,
    nested_in_reverse_order,
    reversed_under_a_lifespan_of_its_own,
    nested_and_included,
    within_a_pulsar_router,
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_router_starts_once_however_it_is_included(
    run: Run, broker: Broker, pulsar: PulsarRouter, shape: Callable[[PulsarRouter], FastAPI]
) -> None:
    consume(pulsar)

    async def scenario() -> None:
        app = shape(pulsar)
        for times in (1, 2):
            async with running(app):
                await broker.until(lambda: pulsar.ready)
                await pulsar.publish("events", Event(name="e"))
                await broker.until(lambda times=times: len(broker.acked) == times)
                with pytest.raises(NotAllowedError):
                    consume(pulsar)
            assert len(broker.consumers) == times
            assert all(client.closed for client in broker.clients)
            assert not pulsar.ready

    run(scenario())


def test_other_routers_start_before_and_end_after_as_included(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    order: list[str] = []

    @asynccontextmanager
    async def database(app: Any) -> AsyncIterator[None]:
        order.append(f"open with {len(broker.clients)} clients")
        yield
        order.append(f"closed after client: {broker.clients[0].closed}")

    consume(pulsar)
    app = FastAPI()
    app.include_router(APIRouter(lifespan=database))
    app.include_router(pulsar)

    async def scenario() -> None:
        async with running(app):
            pass

    run(scenario())
    assert order == ["open with 0 clients", "closed after client: True"]


def test_a_lifespan_given_to_the_router_runs_around_it(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    order: list[Any] = []

    @asynccontextmanager
    async def around(app: Any) -> AsyncIterator[dict[str, str]]:
        order.append(len(broker.clients))
        yield {"name": "value"}
        order.append(broker.clients[0].closed)

    pulsar = make_router(lifespan=around)
    consume(pulsar)

    async def scenario() -> None:
        async with running(included(pulsar)):
            pass

    run(scenario())
    assert order == [0, True]


def test_publish_works_inside_the_applications_own_lifespan(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    consume(pulsar)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await pulsar.publish("events", Event(name="before"))
        async with asyncio.TaskGroup():
            await pulsar.client.producer("events")
        yield
        await pulsar.publish("events", Event(name="after"))

    app = FastAPI(lifespan=lifespan)
    app.include_router(pulsar)

    async def scenario() -> None:
        async with running(app):
            await broker.until(lambda: broker.acked)
            assert len(broker.clients) == 1, "the router's run takes over the client that the lifespan opened"
        assert [one.data for one in broker.topics[EVENTS]] == [b'{"name":"before"}', b'{"name":"after"}']
        assert [client.closed for client in broker.clients] == [True, True]

    run(scenario())


def test_not_started_says_what_to_do(run: Run, pulsar: PulsarRouter) -> None:
    async def scenario() -> None:
        with pytest.raises(NotStartedError, match=r"with TestClient\(app\)"):
            await pulsar.publish("events", b"")
        with pytest.raises(NotStartedError):
            _ = pulsar.client

    run(scenario())
    with pytest.raises(NotStartedError):
        pulsar.publish_blocking("events", b"")


def with_endpoints(pulsar: PulsarRouter) -> FastAPI:
    """An application whose endpoints publish in each way; FastAPI used to include only what was there already."""
    app = FastAPI()
    other = APIRouter()

    @pulsar.post("/publish")
    async def publish(event: Event) -> str:
        return str(await pulsar.publish("events", event))

    @pulsar.post("/blocking")
    def blocking(event: Event) -> str:
        return str(pulsar.publish_blocking("events", event))

    @other.post("/dependency")
    async def dependency(
        event: Event, producer: Annotated[Producer[Event], Depends(pulsar.producer("events", Event))]
    ) -> str:
        return str(await producer.send(event))

    app.include_router(pulsar)
    app.include_router(other)
    return app


def test_endpoints_publish_under_a_test_client(broker: Broker, pulsar: PulsarRouter) -> None:
    app = with_endpoints(pulsar)
    with TestClient(app) as client:
        for path in ("/publish", "/blocking", "/dependency"):
            answer = client.post(path, json={"name": path})
            assert answer.status_code == 200, answer.text
    assert [one.data for one in broker.topics[EVENTS]] == [
        b'{"name":"/publish"}',
        b'{"name":"/blocking"}',
        b'{"name":"/dependency"}',
    ]
    assert len(broker.clients) == 1
    assert broker.producers[0].model is Event


def test_without_the_lifespan_a_test_client_meets_not_started(
    broker: Broker, pulsar: PulsarRouter, caplog: pytest.LogCaptureFixture
) -> None:
    consume(pulsar)
    app = with_endpoints(pulsar)
    for path in ("/publish", "/blocking", "/dependency"):
        with pytest.raises(NotStartedError):
            TestClient(app).post(path, json={"name": "e"})
    assert broker.clients == []
    assert caplog.text.count("consumer functions have not started") == 1


def test_a_producer_dependency_can_be_overridden(broker: Broker, pulsar: PulsarRouter) -> None:
    class Recorder:
        async def send(self, event: Event) -> str:
            return f"recorded {event.name}"

    app = with_endpoints(pulsar)
    app.dependency_overrides[pulsar.producer("events", Event)] = Recorder
    with TestClient(app) as client:
        assert client.post("/dependency", json={"name": "e"}).json() == "recorded e"


def test_consumers_of_a_mounted_application_are_a_logged_error(
    run: Run, broker: Broker, make_router: MakeRouter, caplog: pytest.LogCaptureFixture
) -> None:
    pulsar, inner = make_router(), make_router()
    consume(inner)
    app, between = included(pulsar), FastAPI()
    between.mount("/inner", included(inner))
    app.mount("/between", between)

    async def scenario() -> None:
        async with running(app):
            with pytest.raises(NotStartedError):
                await asyncio.create_task(asyncio.wait_for(_publish_elsewhere(inner), 1))

    run(scenario())
    assert "consumer functions cannot start" in caplog.text
    assert "log_event" in caplog.text
    assert "include the router in the outer application" in caplog.text


async def _publish_elsewhere(pulsar: PulsarRouter) -> None:
    # On another loop's behalf: the outer router's run is not the inner one's.
    await pulsar.publish("events", b"")


def test_a_request_to_a_mounted_application_logs_it_too(
    broker: Broker, pulsar: PulsarRouter, caplog: pytest.LogCaptureFixture
) -> None:
    consume(pulsar)
    pulsar.add_api_route("/ping", lambda: "pong")
    app = FastAPI()
    app.mount("/inner", included(pulsar))
    with TestClient(app) as client:
        assert client.get("/inner/ping").json() == client.get("/inner/ping").json() == "pong"
    assert caplog.text.count("consumer functions have not started") == 1


def test_each_application_has_a_run_of_its_own(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    consume(pulsar)

    async def scenario() -> None:
        one, other = included(pulsar), included(pulsar)
        async with running(one):
            async with running(other):
                await broker.until(lambda: pulsar.ready and len(broker.consumers) == 2)
            assert [client.closed for client in broker.clients] == [False, True]
            await pulsar.publish("events", Event(name="e"))

    run(scenario())


@pytest.mark.parametrize("mode", ["background", "wait", "fail"])
@pytest.mark.parametrize("error", [AuthenticationError("no"), IncompatibleSchemaError("no")])
def test_refused_credentials_and_schemas_fail_the_start(
    run: Run, broker: Broker, make_router: MakeRouter, mode: str, error: PulsarError
) -> None:
    pulsar = make_router(on_startup=mode)
    consume(pulsar)
    broker.subscribe_errors.append(error)

    async def scenario() -> None:
        with pytest.raises(type(error)):
            async with running(included(pulsar)):
                raise AssertionError("must not start")
        assert broker.clients[0].closed

    run(scenario())


def test_in_the_background_it_serves_at_once_and_keeps_trying(
    run: Run, broker: Broker, pulsar: PulsarRouter, caplog: pytest.LogCaptureFixture
) -> None:
    consume(pulsar)
    broker.subscribe_errors.extend([ConnectionError("down")] * 3)

    async def scenario() -> None:
        async with running(included(pulsar)):
            assert not pulsar.ready
            await broker.until(lambda: pulsar.ready)

    run(scenario())
    assert caplog.text.count("is not consuming from") == 3


def test_it_serves_although_the_broker_does_not_answer(run: Run, broker: Broker, pulsar: PulsarRouter) -> None:
    consume(pulsar)
    silent = asyncio.Event()

    class Silent:
        def consumer(self, *arguments: Any, **options: Any) -> Any:
            return silent.wait()

        async def close(self) -> None: ...

    pulsar._runs._client_factory = lambda settings: Silent()  # type: ignore[assignment, return-value]

    async def scenario() -> None:
        async with running(included(pulsar)):
            assert not pulsar.ready

    run(scenario())


def test_wait_serves_when_all_is_subscribed(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router(on_startup="wait")
    consume(pulsar)
    broker.subscribe_errors.extend([ConnectionError("down")] * 2)

    async def scenario() -> None:
        async with running(included(pulsar)):
            assert pulsar.ready

    run(scenario())


def test_fail_fails_on_any_error(run: Run, broker: Broker, make_router: MakeRouter) -> None:
    pulsar = make_router(on_startup="fail")
    consume(pulsar)
    broker.subscribe_errors.append(ConnectionError("down"))

    async def scenario() -> None:
        with pytest.raises(ConnectionError):
            async with running(included(pulsar)):
                raise AssertionError("must not start")

    run(scenario())


def test_disabled_connects_nowhere_and_says_so_once(
    run: Run, broker: Broker, make_router: MakeRouter, caplog: pytest.LogCaptureFixture
) -> None:
    pulsar = make_router(settings={"enabled": False})
    consume(pulsar)
    app = with_endpoints(pulsar)
    with TestClient(app) as client:
        assert client.post("/publish", json={"name": "e"}).json() == "None"
        assert client.post("/blocking", json={"name": "e"}).json() == "None"
        assert client.post("/dependency", json={"name": "e"}).json() == "None"
    assert run(pulsar.publish("events", b"")) is None
    assert broker.clients == []
    assert caplog.text.count("PULSAR_ENABLED is false") == 1


def test_short_names_are_completed_with_the_routers_namespace(
    run: Run, broker: Broker, make_router: MakeRouter
) -> None:
    pulsar = make_router(namespace="shop/eu")
    consume(pulsar)

    async def scenario() -> None:
        async with running(included(pulsar)):
            await pulsar.publish("events", Event(name="e"))
            await broker.until(lambda: broker.acked)

    run(scenario())
    assert set(broker.topics) == {"persistent://shop/eu/events", "persistent://shop/eu/events-log-DLQ"}
    assert broker.consumers[0].topics == ["persistent://shop/eu/events"]


@pytest.mark.parametrize("options", [{"namespace": "shop"}, {"on_startup": "later"}, {"drain_timeout": -1}])
def test_options_out_of_range_are_refused(make_router: MakeRouter, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError):
        make_router(**options)


def test_a_producer_is_made_once_and_survives_a_caller_that_gives_up(
    run: Run, broker: Broker, pulsar: PulsarRouter
) -> None:
    async def scenario() -> None:
        async with running(included(pulsar)):
            impatient = asyncio.ensure_future(pulsar.publish("events", b"1"))
            patient = [asyncio.ensure_future(pulsar.publish("events", b"2")) for _ in range(9)]
            await asyncio.sleep(0)
            impatient.cancel()
            await asyncio.gather(*patient)
        assert len(broker.producers) == 1

    run(scenario())


def test_a_hundred_loops_leave_nothing_behind(broker: Broker, pulsar: PulsarRouter) -> None:
    app = included(pulsar)

    async def one() -> None:
        async with running(app):
            await pulsar.publish("events", b"")

    for _ in range(100):
        asyncio.run(one())
    assert pulsar._runs._open == []
    assert all(client.closed for client in broker.clients)


def test_a_normal_life_logs_no_warning(caplog: pytest.LogCaptureFixture, pulsar: PulsarRouter) -> None:
    consume(pulsar)
    with caplog.at_level(logging.WARNING), TestClient(included(pulsar)):
        pass
    assert caplog.text == ""


def test_a_thread_without_an_event_loop_sees_the_client_of_the_running_application(pulsar: PulsarRouter) -> None:
    consume(pulsar)
    with pytest.raises(NotStartedError):
        _ = pulsar.client

    @pulsar.get("/brokers")
    def brokers() -> bool:
        return pulsar.client is pulsar.client

    with TestClient(included(pulsar)) as client:
        assert client.get("/brokers").json() is True
        assert pulsar.client.settings.enabled
