"""One rule never stops another: whatever a rule holds or raises, the rest of its group is evaluated, written and
notified at its slot."""

import datetime as dt
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import DataError, connection, connections
from django.utils import timezone

import promql
from alerts.evaluation.schedule import milliseconds
from alerts.evaluation.series import PortalSource
from alerts.evaluation.tick import tick
from alerts.models import Alert, Flip, Health, Rule, RuleGroup, Runbook
from alerts.notify.channels import create_channel
from alerts.notify.deliveries import send_channel
from alerts.queries import stalled_groups
from alerts.recording.read import last_of
from alerts.rules import edits
from tests.alerts.groups import evaluate_group
from tests.alerts.scripted_rules import DELAY, START, flip_lines, gauge, make_rule, minute
from tests.alerts.test_concurrency import committed, queue  # noqa: F401 - fixtures
from tests.servers import HttpServer

pytestmark = pytest.mark.django_db

ODD_TEMPLATES = [
    '{{ printf "%x" $value }}',
    '{{ printf "%c" $value }}',
    '{{ printf "%99999999999999999999d" 1 }}',
    '{{ printf "%.99999999999f" $value }}',
    '{{ printf "%400000000d" 1 }}',
    '{{ printf "%1000000s" "x" }}',
    '{{ printf "%[9]d %*d %!" 1 }}',
    "{{ $labels.host.port }}",
    "{{ if }}",
    "{{",
    '{{ "\\x00" }}',
    '{{ "\\xff" }}',
    "{{ .Labels | humanize }}",
]
ODD_EXPRESSIONS = [
    'label_replace(vector(1), "a", "\\x00", "", "")',
    'label_replace(vector(1), "a", "\\xff", "", "")',
    'label_replace(vector(1), "a", "\\u0000", "", "")',
    "vector(NaN)",
    "vector(Inf)",
    "1 +",
    "nothing[",
    "sum by (",
    '"text"',
    "load[5m]",
]


def control(group: RuleGroup) -> Rule:
    """An ordinary rule at the end of the group."""
    return Rule.objects.create(group=group, name=f"Control of {group.pk}", expr="vector(1) > 0", position=10_000)


@pytest.mark.parametrize("text", ODD_TEMPLATES)
@pytest.mark.parametrize("place", ["labels", "annotations"])
def test_no_template_stops_the_group(text: str, place: str) -> None:
    odd = make_rule("vector(1)", None)
    # As an older version or a hand in the database may have left it: no form lets all of it in.
    setattr(odd, place, {"odd": text})
    odd.save()
    beside = control(odd.group)
    evaluate_group(odd.group_id, START + DELAY, gauge({}))
    assert flip_lines(beside) == ["0  inactive>firing 1"]


@pytest.mark.parametrize("expr", ODD_EXPRESSIONS)
def test_no_expression_stops_the_group(expr: str) -> None:
    odd = make_rule(expr, None)
    beside = control(odd.group)
    evaluate_group(odd.group_id, START + DELAY, gauge({"a": [1]}))
    assert flip_lines(beside) == ["0  inactive>firing 1"]
    odd.refresh_from_db()
    assert odd.evaluations == 1
    assert (odd.health == Health.ERROR) == (odd.evaluation_failures == 1) == bool(odd.last_error)


class Odd:
    """A source of one series whose labels Postgres cannot keep."""

    def __init__(self, value: str) -> None:
        self.value = value

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        source = promql.MemorySource()
        source.add({"__name__": "odd", "host": self.value}, [milliseconds(START)], [9.0])
        return source.select(matchers, start_ms, end_ms, hints)


def test_a_group_that_cannot_be_queried_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = make_rule("vector(1)", None, record="odd:one")
    beside = control(make_rule("vector(1)", None).group)

    def failing(recording: dict[int, str]) -> dict[int, list[dict[str, str]]]:
        if odd.pk in recording:
            raise DataError("canceling statement")
        return last_of(recording)

    monkeypatch.setattr("alerts.recording.read.last_of", failing)
    tick(START + DELAY, gauge({}))
    assert flip_lines(beside) == ["0  inactive>firing 1"]


@pytest.mark.parametrize("value", ["\x00", "a\x00b", "\ud800", "\x00\udfff"])
def test_characters_that_postgres_refuses_are_replaced_in_labels_annotations_and_messages(value: str) -> None:
    rule = make_rule(
        "odd > 0", None, labels={"copy": "{{ $labels.host }}"}, annotations={"summary": "{{ $labels.host }}"}
    )
    assert evaluate_group(rule.group_id, START + DELAY, Odd(value)) == 1
    alert = Alert.objects.get(rule=rule)
    safe = "".join("\ufffd" if letter == "\x00" or "\ud800" <= letter <= "\udfff" else letter for letter in value)
    assert (alert.labels["host"], alert.labels["copy"], alert.annotations["summary"]) == (safe, safe, safe)


