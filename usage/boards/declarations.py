"""The boards as data: what each panel is called, its unit, its PromQL and how it is drawn.

The pages draw these panels, and the Grafana dashboards are generated from them. In an expression `$__rate_interval` is
a window no shorter than the chart's step, and `$__range` the whole range, as in Grafana.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Chart = Literal["line", "area", "bars", "heat", "matrix"]

COVERAGE_TARGET = 95.0
# A day in bars of half an hour, and the one under way.
BARS = 50


@dataclass(frozen=True)
class Query:
    """One expression of a panel; `legend` names its series, with labels in {{braces}} as in Grafana."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Ranking:
    """Which series are drawn where there are many: those of which most was counted over the range, by labels; the
    counters each with its weight; so many of them. The others are drawn as one, evaluated together."""

    by: tuple[str, ...]
    counters: tuple[tuple[str, float], ...]
    drawn: int = 8


@dataclass(frozen=True)
class Panel:
    """One panel. `colour_by` is the label whose value gives a series its colour, the same on every page; `rule` is the
    template of an alert on it with what its blanks hold, where its query itself shows none."""

    id: str
    title: str
    unit: str
    chart: Chart
    queries: tuple[Query, ...]
    description: str = ""
    colour_by: str = ""
    threshold: float | None = None
    threshold_label: str = ""
    columns: int = 6
    share: bool = False
    ranking: Ranking | None = None
    rule: Mapping[str, str] = field(default_factory=dict)
    empty: str = "Nothing was recorded in this range."

    @property
    def points(self) -> int | None:
        """At most so many points; None: as many as a chart of lines."""
        return BARS if self.chart == "bars" else None


@dataclass(frozen=True)
class Board:
    """A page of panels; `title` is also the name of the Grafana dashboard."""

    id: str
    title: str
    panels: tuple[Panel, ...]

    def panel(self, panel_id: str) -> Panel | None:
        """The panel of that name."""
        return next((panel for panel in self.panels if panel.id == panel_id), None)


def coverage(by: str) -> str:
    """Coverage in percent, per label. A model without any failure has no failure series, hence `or`."""
    events = f"sum by ({by}) (increase(compozy_llm_usage_events_total[$__rate_interval]))"
    failures = f"sum by ({by}) (increase(compozy_llm_usage_failures_total[$__rate_interval]))"
    return f"100 - 100 * ({failures} or 0 * {events}) / {events}"


