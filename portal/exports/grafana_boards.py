"""What the Grafana dashboards show: the panels that the requirement documents draw, and panels of the portal's own
pages.

The documents' queries stand here word for word, with the windows that they ask for; the pages' panels come from
`usage.boards.declarations`, and their windows follow the dashboard's range.
"""

from __future__ import annotations

from dataclasses import dataclass

from usage.boards.declarations import COST, COVERAGE_TARGET, OVERVIEW, TOOLS, Panel, Query


@dataclass(frozen=True)
class PanelRow:
    """A row of a dashboard: `stats` are drawn as figures with a trend, `panels` as the charts that they are."""

    title: str
    panels: tuple[Panel, ...]
    stats: tuple[Panel, ...] = ()


@dataclass(frozen=True)
class GrafanaBoard:
    """A dashboard; `uid` is also the name of its file."""

    uid: str
    title: str
    description: str
    rows: tuple[PanelRow, ...]


PAIR = "{{provider}} {{model}}"

COVERAGE_15M = Query(
    "100 * (1 - (sum by (component, provider, model) (increase(compozy_llm_usage_failures_total[15m]))"
    " / clamp_min(sum by (component, provider, model) (increase(compozy_llm_usage_events_total[15m])), 1)))",
    "{{component}} {{provider}} {{model}}",
)

_COVERAGE = Panel(
    "coverage",
    "Coverage (15m)",
    "percent",
    "line",
    (COVERAGE_15M,),
    description="Share of the calls that should have token counts and do, by component, provider and model.",
    threshold=COVERAGE_TARGET,
    columns=9,
    share=True,
)
_COVERAGE_LOWEST = Panel(
    "coverage-lowest",
    "Lowest coverage (15m)",
    "percent",
    "line",
    (Query(f"min({COVERAGE_15M.expr})", "lowest"),),
    description="Of the component, provider and model that does worst.",
    threshold=COVERAGE_TARGET,
    columns=3,
    share=True,
)
_FAILURES = Panel(
    "failures",
    "Failure Rate (5m)",
    "percent",
    "line",
    (
        Query(
            "100 * sum by (provider, model) (rate(compozy_llm_usage_failures_total[5m]))"
            " / sum by (provider, model) (rate(compozy_llm_usage_events_total[5m]))",
            PAIR,
        ),
    ),
    description="Share of usage events that recorded no usage.",
    threshold=1,
)


def _quantile(share: float, by: str, family: str) -> str:
    return f"histogram_quantile({share}, sum by ({by}) (rate({family}_bucket[5m])))"


_LATENCY = Panel(
    "latency",
    "Latency (p95/p99)",
    "milliseconds",
    "line",
    tuple(
        Query(_quantile(share, "le", "compozy_llm_usage_latency_seconds") + " * 1000", f"p{share * 100:.0f}")
        for share in (0.95, 0.99)
    ),
    description="From the receipt of a record to its durable commit.",
)
_LATENCY_HEAT = Panel(
    "latency-heat",
    "Latency histogram",
    "seconds",
    "heat",
    (Query("sum by (le) (increase(compozy_llm_usage_latency_seconds_bucket[$__rate_interval]))", "{{le}}"),),
    description="From the receipt of a record to its durable commit.",
    columns=12,
)

_PERSISTENCE = (
    Panel(
        "persist-latency",
        "Persistence p99",
        "seconds",
        "line",
        (Query(_quantile(0.99, "le", "llm_usage_persist_seconds"), "p99"),),
        description="Time to make a batch of records durable.",
        columns=4,
    ),
    Panel(
        "persist-errors",
        "Persistence errors",
        "count",
        "bars",
        (Query("sum by (error_type) (rate(llm_usage_persist_errors_total[5m]))", "{{error_type}}"),),
        description="Failures to make records durable, and records refused, per second.",
        columns=4,
    ),
    Panel(
        "persist-queue",
        "Records not yet in Postgres",
        "count",
        "line",
        (Query("llm_usage_persist_queue_size", "in the spool"),),
        columns=4,
    ),
)

