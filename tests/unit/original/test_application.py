"""The application of the original's users: it names everything, and what needs no broker runs unchanged on the old paths."""

import ast
import importlib

import fastapi_pulsar.mounting
from fastapi_pulsar import PulsarClient, PulsarConfig
from tests.unit.original.hosted import HOST, run_in_host
from tests.unit.original.inventory import CLIENT, CONFIG, INVENTORY

MOUNT = "app.core.pulsar"


def used() -> tuple[dict[str, set[str]], set[str]]:
    """Names imported by module, and every attribute that is used, in the whole application."""
    names: dict[str, set[str]] = {}
    attributes: set[str] = set()
    for path in HOST.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(MOUNT):
                module = (node.module or "").removeprefix(MOUNT).removeprefix(".")
                names.setdefault(module, set()).update(alias.name for alias in node.names)
            elif isinstance(node, ast.Attribute):
                attributes.add(node.attr)
    return names, attributes


def test_the_application_uses_every_name() -> None:
    names, attributes = used()
    missing = {module: every - names.get(module, set()) - attributes for module, every in INVENTORY.items()}
    assert {module: left for module, left in missing.items() if left} == {}
    assert CLIENT - attributes == set() and CONFIG - attributes == set()


def test_every_name_exists() -> None:
    for module, every in INVENTORY.items():
        place = fastapi_pulsar.mounting._PLACES.get(module, f"original.{module}".rstrip("."))
        if module != "config_override":  # importing it sets roles
            found = importlib.import_module(f"fastapi_pulsar.{place}")
            assert [name for name in every if not hasattr(found, name)] == [], module
    client = PulsarClient()
    assert [name for name in CLIENT if not hasattr(client, name)] == []
    assert [name for name in CONFIG if not hasattr(PulsarConfig, name)] == []


def test_the_application_imports_and_runs_unchanged_without_a_broker() -> None:
    program = f"""
from fastapi_pulsar import install_as
install_as({MOUNT!r})
import app.main, app.workers, app.every_name
app.every_name.names_without_a_broker()
print(app.every_name.http_errors(), app.main.settings.PROJECT_NAME)
"""
    done = run_in_host(program, timeout=60)
    assert done.stdout == "[400, 401, 403, 404, 429, 402, 504, 404] notes\n", done.stderr
