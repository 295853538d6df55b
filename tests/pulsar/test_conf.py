"""`docker/conf`: only what differs from the distribution's defaults, each with its reason."""

from pathlib import Path

import pytest

from tests.pulsar.harness.fetch import distribution

pytestmark = pytest.mark.pulsar
CONF = Path(__file__).parents[2] / "docker" / "conf"
FILES = sorted(CONF.rglob("*.conf"))


def settings(path: Path) -> dict[str, str]:
    lines = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and line[:1].isalpha())
    return {name.strip(): value.strip() for name, value in lines}


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(CONF)) for path in FILES])
def test_every_setting_differs_from_the_default_and_says_why(path: Path) -> None:
    defaults = settings(distribution() / "conf" / path.name)
    ours = settings(path)
    assert ours
    assert {name: value for name, value in ours.items() if defaults.get(name) == value} == {}
    # A reason stands above each setting, or above the group of lines in which it is.
    for group in path.read_text().split("\n\n"):
        lines = group.strip().splitlines()
        assert not lines or lines[0].startswith("#"), f"no reason above {lines[0]}"
