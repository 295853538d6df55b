"""The border without a broker: operations are coroutines, complete through the mailbox, and survive loops, forks and exits."""

import asyncio
import gc
import inspect
import random
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
import uvloop

from fastapi_pulsar import _core

LIMIT = 30.0
WAYS = ["eventfd", "socketpair", "call_soon"]
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each way of waking a loop, forced."""
    _core.set_wakeup(request.param)
    yield request.param
    _core.set_wakeup(None)


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on a new loop of each kind, with a limit of time."""

    def run_on_new_loop(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(asyncio.wait_for(main, LIMIT))

    return run_on_new_loop


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_operation_is_a_coroutine() -> None:
    operation = _core._probe()
    assert isinstance(operation, Coroutine)
    assert inspect.isawaitable(operation)
    assert asyncio.iscoroutine(operation)
    assert operation.__name__ == operation.__qualname__ == "_probe"
    operation.close()


def test_it_works_with_everything_that_takes_coroutines(run: Callable[..., Any], way: str) -> None:
    async def main() -> None:
        await _core._probe()
        await _core._probe(0.001)
        await asyncio.create_task(_core._probe())
        await asyncio.wait_for(_core._probe(), LIMIT)
        assert await asyncio.gather(*(_core._probe() for _ in range(10))) == [None] * 10
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(_core._probe(0.001))

    run(main())


def test_it_is_awaited_once(run: Callable[..., Any]) -> None:
    async def main() -> None:
        operation = _core._probe()
        await operation
        with pytest.raises(RuntimeError, match="already awaited"):
            await operation

    run(main())


def test_many_in_flight_all_complete(run: Callable[..., Any], way: str) -> None:
    async def main() -> None:
        results = await asyncio.gather(*(_core._probe() for _ in range(5000)))
        assert len(results) == 5000

    run(main())


def test_a_flood_does_not_hold_up_the_loop() -> None:
    """At most a thousand completions are resolved in one turn."""

    async def main() -> int:
        done = most = 0

        def count(_: asyncio.Task[None]) -> None:
            nonlocal done
            done += 1

        # None is done before it is awaited, so each is resolved by the mailbox.
        tasks = [asyncio.create_task(_core._probe(0.5)) for _ in range(10_000)]
        for task in tasks:
            task.add_done_callback(count)
        while done < len(tasks):
            before = done
            await asyncio.sleep(0)
            most = max(most, done - before)
        return most

    assert asyncio.run(asyncio.wait_for(main(), LIMIT)) <= 1000


def test_cancelled_while_waiting(run: Callable[..., Any], way: str) -> None:
    async def main() -> None:
        task = asyncio.create_task(_core._probe(3600))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_core._probe(3600), 0.01)
        await _core._probe()

    run(main())


def test_a_task_that_ends_the_program_leaves_the_others_their_results(way: str) -> None:
    """`SystemExit` leaves the loop from within the turn in which the others are resumed; its next run resumes them."""

    async def leave() -> None:
        await _core._probe(0.2)
        raise SystemExit(3)

    loop = asyncio.new_event_loop()
    others = [loop.create_task(_core._probe(0.2)) for _ in range(100)]
    leaving = loop.create_task(leave())
    others += [loop.create_task(_core._probe(0.2)) for _ in range(100)]
    with pytest.raises(SystemExit):
        loop.run_forever()

    async def rest() -> None:
        await asyncio.wait_for(asyncio.gather(*others), LIMIT)

    loop.run_until_complete(rest())
    assert isinstance(leaving.exception(), SystemExit)
    loop.close()


def test_each_task_is_resumed_in_its_own_context(run: Callable[..., Any], way: str) -> None:
    number = ContextVar("number", default=-1)

    async def one(value: int) -> int:
        number.set(value)
        await _core._probe()
        return number.get()

    async def main() -> None:
        assert await asyncio.gather(*(one(value) for value in range(100))) == list(range(100))
        assert number.get() == -1

    run(main())


def test_tasks_written_in_python_and_debugging_loops_await_it() -> None:
    async def main() -> None:
        task = asyncio.tasks._PyTask(_core._probe(0.001), loop=asyncio.get_running_loop())  # type: ignore[attr-defined]
        assert await task is None
        cancelled = asyncio.tasks._PyTask(_core._probe(3600), loop=asyncio.get_running_loop())  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        assert "Pending of an operation" in repr(cancelled)
        cancelled.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await cancelled

    asyncio.run(asyncio.wait_for(main(), LIMIT), debug=True)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_cancels(run: Callable[..., Any], seed: int) -> None:
    """Whenever the cancel comes, the others complete."""
    print("seed", seed)
    choose = random.Random(seed)

    async def main() -> None:
        for _ in range(200):
            tasks = [asyncio.create_task(_core._probe(choose.choice([None, 0.0, 0.0005]))) for _ in range(20)]
            for _ in range(choose.randrange(4)):
                await asyncio.sleep(0)
            doomed = set(choose.sample(tasks, 10))
            for task in doomed:
                task.cancel()
            for task in tasks:
                try:
                    await task
                except asyncio.CancelledError:
                    assert task in doomed

    run(main())


