"""What a real broker decides about schemas is what `tests/data/schemas/compatibility.json` says; the embedded broker's
own tests are held to the same file."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.pulsar.harness.admin import Admin, AdminError
from tests.pulsar.harness.standalone import Standalone

TABLE = json.loads((Path(__file__).parent.parent / "data/schemas/compatibility.json").read_text(encoding="utf-8"))
ANSWERS = {"BACKWARD": "reads_old", "FORWARD": "read_by_old", "FULL": "full"}


def register(admin: Admin, topic: str, kind: str, text: str) -> bool:
    """Whether the broker takes the schema."""
    try:
        admin.post(f"/schemas/{topic}/schema", {"type": kind, "schema": text, "properties": {}})
    except AdminError:
        return False
    return True


@pytest.mark.parametrize("strategy", ANSWERS)
def test_a_schema_follows_another(pulsar_broker: Standalone, strategy: str) -> None:
    admin, namespace = pulsar_broker.admin, f"public/rules-{uuid4().hex[:8]}"
    admin.put(f"/namespaces/{namespace}")
    admin.put(f"/namespaces/{namespace}/schemaCompatibilityStrategy", strategy)
    decided: dict[str, list[bool]] = {}
    expected: dict[str, list[bool]] = {}
    for number, row in enumerate(TABLE["pairs"]):
        for kind in ("AVRO", "JSON"):
            topic = f"{namespace}/{number}-{kind.lower()}"
            assert register(admin, topic, kind, json.dumps(row["old"])), row["case"]
            decided.setdefault(row["case"], []).append(register(admin, topic, kind, json.dumps(row["new"])))
            expected.setdefault(row["case"], []).append(row["same"] or row[ANSWERS[strategy]])
    assert decided == expected


@pytest.mark.parametrize("kind", ["AVRO", "JSON"])
def test_a_text_is_a_schema(pulsar_broker: Standalone, kind: str, topic: str) -> None:
    rows: list[dict[str, Any]] = TABLE["texts"]
    admin = pulsar_broker.admin
    decided = {
        row["case"]: register(admin, f"public/default/{uuid4().hex}-{topic[-8:]}", kind, row["text"]) for row in rows
    }
    assert decided == {row["case"]: row[kind.lower()] for row in rows}
