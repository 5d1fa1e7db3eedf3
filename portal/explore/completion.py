"""What the editor offers while one types: metrics of the catalog, functions and aggregations. Labels it asks of the API."""

from __future__ import annotations

from functools import cache

from alerts.series import ALERTS, FOR_STATE
from portal.explore.functions import AGGREGATIONS, FUNCTIONS
from usage.catalog import FAMILIES, Family, series_names

OF_ALERTS = [
    {"name": ALERTS, "note": "gauge", "help": "1 while an alert is pending or firing (label alertstate)"},
    {"name": FOR_STATE, "note": "gauge", "help": "Since when an alert's condition holds, in seconds since 1970"},
]
PARTS = {"_bucket": "buckets", "_sum": "sum", "_count": "count"}


@cache
def words() -> dict[str, list[dict[str, str]]]:
    """Names with what stands beside them: `note` is short (type, arguments), `help` a sentence."""
    return {
        "metrics": [_metric(family, name) for family in FAMILIES for name in series_names(family)] + OF_ALERTS,
        "functions": [
            {"name": name, "note": f"({one.takes})", "help": _plain(one.says)} for name, one in FUNCTIONS.items()
        ],
        "aggregations": [
            {"name": name, "note": f"by (…) ({one.takes})", "help": _plain(one.says)}
            for name, one in AGGREGATIONS.items()
        ],
    }


def _metric(family: Family, name: str) -> dict[str, str]:
    part = PARTS.get(name.removeprefix(family.name), "")
    note = " ".join(word for word in (family.type, part) if word)
    return {"name": name, "note": note, "help": f"{family.help}, in {family.unit}" if family.unit else family.help}


def _plain(says: str) -> str:
    """The words of a function without its arguments."""
    return says.format(*"vwxyz", by="", rest="…").removesuffix(" of v").removesuffix(",")
