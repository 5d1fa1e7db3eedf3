"""What the editor offers while one types: metrics of the catalog and of the other engine, functions and aggregations.

Labels it asks of the API.
"""

from __future__ import annotations

import time
from functools import cache

import promql
from alerts.evaluation.series import ALERTS, FOR_STATE
from portal.explore.functions import AGGREGATIONS, FUNCTIONS
from portal.explore.query_results import LIMITS
from promql.labels import METRIC_NAME
from usage.catalog import FAMILIES, Family, series_names

EVERY_NAME = f'count by ({METRIC_NAME}) ({{{METRIC_NAME}=~".+"}})'
OF_ALERTS = [
    {"name": ALERTS, "note": "gauge", "help": "1 while an alert is pending or firing (label alertstate)"},
    {"name": FOR_STATE, "note": "gauge", "help": "Since when an alert's condition holds, in seconds since 1970"},
]
PARTS = {"_bucket": "buckets", "_sum": "sum", "_count": "count"}


def completions(source: promql.Source) -> dict[str, list[dict[str, str]]]:
    """Names with what stands beside them: `note` is short (type, arguments), `help` a sentence."""
    own = _own_names()
    return {**own, "metrics": own["metrics"] + elsewhere(source)} if isinstance(source, promql.Engine) else own


def elsewhere(source: promql.Engine) -> list[dict[str, str]]:
    """The metrics that another engine has beside the portal's; none where it does not say."""
    try:
        found = promql.instant(EVERY_NAME, source, time.time_ns() // 1_000_000, limits=LIMITS)
    except promql.PromQLError:
        return []
    own = {one["name"] for one in _own_names()["metrics"]}
    names = sorted({labels[METRIC_NAME] for labels in found.labels} - own)
    return [{"name": name, "note": "", "help": ""} for name in names]


@cache
def _own_names() -> dict[str, list[dict[str, str]]]:
    return {
        "metrics": [_metric(family, name) for family in FAMILIES for name in series_names(family)] + OF_ALERTS,
        "functions": [
            {"name": name, "note": f"({one.takes})", "help": _plain(one.description)} for name, one in FUNCTIONS.items()
        ],
        "aggregations": [
            {"name": name, "note": f"by (…) ({one.takes})", "help": _plain(one.description)}
            for name, one in AGGREGATIONS.items()
        ],
    }


def _metric(family: Family, name: str) -> dict[str, str]:
    part = PARTS.get(name.removeprefix(family.name), "")
    note = " ".join(word for word in (family.type, part) if word)
    return {"name": name, "note": note, "help": f"{family.help}, in {family.unit}" if family.unit else family.help}


def _plain(description: str) -> str:
    """The words of a function without its arguments."""
    return description.format(*"vwxyz", by="", rest="…").removesuffix(" of v").removesuffix(",")
