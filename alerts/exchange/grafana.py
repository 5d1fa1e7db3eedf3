"""Grafana's alert rules as its file provisioning has them: queries and expressions
become PromQL with a comparison, and back.

Source: grafana `pkg/services/provisioning/alerting/rules_types.go` and `pkg/expr`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import promql
from alerts.exchange.drafts import UNSAID_OF_GROUP, Drafts, GroupDraft, RuleDraft, whole_seconds
from alerts.exchange.prometheus import annotations_of, filed_of, labels_of, unfiled
from alerts.exchange.yaml_text import dump
from alerts.models import Rule, WithoutData
from alerts.routing.durations import write_duration
from alerts.rulefiles.document import Document, FileError
from alerts.rules.expression import expand, split
from alerts.rules.models import LONGEST_FILED
from promql import format_node
from promql.parser.printer import format_matching
from promql.syntax import Selector

DATASOURCE_UID = "llm-usage-prometheus"
FOLDER = "LLM usage"
EXPRESSION = "__expr__"
EVALUATORS = {">": "gt", "<": "lt"}
OPERATORS = {"gt": ">", "lt": "<", "gte": ">=", "lte": "<=", "eq": "==", "ne": "!="}
REFERENCE = re.compile(r"\$\{?(\w+)\}?")
KNOWN = {
    "uid",
    "title",
    "condition",
    "data",
    "for",
    "keepFiringFor",
    "isPaused",
    "annotations",
    "labels",
    "noDataState",
    "execErrState",
    "dashboardUid",
    "panelId",
    "missing_series_evals_to_resolve",
    "notification_settings",
}
# What an export says again as it was.
KEPT = (
    "uid",
    "noDataState",
    "execErrState",
    "dashboardUid",
    "panelId",
    "missing_series_evals_to_resolve",
    "notification_settings",
)
# What a rule does without data and when its query fails, in Grafana's words and in the portal's.
STATES = {
    "NoData": WithoutData.ALERT,
    "Error": WithoutData.ALERT,
    "Alerting": WithoutData.ALERT,
    "OK": WithoutData.OK,
    "KeepLast": WithoutData.KEEP,
}
WRITTEN_STATES = {WithoutData.OK: "OK", WithoutData.KEEP: "KeepLast", WithoutData.ALERT: "Alerting"}
STATE_FIELDS = {"noDataState": "no_data", "execErrState": "on_error"}
# By which comparison an alert ends that began by this one.
UNLOADS = {"gt": "lt", "lt": "gt"}


class NotUnderstood(ValueError):
    """A rule that has no PromQL; the message says why."""


@dataclass(frozen=True)
class Condition:
    """A condition taken apart: `measured` for people, and the `tested` query whose value
    the evaluator compares with `limit`."""

    measured: str
    tested: str
    evaluator: str
    limit: float


def condition(expr: str) -> Condition:
    """The condition of a rule's expression. Raises ValueError where it has no comparison.

    `measured > 5` is tested as it stands. Where the limit is not a number, their difference is tested.
    Comparisons that not every Grafana has (`>=`, `<=`, `==`, `!=`) are tested as the 1 or 0 of `bool`. What
    `and`/`unless` demands is demanded of each query.
    """
    found = promql.split_condition(promql.parse(expr).expr)
    if found is None:
        raise ValueError(f"no comparison in {expr}")
    node = found.comparison
    demands = "".join(f" {one.op}{format_matching(one.matching)} ({format_node(one.right)})" for one in found.demands)
    operator, matching = node.op, format_matching(node.matching)
    measured, limit = format_node(node.left), format_node(node.right)
    if operator in EVALUATORS and found.number is not None:
        return Condition(measured + demands, measured + demands, EVALUATORS[operator], found.number)
    if operator in EVALUATORS:
        evaluator, tested = EVALUATORS[operator], f"({measured} -{matching} ({limit}))"
    else:
        evaluator, tested = "gt", f"({measured} {operator} bool{matching} ({limit}))"
    if matching or isinstance(node.left, Selector):
        # Grafana joins the measured value to the tested one where all labels are equal: they lose the same ones.
        measured = f"({measured} +{matching} 0 * ({limit}))"
    return Condition(measured + demands, tested + demands, evaluator, 0)


def annotation(text: str) -> str:
    """A Prometheus template as Grafana reads it: there `$value` is a text about all
    queries, the number is A's value."""
    return re.sub(r"\$value\b", "$values.A.Value", text)


