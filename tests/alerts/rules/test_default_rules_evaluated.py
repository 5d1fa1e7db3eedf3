"""The default rules over series as applications make them: the notes of the requirement documents, tried out."""

from collections.abc import Callable

import numpy as np
import pytest

import promql
from alerts import gotemplate
from alerts.rules.defaults import GROUPS
from alerts.rules.expression import expand

RULES = {rule.name: rule for group in GROUPS for rule in group.rules}
DAY = 86_400
STEP = 15
GPT = {"component": "agent", "provider": "openai", "model": "gpt-5"}
EMBEDDING = {"component": "agent", "provider": "openai", "model": "text-embedding-3"}
Rate = Callable[[int], float]


def counter(
    source: promql.MemorySource, name: str, labels: dict[str, str], rate: Rate, start: int, end: int
) -> promql.MemorySource:
    """A counter scraped every 15 s, from 0 at `start`, that grows by `rate(second)` per second."""
    times = np.arange(start, end + 1, STEP)
    steps = [0.0, *(rate(int(second)) * STEP for second in times[:-1])]
    source.add({"__name__": name, **labels}, times * 1000, np.cumsum(steps))
    return source


def samples(name: str, source: promql.Source, at: int) -> dict[tuple[str, ...], float]:
    """What the rule's expression gives at that second: values by label values."""
    rule = RULES[name]
    result = promql.instant(expand(rule.expr, rule.threshold), source, at * 1000)
    return {
        tuple(labels[label] for label in sorted(labels)): float(result.values[row, 0])
        for row, labels in enumerate(result.labels)
    }


@pytest.mark.parametrize("name", RULES)
def test_without_any_series_no_rule_fires_and_none_fails(name: str) -> None:
    assert samples(name, promql.MemorySource(), DAY) == {}


def test_the_failure_ratio_is_right_below_one_event_per_second() -> None:
    # An event every 100 s, 1 of 50 fails: 2 %. A clamp_min(…, 1) on a rate would make that 0.02 %.
    source = promql.MemorySource()
    counter(source, "compozy_llm_usage_events_total", {**GPT, "outcome": "success"}, lambda s: 0.0098, 0, DAY)
    counter(source, "compozy_llm_usage_events_total", {**GPT, "outcome": "failure"}, lambda s: 0.0002, 0, DAY)
    counter(source, "compozy_llm_usage_failures_total", GPT, lambda s: 0.0002, 0, DAY)
    found = samples("LLMUsageIngestionFailuresCritical", source, DAY)
    assert found == {("agent", "gpt-5", "openai"): pytest.approx(2)}


def test_no_events_at_all_is_no_failure_ratio() -> None:
    source = promql.MemorySource()
    counter(source, "compozy_llm_usage_events_total", {**GPT, "outcome": "success"}, lambda s: 0, 0, DAY)
    counter(source, "compozy_llm_usage_failures_total", GPT, lambda s: 0, 0, DAY)
    found = samples("LLMUsageIngestionFailuresCritical", source, DAY)
    assert not [value for value in found.values() if value > 1]


def test_one_refused_record_of_an_otherwise_silent_component_never_fires() -> None:
    # All of its calls failed, for as long as the window holds it: a moment less than `for`.
    source = promql.MemorySource()
    refused: Rate = lambda s: 1 / STEP if s == 3600 else 0  # noqa: E731
    for name in ("compozy_llm_usage_events_total", "compozy_llm_usage_failures_total"):
        counter(source, name, GPT, refused, 0, DAY)
    rule = RULES["LLMUsageIngestionFailuresCritical"]
    condition = promql.range(expand(rule.expr, rule.threshold), source, 3_600_000, 7_200_000, 1000)
    held = condition.times[condition.present[0]]
    assert 800_000 < held[-1] - held[0] < rule.for_seconds * 1000


def spike_source(labels: dict[str, str], prompt: Rate, completion: Rate | None, start: int, end: int) -> promql.Source:
    source = counter(promql.MemorySource(), "compozy_llm_prompt_tokens_total", labels, prompt, start, end)
    if completion is not None:
        counter(source, "compozy_llm_completion_tokens_total", labels, completion, start, end)
    return source


