"""What an image must do: the demonstration gives its numbers, the servers serve, and nothing runs with rights or a compiler."""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from engines import ROOT, Engine, Failed

NUMBERS = "published=20000 departures=19822 late=1062 dead_lettered=178 lost=0 duplicated=0"
SERVE = (Path(__file__).parent / "serve_in_image.py").read_text()
CLOSED = """
test "$(id -u)" != 0 || { echo "runs as root"; exit 1; }
for program in cc gcc cargo rustc maturin; do
    ! command -v $program || { echo "has $program"; exit 1; }
done
for file in /etc/pip.conf /usr/local/cargo /wheels /src; do
    ! test -e $file || { echo "has $file"; exit 1; }
done
! touch /app-may-not-write /opt/venv/neither 2>/dev/null || { echo "may write where it should not"; exit 1; }
touch /data/written && touch /tmp/written
"""


def run_all(engine: Engine, targets: Iterable[str]) -> int:
    """Runs every check; how many passed.

    Raises:
        Failed: One did not.
    """
    checks: list[tuple[str, Callable[[], None]]] = [
        *((f"{target} runs without rights and without a compiler", _closed(engine, target)) for target in targets),
        ("the demonstration's numbers, on a broker in memory", lambda: _demo(engine, {})),
        ("the demonstration's numbers, on a data directory", lambda: _demo(engine, _embedded())),
        *((f"{target} serves, is healthy and ends", _serves(engine, target)) for target in ("uvicorn", "gunicorn")),
    ]
    for title, check in checks:
        check()
        print(f"images: {title}: ok", flush=True)
    return len(checks)


def _closed(engine: Engine, target: str) -> Callable[[], None]:
    return lambda: _expect(engine, target, ["sh", "-ec", CLOSED], {}, "")


def _demo(engine: Engine, environment: dict[str, str]) -> None:
    command = engine.command_of("fastapi-pulsar:demo")
    if not environment:
        command[command.index("--broker") + 1] = "embedded"
    # Any port that is free: a chroot has the network of the host.
    _expect(engine, "demo", [*command, "--once", "--port", "0"], environment, NUMBERS)


def _serves(engine: Engine, target: str) -> Callable[[], None]:
    command = ["python", "-c", SERVE, *engine.command_of(f"fastapi-pulsar:{target}")]
    return lambda: _expect(engine, target, command, {}, "served")


def _embedded() -> dict[str, str]:
    """What the compose file of the embedded set-up says to the application."""
    text = (ROOT / "docker" / "docker-compose.embedded.yml").read_text()
    found = re.search(r"^ +PULSAR_SERVICE_URL: (\S+)$", text, re.MULTILINE)
    if found is None:
        raise Failed("docker-compose.embedded.yml names no PULSAR_SERVICE_URL")
    return {"PULSAR_SERVICE_URL": found[1]}


def _expect(engine: Engine, target: str, command: list[str], environment: dict[str, str], wanted: str) -> None:
    code, text = engine.run(f"fastapi-pulsar:{target}", command, environment, 180)
    if code or wanted not in text:
        sys.stderr.write(text[-4000:] + "\n")
        raise Failed(f"{target}: {' '.join(command)[:60]!r} ended with {code}, and should have said {wanted!r}")
