"""Slots into which records came late are evaluated again: of what should have fired one is notified once, what fired
wrongly is resolved, and what goes on is not disturbed."""

import datetime as dt
import json
import uuid
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

import promql
from alerts.evaluation import late
from alerts.evaluation.corrections import ENDED, NEEDLESS, NOTIFIED
from alerts.evaluation.series import portal_source
from alerts.evaluation.tick import tick
from alerts.evaluation.work import evaluate
from alerts.models import Alert, Delivery, Flip, RecordedSlot, Rule, RuleGroup
from alerts.notify.channels import create_channel
from alerts.notify.message import flip_message
from core.accounts import keys
from core.accounts.models import Workspace
from tests.alerts.scripted_rules import DELAY, flip_lines, gauge, make_rule, minute, only_alert, run
from usage.ingest import pipeline
from usage.models import LateArrival

LAST = 9
CALLS = "sum by (model) (increase(llm_provider_request_seconds_count[5m])) > $threshold"


def script(*values: float | None) -> promql.MemorySource:
    """One host, a value a minute; the last one lasts."""
    return gauge({"a": [*values, *[values[-1]] * (LAST + 3 - len(values))]})


def came_late(rule: Rule, source: promql.Source, since: int) -> bool:
    """Evaluate again what lies since a minute, as if records had come for it."""
    RuleGroup.objects.filter(pk=rule.group_id).update(reopen_from=minute(since) - dt.timedelta(seconds=1))
    return bool(late.reopen(minute(LAST) + DELAY, source))


def ran(before: promql.Source, **fields: Any) -> Rule:
    """A rule that was evaluated until LAST."""
    rule = make_rule(**fields)
    run(rule, before, 0, LAST)
    return rule


@pytest.mark.django_db
def test_what_should_have_fired_and_still_does_is_notified_and_goes_on() -> None:
    rule = ran(script(1), for_seconds=120)
    truth = script(1, 1, 1, 6)
    assert came_late(rule, truth, 3)
    assert flip_lines(rule) == ["3 a inactive>pending 6", "5 a pending>firing 6"]
    assert only_alert(rule).correction == NOTIFIED
    run(rule, script(*[6.0] * 11, 1), LAST + 1, LAST + 2)
    assert flip_lines(rule)[2:] == ["11 a firing>resolved 6"]


@pytest.mark.django_db
def test_what_fired_and_was_over_meanwhile_is_notified_with_its_end() -> None:
    rule = ran(script(1))
    assert came_late(rule, script(1, 1, 6, 7, 1), 2)
    assert flip_lines(rule) == ["2 a inactive>firing 6", "4 a firing>resolved 7"]
    assert came_late(rule, script(1, 1, 6, 7, 1), 2)
    assert len(flip_lines(rule)) == 2


@pytest.mark.django_db
def test_what_fired_wrongly_is_resolved_with_the_reason() -> None:
    rule = ran(script(1, 1, 6))
    assert came_late(rule, script(1), 2)
    assert flip_lines(rule) == ["2 a inactive>firing 6", "9 a firing>resolved 6"]
    assert only_alert(rule).correction == ENDED


@pytest.mark.django_db
def test_what_had_fired_wrongly_and_is_over_says_so() -> None:
    rule = ran(script(1, 1, 6, 6, 1))
    before = flip_lines(rule)
    assert came_late(rule, script(1), 1)
    assert flip_lines(rule) == before
    assert only_alert(rule).correction == NEEDLESS


@pytest.mark.django_db
def test_an_alert_that_is_pending_counts_from_when_it_began() -> None:
    rule = ran(script(*[1.0] * 8, 6), for_seconds=180)
    assert came_late(rule, script(*[1.0] * 4, 6), 4)
    assert sorted(flip_lines(rule)) == ["7 a pending>firing 6", "8 a inactive>pending 6"]
    assert only_alert(rule).active_at == minute(4)


@pytest.mark.django_db
@pytest.mark.parametrize("values", [(1.0,), (6.0,), (1, 6, 6, 1, 6), (6, None, 6, 6, 1), (1, 1, 6, 3)])
@pytest.mark.parametrize(
    "fields",
    [{}, {"for_seconds": 60}, {"keep_firing_seconds": 120}, {"recovery_threshold": 2}, {"flap_limit": 1}],
)
def test_where_nothing_is_otherwise_nothing_changes(values: tuple[float | None, ...], fields: dict[str, Any]) -> None:
    rule = ran(script(*values), **fields)
    before = [flip_lines(rule), list(Alert.objects.values())]
    for since in (0, 3, 7):
        assert came_late(rule, script(*values), since)
        assert [flip_lines(rule), list(Alert.objects.values())] == before