def test_an_exception_thrown_in_is_raised_as_it_is() -> None:
    error = KeyError("x")
    with pytest.raises(KeyError) as caught:
        _core._probe().throw(error)
    assert caught.value is error
    with pytest.raises(ValueError, match="made here"):
        _core._probe().throw(ValueError, "made here")


def test_an_operation_never_awaited_is_reported() -> None:
    with pytest.warns(RuntimeWarning, match="coroutine '_probe' was never awaited"):
        _core._probe()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _core._probe().close()


def test_without_a_loop_it_says_so_or_blocks() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        _core._probe(3600).send(None)
    _core._probe(0.01).block()


def test_blocking_in_a_thread_while_a_loop_runs(run: Callable[..., Any]) -> None:
    async def main() -> None:
        results = await asyncio.gather(*(asyncio.to_thread(lambda: _core._probe(0.001).block()) for _ in range(20)))
        assert results == [None] * 20

    run(main())


def test_loops_in_several_threads() -> None:
    failures: list[BaseException] = []

    async def main() -> None:
        for _ in range(200):
            await asyncio.gather(*(_core._probe() for _ in range(10)))

    def serve() -> None:
        try:
            asyncio.run(asyncio.wait_for(main(), LIMIT))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert not failures


def test_a_thousand_loops_leak_no_descriptor(run: Callable[..., Any], way: str) -> None:
    """A mailbox ends with its loop, at once, even when an operation is left pending."""

    async def main() -> None:
        await _core._probe()

    async def leave_one_pending() -> None:
        task = asyncio.ensure_future(_core._probe(3600))
        await asyncio.sleep(0)
        task.cancel()

    run(main())
    before = open_descriptors()
    for index in range(1000):
        run(main() if index % 10 else leave_one_pending())
    gc.collect()
    assert open_descriptors() <= before


def test_a_loop_closed_with_operations_pending_leaks_nothing(way: str) -> None:
    """As a program does that neither cancels nor awaits its tasks."""
    gc.collect()
    before = open_descriptors()
    for _ in range(100):
        loop = asyncio.new_event_loop()
        task = loop.create_task(_core._probe(3600))
        loop.run_until_complete(asyncio.sleep(0.0))
        loop.run_until_complete(asyncio.sleep(0.0))
        loop.close()
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        del task, loop
    gc.collect()
    assert open_descriptors() <= before


def test_completions_for_a_closed_loop_are_dropped(way: str) -> None:
    for _ in range(50):
        loop = asyncio.new_event_loop()
        tasks = [loop.create_task(_core._probe(0.0005)) for _ in range(20)]
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        for task in tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
    time.sleep(0.01)  # Lets the runtime post them; nothing is waited for.
    asyncio.run(_core._probe())


def in_new_process(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)


FORK = """
import asyncio, os
from fastapi_pulsar import _core

async def use():
    await asyncio.gather(*(_core._probe() for _ in range(100)))

asyncio.run(use())
{before}
child = os.fork()
if child == 0:
    asyncio.run(use())
    os._exit(0)
asyncio.run(use())
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
"""


@pytest.mark.parametrize("before", ["", "pending = _core._probe(3600)"])
def test_both_sides_of_a_fork_go_on(before: str) -> None:
    for _ in range(5):
        result = in_new_process(FORK.format(before=before))
        assert result.returncode == 0, result.stderr


def test_an_operation_made_before_a_fork_is_refused_in_the_child() -> None:
    source = """
import asyncio, os
from fastapi_pulsar import _core
from fastapi_pulsar.exceptions.pulsar import ForkedClientError

operation = _core._probe()
child = os.fork()
if child == 0:
    async def use():
        try:
            await operation
        except ForkedClientError:
            return 7
        return 1
    os._exit(asyncio.run(use()))
_, status = os.waitpid(child, 0)
asyncio.run(asyncio.wait_for(operation, 10))
raise SystemExit(os.waitstatus_to_exitcode(status))
"""
    assert in_new_process(source).returncode == 7


@pytest.mark.parametrize("way", WAYS)
def test_exit_at_any_moment(way: str) -> None:
    source = f"""
import asyncio, sys
from fastapi_pulsar import _core
_core.set_wakeup({way!r})

async def use():
    tasks = [asyncio.create_task(_core._probe(0.0001 * (i % 50))) for i in range(2000)]
    await asyncio.sleep(0.001 * int(sys.argv[1]) if len(sys.argv) > 1 else 0.001)
    raise SystemExit(0)

asyncio.run(use())
"""
    for _ in range(7):
        result = in_new_process(source)
        assert result.returncode == 0, result.stderr


def test_the_switch_refuses_an_unknown_way() -> None:
    with pytest.raises(ValueError, match="eventfd"):
        _core.set_wakeup("pigeon")
