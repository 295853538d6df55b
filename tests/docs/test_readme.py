"""The README's example is short, and it works."""

import pytest

from tests.docs import readme
from tests.docs.pages import DOCS
from tests.pulsar.plugin import Broker


def test_the_example_is_short_and_compiles() -> None:
    lines = [line for line in readme.source().splitlines() if line.strip()]
    compile(readme.source(), "README.md", "exec")
    assert len(lines) <= 17


def test_the_first_page_shows_the_same() -> None:
    assert readme.source() == (DOCS / "snippets" / "orders.py").read_text()


def test_the_example_runs(pulsar_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi_pulsar.config import get_settings

    monkeypatch.setenv("PULSAR_SERVICE_URL", pulsar_broker.service_url)
    get_settings.cache_clear()
    try:
        assert readme.run() == "order 7: 12.50"
    finally:
        get_settings.cache_clear()
