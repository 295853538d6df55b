"""The house's rules that a machine can keep: sizes, who names the compiled module, nothing of one machine in the project."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "fastapi_pulsar"
LIMITS = {".rs": 500, ".py": 350}
MAY_IMPORT_CORE = ("client/", "broker.py", "models/")

FOREIGN = {
    "a path of one machine": re.compile(r"""(?<![\w./~$}])/(?:work|farm|root)/|/tmp/(?:wt|brief|target-|venv-|bin/)"""),
    "a package registry's host": re.compile(
        r"files\.pythonhosted\.org|pypi\.org/simple|(?:index|static)\.crates\.io|repo1?\.maven\.(?:apache\.)?org"
        r"|registry\.npmjs\.org|proxy\.golang\.org|deb\.debian\.org"
    ),
}


def tracked(*patterns: str) -> list[Path]:
    """The files of the project that match, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, check=True, timeout=30
    )
    found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in found if path.is_file()]


def shipped() -> list[Path]:
    return [path for path in tracked("src", "python") if path.suffix in LIMITS]


def test_there_are_sources_to_judge() -> None:
    assert len(shipped()) > 30


@pytest.mark.parametrize("suffix", LIMITS)
def test_no_file_has_outgrown_the_house(suffix: str) -> None:
    lengths = {
        path.relative_to(ROOT): len(path.read_text().splitlines()) for path in shipped() if path.suffix == suffix
    }
    assert lengths
    assert {path: length for path, length in lengths.items() if length > LIMITS[suffix]} == {}


def test_no_file_is_a_link() -> None:
    """Not every way of copying a checkout keeps them; a demo whose data was a link lost it so."""
    listed = subprocess.run(
        ["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, check=True, text=True, timeout=30
    )
    assert [line for line in listed.stdout.splitlines() if line.startswith("120000")] == []


@pytest.mark.parametrize("what", FOREIGN)
def test_nothing_of_one_machine_is_in_the_project(what: str) -> None:
    files = [path for path in tracked() if path != Path(__file__) and path.name != "Cargo.lock"]
    found = []
    for path in files:
        content = path.read_bytes()
        if b"\0" in content[:1024]:
            continue
        lines = content.decode("utf-8", "replace").splitlines()
        found += [
            f"{path.relative_to(ROOT)}:{n}: {line.strip()[:100]}"
            for n, line in enumerate(lines, 1)
            if FOREIGN[what].search(line)
        ]
    assert found == []


def test_nothing_in_src_can_panic_on_purpose() -> None:
    """Beside clippy, which a named allow could silence."""
    banned = re.compile(r"\.unwrap\(\)|\.expect\(|\bpanic!|\btodo!|\bunimplemented!|\bunreachable!")
    found = []
    for path in shipped():
        if path.suffix != ".rs" or "test" in path.stem or path.parent.name == "tests":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith("#[cfg(test)]"):
                break
            if banned.search(line.split("//")[0]):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def test_nothing_shipped_is_unfinished() -> None:
    found = [
        path
        for path in shipped()
        if re.search(r"\bTODO\b|\bFIXME\b|\bXXX\b|raise NotImplementedError", path.read_text())
    ]
    assert found == []


def test_only_the_rooms_above_it_import_the_compiled_module() -> None:
    """import-linter does not see a compiled module. The front door may, to say what to do when it is missing."""
    importers = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if any("_core" in name.split(".") for name in [*names, module]):
                importers.add(path.relative_to(PACKAGE).as_posix())
    assert {name for name in importers if not name.startswith(MAY_IMPORT_CORE)} <= {"__init__.py"}
