"""Selectors that match nothing, and what is said of them."""

import datetime as dt
from collections.abc import Sequence

import pytest

import promql
from alerts.models import RuleGroup
from alerts.rules import edits
from alerts.rules.selectors import unmatched
from alerts.tasks import match_selectors
from promql import Matcher
from tests.alerts.recording.test_recording import Everything, recording
from tests.alerts.scripted_rules import gauge, make_rule, run

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 3, 2, 10, 0, tzinfo=dt.UTC)


class Listed(promql.MemorySource):
    """Series in memory that can be listed."""

    def series(self, matchers: Sequence[Matcher], end_ms: int | None = None) -> list[dict[str, str]]:
        hints = promql.Hints()
        return [labels for block in self.select(matchers, 0, 2**53, hints) for labels in block.labels]


def listed() -> Listed:
    source = Listed()
    source.add({"__name__": "llm_provider_errors_total", "provider": "openai"}, [1], [1])
    return source


@pytest.mark.parametrize(
    ("expr", "found"),
    [
        ("rate(llm_provider_errors_total[5m]) > 1", []),
        (
            'rate(llm_provider_errors_total{provider="opanai"}[5m]) > 1',
            [{"selector": 'llm_provider_errors_total{provider="opanai"}', "kind": "labels"}],
        ),
        (
            "llm_provder_errors_total > 1",
            [{"selector": "llm_provder_errors_total", "kind": "unknown", "like": "llm_provider_errors_total"}],
        ),
        ("something_else", [{"selector": "something_else", "kind": "unknown"}]),
        ("llm_provider_tokens_total > 1", [{"selector": "llm_provider_tokens_total", "kind": "empty"}]),
        ("absent(something_else) or absent_over_time(other[5m])", []),
        ("a + a offset 5m", [{"selector": "a", "kind": "unknown"}]),
        ('{provider="x"}', [{"selector": '{provider="x"}', "kind": "labels"}]),
        ("not PromQL (", []),
    ],
)
def test_each_selector_without_a_series_is_named_with_what_is_known(expr: str, found: list[dict[str, str]]) -> None:
    assert unmatched(expr, None, listed()) == found


def test_saving_a_rule_looks_for_its_selectors() -> None:
    group = RuleGroup.objects.create(name="g")
    rule = edits.create_rule(group, "r", edits.RuleEdit(expr="llm_provder_errors_total > 1"), by=None, now=NOW)
    rule.refresh_from_db()
    assert [one["kind"] for one in rule.unmatched] == ["unknown"]
    assert rule.is_mistaken
    edits.update_rule(rule, edits.RuleEdit(expr="llm_provider_errors_total > 1"), by=None, now=NOW)
    rule.refresh_from_db()
    assert [one["kind"] for one in rule.unmatched] == ["empty"]
    assert not rule.is_mistaken


def test_the_hourly_task_looks_again() -> None:
    rule = make_rule(expr="nothing > 1", threshold=None)
    off = make_rule(expr="nothing > 1", threshold=None, enabled=False)
    match_selectors()
    rule.refresh_from_db()
    off.refresh_from_db()
    assert (rule.unmatched, off.unmatched) == ([{"selector": "nothing", "kind": "unknown"}], [])


def test_what_was_recorded_is_known() -> None:
    run(recording("load:all", "load"), Everything(gauge({"a": [1]})), 0, 0)
    reader = make_rule(name="reader", expr="load:all > 1", threshold=None)
    match_selectors()
    reader.refresh_from_db()
    assert reader.unmatched == []
