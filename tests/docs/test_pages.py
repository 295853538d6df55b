"""The code on the pages is that of files, and every file is run by a test."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, Block, blocks

BLOCKS = [block for page in PAGES for block in blocks(page)]
SHOWN = [pytest.param(block, id=block.where) for block in BLOCKS if block.file]
TESTS = "".join(path.read_text() for path in sorted((ROOT / "tests").glob("*/test_*.py")))


@pytest.mark.parametrize("block", SHOWN)
def test_a_block_is_what_its_file_says(block: Block) -> None:
    assert block.file is not None
    whole = block.file.read_text(encoding="utf-8")
    assert block.code.strip()
    assert f"\n{block.code}" in f"\n{whole}", f"{block.where} differs from {block.file.relative_to(ROOT)}"


def test_every_block_of_python_is_a_file() -> None:
    assert SHOWN
    assert [block.where for block in BLOCKS if block.is_python and not block.file] == []


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("```python\nx = 1\n```\n", [True]),
        ("```\nimport os\n```\n", [True]),
        ("text\n\n    from a import b\n    b()\n", [True]),
        ("1. a list\n\n    ```py\n    x\n    ```\n", [True]),
        ("```bash\nmake demo\n```\n\n    make test\n", [False, False]),
        ("```mermaid\nflowchart LR\n```\n", [False]),
    ],
)
def test_code_is_found_wherever_it_stands(text: str, python: list[bool], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert [block.is_python for block in blocks(page)] == python


def test_every_snippet_is_run_by_a_test() -> None:
    """By name: `snippet("retries")`, or its file."""
    names = {path.stem for path in (DOCS / "snippets").glob("*.py")}
    run = {name for pair in re.findall(r"snippet\(\"(\w+)\"\)|\"(\w+)\.py\"", TESTS) for name in pair}
    assert names - run == set()


def test_the_program_without_pytest_runs() -> None:
    """The tests that the guide shows run in tests/functional/test_plugin.py."""
    command = [sys.executable, str(DOCS / "guides" / "testing" / "by_hand.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "b'hello'\n"), done.stderr
