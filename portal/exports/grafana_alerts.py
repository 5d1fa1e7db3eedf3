"""cluster/grafana/alerts/llm-usage-alerts.yaml: the default rules as Grafana provisions them from a file.

Grafana wants the measured side of a condition as a query and the comparison as an expression of its own: a query that
holds its comparison has no value while all is well, which Grafana takes for missing data (`alerts.exchange.grafana`).
"""

from __future__ import annotations

from typing import Any

from alerts.exchange.grafana import DATASOURCE_UID, FOLDER, annotation, condition_nodes
from alerts.exchange.yaml_text import dump
from alerts.rules.defaults import GROUPS, DefaultRule
from alerts.rules.expression import expand
from portal.exports.prometheus_files import MADE, RULE_NOTES, duration, runbook_url

NOTES = (
    RULE_NOTES
    + f"# Belongs into provisioning/alerting/ of Grafana; asks the data source with the uid {DATASOURCE_UID}.\n"
)


def alert_file() -> str:
    """The whole file, in YAML."""
    groups = [
        {
            "orgId": 1,
            "name": group.name,
            "folder": FOLDER,
            "interval": duration(group.interval_seconds),
            "rules": [_rule(rule) for rule in group.rules],
        }
        for group in GROUPS
    ]
    return MADE + NOTES + dump({"apiVersion": 1, "groups": groups})


def _rule(rule: DefaultRule) -> dict[str, Any]:
    return {
        "uid": rule.name.replace(" ", "-").lower(),
        "title": rule.name,
        "condition": "C",
        "data": condition_nodes(expand(rule.expr, rule.threshold)),
        "for": duration(rule.for_seconds),
        "noDataState": "OK",
        "execErrState": "Error",
        "isPaused": False,
        "annotations": {
            **{name: annotation(text) for name, text in rule.annotations.items()},
            "runbook_url": runbook_url(rule),
        },
        "labels": {"severity": rule.severity},
    }
