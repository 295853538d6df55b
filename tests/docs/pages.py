"""The pages a person reads, and the code on them.

Code is shown from a file that a test runs: `<!-- file: PATH -->` stands above the block, PATH is relative to the page, and the
block is that file, or whole lines of it that follow each other.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[^\n`]*)\n(?P<code>.*?)^\1(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)
MARKER = re.compile(r"<!-- (?:file: (\S+)|example) -->\n\Z")
PYTHON = {"python", "py", "python3", "pycon"}
LOOKS_LIKE_PYTHON = re.compile(
    r"^ *(?:from [\w.]+ import |import \w|(?:async )?def \w+\(|await |@\w+[.(]|class \w+[(:])", re.MULTILINE
)


class Block(NamedTuple):
    """A block of code on a page.

    Attributes:
        file: What the marker above it names; None without one.
    """

    page: Path
    line: int
    language: str
    code: str
    file: Path | None

    @property
    def where(self) -> str:
        """For a person to find it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_python(self) -> bool:
        """Whether it says so, or says nothing and looks like it."""
        return self.language in PYTHON or (not self.language and LOOKS_LIKE_PYTHON.search(self.code) is not None)


def blocks(page: Path) -> Iterator[Block]:
    """The fenced and the indented blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        marker = MARKER.search(text[: found.start()])
        path = found_file(page, marker) if marker else None
        language = found["language"].strip().split(" ")[0].lower()
        yield Block(page, text.count("\n", 0, found.start()) + 1, language, found["code"], path)
    # What is fenced leaves its lines empty, so that numbers stay right.
    rest = FENCE.sub(lambda found: "\n" * found.group().count("\n"), text)
    for found in re.finditer(r"(?:^\n|\A)((?: {4}.*\n)+)", rest, re.MULTILINE):
        yield Block(page, rest.count("\n", 0, found.start(1)) + 1, "", found[1], None)


@contextmanager
def snippet(name: str) -> Iterator[ModuleType]:
    """A file of docs/snippets, run anew."""
    spec = importlib.util.spec_from_file_location(f"snippet_{name}", DOCS / "snippets" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # annotations are looked up there
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[module.__name__]


def found_file(page: Path, marker: re.Match[str]) -> Path:
    """The file that a marker names; the README's example has one of its own."""
    return page.parent / marker[1] if marker[1] else DOCS / "snippets" / "orders.py"
