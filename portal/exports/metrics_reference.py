"""docs/metrics.md, made from the catalog."""

from __future__ import annotations

from alerts.evaluation import metrics
from telemetry.store import sampling_metrics
from usage.catalog import FAMILIES, KINDS, OTHER, OVERFLOW, OWN_GAUGES, UNKNOWN, Family, Observed, series_names
from usage.ingest import node

OF_NODE = "\n".join(f"- `{name}`: {text}" for name, text in node.ALL)
OF_SAMPLING = "\n".join(f"- `{name}`: {text}" for name, text in sampling_metrics.ALL)
OF_RULES = "\n".join(f"- `{name}`: {text}" for name, text in metrics.ALL)
INTRODUCTION = f"""# Metrics

<!-- Made by `make docs` from usage/catalog/families.py; edit that. -->

Every family that `/metrics` exports and that PromQL on the portal can ask for. Each is made from records (see
[api.md](api.md)) or measured by the portal itself. Values come from Postgres: every replica exports the same ones, and
counters never go back.

- A counter is a number of things since the portal's first record; ask for its `rate` or `increase`.
- A histogram has the series `_bucket` (with the label `le`), `_sum` and `_count`.
- A label with a closed set of values never has another one: a record's other values become `{OTHER}` or `{UNKNOWN}`.
- An empty provider, model, component, tool or the like is `{UNKNOWN}`.
- A kind has a bounded number of label sets (`PORTAL_DIMENSIONS_PER_KIND`). Past it, new ones count under `{OVERFLOW}`.
- A gauge keeps its last value for `PORTAL_GAUGE_HOLD` seconds, then has none.

Beside them `/metrics` exports how the rules are evaluated:

{OF_RULES}

what sampling keeps of traces, by `decision` (see [telemetry.md](telemetry.md#sampling)):

{OF_SAMPLING}

what is so on this machine, so that an outside Prometheus sees that Postgres is away (all other numbers are then the
last ones known to this machine; counters never go back):

{OF_NODE}

and those of the web processes behind the address, together (`django_*`, `process_*`, `python_info`): counters go on
when one of them is replaced. They differ between replicas.
"""

TITLES = {
    "llm_call": "From calls of models (`llm_call`)",
    "persist": "About storing records",
    "gauge": "Gauges (`gauge`)",
    "tool_call": "From calls of MCP tools (`tool_call`)",
    "registry_lookup": "From look-ups in the tool registry (`registry_lookup`)",
    "execution": "From executions (`execution`)",
    "gateway_request": "From requests of gateways (`gateway_request`)",
    "factory_create": "From factories (`factory_create`)",
}


def metrics_page() -> str:
    """The whole page, in Markdown: a section for each kind of record, a part for each family, and the layout of the
    kinds."""
    parts = [INTRODUCTION]
    for kind, title in TITLES.items():
        parts.append(f"\n## {title}\n")
        parts += [_family(family) for family in FAMILIES if family.kind == kind]
    parts.append("\n## What a rollup keeps\n\n| kind | labels | measures |\n| --- | --- | --- |\n")
    parts += [
        f"| `{kind.name}` | {', '.join(kind.labels)} |"
        f" {', '.join(_measure(measure) for measure in kind.measures) or 'value'} |\n"
        for kind in KINDS.values()
    ]
    return "".join(parts)


def _measure(measure: str | Observed) -> str:
    return measure if isinstance(measure, str) else f"{measure.name} (histogram)"


def _family(family: Family) -> str:
    names = ", ".join(f"`{name}`" for name in series_names(family))
    own = " Measured by the portal; clients may not send it." if family.name in OWN_GAUGES else ""
    rows = [("type", family.type), ("labels", _labels(family) or "none")]
    if family.unit:
        rows.append(("unit", family.unit))
    if family.buckets:
        rows.append(("series", names))
        rows.append(("buckets", ", ".join(f"{bound:.10g}" for bound in family.buckets) + ", +Inf"))
    table = "".join(f"| {name} | {value} |\n" for name, value in rows)
    return f"\n### {family.name}\n\n{family.help}.{own}\n\n| | |\n| --- | --- |\n{table}"


def _labels(family: Family) -> str:
    parts = []
    for label in family.labels:
        values = family.values.get(label)
        parts.append(f"`{label}` ({', '.join(values)})" if values else f"`{label}`")
    return ", ".join(parts)
