"""cluster/grafana/dashboards/ and provisioning/: what Grafana needs, and what the requirement documents ask to see."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard

import promql
from alerts.exchange.grafana import DATASOURCE_UID, FOLDER
from usage.catalog import BY_SERIES

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "cluster/grafana"
SPEC = ROOT / "tests/documents/rules.yaml"
BOARDS = {file.stem: json.loads(file.read_text()) for file in sorted((GRAFANA / "dashboards").glob("*.json"))}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]


def queries() -> list[str]:
    """Every query of every dashboard."""
    return [
        target["expr"] for board in BOARDS.values() for panel in board["panels"] for target in panel.get("targets", [])
    ]


def test_the_boards_of_the_requirement_documents_are_there() -> None:
    assert list(BOARDS) == ["compozy-monitoring", "llm-providers", "mcp-tools"]
    rows = [panel["title"] for panel in BOARDS["compozy-monitoring"]["panels"] if panel["type"] == "row"]
    assert rows[0] == "LLM Usage Monitoring"


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_has_what_grafana_requires(name: str) -> None:
    board = BOARDS[name]
    assert (board["uid"], board.get("id")) == (name, None)
    assert len(name) <= 40
    assert board["title"]
    assert board["schemaVersion"] >= 36
    assert board["time"] == {"from": "now-3h", "to": "now"}
    assert board["annotations"] == {"list": []}
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource"]
    ids = [panel["id"] for panel in board["panels"]]
    assert ids == list(range(1, len(ids) + 1))
    assert Dashboard.from_json(board).title == board["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_on_the_grid_without_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_a_unit_and_asks_the_chosen_data_source(panel: dict[str, Any]) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert panel["datasource"] == chosen
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    for number, target in enumerate(panel["targets"]):
        assert target["datasource"] == chosen
        assert target["refId"] == "ABCDEFGH"[number]
        assert target["expr"]


@pytest.mark.parametrize("query", queries())
def test_a_query_is_promql_over_metrics_of_the_catalog(query: str) -> None:
    text = query.replace("$__rate_interval", "5m").replace("$__range", "1h")
    promql.parse(text)
    without_labels = re.sub(r"by \([^)]*\)|{[^}]*}", "", text)
    named = {name for name in re.findall(r"[a-z0-9_]+", without_labels) if "_" in name} - {
        "histogram_quantile",
        "clamp_min",
    }
    assert named
    assert named <= set(BY_SERIES)


def test_every_query_of_the_documents_is_on_a_dashboard_word_for_word() -> None:
    def squeezed(query: str) -> str:
        return re.sub(r"\s+", "", query)

    shown = {squeezed(query) for query in queries()}
    asked = yaml.safe_load(SPEC.read_text())["queries"]
    assert {name for name, query in asked.items() if squeezed(query) not in shown} == set()


def test_grafana_is_configured_with_where_prometheus_and_the_dashboards_are() -> None:
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert (source["uid"], source["type"], source["jsonData"]["timeInterval"]) == (DATASOURCE_UID, "prometheus", "15s")
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/llm-usage.yaml").read_text())["providers"]
    assert (provider["type"], provider["folder"]) == ("file", FOLDER)
