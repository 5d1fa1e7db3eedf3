"""From a point of a chart to what is behind it: the labels that its series stands for, which the page's
script turns into a search of traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import promql
from promql import syntax
from usage.catalog import BY_SERIES, Family


def behind(labels: Mapping[str, str], step: int) -> dict[str, Any]:
    """What a trace of a Plotly figure carries, to be clicked on: its labels, and the
    milliseconds that a point stands for."""
    return {"meta": {"labels": {name: text for name, text in labels.items() if name != "__name__"}, "step": step}}


def counted(expr: str) -> tuple[Family, dict[str, str]] | None:
    """The first metric of a query that counts records, and the labels that the query asks for; None
    where there is none (a gauge, a mistake)."""
    try:
        query = promql.parse(expr)
    except promql.PromQLError:
        return None
    for node in syntax.walk(query.expr):
        if isinstance(node, syntax.Selector):
            equal = {one.name: one.value for one in node.matchers if one.op == "="}
            family = BY_SERIES.get(equal.pop("__name__", ""))
            if family is not None and family.type != "gauge":
                return family, equal
    return None


def asked(expr: str) -> dict[str, str]:
    """The labels that a query asks for, which its series may have lost in a sum."""
    found = counted(expr)
    return found[1] if found else {}
