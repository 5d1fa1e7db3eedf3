"""cluster/prometheus/: the scrape configuration and the default rules, for a Prometheus beside the portal.

Made from the catalog's and the rules' defaults alone, never from this installation's settings or tuned thresholds, so
that what lies in the tree can be checked against the code anywhere.
"""

from __future__ import annotations

from typing import Any

from alerts.exchange.yaml_text import dump
from alerts.rules.defaults import GROUPS, DefaultGroup, DefaultRule
from alerts.rules.expression import expand

# The address that the files name the portal by: where it is after `make run`.
PORTAL_ADDRESS = "127.0.0.1:8000"
PROMETHEUS_ADDRESS = "127.0.0.1:9090"
SCRAPE_SECONDS = 15

MADE = "# Made by `make docs`; do not edit. Change the code, or keep a copy of your own.\n"
SCRAPE_NOTES = """\
# Every replica of the portal exports the same values: scrape one address (a load balancer's), or sums count twice.
# Where PORTAL_METRICS_TOKEN is set, add to the job: authorization: {credentials_file: /path/of/the/token}
"""
RULE_NOTES = f"""\
# The portal evaluates these rules itself. This file is for those who want them in Prometheus too.
# Replace http://{PORTAL_ADDRESS} by the address of your portal: the links to the runbooks begin with it.
"""


def duration(seconds: int) -> str:
    """A duration as Prometheus and Grafana write it: the largest unit that divides it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def runbook_url(rule: DefaultRule) -> str:
    """Where the runbook is on a portal at the address that the files assume."""
    return f"http://{PORTAL_ADDRESS}/runbooks/{rule.runbook}/"


def scrape_config() -> str:
    """prometheus.yml: scrape the portal, load the rules."""
    every = duration(SCRAPE_SECONDS)
    config = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": ["rules/llm-usage.yml"],
        "scrape_configs": [
            {"job_name": "llm-usage-portal", "static_configs": [{"targets": [PORTAL_ADDRESS]}]},
        ],
    }
    return MADE + SCRAPE_NOTES + dump(config)


def rule_file() -> str:
    """rules/llm-usage.yml: the default rules with their default thresholds."""
    return MADE + RULE_NOTES + dump({"groups": [_group(group) for group in GROUPS]})


def _group(group: DefaultGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "interval": duration(group.interval_seconds),
        "rules": [_rule(rule) for rule in group.rules],
    }


def _rule(rule: DefaultRule) -> dict[str, Any]:
    return {
        "alert": rule.name,
        "expr": expand(rule.expr, rule.threshold),
        **({"for": duration(rule.for_seconds)} if rule.for_seconds else {}),
        "labels": {"severity": rule.severity},
        "annotations": {**rule.annotations, "runbook_url": runbook_url(rule)},
    }
