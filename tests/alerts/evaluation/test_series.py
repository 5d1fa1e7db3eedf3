"""The alerts' own series, as Prometheus would have kept them."""

import datetime as dt

import pytest

import promql
from alerts.evaluation.schedule import milliseconds
from alerts.evaluation.series import PortalSource
from tests.alerts.scripted_rules import gauge, make_rule, minute, run

pytestmark = pytest.mark.django_db
LATER = minute(60).timestamp()


def ask(query: str, at: dt.datetime, workspaces: list[str] | None = None) -> dict[str, float]:
    """Values of an instant query by `host state`."""
    result = promql.instant(query, PortalSource(workspaces, LATER), milliseconds(at))
    return {
        f"{labels.get('host')} {labels.get('alertstate')}": float(row[0])
        for labels, row in zip(result.labels, result.values, strict=True)
    }


def test_an_alert_is_pending_then_firing_then_gone_at_once() -> None:
    run(make_rule(for_seconds=120), gauge({"a": [9, 9, 9, 9, 0, 0]}), 0, 5)
    alert = ask("ALERTS", minute(0) - dt.timedelta(seconds=1))
    assert alert == {}
    assert ask("ALERTS", minute(0)) == {"a pending": 1}
    assert ask("ALERTS", minute(2) - dt.timedelta(milliseconds=1)) == {"a pending": 1}
    assert ask("ALERTS", minute(2)) == {"a firing": 1}
    assert ask("ALERTS", minute(4) - dt.timedelta(milliseconds=1)) == {"a firing": 1}
    assert ask("ALERTS", minute(4)) == {}
    since = minute(0).timestamp()
    assert ask("ALERTS_FOR_STATE", minute(3)) == {"a None": since}
    assert ask("ALERTS_FOR_STATE", minute(4)) == {}


def test_a_sample_every_15_seconds_and_a_second_episode_in_the_same_series() -> None:
    run(make_rule(name="Load", severity="critical"), gauge({"a": [9, 0, 9, 9]}), 0, 3)
    query = 'count_over_time(ALERTS{alertname="Load", severity="critical", alertstate="firing"}[4m])'
    assert ask(query, minute(4)) == {"a firing": 4 + 8}  # left-open: minute 0 is out, minute 4 in
    result = promql.range("ALERTS", PortalSource(None, LATER), milliseconds(minute(0)), milliseconds(minute(3)), 60_000)
    assert result.present.tolist() == [[True, False, True, True]]


def test_an_open_alert_lasts_until_now() -> None:
    run(make_rule(), gauge({"a": [9]}), 0, 0)
    assert ask("ALERTS", minute(60)) == {"a firing": 1}
    assert ask("ALERTS", minute(66)) == {}


def test_a_reader_of_some_workspaces_sees_only_alerts_that_name_them() -> None:
    run(make_rule(name="Ours", labels={"workspace": "production"}), gauge({"a": [9]}), 0, 0)
    run(make_rule(name="Theirs", labels={"workspace": "other"}), gauge({"b": [9]}), 0, 0)
    run(make_rule(name="Everybody's"), gauge({"c": [9]}), 0, 0)
    everything = '{__name__=~"ALERTS.*"}'
    assert len(ask(everything, minute(0))) == 6
    assert sorted(ask(everything, minute(0), ["production"])) == ["a None", "a firing"]
    assert ask(everything, minute(0), []) == {}
    matchers = [promql.Matcher("__name__", "=~", "ALERTS.*")]
    listed = PortalSource(["production"], LATER).series(matchers)
    assert {labels["alertname"] for labels in listed} == {"Ours"}
    assert {labels["__name__"] for labels in listed} == {"ALERTS", "ALERTS_FOR_STATE"}
    assert PortalSource(None, LATER).series(matchers, milliseconds(minute(0)) - 1000) == []


def test_a_rule_can_watch_alerts() -> None:
    run(make_rule(name="Load"), gauge({"a": [9, 9]}), 0, 1)
    watching = make_rule('count(ALERTS{alertstate="firing"}) > $threshold', 0, name="Any")
    run(watching, PortalSource(None, LATER), 1, 1)
    assert ask('ALERTS{alertname="Any"}', minute(1)) == {"None firing": 1}


def test_too_many_samples_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run(make_rule(), gauge({"a": [9]}), 0, 0)
    monkeypatch.setattr("alerts.evaluation.series.MAX_CELLS", 10)
    with pytest.raises(promql.LimitError, match="samples of alerts"):
        ask("max_over_time(ALERTS[1h])", minute(30))
