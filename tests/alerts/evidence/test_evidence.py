"""What an operator would look up first: what failed, example records, refusals, and how it ended before; on the page,
and in short in each message."""

import json
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.utils import timezone

from alerts.evidence.brief import brief
from alerts.evidence.earlier import earlier_alerts
from alerts.evidence.failing import example_records, failing, refusals
from alerts.incidents.models import Incident, IncidentEvent, Member
from alerts.models import Alert, Rule
from alerts.notify.message import flip_message
from alerts.notify.transports import discord, email, slack, text, webhook
from alerts.rules.defaults import ensure_defaults
from tests.alerts.pages.samples import fire, text_of
from tests.people import browser_of, make_people
from tests.records import Sender, call
from usage.models import Mark

pytestmark = pytest.mark.django_db(transaction=True)
TOKENS = "sum by (model) (rate(llm_provider_tokens_total[5m])) > $threshold"


def alert_of(expr: str, minutes: int = 20, **labels: str) -> Alert:
    """An alert of a rule with the expression, about gpt-4o."""
    ensure_defaults(apps.get_model)
    rule = Rule.objects.get(name="LLMUsageIngestionFailuresCritical")
    Rule.objects.filter(pk=rule.pk).update(expr=expr, threshold=0)
    return fire(Rule.objects.get(pk=rule.pk), minutes, model="gpt-4o", workspace="production", **labels)


def ended(alert: Alert, days: int, outcome: str = "", comment: str = "") -> Alert:
    """The alert, as one that was over so many days ago, with what was written of its incident."""
    past = timedelta(days=days)
    alert.active_at, alert.fired_at = alert.active_at - past, timezone.now() - past
    alert.ended_at, alert.state = alert.fired_at + timedelta(minutes=23), "resolved"
    alert.save()
    incident = Incident.objects.create(digest=f"d{alert.pk}", key="k", opened_at=alert.fired_at, outcome=outcome)
    Member.objects.create(incident=incident, alert=alert)
    if comment:
        IncidentEvent.objects.create(incident=incident, kind="comment", text=comment, at=alert.fired_at)
    return alert


def send(sender: Sender) -> None:
    now = timezone.now()
    sender.post([call(at=now - timedelta(minutes=minute), model="gpt-4o") for minute in range(1, 6)])
    failed = {"outcome": "timeout", "error_type": "timeout", "prompt_tokens": None, "completion_tokens": None}
    sender.post([call(at=now - timedelta(minutes=3), model="gpt-4o", **failed) for _ in range(4)])
    sender.post([call(at=now - timedelta(minutes=2), model="other"), call(at=now, prompt_tokens=-1)])


def test_what_failed_meanwhile_is_counted_by_model_and_error(sender: Sender) -> None:
    send(sender)
    found = failing(alert_of(TOKENS), None, timezone.now())
    assert [(one.label, one.value, one.now, one.before) for one in found] == [("error", "timeout", 4, 0)]
    assert failing(Alert.objects.get(), {"elsewhere"}, timezone.now()) == []
    Alert.objects.all().delete()
    own = alert_of("sum by (model) (rate(llm_provider_errors_total[5m])) > $threshold", 22)
    assert failing(own, None, timezone.now()) == []


def test_examples_are_the_newest_records_that_the_metric_counts(sender: Sender) -> None:
    send(sender)
    alert = alert_of("sum by (model) (rate(llm_provider_errors_total[5m])) > $threshold")
    found = example_records(alert, {"production"}, timezone.now())
    assert [one.dimension.labels["error_type"] for one in found] == ["timeout"] * 3
    assert example_records(alert, {"elsewhere"}, timezone.now()) == []


def test_refused_records_of_the_time_are_counted(sender: Sender) -> None:
    send(sender)
    alert = alert_of(TOKENS)
    assert (refusals(alert, None, timezone.now()).batches, refusals(alert, None, timezone.now()).records) == (1, 1)
    assert refusals(alert, {"elsewhere"}, timezone.now()).records == 0


def test_earlier_alerts_say_how_they_ended(db: None) -> None:
    ended(alert_of(TOKENS, 21), 3, outcome="rolled back the SDK")
    ended(alert_of(TOKENS, 22), 5, comment="the provider was down")
    ended(alert_of(TOKENS, 23, team="shop"), 1)
    ended(alert_of(TOKENS, 24), 200, outcome="long ago")
    found = earlier_alerts(alert_of(TOKENS), None)
    assert [(one.is_same, one.end) for one in found] == [
        (True, "rolled back the SDK"),
        (True, "the provider was down"),
        (False, ""),
    ]


def test_what_is_written_of_an_incident_with_others_alerts_is_not_shown(db: None) -> None:
    mine = ended(alert_of(TOKENS, 21), 3, outcome="their secret")
    theirs = fire(mine.rule, 40, model="x", workspace="elsewhere")
    Member.objects.create(incident=mine.memberships.get().incident, alert=theirs)
    now = alert_of(TOKENS)
    assert [one.end for one in earlier_alerts(now, {"production"})] == [""]
    assert [one.end for one in earlier_alerts(now, None) if one.is_same] == ["their secret"]
    assert earlier_alerts(now, {"elsewhere"})[0].alert == theirs


def test_messages_say_it_in_short_in_every_form(sender: Sender) -> None:
    send(sender)
    ended(alert_of(TOKENS, 21), 3, outcome="rolled back <the> SDK")
    alert = alert_of(TOKENS)
    Mark.objects.create(title="agent 2.14.0", at=alert.active_at - timedelta(minutes=8))
    found = dict(brief(alert, timezone.now()))
    assert found["Mostly"].startswith("component agent (100%), provider openai (100%)")
    assert found["Changed before"] == "agent 2.14.0, 8 min before"
    assert found["Fired before"].startswith("once in 90 days, last on ")
    assert found["Fired before"].endswith(": rolled back <the> SDK")
    message = flip_message(alert.flips.get(to_state="firing"), timezone.now())
    assert dict(message.evidence) == found
    assert "Changed before: agent 2.14.0, 8 min before" in text.body(message)
    assert "*Changed before* agent 2.14.0, 8 min before" in json.dumps(slack.payload(message))
    assert "rolled back &lt;the&gt; SDK" in json.dumps(slack.payload(message))
    fields = {one["name"]: one["value"] for one in discord.payload(message)["embeds"][0]["fields"]}
    assert fields["Changed before"] == "agent 2.14.0, 8 min before"
    assert "Fired before: once" in webhook.payload(message)["alerts"][0]["annotations"]["evidence"]
    mail = email.build(message, ["ops@example.org"], "portal@example.org")
    for form in ("plain", "html"):
        part = mail.get_body((form,))
        assert part is not None
        assert "agent 2.14.0, 8 min before" in part.get_content()


def test_the_page_shows_it(sender: Sender) -> None:
    send(sender)
    ended(alert_of(TOKENS, 21), 3, outcome="rolled back the SDK")
    alert = alert_of(TOKENS)
    people = make_people_of(sender)
    page = text_of(browser_of(people).get(f"/alerts/{alert.pk}/"))
    assert "error <b>timeout</b> 4, before 0" in page
    assert "Records behind it" in page
    assert "1 record of 1 batch</a> refused meanwhile" in page
    assert "rolled back the SDK" in page


def make_people_of(sender: Sender) -> User:
    """Somebody who sees the sender's workspace."""
    return make_people().owner
