"""The rules that ship with the portal: every alert that the requirement documents name, and what watches the portal
itself, with their runbooks. docs/alerting.md gives the reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alerts.rules.simple import SimpleRule, to_promql

RUNBOOKS = Path(__file__).parent.parent / "runbooks"


@dataclass(frozen=True, kw_only=True)
class DefaultRule:
    """A rule as shipped. Times are seconds; `runbook` is the stem of a file in alerts/runbooks/."""

    name: str
    title: str
    expr: str
    threshold: float
    runbook: str
    unit: str = ""
    threshold_unit: str = ""
    severity: str = "warning"
    for_seconds: int = 0
    annotations: dict[str, str] = field(default_factory=dict)
    channel_kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class DefaultGroup:
    """A group as shipped."""

    name: str
    interval_seconds: int
    rules: tuple[DefaultRule, ...]


FAILURES = """\
100 * sum by (component, provider, model) (increase(compozy_llm_usage_failures_total[15m]))
  / sum by (component, provider, model) (increase(compozy_llm_usage_events_total[15m])) > $threshold"""


def _tokens(window: str) -> str:
    """Prompt and completion tokens of a model together; `or 0` stands for those of a model that gives none
    (embeddings)."""
    prompt = f"sum by (component, provider, model) (increase(compozy_llm_prompt_tokens_total{window}))"
    completion = f"sum by (component, provider, model) (increase(compozy_llm_completion_tokens_total{window}))"
    return f"({prompt} + ({completion} or 0 * {prompt}))"


# The average is that of the day before these 15 minutes, over as many quarters of an hour as the model was known in it;
# with fewer than 4 of them, or without any tokens, there is no average to compare with, and the rule stays silent.
SPIKE = f"""\
{_tokens("[15m]")}
  > $threshold * ({_tokens("[1d] offset 15m")} > 0)
    / (count_over_time(sum by (component, provider, model) (compozy_llm_prompt_tokens_total)[1d:15m] offset 15m) >= 4)"""  # noqa: E501 - the text of an expression that is installed

# A component is silent when it counted nothing for 30 minutes, and known when it did count within a day: one that never
# had traffic is never meant, and one that stopped for good is dropped after a day. Calls that fail have no usage, so a
# provider that is down silences the components that called it within the day: those have the label `provider`.
_EVENTS = "sum by (component) (increase(compozy_llm_usage_events_total[30m]))"
_OUTAGES = """\
sum by (component, provider) (increase(compozy_llm_usage_events_total[1d])) > 0
      and on (provider) (
        sum by (provider) (increase(llm_provider_errors_total[30m])) > 0
          unless
        sum by (provider) (increase(compozy_llm_usage_events_total[30m])) > 0
      )"""
ZERO_TRAFFIC = f"""\
(
  {_EVENTS}
    unless on (component) (
      {_OUTAGES}
    )
    or
  0 * (
      {_OUTAGES}
    ) + on (component) group_left () {_EVENTS}
) <= $threshold
  and on (component)
