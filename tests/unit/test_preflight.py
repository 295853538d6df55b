"""The first step of every make target: all that is missing is named at once, with the commands that install it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUP = ROOT / "tests" / "tools" / "setup"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the first step on a machine that has only the given programs, each a line of shell."""

    def run_on(target: str, programs: dict[str, str], **environment: str) -> "subprocess.CompletedProcess[str]":
        for name, line in programs.items():
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{line}\n")
            program.chmod(0o755)
        return subprocess.run(
            ["/bin/sh", str(SETUP), target],
            env={"PATH": str(tmp_path), "VENV": str(tmp_path / "venv"), **environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run_on


def python(extra: str = "") -> str:
    return f'{extra}exec {sys.executable} "$@"'


def test_everything_missing_is_listed_at_once(run: Run, tmp_path: Path) -> None:
    done = run("test-pulsar", {"python3": python()})

    assert done.returncode == 1
    for missing in ("cargo 1.", "a C compiler", "Java 17 or 21", "Maven"):
        assert f"* {missing}" in done.stderr
    for system in ("Debian, Ubuntu", "Fedora", "macOS"):
        assert done.stderr.count(system) == 4
    assert not (tmp_path / "venv").exists()


def test_without_any_python_the_message_says_how_to_get_it(run: Run) -> None:
    done = run("test", {})

    assert done.returncode == 1
    assert "apt-get install -y python3 python3-venv" in done.stderr


def test_an_interpreter_without_venv_is_refused(run: Run) -> None:
    done = run("test", {"python3": python('case "$2" in *ensurepip*) exit 1;; esac\n')})

    assert done.returncode == 1
    assert "* Python 3.11 or newer with venv" in done.stderr


def test_an_old_interpreter_that_was_chosen_is_named_with_its_version(run: Run) -> None:
    old = 'case "$2" in *ensurepip*) echo 3.9; exit 0;; esac\n'
    done = run("test", {"old-python": python(old)}, PYTHON="old-python")

    assert done.returncode == 1
    assert "PYTHON=old-python is 3.9" in done.stderr


def test_another_cargo_than_the_pinned_one_is_named(run: Run) -> None:
    done = run("test", {"python3": python(), "cc": "exit 0", "cargo": "echo cargo 1.63.0"})

    assert "found cargo 1.63.0" in done.stderr
    assert "a C compiler" not in done.stderr


def test_another_java_is_named(run: Run) -> None:
    done = run("demo", {"python3": python(), "java": """echo 'openjdk version "11.0.2"' >&2"""}, BROKER="pulsar")

    assert "Java 17 or 21, for the real Apache Pulsar (found 11)" in done.stderr


def test_the_demo_on_a_broker_of_ones_own_needs_no_java(run: Run) -> None:
    done = run("demo", {"python3": python()}, BROKER="pulsar://localhost:6650")

    assert done.returncode == 1
    assert "Java" not in done.stderr


def test_an_unknown_target_is_refused(run: Run) -> None:
    done = run("tset", {"python3": python()})

    assert done.returncode == 2
    assert "knows: bench, demo," in done.stderr