class Raising:
    """A source that raises for one metric."""

    def __init__(self, inner: promql.Source, error: BaseException) -> None:
        self.inner, self.error = inner, error

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        if any(matcher.value == "bad" for matcher in matchers):
            raise self.error
        return self.inner.select(matchers, start_ms, end_ms, hints)


@pytest.mark.parametrize("error", [RuntimeError("the disk is on fire \x00"), RecursionError(), MemoryError()])
def test_what_nobody_expected_is_the_rule_s_error_and_the_rest_goes_on(error: BaseException) -> None:
    bad = make_rule("bad > 1", None)
    beside = control(bad.group)
    tick(START + DELAY, Raising(gauge({}), error))
    assert flip_lines(beside) == ["0  inactive>firing 1"]
    bad.refresh_from_db()
    assert bad.health == Health.ERROR
    assert bad.last_error.startswith(f"internal error: {type(error).__name__}")
    assert (bad.evaluations, bad.evaluation_failures) == (1, 1)
    bad.group.refresh_from_db()
    assert bad.group.evaluated_until == START


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.labels->>'host' = 'bad' THEN RAISE EXCEPTION 'this one cannot be kept'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON alerts_alert FOR EACH ROW EXECUTE FUNCTION refuse();
"""


def test_where_flips_cannot_be_written_together_they_are_written_rule_by_rule() -> None:
    bad = make_rule('label_replace(vector(9), "host", "bad", "", "")', None)
    rest = [Rule.objects.create(group=bad.group, name=f"Rest{n}", expr=f"vector({n}) > 0", position=n) for n in (1, 2)]
    with connection.cursor() as cursor:
        cursor.execute(REFUSE)
    assert evaluate_group(bad.group_id, START + DELAY, gauge({})) == 1
    assert [flip_lines(rule) for rule in rest] == [["0  inactive>firing 1"], ["0  inactive>firing 2"]]
    assert flip_lines(bad) == []
    bad.refresh_from_db()
    assert (bad.health, bad.evaluation_failures) == (Health.ERROR, 1)
    assert "this one cannot be kept" in bad.last_error


CONFLICT = """
CREATE SEQUENCE tries;
CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('tries') <= 2 THEN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER conflict BEFORE INSERT ON alerts_flip FOR EACH ROW EXECUTE FUNCTION conflict();
"""
NO_CONFLICT = "DROP TRIGGER conflict ON alerts_flip; DROP FUNCTION conflict; DROP SEQUENCE tries;"


@pytest.mark.usefixtures("committed")
def test_a_deadlock_is_tried_again_at_once() -> None:
    rule = make_rule("vector(1) > 0", None)
    with connection.cursor() as cursor:
        cursor.execute(CONFLICT)
    try:
        assert evaluate_group(rule.group_id, START + DELAY, gauge({})) == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute(NO_CONFLICT)
    assert flip_lines(rule) == ["0  inactive>firing 1"]


def in_a_thread(work: Callable[[], Any]) -> threading.Thread:
    """Run it on a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.usefixtures("committed")
def test_saving_rules_while_their_group_is_evaluated_raises_nothing_on_either_side() -> None:
    first = make_rule("vector(1) > $threshold", 0)
    group = first.group
    many = [
        first,
        *(
            Rule.objects.create(group=group, name=f"R{n}", expr=f"vector({n}) > $threshold", threshold=0)
            for n in range(1, 8)
        ),
    ]
    errors: list[BaseException] = []

    def save() -> None:
        try:
            for number in range(60):
                rule = Rule.objects.get(pk=many[number % 8].pk)
                edits.update_rule(rule, edits.RuleEdit(threshold=-1 - number), by=None, now=START)
        except BaseException as error:
            errors.append(error)

    savers = [in_a_thread(save) for _ in range(2)]
    slot = 0
    while any(saver.is_alive() for saver in savers):
        slot += evaluate_group(group.pk, minute(slot) + DELAY, gauge({}))
    for saver in savers:
        saver.join()
    assert errors == []
    evaluate_group(group.pk, minute(slot + 1) + DELAY, gauge({}))
    assert Alert.objects.filter(rule__group=group, state="firing").count() == 8