MONITORING = GrafanaBoard(
    "compozy-monitoring",
    "Compozy monitoring",
    "Whether usage is recorded, how fast, and what the calls do.",
    (
        PanelRow("LLM Usage Monitoring", (_COVERAGE, _FAILURES, _LATENCY, _LATENCY_HEAT), (_COVERAGE_LOWEST,)),
        PanelRow("Usage persistence", _PERSISTENCE),
        PanelRow("Calls", OVERVIEW.panels[1:]),
    ),
)

PROVIDERS = GrafanaBoard(
    "llm-providers",
    "LLM providers",
    "Which provider or model is slow, failing or expensive.",
    (
        PanelRow(
            "Provider calls",
            (
                Panel(
                    "latency",
                    "Provider request latency (p95) by model",
                    "seconds",
                    "line",
                    (Query(_quantile(0.95, "le, provider, model", "llm_provider_request_seconds"), PAIR),),
                    columns=10,
                ),
                Panel(
                    "tokens",
                    "Token usage rate",
                    "tokens/s",
                    "area",
                    (
                        Query(
                            "sum by (provider, model, type) (rate(llm_provider_tokens_total[5m]))",
                            f"{PAIR} {{{{type}}}}",
                        ),
                    ),
                ),
                Panel(
                    "cost",
                    "Estimated cost per minute",
                    "USD/h",
                    "line",
                    (Query("sum by (provider, model) (rate(llm_provider_cost_usd_total[1m])) * 60", PAIR),),
                    description="USD per minute, from the prices that the portal knows.",
                ),
                Panel(
                    "errors",
                    "Error rate by type",
                    "count",
                    "bars",
                    (Query("sum by (error_type) (rate(llm_provider_errors_total[5m]))", "{{error_type}}"),),
                    description="Per second.",
                ),
                Panel(
                    "rate-limits",
                    "Rate limit events",
                    "count",
                    "bars",
                    (
                        Query(
                            'sum by (provider) (rate(llm_provider_errors_total{error_type="rate_limit"}[5m]))',
                            "{{provider}}",
                        ),
                    ),
                    description="Per second.",
                ),
                Panel(
                    "delays",
                    "Waiting for rate limits (p95)",
                    "seconds",
                    "line",
                    (Query(_quantile(0.95, "le, provider", "llm_provider_rate_limit_delays_seconds"), "{{provider}}"),),
                    columns=12,
                ),
            ),
            (
                Panel(
                    "cost-hour",
                    "Estimated cost per hour",
                    "USD/h",
                    "line",
                    (Query("sum(rate(llm_provider_cost_usd_total[5m])) * 3600", "USD per hour"),),
                    columns=2,
                ),
            ),
        ),
        PanelRow("Cost", COST.panels),
    ),
)

MCP_TOOLS = GrafanaBoard(
    "mcp-tools",
    "MCP tools",
    "Which MCP tool or server is slow or failing.",
    (
        PanelRow(
            "Tools",
            (
                Panel(
                    "registry",
                    "Registry lookup (p99)",
                    "seconds",
                    "line",
                    (Query(_quantile(0.99, "le, outcome", "mcp_tool_registry_lookup_seconds"), "{{outcome}}"),),
                    columns=8,
                ),
                *(panel for panel in TOOLS.panels if panel.chart == "matrix"),
                Panel(
                    "latency",
                    "Tool execution latency (p95) by server and tool",
                    "seconds",
                    "line",
                    (
                        Query(
                            _quantile(0.95, "le, server_id, tool_name", "mcp_tool_execute_seconds"),
                            "{{server_id}} {{tool_name}}",
                        ),
                    ),
                    columns=12,
                ),
                Panel(
                    "errors",
                    "Error rate by tool and kind",
                    "count",
                    "area",
                    (
                        Query(
                            "sum by (tool_name, error_kind) (rate(mcp_tool_errors_total[5m]))",
                            "{{tool_name}} {{error_kind}}",
                        ),
                    ),
                    description="Per second.",
                    columns=12,
                ),
            ),
            (
                Panel(
                    "connections",
                    "Active connections",
                    "count",
                    "line",
                    (Query("sum by (server_id) (mcp_server_connections_active)", "{{server_id}}"),),
                    columns=4,
                ),
            ),
        ),
    ),
)

GRAFANA_BOARDS = (MONITORING, PROVIDERS, MCP_TOOLS)