def burst(factor: float, at: int) -> Rate:
    """100 tokens/s, and `factor` times as many in the last 15 minutes before `at`."""
    return lambda second: 100 * factor if second >= at - 900 else 100


def test_four_times_the_daily_average_is_a_spike_and_twice_is_not() -> None:
    end = 2 * DAY
    four = spike_source(GPT, burst(4, end), burst(4, end), 0, end)
    assert samples("LLMUsageTokenSpikeWarning", four, end) == {
        ("agent", "gpt-5", "openai"): pytest.approx(720_000, rel=0.02)
    }
    assert samples("LLMUsageTokenSpikeWarning", spike_source(GPT, burst(2, end), burst(2, end), 0, end), end) == {}


def test_prompt_and_completion_tokens_count_together() -> None:
    # Completion tokens alone grow fivefold, all tokens only 1.4-fold.
    end = 2 * DAY
    source = spike_source(GPT, lambda s: 900, burst(5, end), 0, end)
    assert samples("LLMUsageTokenSpikeWarning", source, end) == {}
    source = spike_source(GPT, lambda s: 10, burst(5, end), 0, end)
    assert list(samples("LLMUsageTokenSpikeWarning", source, end)) == [("agent", "gpt-5", "openai")]


def test_a_model_without_completion_tokens_has_spikes_too() -> None:
    end = 2 * DAY
    source = spike_source(EMBEDDING, burst(4, end), None, 0, end)
    assert list(samples("LLMUsageTokenSpikeWarning", source, end)) == [("agent", "text-embedding-3", "openai")]


@pytest.mark.parametrize("age", [300, 900, 1800, 3000, 2 * 3600, 6 * 3600, 20 * 3600])
def test_a_young_model_of_even_load_is_no_spike(age: int) -> None:
    end = 2 * DAY
    source = spike_source(GPT, lambda s: 100, lambda s: 100, end - age, end)
    assert samples("LLMUsageTokenSpikeWarning", source, end) == {}


def test_a_model_of_this_morning_has_an_average_of_this_morning() -> None:
    end = 2 * DAY
    source = spike_source(GPT, burst(5, end), burst(5, end), end - 4 * 3600, end)
    assert list(samples("LLMUsageTokenSpikeWarning", source, end)) == [("agent", "gpt-5", "openai")]


def test_a_model_that_was_idle_for_a_day_has_no_average() -> None:
    end = 3 * DAY
    source = spike_source(GPT, lambda s: 100 if s >= end - 600 else 0, None, 0, end)
    assert samples("LLMUsageTokenSpikeWarning", source, end) == {}


def test_zero_traffic_fires_once_for_what_stopped_and_ends_after_a_day() -> None:
    stop = 6 * 3600
    source = promql.MemorySource()
    events = "compozy_llm_usage_events_total"
    counter(source, events, {**GPT, "component": "workflow"}, lambda s: 0.1 if s < stop else 0, 0, 3 * DAY)
    counter(source, events, {**GPT, "component": "agent"}, lambda s: 0.1, 0, 3 * DAY)
    counter(source, events, {**GPT, "component": "task"}, lambda s: 0, 0, 3 * DAY)
    minutes = (0, 15, 29, 31, 60, 600, 1430, 1445, 2000)
    silent = [minute for minute in minutes if samples("LLMUsageZeroTrafficWarning", source, stop + minute * 60)]
    assert silent == [31, 60, 600, 1430]
    assert list(samples("LLMUsageZeroTrafficWarning", source, stop + 3600)) == [("workflow",)]


def test_zero_traffic_resolves_when_traffic_returns() -> None:
    source = promql.MemorySource()
    rate: Rate = lambda s: 0.1 if s < 3600 or s >= 2 * 3600 else 0  # noqa: E731
    counter(source, "compozy_llm_usage_events_total", {**GPT, "component": "workflow"}, rate, 0, DAY)
    assert samples("LLMUsageZeroTrafficWarning", source, 2 * 3600 - 15) == {("workflow",): 0}
    assert samples("LLMUsageZeroTrafficWarning", source, 2 * 3600 + 30) == {}


