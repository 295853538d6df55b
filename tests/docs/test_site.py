"""What the site's build refuses; that it builds at all is a part of `make lint`."""

import importlib.util
from types import ModuleType, SimpleNamespace

import pytest
from mkdocs.exceptions import PluginError

from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mkdocs_hooks", ROOT / "tests" / "tools" / "mkdocs_hooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_diagram_is_a_drawing(hooks: ModuleType) -> None:
    drawn = [hooks.diagram("flowchart LR\n  a[first] --> b[second]", "mermaid", "mermaid", {}, None) for _ in range(2)]
    assert all("<svg" in one and "first" in one and "<script" not in one for one in drawn)
    assert drawn[0] != drawn[1], "the style sheet of each is for its own name"


def test_a_diagram_with_a_mistake_fails_the_build(hooks: ModuleType) -> None:
    with pytest.raises(PluginError, match="cannot be drawn"):
        hooks.diagram("flowchart LR\n  a[first --> b", "mermaid", "mermaid", {}, None)


@pytest.mark.parametrize(
    "found",
    [
        '<script src="https://cdn.example.org/mermaid.js"></script>',
        '<link rel="stylesheet" href="//fonts.example.org/font.css">',
        "<img alt=badge src=http://example.org/badge.svg>",
    ],
)
def test_a_page_that_fetches_from_another_host_fails_the_build(hooks: ModuleType, found: str) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_path="page.md"))
    with pytest.raises(PluginError, match=r"page\.md would fetch from another host"):
        hooks.on_post_page(f"<p>{found}</p>", page, None)
    plain = '<a href="https://pulsar.apache.org">Pulsar</a><script src="../js/base.js"></script>'
    assert hooks.on_post_page(plain, page, None) == plain
