"""6 series, the metric catalog: one declaration per metric family, and per kind of record the offsets of its measures.

A rollup row holds the measures of one dimension in one array. `KINDS` lays that array out: a counted measure takes one
offset, an observed one (a histogram) its sum, then one offset per bucket and one for +Inf, not cumulated. Offsets are
only ever appended to a kind: stored arrays are shorter where a offset came later, and count as zero there.

`FAMILIES` says how each Prometheus family is read off the dimensions and measures of its kind. /metrics, PromQL,
charts, the Grafana files and the docs all read it; nothing else names a metric, rules and dashboards aside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf

UNKNOWN = "unknown"
OTHER = "other"
OVERFLOW = "__overflow__"

CALL_OUTCOMES = ("success", "error", "timeout", "rate_limited")
CALL_ERRORS = ("auth", "rate_limit", "invalid_request", "server_error", "timeout")
TOOL_OUTCOMES = ("success", "error", "timeout")
TOOL_ERRORS = ("connection", "validation", "execution", "timeout")
PERSIST_ERRORS = ("db_error", "timeout", "validation")
FACTORY_TYPES = ("provider", "tool")
LOOKUP_OUTCOMES = ("hit", "miss")

USAGE_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PERSIST_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)
CALL_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
DELAY_BUCKETS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
TOOL_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LOOKUP_BUCKETS = (0.00001, 0.0001, 0.001, 0.01, 0.1)
FACTORY_BUCKETS = (0.00001, 0.0001, 0.001, 0.01)
# The specification names no buckets for executions: those that Prometheus's client libraries use.
DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


@dataclass(frozen=True)
class Observed:
    """A measure that is a histogram; `buckets` are its upper bounds, ascending, without +Inf."""

    name: str
    buckets: tuple[float, ...]

    @property
    def width(self) -> int:
        """Offsets: the sum, each bucket, +Inf."""
        return len(self.buckets) + 2


@dataclass(frozen=True)
class Kind:
    """A kind of record: the labels of its dimensions, which of them clients choose freely, and the layout of its
    measures."""

    name: str
    labels: tuple[str, ...]
    measures: tuple[str | Observed, ...]
    open_labels: tuple[str, ...] = ()

    @cached_property
    def offsets(self) -> Mapping[str, int]:
        """The first offset of each measure."""
        offsets, at = {}, 0
        for measure in self.measures:
            name, width = (measure, 1) if isinstance(measure, str) else (measure.name, measure.width)
            offsets[name] = at
            at += width
        return offsets

    @cached_property
    def width(self) -> int:
        """Offsets of the whole array."""
        return sum(1 if isinstance(measure, str) else measure.width for measure in self.measures)

    @cached_property
    def observed(self) -> Mapping[str, Observed]:
        """The histograms among the measures, by name."""
        return {measure.name: measure for measure in self.measures if isinstance(measure, Observed)}


_SCOPE = ("workspace", "team", "component")

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "llm_call",
            (*_SCOPE, "provider", "model", "operation", "outcome", "error_type", "usage"),
            (
                "count",
                "prompt_tokens",
                "completion_tokens",
                "cached_tokens",
                "reasoning_tokens",
                "cost_usd",
                "unpriced",
                Observed("duration", CALL_BUCKETS),
                Observed("rate_limit_delay", DELAY_BUCKETS),
                Observed("latency", USAGE_BUCKETS),
            ),
            open_labels=("team", "component", "provider", "model", "operation"),
        ),
        Kind(
            "tool_call",
            (*_SCOPE, "server_id", "tool_name", "outcome", "error_kind"),
            ("count", Observed("duration", TOOL_BUCKETS)),
            open_labels=("team", "component", "server_id", "tool_name"),
        ),
        Kind(
            "execution",
            (*_SCOPE, "agent_id", "status"),
            ("count", Observed("duration", DEFAULT_BUCKETS)),
            open_labels=("team", "component", "agent_id", "status"),
        ),
        Kind(
            "gateway_request",
            (*_SCOPE, "gateway_id", "method", "status"),
            ("count", Observed("duration", DEFAULT_BUCKETS)),
            open_labels=("team", "component", "gateway_id", "method", "status"),
        ),
        Kind(
            "registry_lookup",
            (*_SCOPE, "outcome"),
            ("count", Observed("duration", LOOKUP_BUCKETS)),
            open_labels=("team", "component"),
        ),
        Kind(
            "factory_create",
            (*_SCOPE, "factory_type", "name"),
            ("count", Observed("duration", FACTORY_BUCKETS)),
            open_labels=("team", "component", "name"),
        ),
        Kind("gauge", ("workspace", "metric"), (), open_labels=()),
        Kind("persist", ("outcome", "error_type"), ("count", Observed("duration", PERSIST_BUCKETS))),
    )
}


@dataclass(frozen=True, eq=False)
class Family:
    """A Prometheus metric family and how it is read off its kind.

    `measure` is the offset or histogram that feeds it; `split` instead gives one measure per value of a label that is
    not in the dimension (`type`: prompt, completion). `renames` maps a label to the dimension's label that holds it.
    Only dimensions whose labels are among `where`'s values count; ("*",) means any value that is not empty. With
    `counted`, the other dimensions have a series too, but add nothing to it: failures are 0, not absent, where all went
    well, so that a ratio has a value.
    """

    name: str
    type: str
    kind: str
    labels: tuple[str, ...]
    help: str
    unit: str = ""
    measure: str = ""
    split: tuple[str, Mapping[str, str]] | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counted: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def buckets(self) -> tuple[float, ...]:
        """Upper bounds of the histogram, without +Inf; empty for other types."""
        return KINDS[self.kind].observed[self.measure].buckets if self.type == "histogram" else ()

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Whether a dimension with these labels counts in this family."""
        if self.kind == "gauge":
            return labels.get("metric") == self.name
        return all(
            bool(labels.get(name)) if allowed == ("*",) else labels.get(name) in allowed
            for name, allowed in self.where.items()
        )

    def counts(self, labels: Mapping[str, str]) -> bool:
        """Whether a covered dimension adds to its series."""
        return all(labels.get(name) == value for name, value in self.counted.items())

    def shown(self, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels of this family, in its order, for a dimension with `labels`; without the label that `split`
        adds."""
        added = self.split[0] if self.split else ""
        return {name: labels.get(self.renames.get(name, name), "") for name in self.labels if name != added}


_USAGE = {"usage": ("success", "failure")}
_MODEL = ("provider", "model")
_COMPONENT = ("component", "provider", "model")
_CALL = {"outcome": (*CALL_OUTCOMES, OTHER)}

FAMILIES: tuple[Family, ...] = (
    # -- recording of usage
    Family(
        "compozy_llm_prompt_tokens_total",
        "counter",
        "llm_call",
        _COMPONENT,
        "Prompt tokens ingested",
        "tokens",
        "prompt_tokens",
        where=_USAGE,
    ),
    Family(
        "compozy_llm_completion_tokens_total",
        "counter",
        "llm_call",
        _COMPONENT,
        "Completion tokens ingested",
        "tokens",
        "completion_tokens",
        where=_USAGE,
    ),
    Family(
        "compozy_llm_usage_events_total",
        "counter",
        "llm_call",
        (*_COMPONENT, "outcome"),
        "Attempts to record the usage of a call that should have one",
        "",
        "count",
        renames={"outcome": "usage"},
        where=_USAGE,
        values={"outcome": ("success", "failure")},
    ),
    Family(
        "compozy_llm_usage_failures_total",
        "counter",
        "llm_call",
        _COMPONENT,
        "Attempts that recorded no usage",
        "",
        "count",
        where=_USAGE,
        counted={"usage": "failure"},
    ),
    Family(
        "compozy_llm_usage_latency_seconds",
        "histogram",
        "llm_call",
        (*_COMPONENT, "outcome"),
        "From receipt of the record to its durable commit",
        "seconds",
        "latency",
        renames={"outcome": "usage"},
        where=_USAGE,
        values={"outcome": ("success", "failure")},
    ),
    # -- persistence of records, the portal's own
    Family(
        "llm_usage_persist_seconds",
        "histogram",
        "persist",
        ("outcome",),
        "Time to make a batch of records durable",
        "seconds",
        "duration",
        where={"outcome": ("*",)},
        values={"outcome": ("success", "error")},
    ),
    Family(
        "llm_usage_persist_errors_total",
        "counter",
        "persist",
        ("error_type",),
        "Failures to make records durable, and records refused",
        "",
        "count",
        where={"error_type": ("*",)},
        values={"error_type": PERSIST_ERRORS},
    ),
    Family("llm_usage_persist_queue_size", "gauge", "gauge", (), "Accepted records not yet in Postgres", "records"),
    # -- provider calls
    Family(
        "llm_provider_request_seconds",
        "histogram",
        "llm_call",
        (*_MODEL, "outcome"),
        "Provider API call latency",
        "seconds",
        "duration",
        where=_CALL,
        values={"outcome": CALL_OUTCOMES},
    ),
    Family(
        "llm_provider_tokens_total",
        "counter",
        "llm_call",
        (*_MODEL, "type"),
        "Total tokens consumed by provider and type",
        "tokens",
        split=("type", {"prompt": "prompt_tokens", "completion": "completion_tokens"}),
        where=_CALL,
        values={"type": ("prompt", "completion")},
    ),
    Family(
        "llm_provider_cost_usd_total",
        "counter",
        "llm_call",
        _MODEL,
        "Estimated cumulative cost in USD",
        "USD",
        "cost_usd",
        where=_CALL,
    ),
    Family(
        "llm_provider_errors_total",
        "counter",
        "llm_call",
        (*_MODEL, "error_type"),
        "Provider errors by category",
        "",
        "count",
        where={**_CALL, "error_type": ("*",)},
        values={"error_type": CALL_ERRORS},
    ),
    Family(
        "llm_provider_rate_limit_delays_seconds",
        "histogram",
        "llm_call",
        ("provider",),
        "Duration spent waiting due to rate limits",
        "seconds",
        "rate_limit_delay",
        where=_CALL,
    ),
    Family(
        "llm_tokens_total",
        "counter",
        "llm_call",
        (*_MODEL, "direction"),
        "Total LLM tokens used",
        "tokens",
        split=("direction", {"input": "prompt_tokens", "output": "completion_tokens"}),
        where=_CALL,
        values={"direction": ("input", "output")},
    ),
    # -- MCP tools
    Family(
        "mcp_tool_execute_seconds",
        "histogram",
        "tool_call",
        ("server_id", "tool_name", "outcome"),
        "MCP tool execution latency",
        "seconds",
        "duration",
        values={"outcome": TOOL_OUTCOMES},
    ),
    Family(
        "mcp_tool_errors_total",
        "counter",
        "tool_call",
        ("server_id", "tool_name", "error_kind"),
        "MCP tool errors by category",
        "",
        "count",
        where={"error_kind": ("*",)},
        values={"error_kind": TOOL_ERRORS},
    ),
    Family(
        "mcp_server_connections_active",
        "gauge",
        "gauge",
        ("server_id",),
        "Active MCP server connections",
        "connections",
    ),
    Family(
        "mcp_tool_registry_lookup_seconds",
        "histogram",
        "registry_lookup",
        ("outcome",),
        "Tool registry lookup latency",
        "seconds",
        "duration",
        values={"outcome": LOOKUP_OUTCOMES},
    ),
    # -- executions and gateway
    Family(
        "agent_execution_duration_seconds",
        "histogram",
        "execution",
        ("agent_id", "workspace", "status"),
        "Agent execution duration",
        "seconds",
        "duration",
    ),
    Family(
        "agent_execution_total",
        "counter",
        "execution",
        ("agent_id", "workspace", "status"),
        "Total agent executions",
        "",
        "count",
    ),
    Family(
        "gateway_requests_total",
        "counter",
        "gateway_request",
        ("gateway_id", "method", "status"),
        "Total gateway requests",
        "",
        "count",
    ),
    Family(
        "gateway_active_connections", "gauge", "gauge", ("gateway_id",), "Active gateway connections", "connections"
    ),
    Family(
        "factory_create_seconds",
        "histogram",
        "factory_create",
        ("factory_type", "name"),
        "Factory instantiation time",
        "seconds",
        "duration",
        values={"factory_type": FACTORY_TYPES},
    ),
    # -- budgets, and the portal's test of itself
    Family("team_spend_usd", "gauge", "gauge", ("team",), "Spend of the team in its current budget period", "USD"),
    Family("budget_limit", "gauge", "gauge", ("team",), "The team's budget for the period in USD", "USD"),
    Family("portal_canary_sent_timestamp_seconds", "gauge", "gauge", (), "When the last canary record was sent", "s"),
    Family("portal_canary_delay_seconds", "gauge", "gauge", (), "How long the last canary took to its message", "s"),
)

BY_NAME: Mapping[str, Family] = {family.name: family for family in FAMILIES}


def series_names(family: Family) -> Iterator[str]:
    """The names of the family's series in Prometheus: the family's own, or `_bucket`, `_sum` and `_count` for a
    histogram."""
    if family.type == "histogram":
        yield from (f"{family.name}_bucket", f"{family.name}_sum", f"{family.name}_count")
    else:
        yield family.name


BY_SERIES: Mapping[str, Family] = {name: family for family in FAMILIES for name in series_names(family)}


def bound(value: float) -> str:
    """A bucket's bound as Prometheus 3 writes `le`: shortest digits, with a fraction."""
    return "+Inf" if value == inf else repr(float(value))
