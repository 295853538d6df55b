"""`make images` on machines that differ: what it uses, what it says, and what of the machine goes into a build."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tests" / "tools"
DRIVER = "import json, sys; from pathlib import Path; import engines; print(json.dumps({}))"


def run(machine: Path, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A Python of this project on a machine that has only the programs of a folder."""
    variables = {"PATH": str(machine), "HOME": str(machine), "PYTHONPATH": str(TOOLS), **environment}
    return subprocess.run(
        [sys.executable, "-B", *command], env=variables, capture_output=True, text=True, timeout=30, check=False
    )


def program(machine: Path, name: str, line: str) -> None:
    file = machine / name
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)


@pytest.mark.parametrize(("options", "code"), [([], 1), (["--if-possible"], 0)])
def test_without_an_engine_it_says_what_to_install(tmp_path: Path, options: list[str], code: int) -> None:
    program(tmp_path, "docker", "echo 'no daemon' >&2; exit 1")  # the client alone is no engine
    done = run(tmp_path, str(TOOLS / "images.py"), *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert "no image was built" in done.stderr and "apt-get install -y buildah debootstrap" in done.stderr


def test_a_build_that_fails_is_a_failure(tmp_path: Path) -> None:
    program(tmp_path, "docker", 'test "$1" = info')
    done = run(tmp_path, str(TOOLS / "images.py"))
    assert done.returncode == 1
    assert done.stderr.startswith("images: failed: docker build --file docker/Dockerfile")


@pytest.mark.parametrize(("engines", "wanted", "found"), [
    (["docker", "podman"], "", "docker"),
    (["podman"], "", "podman"),
    (["docker", "podman"], "podman", "podman"),
    (["docker"], "podman", None),
])  # fmt: skip
def test_the_engine_that_answers_is_used(tmp_path: Path, engines: list[str], wanted: str, found: str | None) -> None:
    for name in engines:
        program(tmp_path, name, "exit 0")
    done = run(tmp_path, "-c", DRIVER.format("getattr(engines.find(), 'name', None)"), CONTAINER_ENGINE=wanted)
    assert json.loads(done.stdout) == found, done.stderr


def test_settings_of_this_machine_become_secrets_and_nothing_else_does(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("certificates")
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo" / "config.toml").touch()
    variables = {"SSL_CERT_FILE": str(bundle), "PIP_INDEX_URL": "https://packages.test/simple", "PIP_QUIET": "1"}
    done = run(tmp_path, "-c", DRIVER.format("engines.secrets(Path(sys.argv[1]))"), str(tmp_path), **variables)
    words = json.loads(done.stdout)
    found = dict(word.removeprefix("id=").split(",src=") for word in words[1::2])
    assert set(words[::2]) == {"--secret"}
    assert found == {
        "ca": str(bundle), "pip": str(tmp_path / "pip.conf"), "cargo": str(tmp_path / ".cargo" / "config.toml"),
    }  # fmt: skip
    text = (tmp_path / "pip.conf").read_text()
    assert "index-url = https://packages.test/simple" in text
    assert "cert = /etc/ssl/certs/ca-certificates.crt" in text and "quiet" not in text


def test_the_proxy_is_passed_by_arguments_that_no_image_keeps(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", DRIVER.format("engines.proxies()"), https_proxy="http://proxy.test:1", OTHER="x")
    assert json.loads(done.stdout) == ["--build-arg", "https_proxy=http://proxy.test:1"]
