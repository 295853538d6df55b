"""The demo on a real broker: its numbers are those of the data, and a loss is noticed."""

import re
import signal
import subprocess
import sys

import pytest

from tests.pulsar.plugin import Broker

SUMMARY = re.compile(
    r"demo: published=20000 departures=(\d+) late=(\d+) dead_lettered=178 lost=(\d+) duplicated=0 seconds=\d+\.\d"
)
LIMIT = 90


def run_demo(broker: Broker, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fastapi_pulsar.demo", "--once", "--broker", broker.service_url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)


@pytest.mark.timeout(LIMIT + 30)
def test_all_flights_arrive(pulsar_broker: Broker) -> None:
    done = run_demo(pulsar_broker)
    summary = SUMMARY.fullmatch(done.stdout.strip().splitlines()[-1])
    assert summary, done.stdout + done.stderr
    assert summary.groups() == ("19822", "1062", "0")
    assert done.returncode == 0


@pytest.mark.timeout(LIMIT + 30)
def test_a_dropped_message_is_reported_as_lost(pulsar_broker: Broker) -> None:
    done = run_demo(pulsar_broker, "--drop-row", "1")
    summary = SUMMARY.fullmatch(done.stdout.strip().splitlines()[-1])
    assert summary, done.stdout + done.stderr
    assert summary.groups() == ("19821", "1062", "1")
    assert done.returncode == 1


@pytest.mark.timeout(LIMIT + 30)
def test_it_serves_until_ctrl_c_and_exits_with_0(pulsar_broker: Broker) -> None:
    command = [sys.executable, "-m", "fastapi_pulsar.demo", "--broker", pulsar_broker.service_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as demo:
        try:
            assert demo.stdout
            assert SUMMARY.fullmatch(demo.stdout.readline().strip())
            demo.send_signal(signal.SIGINT)
            assert demo.wait(LIMIT) == 0
        finally:
            demo.kill()
