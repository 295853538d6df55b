"""The pytest plugin, as a project uses it: with each plugin for async tests, and without any."""

import shutil
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "testing"
SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")
ONLY_OURS = ("-p", "no:asyncio", "-p", "no:xdist", "-p", "no:anyio")

pytest_plugins = ["pytester"]

VERBS = """
from fastapi_pulsar.testing import backlog_async, published_async, wait_idle_async

{mark}
async def test_verbs(pulsar_client, pulsar_topic):
    consumer = await pulsar_client.consumer(pulsar_topic, "s", initial_position="earliest")
    async with pulsar_client.producer(pulsar_topic) as producer:
        await producer.send("one")
    await backlog_async(pulsar_topic, "s", 1)
    message = await consumer.receive(timeout=10)
    consumer.acknowledge(message)
    await wait_idle_async(pulsar_topic, "s")
    assert [message.data for message in await published_async(pulsar_topic, count=1)] == [b"one"]

{mark}
async def test_another_topic(pulsar_client, pulsar_topic):
    async with pulsar_client.producer(pulsar_topic) as producer:
        await producer.send("two")
    assert [message.data for message in await published_async(pulsar_topic)] == [b"two"]
"""
ANYIO = """
import pytest

@pytest.fixture
def anyio_backend():
    return "{backend}"
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("PULSAR_SERVICE_URL", raising=False)
    pytester.makeini("[pytest]\nfilterwarnings = error")
    return pytester


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-ra", *options, timeout=50)


@pytest.mark.parametrize(
    ("options", "mark"),
    [
        (["--asyncio-mode=strict", *SCOPE, "-p", "no:anyio"], "@__import__('pytest').mark.asyncio"),
        (["--asyncio-mode=auto", *SCOPE, "-p", "no:anyio"], ""),
        (["-p", "no:asyncio"], "@__import__('pytest').mark.anyio"),
    ],
    ids=["pytest-asyncio strict", "pytest-asyncio auto", "anyio"],
)
def test_async_tests(project: pytest.Pytester, options: list[str], mark: str) -> None:
    project.makepyfile(VERBS.format(mark=mark))
    project.makeconftest(ANYIO.format(backend="asyncio"))
    run(project, *options).assert_outcomes(passed=2)


def test_trio_is_refused_with_a_reason(project: pytest.Pytester) -> None:
    project.makepyfile(VERBS.format(mark="@__import__('pytest').mark.anyio"))
    project.makeconftest(ANYIO.format(backend="trio"))
    result = run(project, "-p", "no:asyncio")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*runs on asyncio, not on trio*"])


def test_without_any_plugin_for_async_tests(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import asyncio

        from fastapi_pulsar.testing import backlog, published, wait_idle

        def test_verbs(pulsar_client, pulsar_topic):
            async def verbs():
                consumer = await pulsar_client.consumer(pulsar_topic, "s", initial_position="earliest")
                async with pulsar_client.producer(pulsar_topic) as producer:
                    await producer.send("one")
                consumer.acknowledge(await consumer.receive(timeout=10))

            asyncio.run(verbs())
            wait_idle(pulsar_topic, "s")
            backlog(pulsar_topic, "s")
            assert [message.data for message in published(pulsar_topic)] == [b"one"]
        """
    )
    run(project, *ONLY_OURS).assert_outcomes(passed=1)


def test_with_xdist_each_worker_has_a_broker(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        from pathlib import Path

        import pytest

        @pytest.mark.parametrize("number", range(4))
        def test_url(pulsar_url, worker_id, number):
            Path(f"{worker_id}-{number}.url").write_text(pulsar_url)
        """
    )
    run(project, "-n", "2", "-p", "no:asyncio").assert_outcomes(passed=4)
    urls = [(path.name.partition("-")[0], path.read_text()) for path in project.path.glob("*.url")]
    assert len(urls) == 4
    assert len(set(urls)) == len({url for _, url in urls}) == len({worker for worker, _ in urls})


def test_the_guides_project_passes(project: pytest.Pytester) -> None:
    """TestClient runs the application on another loop than the test's own."""
    for path in GUIDE.iterdir():
        if path.suffix in (".py", ".ini"):
            shutil.copy(path, project.path)
    Path(project.path / "tox.ini").unlink(missing_ok=True)
    result = run(project, "-W", "error")
    outcomes = result.parseoutcomes()
    assert outcomes == {"passed": 5}, result.stdout.str()


def test_failing_assertions_explain_themselves(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import asyncio

        from fastapi_pulsar.testing import backlog, dead_lettered, published, wait_idle

        async def send(client, topic):
            consumer = await client.consumer(topic, "s")
            async with client.producer(topic) as producer:
                await producer.send("a value", key="k")
            await consumer.close()

        def test_published(pulsar_client, pulsar_topic):
            asyncio.run(send(pulsar_client, pulsar_topic))
            published(pulsar_topic, count=2, timeout=0.1)

        def test_dead_lettered(pulsar_topic):
            dead_lettered(pulsar_topic, "s", timeout=0.1)

        def test_backlog(pulsar_client, pulsar_topic):
            asyncio.run(send(pulsar_client, pulsar_topic))
            backlog(pulsar_topic, "s", 5, timeout=0.1)

        def test_wait_idle(pulsar_client, pulsar_topic):
            asyncio.run(send(pulsar_client, pulsar_topic))
            wait_idle(pulsar_topic, "other", timeout=0.1)

        def test_no_topic(pulsar_topic):
            wait_idle(pulsar_topic, "s", timeout=0.1)

        def test_on_a_loop(pulsar_topic):
            async def on_a_loop():
                published(pulsar_topic)

            asyncio.run(on_a_loop())
        """
    )
    result = run(project, *ONLY_OURS)
    result.assert_outcomes(failed=6)
    for line in (
        "*AssertionError: 1 published to persistent://public/test-*/* within 0.1 s, expected exactly 2*",
        "*key='k' b'a value'*",
        "*AssertionError: 0 published to persistent://*-s-DLQ within 0.1 s, expected at least 1*",
        "*AssertionError: subscription s on *: expected a backlog of 5 within 0.1 s: its backlog is 1*",
        "*AssertionError: subscription other on *: there is no such subscription*",
        "*AssertionError: subscription s on *: there is no such topic*",
        "*RuntimeError: published would block the event loop of this test: await published_async*",
    ):
        assert any(result.stdout.lines), line
        result.stdout.fnmatch_lines([line])


def test_markers_and_the_option(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.embedded_only
        def test_embedded(): ...

        @pytest.mark.real_only
        def test_real(): ...

        def test_url(pulsar_broker):
            print("BROKER", pulsar_broker.service_url)
        """
    )
    result = run(project, "-s", *ONLY_OURS)
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["*BROKER pulsar://127.0.0.1:*", "*SKIPPED*real Apache Pulsar*"])
    result = run(project, "-s", "--pulsar=pulsar://broker.example:6650", *ONLY_OURS)
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["*BROKER pulsar://broker.example:6650*"])
    result = run(project, "--pulsar=kafka", *ONLY_OURS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--pulsar=kafka: expected embedded, real or a URL*"])