def quantile(share: float, family: str, by: str = "") -> str:
    """A quantile of a histogram family, over all or per label."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({family}_bucket[$__rate_interval])))"


def most(family: str, *by: str) -> Ranking:
    """Those of which most was counted over the range."""
    return Ranking(by, ((family, 1),))


def missing(*by: str) -> Ranking:
    """Those of which most usage is missing, then those with most calls."""
    return Ranking(by, (("compozy_llm_usage_failures_total", 1), ("compozy_llm_usage_events_total", 1e-6)))


_COVERAGE = Panel(
    "coverage",
    "Coverage by model",
    "percent",
    "line",
    (Query(coverage("model"), "{{model}}"),),
    description="share of successful calls whose usage was recorded",
    colour_by="model",
    threshold=COVERAGE_TARGET,
    threshold_label="target 95",
    columns=7,
    share=True,
    rule={"template": "coverage", "by": "model"},
    ranking=missing("model"),
)

OVERVIEW = Board(
    "overview",
    "LLM usage: overview",
    (
        _COVERAGE,
        Panel(
            "latency",
            "Latency of provider calls",
            "seconds",
            "heat",
            (
                Query("sum by (le) (increase(llm_provider_request_seconds_bucket[$__rate_interval]))", ""),
                Query(quantile(0.5, "llm_provider_request_seconds"), "p50"),
                Query(quantile(0.95, "llm_provider_request_seconds"), "p95"),
                Query(quantile(0.99, "llm_provider_request_seconds"), "p99"),
            ),
            description="every call, and its quantiles",
        ),
        Panel(
            "tokens",
            "Tokens by model",
            "tokens/min",
            "area",
            (Query("60 * sum by (model) (rate(llm_tokens_total[$__rate_interval]))", "{{model}}"),),
            colour_by="model",
            ranking=most("llm_tokens_total", "model"),
        ),
        Panel(
            "failures",
            "Failures by kind",
            "per minute",
            "bars",
            (Query("60 * sum by (error_type) (rate(llm_provider_errors_total[$__rate_interval]))", "{{error_type}}"),),
            rule={"template": "error-type", "by": "error_type"},
            colour_by="error_type",
            columns=4,
            empty="No call failed in this range.",
        ),
    ),
)

COVERAGE = Board(
    "coverage",
    "LLM usage: coverage",
    (
        replace(_COVERAGE, columns=12),
        Panel(
            "not-recorded",
            "Usage not recorded",
            "percent",
            "line",
            (
                Query(
                    "100 * sum by (provider, model) (rate(compozy_llm_usage_failures_total[$__rate_interval]))"
                    " / sum by (provider, model) (rate(compozy_llm_usage_events_total[$__rate_interval]))",
                    "{{model}}",
                ),
            ),
            description="share of usage events that failed",
            ranking=missing("provider", "model"),
            colour_by="model",
            threshold=1.0,
            threshold_label="alert 1",
            empty="Every successful call carried its token counts.",
        ),
        Panel(
            "delay",
            "Receipt to commit",
            "milliseconds",
            "line",
            (
                Query(quantile(0.95, "compozy_llm_usage_latency_seconds") + " * 1000", "p95"),
                Query(quantile(0.99, "compozy_llm_usage_latency_seconds") + " * 1000", "p99"),
            ),
        ),
        Panel(
            "persist-errors",
            "Not stored at first",
            "per minute",
            "bars",
            (
                Query(
                    "60 * sum by (error_type) (rate(llm_usage_persist_errors_total[$__rate_interval]))",
                    "{{error_type}}",
                ),
            ),
            colour_by="error_type",
            empty="Everything was stored at once.",
        ),
        Panel(
            "queue",
            "Waiting in the spool",
            "count",
            "line",
            (Query("llm_usage_persist_queue_size", "records"),),
            empty="The spool was not measured in this range.",
        ),
    ),
)

PROVIDERS = Board(
    "providers",
    "LLM usage: providers",
    (
        Panel(
            "latency",
            "Latency p95 by model",
            "seconds",
            "line",
            (Query(quantile(0.95, "llm_provider_request_seconds", "provider, model"), "{{model}}"),),
            description="of all calls, failed ones too",
            ranking=most("llm_provider_request_seconds_count", "provider", "model"),
            colour_by="model",
            columns=12,
        ),
        Panel(
            "tokens",
            "Token rate",
            "tokens/s",
            "area",
            (Query("sum by (provider, model) (rate(llm_provider_tokens_total[$__rate_interval]))", "{{model}}"),),
            description="prompt and completion",
            ranking=most("llm_provider_tokens_total", "provider", "model"),
            colour_by="model",
        ),
        Panel(
            "cost",
            "Estimated cost",
            "USD/h",
            "line",
            (
                Query(
                    "3600 * sum by (provider, model) (rate(llm_provider_cost_usd_total[$__rate_interval]))", "{{model}}"
                ),
            ),
            description="at the present pace",
            ranking=most("llm_provider_cost_usd_total", "provider", "model"),
            colour_by="model",
        ),
        Panel(
            "errors",
            "Errors by type",
            "per minute",
            "bars",
            (Query("60 * sum by (error_type) (rate(llm_provider_errors_total[$__rate_interval]))", "{{error_type}}"),),
            rule={"template": "error-type", "by": "error_type"},
            colour_by="error_type",
            empty="No call failed in this range.",
        ),
        Panel(
            "rate-limits",
            "Refused by rate limit",
            "per minute",
            "bars",
            (
                Query(
                    "60 * sum by (provider)"
                    ' (rate(llm_provider_errors_total{error_type="rate_limit"}[$__rate_interval]))',
                    "{{provider}}",
                ),
            ),
            description="by provider",
            colour_by="provider",
            empty="No provider refused a call for its rate limit.",
        ),
    ),
)

TOOLS = Board(
    "tools",
    "LLM usage: MCP tools",
    (
        Panel(
            "latency",
            "Latency p95 by server and tool",
            "seconds",
            "matrix",
            (
                Query(
                    "histogram_quantile(0.95, sum by (le, server_id, tool_name)"
                    " (rate(mcp_tool_execute_seconds_bucket[$__range])))",
                    "{{server_id}}\t{{tool_name}}",
                ),
            ),
            description="over the whole range",
            ranking=Ranking(("server_id", "tool_name"), (("mcp_tool_execute_seconds_count", 1),), drawn=60),
            columns=12,
            empty="No tool was called in this range.",
        ),
        Panel(
            "errors",
            "Errors by tool and kind",
            "per minute",
            "area",
            (
                Query(
                    "60 * sum by (tool_name, error_kind) (rate(mcp_tool_errors_total[$__rate_interval]))",
                    "{{tool_name}} {{error_kind}}",
                ),
            ),
            rule={"template": "tool-errors", "by": "server_id, tool_name, error_kind"},
            ranking=most("mcp_tool_errors_total", "tool_name", "error_kind"),
            empty="No tool failed in this range.",
        ),
        Panel(
            "registry",
            "Registry lookup p99",
            "milliseconds",
            "line",
            (
                Query(
                    "1000 * " + quantile(0.99, "mcp_tool_registry_lookup_seconds", "outcome"),
                    "{{outcome}}",
                ),
            ),
            description="hit and miss",
            colour_by="outcome",
            columns=6,
            empty="No lookup was recorded in this range.",
        ),
        Panel(
            "connections",
            "Active connections",
            "count",
            "line",
            (Query("sum by (server_id) (mcp_server_connections_active)", "{{server_id}}"),),
            description="by server",
            colour_by="server_id",
            columns=12,
            empty="No server has sent the gauge mcp_server_connections_active.",
        ),
    ),
)

COST = Board(
    "cost",
    "LLM usage: cost",
    (
        Panel(
            "by-model",
            "Cost by model",
            "USD/h",
            "bars",
            (Query("3600 * sum by (model) (rate(llm_provider_cost_usd_total[$__rate_interval]))", "{{model}}"),),
            description="estimated from the prices",
            ranking=most("llm_provider_cost_usd_total", "model"),
            colour_by="model",
            columns=12,
            empty="No priced call in this range.",
        ),
    ),
)

BOARDS: Mapping[str, Board] = {board.id: board for board in (OVERVIEW, COVERAGE, PROVIDERS, TOOLS, COST)}


def expand(expr: str, window: str, whole: str) -> str:
    """The expression with its placeholders filled in."""
    return expr.replace("$__rate_interval", window).replace("$__range", whole)