@pytest.mark.usefixtures("committed")
def test_a_rule_that_is_saved_while_it_is_evaluated_is_evaluated_as_saved() -> None:
    rule = make_rule("vector(1) > $threshold", 0)

    class Saving:
        """Has the rule saved by somebody else while the group is queried."""

        def select(self, *_: Any) -> list[promql.Block]:
            edit = edits.RuleEdit(threshold=5, expr="vector(1) > $threshold")
            in_a_thread(lambda: edits.update_rule(rule, edit, by=None, now=START)).join()
            return []

    Rule.objects.create(group=rule.group, name="Reads", expr="something", position=1)
    assert evaluate_group(rule.group_id, START + DELAY, Saving()) == 0
    assert evaluate_group(rule.group_id, START + DELAY, gauge({})) == 1
    assert flip_lines(rule) == []


@pytest.mark.usefixtures("committed")
def test_all_groups_of_a_tick_see_one_state_of_the_data() -> None:
    class Runbooks:
        """A gauge of how many runbooks there are; after each read another one is added by somebody else."""

        def select(
            self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
        ) -> list[promql.Block]:
            count = Runbook.objects.count()
            in_a_thread(lambda: Runbook.objects.create(slug=f"r{count}{matchers[0].value}", title="r")).join()
            source = promql.MemorySource()
            source.add({"__name__": matchers[0].value}, [milliseconds(START)], [float(count)])
            return source.select(matchers, start_ms, end_ms, hints)

    first, second = make_rule("one >= 0", None), make_rule("two >= 0", None)
    tick(START + DELAY, Runbooks())
    values = [Alert.objects.get(rule=rule).value for rule in (first, second)]
    assert values[0] == values[1]
    assert Runbook.objects.count() == values[0] + 2


def test_a_group_that_stands_still_raises_an_alert_once_it_missed_three_intervals() -> None:
    now = timezone.now()
    RuleGroup.objects.update(evaluated_until=now)
    group = make_rule(interval=60).group
    for seconds, stalled in ((180, []), (190, [group.name])):
        RuleGroup.objects.filter(pk=group.pk).update(evaluated_until=now - DELAY - dt.timedelta(seconds=seconds - 1))
        assert [one.name for one in stalled_groups(now)] == stalled
    Rule.objects.filter(group=group).update(enabled=False)
    assert stalled_groups(now) == []


def test_the_portal_s_own_rule_tells_of_a_group_that_stands_still_and_of_its_return(
    default_rules: None, http_server: HttpServer, portal_setting: Callable[..., None]
) -> None:
    portal_setting(outbound_private=True)
    channel = create_channel("webhook", "hook", {"url": http_server.url})
    now = timezone.now()
    RuleGroup.objects.update(evaluated_until=now)
    own = RuleGroup.objects.get(name="portal")
    stuck = RuleGroup.objects.get(name="llm_usage")
    RuleGroup.objects.filter(pk=stuck.pk).update(evaluated_until=now - dt.timedelta(minutes=10))
    for step in range(6):
        at = now + dt.timedelta(seconds=30 * step)
        evaluate_group(own.pk, at, PortalSource(now=at.timestamp()))
    alert = Alert.objects.get(rule__name="RuleGroupNotEvaluated", labels__rule_group="llm_usage")
    assert alert.state == "firing"
    send_channel(channel.pk, lambda: now + dt.timedelta(seconds=170))
    said = http_server.requests[0].body.decode()
    assert "Rules of group llm_usage have not been evaluated for 1" in said
    back = now + dt.timedelta(seconds=220)
    RuleGroup.objects.filter(pk=stuck.pk).update(evaluated_until=back)
    evaluate_group(own.pk, back, PortalSource(now=back.timestamp()))
    alert.refresh_from_db()
    assert alert.state == "resolved"
    send_channel(channel.pk, lambda: back + dt.timedelta(seconds=1))
    states = {one["labels"]["rule_group"]: one["status"] for one in json.loads(http_server.requests[-1].body)["alerts"]}
    assert states["llm_usage"] == "resolved"


def test_a_downtime_is_not_taken_for_groups_that_stand_still(default_rules: None) -> None:
    now = timezone.now()
    RuleGroup.objects.update(evaluated_until=now - dt.timedelta(minutes=30))
    own = RuleGroup.objects.get(name="portal")
    evaluate_group(own.pk, now, PortalSource(now=now.timestamp()))
    assert not Flip.objects.filter(to_state="firing").exists()
