"""cluster/grafana/alerts/llm-usage-alerts.yaml: the default rules as Grafana provisions them from a file.

Grafana wants the measured side of a condition as a query and the comparison as an expression of its own: a query that holds
its comparison has no value while all is well, which Grafana takes for missing data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import promql_parser
from promql_parser import BinaryExpr, Expr, NumberLiteral, ParenExpr, VectorSelector

from alerts.defaults import GROUPS, DefaultRule
from alerts.expression import COMPARISONS, expand
from portal.prometheus_files import MADE, RULE_NOTES, dump, duration, runbook_url

DATASOURCE_UID = "llm-usage-prometheus"
FOLDER = "LLM usage"
EXPRESSION = "__expr__"
QUOTED = r'"(?:\\.|[^"\\])*"'
EVALUATORS = {">": "gt", "<": "lt"}

NOTES = (
    RULE_NOTES
    + f"# Belongs into provisioning/alerting/ of Grafana; asks the data source with the uid {DATASOURCE_UID}.\n"
)


@dataclass(frozen=True)
class Condition:
    """A condition taken apart: `measured` for people, and the `tested` query whose value the evaluator compares with `limit`."""

    measured: str
    tested: str
    evaluator: str
    limit: float


def condition(expr: str) -> Condition:
    """The condition of a rule's expression. Raises ValueError where it has no comparison.

    `measured > 5` is tested as it stands. Where the limit is not a number, their difference is tested. Comparisons that not every
    Grafana has (`>=`, `<=`, `==`, `!=`) are tested as the 1 or 0 of `bool`. What `and`/`unless` demands is demanded of each query.
    """
    node, demands = _comparison(promql_parser.parse(expr))
    operator, matching = str(node.op), _matching(node)
    measured, limit = one_line(node.lhs), one_line(node.rhs)
    if operator in EVALUATORS and isinstance(node.rhs, NumberLiteral):
        return Condition(measured + demands, measured + demands, EVALUATORS[operator], float(node.rhs.val))
    if operator in EVALUATORS:
        evaluator, tested = EVALUATORS[operator], f"({measured} -{matching} ({limit}))"
    else:
        evaluator, tested = "gt", f"({measured} {operator} bool{matching} ({limit}))"
    if matching or isinstance(node.lhs, VectorSelector):
        # Grafana joins the measured value to the tested one where all labels are equal: they lose the same ones.
        measured = f"({measured} +{matching} 0 * ({limit}))"
    return Condition(measured + demands, tested + demands, evaluator, 0)


def one_line(node: Expr) -> str:
    """The expression, laid out on one line; texts in quotes stay as they are."""
    spaced = re.sub(rf"({QUOTED})|\s+", lambda match: match[1] or " ", node.prettify().strip())
    return re.sub(rf"({QUOTED})|(?<=[(\[]) | (?=[)\]])", lambda match: match[1] or "", spaced)


def _comparison(node: Expr) -> tuple[BinaryExpr, str]:
    """The outermost comparison, and what follows it: `and …`, `unless …`."""
    demands = ""
    while True:
        if isinstance(node, ParenExpr):
            node = node.expr
        elif isinstance(node, BinaryExpr) and str(node.op) in {"and", "unless"}:
            demands = f" {node.op}{_matching(node)} ({one_line(node.rhs)}){demands}"
            node = node.lhs
        else:
            break
    if not isinstance(node, BinaryExpr) or str(node.op) not in COMPARISONS:
        raise ValueError(f"no comparison in {node}")
    return node, demands


def _matching(node: BinaryExpr) -> str:
    """Its `on (…)` or `ignoring (…)`, with a space before; often nothing."""
    text = str(node.modifier).strip() if node.modifier is not None else ""
    return f" {text}" if text else ""


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
    cond = condition(expand(rule.expr, rule.threshold))
    queries = {"A": cond.measured} if cond.tested == cond.measured else {"A": cond.measured, "B": cond.tested}
    return {
        "uid": rule.name.replace(" ", "-").lower(),
        "title": rule.name,
        "condition": "C",
        "data": [
            *(_query(name, expr) for name, expr in queries.items()),
            _threshold("C", [*queries][-1], cond.evaluator, cond.limit),
        ],
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


def annotation(text: str) -> str:
    """A Prometheus template as Grafana reads it: there `$value` is a text about all queries, the number is A's value."""
    return re.sub(r"\$value\b", "$values.A.Value", text)


def _query(name: str, expr: str) -> dict[str, Any]:
    return {
        "refId": name,
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": DATASOURCE_UID,
        "model": {
            "refId": name,
            # Grafana fills in environment variables here; `$$` is a plain `$`.
            "expr": expr.replace("$", "$$"),
            "instant": True,
            "range": False,
            "intervalMs": 1000,
            "maxDataPoints": 43_200,
        },
    }


def _threshold(name: str, of: str, evaluator: str, limit: float) -> dict[str, Any]:
    return {
        "refId": name,
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": EXPRESSION,
        "model": {
            "refId": name,
            "type": "threshold",
            "expression": of,
            "datasource": {"type": EXPRESSION, "uid": EXPRESSION},
            "conditions": [{"evaluator": {"type": evaluator, "params": [limit]}}],
        },
    }
