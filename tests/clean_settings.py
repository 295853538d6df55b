"""No `PULSAR_…` variable, nothing set on `PulsarConfig`: a fixture for the conftest of whoever starts from that."""

import os
from collections.abc import Iterator

import pytest

from fastapi_pulsar.config import PulsarConfig, get_settings, overrides


@pytest.fixture(autouse=True)
def clean_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.upper().startswith("PULSAR_"):
            monkeypatch.delenv(name)
    get_settings.cache_clear()
    yield
    del PulsarConfig.SECURITY
    overrides.VALUES.clear()
    get_settings.cache_clear()
