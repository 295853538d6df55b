"""The Dockerfiles by themselves: the linter's rules, pinned bases, no rights, one Rust in the whole project."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
FILES = ("Dockerfile", "Dockerfile.dev")
HADOLINT = Path(sys.executable).with_name("hadolint")


@pytest.mark.parametrize("name", FILES)
def test_the_linter_finds_nothing(name: str) -> None:
    done = subprocess.run([HADOLINT, DOCKER / name], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_linter_finds_something_where_there_is_something(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM debian\nRUN cd /tmp\n")
    done = subprocess.run([HADOLINT, file], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "DL3006" in done.stdout


def bases(name: str) -> dict[str, str]:
    return dict(re.findall(r"^ARG (\w+)=(\S+)$", (DOCKER / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", FILES)
def test_bases_are_pinned_to_a_patch_version(name: str) -> None:
    for image in bases(name).values():
        assert re.search(r":\d+\.\d+\.\d+-slim-trixie(@sha256:[0-9a-f]{64})?$", image), image
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", (DOCKER / name).read_text(), re.MULTILINE)
    names = {stage for _, stage in stages}
    assert {source for source, _ in stages} <= {"${PYTHON}", "${RUST}"} | names


def test_both_files_stand_on_the_same_bases() -> None:
    first, second = map(bases, FILES)
    assert first == second and first.keys() == {"PYTHON", "RUST"}


def test_the_images_have_the_rust_that_the_project_pins() -> None:
    pinned = tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
    assert f":{pinned}-" in bases("Dockerfile")["RUST"]


def stage(name: str) -> str:
    """The instructions of one stage of the Dockerfile."""
    text = (DOCKER / "Dockerfile").read_text()
    found = re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn"])
def test_what_serves_stands_on_the_runtime_and_takes_the_environment_alone(name: str) -> None:
    assert f"FROM runtime AS {name}\n" in (DOCKER / "Dockerfile").read_text()
    assert re.findall(r"--from=(\S+) (\S+)", stage(name)) in (
        [("environment", "/opt/venv")],
        [("environment-gunicorn", "/opt/venv")],
    )


def test_the_runtime_has_no_rights_and_a_health_check() -> None:
    assert re.search(r"^USER (?!0|root)\d+:\d+$", stage("runtime"), re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*CMD \[", stage("runtime"), re.MULTILINE)
    assert "apt-get" not in stage("runtime")


def test_the_demonstration_is_what_a_build_without_target_gives() -> None:
    last = re.findall(r"^FROM \S+ AS (\S+)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)[-1]
    assert last == "demo"


def test_the_context_has_all_that_is_copied_and_nothing_secret() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    for source in " ".join(copied).split():
        assert any(Path(source).match(rule) or source.startswith(rule.rstrip("/")) for rule in allowed), source
        assert (ROOT / source).exists(), source
    assert not any(".env" in rule or ".git" in rule for rule in allowed)