@pytest.mark.django_db
def test_an_edited_rule_is_not_judged_by_what_it_was() -> None:
    rule = ran(script(6))
    rule.changes.create(version=2, at=minute(5), fields={})
    assert came_late(rule, script(1), 3)
    assert flip_lines(rule) == ["0 a inactive>firing 6"]


@pytest.mark.django_db
def test_a_recording_rule_records_those_slots_again() -> None:
    rule = ran(script(1), expr="load", threshold=None, record="job:load")
    assert came_late(rule, script(1, 1, 1, 1, 8), 4)
    slots = RecordedSlot.objects.filter(rule_id=rule.pk).order_by("at")
    assert [np.frombuffer(one.values, "<f8").tolist() for one in slots] == [[1]] * 4 + [[8]] * 6


@pytest.mark.django_db(transaction=True)
def test_messages_of_corrections_say_why() -> None:
    create_channel("slack", "slack", {"url": "https://hooks.slack.com/services/x"})
    rule = ran(script(1))
    assert came_late(rule, script(1, 1, 6), 2)
    flip = Delivery.objects.select_related("flip__alert__rule__runbook").get().flip
    assert flip is not None
    assert flip_message(flip, timezone.now()).note.startswith(NOTIFIED)


@pytest.mark.django_db
def test_a_group_that_moved_on_meanwhile_is_left_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = ran(script(1))
    truth = script(1, 1, 6)

    def meanwhile(work: Any, scopes: Any) -> Any:
        RuleGroup.objects.filter(pk=rule.group_id).update(evaluated_until=minute(LAST + 1))
        return evaluate(work, scopes)

    monkeypatch.setattr(late, "evaluate", meanwhile)
    assert not came_late(rule, truth, 2)
    assert flip_lines(rule) == []
    monkeypatch.undo()
    assert late.reopen(minute(LAST) + DELAY, truth) == 1
    assert flip_lines(rule) == ["2 a inactive>firing 6"]
    assert late.reopen(minute(LAST) + DELAY, truth) == 0


@pytest.fixture
def caller(tables: None) -> keys.Caller:
    """Somebody who sends records."""
    workspace = Workspace.objects.create(slug="shop", name="Shop")
    key, _ = keys.create_key("k", workspace, ["ingest"], rate=0)
    return keys.Caller(key.pk, workspace.pk, workspace.slug, frozenset(["ingest"]))


def send(caller: keys.Caller, at: dt.datetime, count: int = 1) -> None:
    """Store calls of a time."""
    call = {"kind": "llm_call", "provider": "p", "model": "m", "outcome": "success", "duration_seconds": 1}
    records = [{**call, "at": at.timestamp(), "event_id": str(uuid.uuid4())} for _ in range(count)]
    answer = pipeline.ingest(json.dumps(records).encode(), caller, timezone.now().timestamp())
    assert answer.accepted == count


def test_late_records_reopen_the_groups_that_read_them(caller: keys.Caller) -> None:
    now = timezone.now().replace(second=50, microsecond=0)
    reads, other = (RuleGroup.objects.create(name=name, interval_seconds=60) for name in ("reads", "other"))
    rule = Rule.objects.create(group=reads, name="Calls", expr=CALLS, threshold=5)
    Rule.objects.create(group=other, name="Tools", expr="sum(rate(mcp_tool_errors_total[5m])) > 1")
    tick(now, portal_source(None))
    send(caller, now)
    assert not LateArrival.objects.exists()
    at = now - dt.timedelta(minutes=3)
    RuleGroup.objects.update(evaluated_until=now - dt.timedelta(seconds=50))
    send(caller, at, 20)
    assert LateArrival.objects.count() == 1
    assert late.note(now) == 1
    assert RuleGroup.objects.get(pk=reads.pk).reopen_from == at
    assert RuleGroup.objects.get(pk=other.pk).reopen_from is None
    assert not LateArrival.objects.exists()
    assert late.reopen(now, portal_source(None)) == 1
    flip = Flip.objects.get(alert__rule=rule)
    assert (flip.to_state, flip.at) == ("firing", now - dt.timedelta(minutes=2, seconds=50))
    assert late.note(now) == 0


def test_what_is_later_than_the_setting_reopens_nothing(caller: keys.Caller) -> None:
    send(caller, timezone.now() - dt.timedelta(minutes=20), 3)
    assert not LateArrival.objects.exists()
