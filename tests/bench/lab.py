"""The broker, the slow network before it and the Rust peer, for as long as the benchmark runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.pulsar.harness import Standalone

from .runner import DELAYED_LISTENER, ROOT, Lab

ROUND_TRIP_MS = 20
PEER_BUILD_LIMIT = 1200


@contextmanager
def lab() -> Iterator[Lab]:
    """Starts all of it, and ends all of it."""
    peer = build_rust_program("bench_peer")
    # By default the broker looks for new entries every 10 ms, which would hide the clients' latency.
    broker = Standalone({"managedLedgerNewEntriesCheckDelayInMillis": 0})
    host, port = broker.service_url.removeprefix("pulsar://").split(":")
    command = [sys.executable, "-m", "tests.bench.delay_proxy", host, port, str(ROUND_TRIP_MS)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdin and proxy.stdout
        try:
            delayed_url = f"pulsar://{host}:{proxy.stdout.readline().strip()}"
            # The broker sends whoever asks for the listener through the proxy.
            broker.configure(
                {
                    "advertisedListeners": f"internal:{broker.service_url},{DELAYED_LISTENER}:{delayed_url}",
                    "internalListenerName": "internal",
                }
            )
            with broker:
                assert broker.pid
                yield Lab(broker.service_url, delayed_url, broker.pid, proxy.pid, peer)
        finally:
            proxy.stdin.close()
            proxy.wait(10)


def build_rust_program(name: str) -> Path:
    """Builds a program of `tests/rust/interop` in release: the crate `pulsar` in it needs the environment's `protoc`."""
    env = {"PROTOC": str(Path(sys.executable).parent / "protoc"), **os.environ}
    target = Path(env.setdefault("CARGO_TARGET_DIR", str(ROOT / "target")))
    command = ["cargo", "build", "--release", "--locked", "--package", "interop", "--bin", name]
    subprocess.run(command, cwd=ROOT, env=env, check=True, timeout=PEER_BUILD_LIMIT)
    return target / "release" / name
