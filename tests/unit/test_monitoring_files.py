"""The dashboard and the alert rules name only metrics and labels that there are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastapi_pulsar import metrics

DOCKER = Path(__file__).parents[2] / "docker"
DASHBOARD = DOCKER / "grafana" / "dashboards" / "fastapi-pulsar.json"
ALERTS = DOCKER / "prometheus" / "alerts.yml"
SERVERS_OWN = {"job", "instance", "le"}
"""Labels that Prometheus adds, and that of histograms."""
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


def samples() -> dict[str, set[str]]:
    """Every sample of the package by its name, with its labels."""
    found = {}
    for metric in metrics.METRICS.values():
        family = next(iter(metric.describe()))
        for suffix in SUFFIXES[family.type]:
            found[family.name + suffix] = set(metric._labelnames)
    return found


SAMPLES = samples()


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return list(group["rules"])


def faults(expression: str) -> list[str]:
    """What an expression names and there is not."""
    wrong = []
    used = set(re.findall(r"\bpulsar_\w+", expression))
    if not used:
        wrong.append("no metric")
    wrong += [name for name in used if name not in SAMPLES]
    known = set().union(*(SAMPLES.get(name, set()) for name in used), SERVERS_OWN)
    for name, selector in re.findall(r"\b(pulsar_\w+)\{([^}]*)\}", expression):
        wrong += [f"{name}{{{one}}}" for one in re.findall(r"(\w+)\s*=", selector) if one not in SAMPLES.get(name, ())]
    for grouping in re.findall(r"\bby \(([^)]*)\)", expression):
        wrong += [one for one in re.split(r",\s*", grouping) if one not in known]
    if expression.count("(") != expression.count(")"):
        wrong.append("unbalanced")
    return wrong


def grouped(expression: str) -> set[str]:
    return {one for group in re.findall(r"\bby \(([^)]*)\)", expression) for one in re.split(r",\s*", group)}


@pytest.mark.parametrize("panel", [pytest.param(panel, id=panel["title"]) for panel in panels()])
def test_a_panel_shows_what_there_is(panel: dict[str, Any]) -> None:
    assert panel["targets"] and panel["description"]
    for target in panel["targets"]:
        assert faults(target["expr"]) == []
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped(target["expr"])


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        place = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not place & taken and at["x"] + at["w"] <= 24
        taken |= place


def test_the_variables_of_the_dashboard_are_labels_that_there_are() -> None:
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]["query"]
            names = re.findall(r'=~"([^"]*)"', query) or re.findall(r"label_values\((\w+),", query)
            matching = [labels for name, labels in SAMPLES.items() if re.fullmatch(names[0], name)]
            label = query.rpartition(",")[2].strip(" )")
            assert matching and all(label in labels for labels in matching), query


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in alerts()])
def test_an_alert_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    assert faults(rule["expr"]) == []
    texts = " ".join(rule["annotations"].values())
    assert rule["annotations"].keys() == {"summary", "description"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    told = set(re.findall(r"\$labels\.(\w+)", texts))
    assert told <= grouped(rule["expr"]), "a label that the expression does not keep"
    assert set(re.findall(r"\bpulsar_\w+", texts)) <= SAMPLES.keys()


def test_the_checks_find_faults() -> None:
    assert faults("rate(pulsar_messages_sent[5m])") == ["pulsar_messages_sent"]
    assert faults('pulsar_messages_sent_total{subscription="a"}') == ["pulsar_messages_sent_total{subscription}"]
    assert faults("sum by (subscription) (pulsar_messages_sent_total") == ["subscription", "unbalanced"]
    assert faults("up") == ["no metric"]