sum by (component) (increase(compozy_llm_usage_events_total[1d])) > 0"""

LLM_USAGE = DefaultGroup(
    "llm_usage",
    60,
    (
        DefaultRule(
            name="LLMUsageIngestionFailuresCritical",
            title="Usage is not recorded",
            expr=FAILURES,
            threshold=1,
            unit="%",
            severity="critical",
            for_seconds=900,
            runbook="usage-not-recorded",
            annotations={
                "summary": "Usage not recorded for {{ $labels.model }}: {{ $value | humanize }} % of calls",
                "description": "Calls to {{ $labels.provider }}/{{ $labels.model }} by {{ $labels.component }} "
                "succeed, but {{ $value | humanize }} % of them arrived without token counts in the last 15 "
                "minutes. Their cost is missing.",
            },
        ),
        DefaultRule(
            name="LLMUsageTokenSpikeWarning",
            title="Token volume is far above its daily average",
            expr=SPIKE,
            threshold=3,
            unit="tokens in 15 min",
            threshold_unit="times the 24 h average per 15 min",
            for_seconds=300,
            runbook="token-spike",
            annotations={
                "summary": "Token spike on {{ $labels.model }}: {{ $value | humanize }} tokens in 15 minutes",
                "description": "{{ $labels.component }} used {{ $value | humanize }} prompt and completion tokens of "
                "{{ $labels.provider }}/{{ $labels.model }} in 15 minutes, far above the average of the last 24 hours.",
            },
        ),
        DefaultRule(
            name="LLMUsageZeroTrafficWarning",
            title="A component stopped reporting usage",
            expr=ZERO_TRAFFIC,
            threshold=0,
            unit="events in 30 min",
            runbook="zero-traffic",
            annotations={
                "summary": "{{ if $labels.provider }}Every call of {{ $labels.component }} fails: "
                "{{ $labels.provider }} is out, no call succeeded for 30 minutes"
                "{{ else }}No usage events from component {{ $labels.component }} for 30 minutes{{ end }}",
                "description": "{{ if $labels.provider }}{{ $labels.provider }} answered every call of the last 30 "
                "minutes with an error, so there was no usage to record for {{ $labels.component }}, which used it "
                "within the last day. Its traffic is there.{{ else }}{{ $labels.component }} reported usage within "
                "the last day, and nothing in the last 30 minutes.{{ end }} This resolves when calls succeed "
                "again, and by itself after a day of silence.",
            },
        ),
    ),
)

LLM_PROVIDERS = DefaultGroup(
    "llm_providers",
    30,
    (
        DefaultRule(
            name="HighProviderErrorRate",
            title="A provider answers with errors",
            expr="sum by (provider, error_type) (rate(llm_provider_errors_total[5m])) > $threshold",
            threshold=0.1,
            unit="errors/s",
            for_seconds=120,
            runbook="provider-errors",
            annotations={
                "summary": "Provider {{ $labels.provider }} error rate: {{ $value | humanize }}/sec",
                "description": (
                    "{{ $labels.provider }} answers with {{ $labels.error_type }} at "
                    '{{ printf "%.2f" $value }} errors/s over 5 minutes.'
                ),
            },
        ),
        DefaultRule(
            name="ExcessiveTokenUsage",
            title="Tokens are used very fast",
            expr="sum by (provider, model, type) (rate(llm_provider_tokens_total[5m])) > $threshold",
            threshold=50000,
            unit="tokens/s",
            for_seconds=300,
            runbook="excessive-tokens",
            annotations={
                "summary": "Token consumption spike: {{ $value | humanize }} tokens/sec",
                "description": (
                    "{{ $labels.provider }}/{{ $labels.model }} uses {{ $value | humanize }} "
                    "{{ $labels.type }} tokens/s over 5 minutes."
                ),
            },
        ),
        DefaultRule(
            name="HighProviderCost",
            title="A model costs too much per hour",
            expr="sum by (provider, model) (rate(llm_provider_cost_usd_total[1m])) * 3600 > $threshold",
            threshold=100,
            unit="USD/h",
            for_seconds=300,
            runbook="provider-cost",
            annotations={
                "summary": "Estimated cost exceeds $100/hour",
                "description": (
                    '{{ $labels.provider }}/{{ $labels.model }} costs {{ printf "%.2f" $value }} '
                    "USD/h at its present rate."
                ),
            },
        ),
    ),
)

MCP_TOOLS = DefaultGroup(
    "mcp_tools",
    30,
    (
        DefaultRule(
            name="HighMCPToolErrorRate",
            title="An MCP tool fails",
            expr="sum by (server_id, tool_name) (rate(mcp_tool_errors_total[5m])) > $threshold",
            threshold=0.05,
            unit="errors/s",
            for_seconds=120,
            runbook="mcp-tool-errors",
            annotations={
                "summary": "MCP tool {{ $labels.tool_name }} error rate high",
                "description": (
                    "{{ $labels.tool_name }} on {{ $labels.server_id }} fails "
                    '{{ printf "%.2f" $value }} times/s over 5 minutes.'
                ),
            },
        ),
        DefaultRule(
            name="SlowToolExecution",
            title="An MCP tool is slow",
            expr="histogram_quantile(0.95, sum by (le, server_id, tool_name)"
            " (rate(mcp_tool_execute_seconds_bucket[5m]))) > $threshold",
            threshold=10,
            unit="s",
            for_seconds=300,
            runbook="slow-mcp-tool",
            annotations={
                "summary": "Tool execution p95 > 10s",
                "description": (
                    "p95 of {{ $labels.tool_name }} on {{ $labels.server_id }} is "
                    "{{ $value | humanizeDuration }} over 5 minutes."
                ),
            },
        ),
    ),
)

AGENT_ERRORS = SimpleRule(
    name="High Error Rate",
    metric="agent_execution_total{status='failed'}",
    condition="rate(5m) > 0.1",
    severity="warning",
    notification=("email", "slack"),
)
BUDGET = SimpleRule(
    name="Budget Threshold",
    metric="team_spend_usd",
    condition="> budget_limit * 0.9",
    severity="warning",
    notification=("email",),
)


def _documented(simple: SimpleRule, **own: Any) -> DefaultRule:
    """A rule that the requirements state in the simple format, with what is the portal's `own` of it."""
    stated = to_promql(simple)
    return DefaultRule(
        name=simple.name,
        expr=stated.expr,
        threshold=stated.threshold,
        severity=simple.severity,
        channel_kinds=simple.notification,
        **own,
    )