def test_a_provider_outage_is_named_and_is_no_missing_traffic() -> None:
    source = promql.MemorySource()
    events, errors = "compozy_llm_usage_events_total", "llm_provider_errors_total"
    until = lambda stop: lambda s: 0.1 if s < stop else 0  # noqa: E731
    since = lambda start: lambda s: 0.5 if s >= start else 0  # noqa: E731
    down, up = {**GPT, "provider": "down"}, {**GPT, "provider": "up"}
    counter(source, events, {**down, "component": "workflow"}, until(3600), 0, DAY)
    counter(source, events, {**down, "component": "task"}, until(3600), 0, DAY)
    counter(source, events, {**up, "component": "task"}, lambda s: 0.1, 0, DAY)
    counter(source, events, {**up, "component": "agent"}, until(3600), 0, DAY)
    for provider in ("down", "up"):
        labels = {"provider": provider, "model": "m", "error_type": "server_error"}
        counter(source, errors, labels, since(3600), 0, DAY)
    # `task` still has another provider; `agent` is silent, though its provider fails some calls and answers others.
    assert samples("LLMUsageZeroTrafficWarning", source, 3 * 3600) == {
        ("agent",): 0,
        ("workflow", "down"): 0,
    }


@pytest.mark.parametrize(
    ("labels", "summary"),
    [
        ({"component": "agent"}, "No usage events from component agent for 30 minutes"),
        (
            {"component": "agent", "provider": "openai"},
            "Every call of agent fails: openai is out, no call succeeded for 30 minutes",
        ),
    ],
)
def test_the_message_of_zero_traffic_says_which_it_is(labels: dict[str, str], summary: str) -> None:
    text = RULES["LLMUsageZeroTrafficWarning"].annotations["summary"]
    assert gotemplate.expand(text, labels, 900.0) == summary


def test_a_budget_warns_at_its_share_of_the_team_s_own_limit() -> None:
    source = promql.MemorySource()
    for team, spend, limit in (("red", 95, 100), ("blue", 80, 100), ("poor", 10, 10)):
        source.add({"__name__": "team_spend_usd", "team": team}, [DAY * 1000], [spend])
        source.add({"__name__": "budget_limit", "team": team}, [DAY * 1000], [limit])
    assert samples("Budget Threshold", source, DAY) == {("poor",): 10, ("red",): 95}


@pytest.mark.parametrize(
    ("name", "metric", "labels", "rate", "value"),
    [
        ("HighProviderErrorRate", "llm_provider_errors_total", {"provider": "p", "error_type": "auth"}, 0.2, 0.2),
        (
            "ExcessiveTokenUsage",
            "llm_provider_tokens_total",
            {"provider": "p", "model": "m", "type": "prompt"},
            6e4,
            6e4,
        ),
        ("HighProviderCost", "llm_provider_cost_usd_total", {"provider": "p", "model": "m"}, 0.05, 180),
        (
            "HighMCPToolErrorRate",
            "mcp_tool_errors_total",
            {"server_id": "s", "tool_name": "t", "error_kind": "x"},
            0.1,
            0.1,
        ),
        ("High Error Rate", "agent_execution_total", {"agent_id": "a", "workspace": "w", "status": "failed"}, 0.5, 0.5),
    ],
)
def test_rates_over_their_threshold_fire_and_just_under_do_not(
    name: str, metric: str, labels: dict[str, str], rate: float, value: float
) -> None:
    over = counter(promql.MemorySource(), metric, labels, lambda s: rate, 0, 3600)
    assert list(samples(name, over, 3600).values()) == [pytest.approx(value)]
    under = rate * RULES[name].threshold / value * 0.99
    assert samples(name, counter(promql.MemorySource(), metric, labels, lambda s: under, 0, 3600), 3600) == {}


def test_a_slow_tool_is_seen_by_its_p95() -> None:
    source = promql.MemorySource()
    for le, share in (("5", 0.5), ("10", 0.9), ("30", 1.0), ("+Inf", 1.0)):
        labels = {"server_id": "s", "tool_name": "t", "outcome": "success", "le": le}
        counter(source, "mcp_tool_execute_seconds_bucket", labels, lambda s, share=share: share, 0, 3600)  # type: ignore[misc]
    assert samples("SlowToolExecution", source, 3600) == {("s", "t"): pytest.approx(20)}
