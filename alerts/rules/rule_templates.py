"""Rules to start from: queries with blanks that a form fills in, so that nobody needs PromQL for the
usual ones; and which of them a query is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WINDOWS = {"5m": "5 minutes", "15m": "15 minutes", "30m": "30 minutes", "1h": "an hour", "6h": "6 hours", "1d": "a day"}
BLANK = re.compile(r"\{(\w+)\}")
MEASURED = re.compile(r" ([<>]=?) \$threshold(?! \*)")
NUMBER = r"\d+(?:\.\d+)?"


@dataclass(frozen=True)
class Blank:
    """A place of a template that is filled in. `choices` (value: label) of a window or of labels; without
    choices a number from `low` to `high`."""

    name: str
    label: str
    default: str
    choices: Mapping[str, str] = field(default_factory=dict)
    many: bool = False
    low: float = 0
    high: float = 1e9
    help: str = ""

    @property
    def pattern(self) -> str:
        """What may stand there, as a regular expression."""
        if not self.choices:
            return NUMBER
        one = "|".join(map(re.escape, self.choices))
        return rf"(?:{one})(?:, (?:{one}))*" if self.many else rf"(?:{one})"

    def takes(self, value: str) -> bool:
        """Whether the value may stand there."""
        return re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True, kw_only=True)
class RuleTemplate:
    """A rule with blanks: `{window}` in the query and the texts. `name` is what the
    alert is called unless one says otherwise."""

    slug: str
    title: str
    about: str
    name: str
    expr: str
    blanks: tuple[Blank, ...]
    threshold: float
    unit: str = ""
    threshold_unit: str = ""
    for_seconds: int = 300
    severity: str = "warning"
    summary: str = ""

    def defaults(self) -> dict[str, str]:
        """What the blanks hold at first."""
        return {one.name: one.default for one in self.blanks}

    def fill(self, values: Mapping[str, str]) -> str:
        """The query with its blanks filled in."""
        return _filled(self.expr, values)

    def initial(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The fields of a rule that is made from it."""
        return {
            "name": self.name,
            "title": self.title,
            "expr": self.fill(values),
            "threshold": f"{self.threshold:g}",
            "unit": self.unit,
            "threshold_unit": self.threshold_unit,
            "for_seconds": self.for_seconds,
            "severity": self.severity,
            "summary": self.summary,
        }

    def recognise(self, expr: str) -> dict[str, str] | None:
        """What the blanks hold where the query is this template, however it is spaced; None where it is another."""
        found = re.fullmatch(self._pattern(self.expr), _spaced(expr))
        return found.groupdict() if found else None

    def recognise_measured(self, expr: str) -> dict[str, str] | None:
        """The same where the query is only what this template compares with its threshold."""
        measured, compared, _ = MEASURED.split(self.expr, maxsplit=1) if MEASURED.search(self.expr) else ("", "", "")
        found = re.fullmatch(self._pattern(measured), _spaced(expr)) if compared else None
        return found.groupdict() if found else None

    def _pattern(self, expr: str) -> str:
        patterns = {one.name: one.pattern for one in self.blanks}
        seen: set[str] = set()
        parts = []
        for place, part in enumerate(BLANK.split(_spaced(expr))):
            if place % 2 == 0:
                parts.append(re.escape(part))
            elif part in seen:
                parts.append(f"(?P={part})")
            else:
                seen.add(part)
                parts.append(f"(?P<{part}>{patterns[part]})")
        return "".join(parts)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return BLANK.sub(lambda blank: values[blank[1]], text)


def _spaced(text: str) -> str:
    return " ".join(text.split())


def recognise(expr: str) -> tuple[RuleTemplate, dict[str, str]] | None:
    """The template that a query is, and what its blanks hold."""
    for one in TEMPLATES.values():
        values = one.recognise(expr)
        if values is not None:
            return one, values
    return None


def recognise_measured(expr: str) -> tuple[RuleTemplate, dict[str, str]] | None:
    """The template that compares the query with its threshold, and what its blanks hold."""
    for one in TEMPLATES.values():
        values = one.recognise_measured(expr)
        if values is not None:
            return one, values
    return None


def _window(default: str, label: str = "Over") -> Blank:
    return Blank("window", label, default, WINDOWS)


def _per(default: str, *labels: str) -> Blank:
    return Blank("by", "Per", default, {one: one.replace("_", " ") for one in labels}, many=True)


CALL = ("component", "provider", "model")
SLO = Blank("target", "Target, % of calls", "99.5", low=50, high=99.999, help="The share of calls that has to succeed.")