def query_node(name: str, expr: str) -> dict[str, Any]:
    """A query of the data source, by its refId."""
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


def threshold_node(name: str, of: str, evaluator: str, limit: float) -> dict[str, Any]:
    """The expression that compares another node's value with a number."""
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


def condition_nodes(expr: str) -> list[dict[str, Any]]:
    """The nodes A, perhaps B, and the condition C of an expression; one without a
    comparison fires wherever it has a value."""
    try:
        found = condition(expr)
    except ValueError:
        found = Condition(expr, f"(({expr}) * 0 + 1)", "gt", 0)
    queries = {"A": found.measured} if found.tested == found.measured else {"A": found.measured, "B": found.tested}
    return [
        *(query_node(name, text) for name, text in queries.items()),
        threshold_node("C", [*queries][-1], found.evaluator, found.limit),
    ]


def write(rules: Iterable[Rule]) -> str:
    """Alerting rules, with their groups, as a file for Grafana's provisioning. Recording rules have no place in it."""
    alerting = sorted(
        (rule for rule in rules if not rule.record),
        key=lambda rule: (rule.group.name, rule.folder, rule.position, rule.pk),
    )
    groups = [
        {
            "orgId": 1,
            "name": group.name,
            "folder": folder or FOLDER,
            "interval": _duration(-(-group.interval_seconds // 10) * 10),
            "rules": [_written(rule) for rule in members],
        }
        for (group, folder), members in groupby(alerting, key=lambda rule: (rule.group, rule.folder))
    ]
    return dump({"apiVersion": 1, "groups": groups})


def kept_of(rule: Rule) -> dict[str, Any]:
    """What an export says of the rule beyond what the portal knows."""
    said = {"uid": uid_of(rule.name), **rule.origin.get("grafana", {})}
    for field, name in STATE_FIELDS.items():
        # Grafana has two words for an alert: the file's own stays.
        if STATES.get(said.get(field, "")) != getattr(rule, name):
            said[field] = WRITTEN_STATES[getattr(rule, name)]
    return said


def _written(rule: Rule) -> dict[str, Any]:
    kept = kept_of(rule)
    labels = {**rule.group.labels, **labels_of(rule)}
    return {
        "uid": kept["uid"],
        "title": rule.alert_name,
        "condition": "C",
        "data": _nodes_of(rule),
        **({"dashboardUid": kept["dashboardUid"], "panelId": kept.get("panelId")} if "dashboardUid" in kept else {}),
        "noDataState": kept["noDataState"],
        "execErrState": kept["execErrState"],
        "for": _duration(rule.for_seconds),
        **({"keepFiringFor": _duration(rule.keep_firing_seconds)} if rule.keep_firing_seconds else {}),
        **{name: kept[name] for name in ("missing_series_evals_to_resolve", "notification_settings") if name in kept},
        "isPaused": not rule.enabled,
        "annotations": {name: annotation(text) for name, text in annotations_of(rule).items()}
        | filed_of(rule, with_folder=False),
        # Labels are filled in from the environment too, annotations are not.
        "labels": {name: annotation(text).replace("$", "$$") for name, text in labels.items()},
    }


def _nodes_of(rule: Rule) -> list[dict[str, Any]]:
    """The rule's nodes; a recovery threshold stands in the last, where that compares the measured value itself."""
    nodes = condition_nodes(expand(rule.expr, rule.threshold))
    [condition] = nodes[-1]["model"]["conditions"]
    kind = condition["evaluator"]["type"]
    if rule.recovery_threshold is not None and kind in UNLOADS and condition["evaluator"]["params"] == [rule.threshold]:
        condition["unloadEvaluator"] = {"type": UNLOADS[kind], "params": [rule.recovery_threshold]}
    return nodes


def is_query(nodes: list[Any], expr: str) -> bool:
    """Whether a file's nodes are those that an export makes of the expression."""
    return bool(_texts(nodes) == _texts(condition_nodes(expr)))


def _texts(value: Any) -> Any:
    """A value as a file has it: every scalar a text."""
    if isinstance(value, dict):
        return {name: _texts(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_texts(one) for one in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def uid_of(name: str) -> str:
    """A uid that Grafana takes: at most 40 letters, digits, - and _."""
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:40] or "rule"


def read(document: Document) -> Drafts:
    """The rules of a provisioning file; each that has no PromQL is named with its reason."""
    found = Drafts("grafana")
    try:
        data = document.data()
    except FileError as error:
        found.problems.append(error.problem)
        return found
    groups = data.get("groups") or []
    for number, group in enumerate(groups if isinstance(groups, list) else []):
        path = ("groups", number)
        if not isinstance(group, dict) or not group.get("name"):
            found.problems.append(document.problem(path, "a group needs a name"))
            continue
        try:
            interval = whole_seconds(group.get("interval"), "interval") or None
        except ValueError as error:
            found.problems.append(document.problem((*path, "interval"), str(error)))
            continue
        if all(known.name != str(group["name"]) for known in found.groups):
            found.groups.append(GroupDraft(str(group["name"]), interval, interval_step=10, unsaid=UNSAID_OF_GROUP))
        for place, rule in enumerate(group.get("rules") or []):
            try:
                found.rules.append(_read_rule(str(group["name"]), str(group.get("folder") or ""), rule))
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                title = rule.get("title", "") if isinstance(rule, dict) else ""
                found.problems.append(
                    document.problem((*path, "rules", place), f'group "{group["name"]}", "{title}": {error}')
                )
    found.notes += [f"{name} is left out" for name in data if name not in ("apiVersion", "groups")]
    return found


def _read_rule(group: str, folder: str, rule: Any) -> RuleDraft:
    if not isinstance(rule, dict) or not rule.get("title"):
        raise NotUnderstood("a rule needs a title")
    if unknown := set(rule) - KNOWN:
        raise NotUnderstood(f"no such field: {', '.join(sorted(unknown))}")
    nodes = {str(node.get("refId")): node for node in rule.get("data") or [] if isinstance(node, dict)}
    wanted = str(rule.get("condition") or "")
    expr = _expression(wanted, nodes, 0)
    kept = {name: rule[name] for name in KEPT if rule.get(name) is not None}
    own, filed = unfiled({name: _template(str(text)) for name, text in (rule.get("annotations") or {}).items()})
    return RuleDraft(
        group=group,
        name=str(rule["title"]),
        expr=expr,
        for_seconds=whole_seconds(rule.get("for"), "for"),
        keep_firing_seconds=whole_seconds(rule.get("keepFiringFor"), "keepFiringFor"),
        labels={name: _template(str(text)).replace("$$", "$") for name, text in (rule.get("labels") or {}).items()},
        annotations=own,
        enabled=str(rule.get("isPaused", "false")).lower() != "true",
        origin={"grafana": kept},
        nodes=list(rule["data"]),
        judged={
            **_judged(rule, nodes[wanted], expr),
            **filed,
            "folder": "" if folder == FOLDER else folder[:LONGEST_FILED],
        },
    )


def _judged(rule: dict[str, Any], condition: dict[str, Any], expr: str) -> dict[str, Any]:
    """What the rule says of missing data, errors and recovery; missing data mean something to a comparison only."""
    found: dict[str, Any] = {}
    for field, name in STATE_FIELDS.items():
        state = STATES.get(str(rule.get(field) or ""))
        if state is not None and (name == "on_error" or split(expr) is not None):
            found[name] = str(state)
    model = condition.get("model") or {}
    if model.get("type") == "threshold":
        unload = model["conditions"][0].get("unloadEvaluator") or {}
        found["recovery_threshold"] = float(_number(unload["params"][0])) if unload else None
    return found


def _template(text: str) -> str:
    """A template of Grafana's as Prometheus reads it: the value of any query is the value of the rule."""
    return re.sub(r"\$values\.\w+\.Value\b|\(index \$values \"\w+\"\)\.Value", "$value", text)


def _expression(name: str, nodes: dict[str, dict[str, Any]], depth: int) -> str:
    """The PromQL of a node."""
    node = nodes.get(name)
    if node is None or depth > 20:
        raise NotUnderstood(
            f"condition: there is no query or expression {name!r}" if node is None else "its expressions go in a circle"
        )
    given = node.get("model")
    model: dict[str, Any] = given if isinstance(given, dict) else {}
    if node.get("datasourceUid") not in (EXPRESSION, "-100"):
        return _query(name, node, model)
    kind = model.get("type")
    if kind == "threshold":
        return _threshold(model, _expression(str(model.get("expression")), nodes, depth + 1))
    if kind == "reduce":
        return _reduced(model, nodes, depth)
    if kind == "math":
        return _math(str(model.get("expression") or ""), nodes, depth)
    if kind == "classic_conditions":
        return _classic(model, nodes, depth)
    raise NotUnderstood(f"{name}: expressions of the type {kind} have no PromQL")


def _query(name: str, node: dict[str, Any], model: dict[str, Any]) -> str:
    expr = model.get("expr")
    if not isinstance(expr, str) or not expr.strip():
        raise NotUnderstood(f"{name}: not a query in PromQL")
    expr = expr.replace("$$", "$")
    try:
        promql.parse(expr)
    except promql.PromQLError as error:
        raise NotUnderstood(f"{name}: {error}") from None
    until = (node.get("relativeTimeRange") or {}).get("to", 0)
    if str(until) not in ("0", "0s", ""):
        raise NotUnderstood(f"{name}: a range that ends before now has no PromQL; use offset in the query")
    return expr


def _threshold(model: dict[str, Any], of: str) -> str:
    conditions = model.get("conditions") or []
    if len(conditions) != 1:
        raise NotUnderstood("a threshold needs one condition")
    evaluator, unload = (conditions[0].get(name) or {} for name in ("evaluator", "unloadEvaluator"))
    if unload and UNLOADS.get(str(evaluator.get("type"))) != unload.get("type"):
        raise NotUnderstood("a recovery threshold (unloadEvaluator) must be on the other side of the threshold")
    return _compared(conditions[0].get("evaluator") or {}, of)


def _compared(evaluator: dict[str, Any], of: str) -> str:
    kind, params = str(evaluator.get("type")), [_number(one) for one in evaluator.get("params") or []]
    left = _operand(of)
    if kind in OPERATORS and params:
        return f"{left} {OPERATORS[kind]} {params[0]}"
    if kind == "within_range" and len(params) == 2:
        return f"{left} > {params[0]} < {params[1]}"
    if kind == "outside_range" and len(params) == 2:
        return f"{left} < {params[0]} or {left} > {params[1]}"
    raise NotUnderstood(f"the condition {kind} has no PromQL")


def _operand(expr: str) -> str:
    """The expression as the left side of a comparison."""
    try:
        node = promql.parse(f"{expr} > 1").expr
        alone = format_node(promql.parse(expr).expr)
        found = promql.split_condition(node)
        if found is not None and format_node(found.comparison.left) == alone and found.number == 1:
            return expr
    except promql.PromQLError:
        pass
    return f"({expr})"


def _reduced(model: dict[str, Any], nodes: dict[str, dict[str, Any]], depth: int) -> str:
    """Reducing an instant query leaves its value; reducing a range one has no PromQL but for the last value."""
    of, reducer = str(model.get("expression")), model.get("reducer")
    source = nodes.get(of, {})
    inner = source.get("model") or {}
    is_instant = str(inner.get("instant", "")).lower() == "true" and str(inner.get("range", "")).lower() != "true"
    if source.get("datasourceUid") not in (EXPRESSION, "-100") and not is_instant and reducer != "last":
        raise NotUnderstood(
            f"{reducer} of a range of values has no PromQL; make the query instant and use {reducer}_over_time in it"
        )
    return _expression(of, nodes, depth + 1)


def _math(text: str, nodes: dict[str, dict[str, Any]], depth: int) -> str:
    """Arithmetic and comparisons of other nodes: PromQL's own, with the nodes in place of their names."""
    filled = REFERENCE.sub(lambda found: f"({_expression(found[1], nodes, depth + 1)})", text)
    filled = filled.replace("&&", " and ").replace("||", " or ")
    try:
        promql.parse(filled)
    except promql.PromQLError as error:
        raise NotUnderstood(f"the formula {text} has no PromQL: {error}") from None
    return filled


def _classic(model: dict[str, Any], nodes: dict[str, dict[str, Any]], depth: int) -> str:
    conditions = model.get("conditions") or []
    if len(conditions) != 1:
        raise NotUnderstood("classic conditions of more than one query have no PromQL")
    reducer = (conditions[0].get("reducer") or {}).get("type")
    params = (conditions[0].get("query") or {}).get("params") or []
    if reducer != "last" or not params:
        raise NotUnderstood(f"classic conditions that take {reducer} of a range have no PromQL")
    return _compared(conditions[0].get("evaluator") or {}, _expression(str(params[0]), nodes, depth + 1))


def _number(value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise NotUnderstood(f"{value!r} is no number") from None
    return repr(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def _duration(seconds: int) -> str:
    return write_duration(dt.timedelta(seconds=seconds))
