"""The reference has every public name."""

import re

import fastapi_pulsar
from fastapi_pulsar import testing
from tests.docs.pages import DOCS


def shown(page: str) -> set[str]:
    text = (DOCS / "reference" / page).read_text()
    return set(re.findall(r"^::: [\w.]+\.(\w+)$", text, re.MULTILINE)) | set(re.findall(r"`(\w+)`", text))


def test_the_package() -> None:
    assert set(fastapi_pulsar.__all__) - shown("package.md") == set()


def test_the_plugin() -> None:
    assert set(testing.__all__) - shown("testing.md") == set()