def _share_failing(window: str) -> str:
    calls = f"sum by ({{by}}) (increase(llm_provider_request_seconds_count[{window}]))"
    return f'sum by ({{by}}) (increase(llm_provider_request_seconds_count{{outcome!="success"}}[{window}])) / {calls}'


CALLS = Blank("calls", "Needs at least so many calls", "20", low=0, help="Fewer say little: the rule stays silent.")


def _enough(metric: str) -> str:
    return f" and sum by ({{by}}) (increase({metric}[{{window}}])) >= {{calls}}"


def _weeks(weeks: tuple[int, ...]) -> str:
    """Calls at the same hours of some weeks ago, each week a series of its own."""
    return " or ".join(
        "label_replace(sum by ({by})"
        f' (rate(llm_provider_request_seconds_count[{{window}}] offset {week}w)), "week", "{week}", "", "")'
        for week in weeks
    )


_CALLS = "sum by ({by}) (rate(llm_provider_request_seconds_count[{window}]))"
_USUAL = f"quantile by ({{by}}) (0.5, {_weeks((1, 2, 3, 4))})"
# The median of the weeks' distances from their median, and a tenth of it: weeks that were all alike leave no room.
_SPREAD = (
    f"quantile by ({{by}}) (0.5, abs(({_weeks((1, 2, 3, 4))}) - on ({{by}}) group_left () {_USUAL})) + {_USUAL} / 10"
)
# BLANK takes names in braces only, so that the matchers of a selector stay as they are.
_ALL = (
    RuleTemplate(
        slug="coverage",
        title="Coverage is low",
        about="Calls succeed, but their token counts are missing, and with them the cost.",
        name="CoverageLow",
        expr="100 * (1 - sum by ({by}) (increase(compozy_llm_usage_failures_total[{window}]))"
        " / sum by ({by}) (increase(compozy_llm_usage_events_total[{window}]))) < $threshold"
        + _enough("compozy_llm_usage_events_total"),
        blanks=(_window("30m"), _per("provider, model", *CALL), CALLS),
        threshold=95,
        unit="%",
        for_seconds=900,
        severity="critical",
        summary="Coverage of {{ $labels.model }} is {{ $value | humanize }} %",
    ),
    RuleTemplate(
        slug="failure-ratio",
        title="Too many calls fail",
        about="The share of calls to providers that end in an error, a timeout or a rate limit.",
        name="CallsFail",
        expr=f"100 * {_share_failing('{window}')} > $threshold" + _enough("llm_provider_request_seconds_count"),
        blanks=(_window("15m"), _per("provider, model", "provider", "model"), CALLS),
        threshold=5,
        unit="%",
        summary="{{ $value | humanize }} % of the calls to {{ $labels.provider }} {{ $labels.model }} fail",
    ),
    RuleTemplate(
        slug="latency",
        title="Calls are slow",
        about="A quantile of the time that calls to providers take: with 0.95, one call in twenty is slower.",
        name="CallsSlow",
        expr="histogram_quantile({quantile},"
        " sum by (le, {by}) (rate(llm_provider_request_seconds_bucket[{window}]))) > $threshold"
        + _enough("llm_provider_request_seconds_count"),
        blanks=(
            Blank("quantile", "Quantile", "0.95", low=0.01, high=0.999),
            _window("5m"),
            _per("provider, model", "provider", "model", "outcome"),
            CALLS,
        ),
        threshold=10,
        unit="s",
        for_seconds=600,
        summary="Calls of {{ $labels.model }} take {{ $value | humanizeDuration }}",
    ),
    RuleTemplate(
        slug="spike",
        title="Tokens are far above their average",
        about="The tokens of the last while, against the average of the day before.",
        name="TokenSpike",
        expr="sum by ({by}) (rate(llm_provider_tokens_total[{window}]))"
        " > $threshold * sum by ({by}) (rate(llm_provider_tokens_total[1d] offset {window}))",
        blanks=(_window("15m"), _per("provider, model", "provider", "model", "type")),
        threshold=3,
        unit="tokens/s",
        threshold_unit="times the average",
        summary="{{ $labels.model }} uses far more tokens than usual: {{ $value | humanize }}/s",
    ),
    RuleTemplate(
        slug="baseline",
        title="Calls are far from the same hours of the last weeks",
        about=(
            "Calls now, against the median of the same time one, two and three weeks ago: one bad week among "
            "them does not count."
        ),
        name="TrafficUnusual",
        expr=f"{_CALLS} < $threshold * quantile by ({{by}}) (0.5, {_weeks((1, 2, 3))})",
        blanks=(_window("1h"), _per("provider", "provider", "model", "outcome")),
        threshold=0.5,
        unit="calls/s",
        threshold_unit="of what is usual",
        for_seconds=900,
        summary=(
            "{{ $labels.provider }} gets {{ $value | humanize }} calls/s, far fewer than in these hours of "
            "the last weeks"
        ),
    ),
    RuleTemplate(
        slug="baseline-band",
        title="Calls leave the band of the same hours of the last weeks",
        about=(
            "Calls now, more or fewer than the median of the same time in the last four weeks by several times their "
            "usual spread (the median distance of these weeks from their median). The chart shows the band; one bad "
            "week, an outage say, neither moves nor widens it much."
        ),
        name="TrafficOutOfBand",
        expr=f"abs({_CALLS} - {_USUAL}) > $threshold * ({_SPREAD})",
        blanks=(_window("1h"), _per("provider", "provider", "model", "outcome")),
        threshold=4,
        unit="calls/s",
        threshold_unit="times the usual spread",
        for_seconds=900,
        summary=(
            "Calls to {{ $labels.provider }} are {{ $value | humanize }}/s away from what is usual in these hours of "
            "the week"
        ),
    ),
    RuleTemplate(
        slug="zero-traffic",
        title="Nothing is recorded any more",
        about="What reported usage within a day, and no longer does.",
        name="TrafficStopped",
        expr="sum by ({by}) (increase(compozy_llm_usage_events_total[{window}])) <= $threshold"
        " and on ({by}) sum by ({by}) (increase(compozy_llm_usage_events_total[1d])) > 0",
        blanks=(_window("30m"), _per("component", *CALL)),
        threshold=0,
        unit="events",
        for_seconds=0,
        summary="No usage of {{ $labels.component }} {{ $labels.model }} is recorded any more",
    ),
    RuleTemplate(
        slug="cost",
        title="Cost per hour is high",
        about="What calls cost, as an hourly rate.",
        name="CostHigh",
        expr="3600 * sum by ({by}) (rate(llm_provider_cost_usd_total[{window}])) > $threshold",
        blanks=(_window("15m"), _per("provider, model", "provider", "model")),
        threshold=100,
        unit="USD/h",
        summary="{{ $labels.model }} costs {{ $value | humanize }} USD an hour",
    ),
    RuleTemplate(
        slug="burn-rate",
        title="The error budget burns fast",
        about=(
            "Calls fail so often that the budget of the target is spent too soon: over an hour, and still in "
            "the last 5 minutes. 14.4 spends 2 % of a month's budget in an hour."
        ),
        name="BudgetBurns",
        expr=f"({_share_failing('1h')}) * 100 / (100 - {{target}}) > $threshold"
        f" and ({_share_failing('5m')}) * 100 / (100 - {{target}}) > $threshold",
        blanks=(SLO, _per("provider", "provider", "model")),
        threshold=14.4,
        threshold_unit="times the budget's pace",
        for_seconds=120,
        severity="critical",
        summary=(
            "{{ $labels.provider }} {{ $labels.model }} burns its error budget at {{ $value | humanize }} "
            "times the pace"
        ),
    ),
    RuleTemplate(
        slug="slo",
        title="The error budget is nearly spent",
        about="How much of the month's budget for failing calls is spent.",
        name="BudgetSpent",
        expr=f"100 * ({_share_failing('30d')}) * 100 / (100 - {{target}}) > $threshold",
        blanks=(SLO, _per("provider", "provider", "model")),
        threshold=90,
        unit="%",
        for_seconds=600,
        summary=(
            "{{ $labels.provider }} {{ $labels.model }} has spent {{ $value | humanize }} % of its error "
            "budget of 30 days"
        ),
    ),
    RuleTemplate(
        slug="error-type",
        title="One kind of error is frequent",
        about="Errors of calls to providers, by their kind: an expired key and an overload have different cures.",
        name="ErrorsOfAKind",
        expr="sum by ({by}) (rate(llm_provider_errors_total[{window}])) > $threshold",
        blanks=(_window("5m"), _per("provider, error_type", "provider", "model", "error_type")),
        threshold=0.1,
        unit="errors/s",
        summary="{{ $labels.provider }} answers with {{ $labels.error_type }}: {{ $value | humanize }}/s",
    ),
    RuleTemplate(
        slug="tool-errors",
        title="A tool fails",
        about="Errors of tools on MCP servers.",
        name="ToolFails",
        expr="sum by ({by}) (rate(mcp_tool_errors_total[{window}])) > $threshold",
        blanks=(_window("5m"), _per("server_id, tool_name", "server_id", "tool_name", "error_kind")),
        threshold=0.05,
        unit="errors/s",
        summary="{{ $labels.tool_name }} on {{ $labels.server_id }} fails {{ $value | humanize }} times/s",
    ),
)
TEMPLATES = {one.slug: one for one in _ALL}