AGENTS_AND_BUDGETS = DefaultGroup(
    "agents_and_budgets",
    60,
    (
        _documented(
            AGENT_ERRORS,
            title="Executions of an agent fail",
            unit="failures/s",
            runbook="agent-errors",
            annotations={
                "summary": 'Agent {{ $labels.agent_id }} fails {{ printf "%.2f" $value }} times/s',
                "description": "Executions of {{ $labels.agent_id }} in workspace {{ $labels.workspace }} fail"
                ' {{ printf "%.2f" $value }} times/s over 5 minutes.',
            },
        ),
        _documented(
            BUDGET,
            title="A team has nearly spent its budget",
            unit="USD",
            threshold_unit="of the budget",
            runbook="budget",
            annotations={
                "summary": 'Team {{ $labels.team }} has spent {{ printf "%.2f" $value }} USD of its budget',
                "description": (
                    "The spend of {{ $labels.team }} in this budget period is "
                    '{{ printf "%.2f" $value }} USD, past the alerting share of its limit.'
                ),
            },
        ),
    ),
)

# Of the portal itself. `for` leaves a portal that comes back from a downtime the time to catch up.
PORTAL = DefaultGroup(
    "portal",
    30,
    (
        DefaultRule(
            name="RuleGroupNotEvaluated",
            title="Rules are not evaluated",
            expr="time() - portal_rule_group_last_evaluation_timestamp_seconds > $threshold *"
            " portal_rule_group_interval_seconds",
            threshold=3,
            unit="s",
            threshold_unit="times the group's interval",
            severity="critical",
            for_seconds=60,
            runbook="rules-not-evaluated",
            annotations={
                "summary": (
                    "Rules of group {{ $labels.rule_group }} have not been evaluated for "
                    "{{ $value | humanizeDuration }}"
                ),
                "description": (
                    "None of the rules of group {{ $labels.rule_group }} can tell anybody anything "
                    "until the group is evaluated again."
                ),
            },
        ),
        DefaultRule(
            name="CanaryLate",
            title="The portal's canary is late",
            expr="portal_canary_delay_seconds > $threshold",
            threshold=180,
            unit="s",
            severity="critical",
            for_seconds=60,
            runbook="canary-late",
            annotations={
                "summary": "The way from a record to a message takes {{ $value | humanizeDuration }}",
                "description": (
                    "The record that the portal sends itself took this long to its message, or has not arrived "
                    "yet. Alerts that matter take the same way."
                ),
            },
        ),
    ),
)


# What the requirement documents name, in their order, and what watches the portal itself.
REQUIRED = (LLM_USAGE, LLM_PROVIDERS, MCP_TOOLS, AGENTS_AND_BUDGETS)
GROUPS = (*REQUIRED, PORTAL)


def ensure_defaults(model: Callable[[str, str], Any]) -> None:
    """Add the groups, rules and runbooks that are missing; what is there is left as it is. `model` is an app registry's
    get_model."""
    for group in GROUPS:
        row, _ = model("alerts", "RuleGroup").objects.get_or_create(
            name=group.name, defaults={"interval_seconds": group.interval_seconds}
        )
        for position, rule in enumerate(group.rules):
            model("alerts", "Rule").objects.get_or_create(
                name=rule.name,
                defaults={
                    "group": row,
                    "position": position,
                    "runbook": _ensure_runbook(model, rule.runbook),
                    "title": rule.title,
                    "expr": rule.expr,
                    "threshold": rule.threshold,
                    "unit": rule.unit,
                    "threshold_unit": rule.threshold_unit,
                    "severity": rule.severity,
                    "for_seconds": rule.for_seconds,
                    "annotations": rule.annotations,
                    "channel_kinds": list(rule.channel_kinds),
                },
            )


def _ensure_runbook(model: Callable[[str, str], Any], slug: str) -> Any:
    """The runbook of that slug; when missing, made of its file, whose first line is `# title`."""
    heading, text = (RUNBOOKS / f"{slug}.md").read_text().split("\n", 1)
    runbook, made = model("alerts", "Runbook").objects.get_or_create(
        slug=slug, defaults={"title": heading.removeprefix("# ").strip()}
    )
    if made:
        model("alerts", "RunbookVersion").objects.create(
            runbook=runbook, number=1, text=text.lstrip(), author_name="portal"
        )
    return runbook
