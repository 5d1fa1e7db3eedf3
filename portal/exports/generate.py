"""Files that are made from the code: the registry, and whether what lies in the tree is what the code defines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from portal.exports.grafana_alerts import alert_file
from portal.exports.grafana_boards import GRAFANA_BOARDS
from portal.exports.grafana_dashboards import dashboard_file, datasource_file, provider_file
from portal.exports.metrics_reference import metrics_page
from portal.exports.openapi import resources_page, schema_file
from portal.exports.prometheus_files import rule_file, scrape_config
from portal.exports.settings_reference import settings_page

ROOT = Path(__file__).resolve().parent.parent.parent

# Path below the project's root, and the function that makes the whole text of the file.
GENERATED: list[tuple[str, Callable[[], str]]] = [
    ("docs/settings.md", settings_page),
    ("docs/metrics.md", metrics_page),
    ("docs/openapi.yaml", schema_file),
    ("docs/resources.md", resources_page),
    ("cluster/prometheus/prometheus.yml", scrape_config),
    ("cluster/prometheus/rules/llm-usage.yml", rule_file),
    ("cluster/grafana/alerts/llm-usage-alerts.yaml", alert_file),
    *((f"cluster/grafana/dashboards/{board.uid}.json", partial(dashboard_file, board)) for board in GRAFANA_BOARDS),
    ("cluster/grafana/provisioning/datasources/prometheus.yaml", datasource_file),
    ("cluster/grafana/provisioning/dashboards/llm-usage.yaml", provider_file),
]


def stale() -> list[str]:
    """The generated files that are missing or say something else than the code."""
    return [path for path, make in GENERATED if _read(ROOT / path) != make()]


def generate() -> list[str]:
    """Write what is stale; the paths that were written."""
    written = []
    for path, make in GENERATED:
        text = make()
        if _read(ROOT / path) != text:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text)
            written.append(path)
    return written


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
