"""Pages of alerts, rules, channels and runbooks: as each person, in place, and without losing what was typed."""

import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.models import Alert, Channel, Delivery, Flip, Rule, RuleChange, RuleGroup, Runbook
from alerts.notify import channels
from tests.alerts.scripted_rules import make_rule
from tests.people import People, browser_of, make_platform_people
from tests.servers import Answer, HttpServer

pytestmark = pytest.mark.django_db

SLACK = "https://hooks.slack.com/services/T000/B000/very-secret"


@pytest.fixture
def people() -> People:
    return make_platform_people()


@pytest.fixture
def rule(default_rules: None) -> Rule:
    return Rule.objects.get(name="LLMUsageIngestionFailuresCritical")


def fire(rule: Rule, minutes: int = 20, **labels: str) -> Alert:
    """An alert of the rule that fires since a while, with its flips."""
    now = timezone.now().replace(microsecond=0)
    start = now - dt.timedelta(minutes=minutes + 10)
    alert = Alert.objects.create(
        rule=rule,
        severity=rule.severity,
        threshold=rule.threshold,
        for_seconds=rule.for_seconds,
        fingerprint=f"{rule.pk}-{sorted(labels.items())}"[:32],
        labels={"alertname": rule.name, "severity": rule.severity, **labels},
        annotations={"summary": f"Usage not recorded for {labels.get('model', 'a model')}"},
        state="firing",
        value=6.4,
        active_at=start,
        fired_at=now - dt.timedelta(minutes=minutes),
    )
    flip = {"alert": alert, "value": 6.4, "threshold": rule.threshold}
    Flip.objects.create(from_state="inactive", to_state="pending", at=start, created_at=start, **flip)
    Flip.objects.create(from_state="pending", to_state="firing", at=alert.fired_at, created_at=alert.fired_at, **flip)
    return alert


def deliver(alert: Alert, channel: Channel, state: str) -> Delivery:
    """A delivery of the alert's firing."""
    at = alert.fired_at
    flip = alert.flips.get(to_state="firing")
    return Delivery.objects.create(
        flip=flip,
        firing=[alert.pk],
        alert=alert,
        channel=channel,
        channel_name=channel.name,
        state=state,
        created_at=at,
        next_attempt_at=at,
    )


def text_of(answer: Any) -> str:
    """The page with single spaces, as a browser shows it; a no-break space stays."""
    return re.sub(r"[ \n]+", " ", answer.content.decode())


def test_everybody_with_a_login_reads_and_a_visitor_logs_in(people: People, rule: Rule) -> None:
    alert = fire(rule, model="gpt-5")
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    paths = [
        "/alerts/",
        f"/alerts/{alert.pk}/",
        f"/alerts/{alert.pk}/figure",
        "/rules/",
        f"/rules/{rule.pk}/",
        "/channels/",
        f"/channels/{channel.pk}/",
        "/runbooks/",
        "/runbooks/usage-not-recorded/",
    ]
    for path in paths:
        for person in (people.owner, people.teammate, people.admin):
            assert browser_of(person).get(path).status_code == 200, (path, person)
        # An alert of the whole portal may tell of workspaces that a stranger to them should not hear of.
        expected = 404 if path.startswith(f"/alerts/{alert.pk}/") else 200
        assert browser_of(people.outsider).get(path).status_code == expected, path
        assert Client().get(path).status_code == 302, path


def test_only_operators_change(people: People, rule: Rule) -> None:
    alert = fire(rule, model="gpt-5")
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    forms = [
        "/rules/new/",
        f"/rules/{rule.pk}/delete/",
        "/channels/new/slack/",
        f"/channels/{channel.pk}/edit/",
        f"/channels/{channel.pk}/delete/",
        "/runbooks/new/",
        "/runbooks/usage-not-recorded/edit/",
    ]
    for path in forms:
        assert browser_of(people.owner).get(path).status_code == 200, path
        assert browser_of(people.teammate).get(path).status_code == 403, path
        assert Client().get(path).status_code == 302, path
    writes = [
        f"/alerts/{alert.pk}/acknowledge",
        f"/alerts/{alert.pk}/give-back",
        f"/rules/{rule.pk}/enable",
        f"/rules/{rule.pk}/undo/1",
        f"/channels/{channel.pk}/test",
        "/runbooks/usage-not-recorded/restore/1",
    ]
    for path in writes:
        assert browser_of(people.owner).get(path).status_code == 405, path
        assert browser_of(people.teammate).post(path).status_code == 403, path
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(people.owner)
        assert strict.post(path).status_code == 403, path
    assert browser_of(people.teammate).post(f"/rules/{rule.pk}/", {}).status_code == 403


def test_an_alert_that_names_another_workspace_is_not_there(people: People, rule: Rule) -> None:
    alert = fire(rule, model="secret-model", workspace="production")
    page = f"/alerts/{alert.pk}/"
    assert browser_of(people.teammate).get(page).status_code == 200
    assert browser_of(people.outsider).get(page).status_code == 404
    assert browser_of(people.outsider).get(f"{page}figure").status_code == 404
    assert browser_of(people.outsider).post(f"{page}acknowledge").status_code == 404
    assert "secret-model" in text_of(browser_of(people.teammate).get("/alerts/"))
    assert "secret-model" not in text_of(browser_of(people.outsider).get("/alerts/"))
    assert "secret-model" not in text_of(browser_of(people.outsider).get(f"/rules/{rule.pk}/"))


def test_acknowledging_in_place_says_who_and_can_be_given_back(people: People, rule: Rule) -> None:
    alert, owner = fire(rule, model="gpt-5"), browser_of(people.owner)
    part = text_of(
        owner.post(f"/alerts/{alert.pk}/acknowledge", headers={"HX-Request": "true", "HX-Target": "open-alerts"})
    )
    assert "acknowledged by owner" in part
    assert "<html" not in part
    answer = owner.post(f"/alerts/{alert.pk}/give-back", {"next": "/alerts/"})
    assert answer.headers["Location"] == "/alerts/"
    assert Alert.objects.get().acknowledged_by is None


def test_going_back_never_leads_to_another_site(people: People, rule: Rule) -> None:
    alert = fire(rule, model="gpt-5")
    answer = browser_of(people.owner).post(f"/alerts/{alert.pk}/acknowledge", {"next": "https://evil.example/"})
    assert answer.headers["Location"] == f"/alerts/{alert.pk}/"


def test_the_alert_tells_what_happened_in_order(people: People, rule: Rule) -> None:
    alert = fire(rule, model="gpt-5")
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    delivery = deliver(alert, channel, "sent")
    assert alert.fired_at is not None
    for number, ok in ((1, False), (2, True)):
        at = alert.fired_at + dt.timedelta(seconds=15 * number)
        delivery.tries.create(number=number, at=at, duration_seconds=1, ok=ok, error="" if ok else "no answer")
    page = text_of(browser_of(people.owner).get(f"/alerts/{alert.pk}/?part=events"))
    places = [page.index(texts) for texts in ("Pending", "Firing", "#oncall</b>, delivered at try 2 in 31 s")]
    assert places == sorted(places)


def test_the_chart_shows_threshold_and_firing_time(people: People, rule: Rule) -> None:
    alert = fire(rule, model="gpt-5")
    figure = json.loads(browser_of(people.admin).get(f"/alerts/{alert.pk}/figure").content)
    texts = [note["text"] for note in figure["layout"]["annotations"]]
    assert texts == ["firing", "threshold 1 %"]
    assert figure["data"] == []
    assert "no longer kept" in figure["empty"]


def test_the_history_is_filtered_by_the_url(people: People, rule: Rule) -> None:
    fire(rule, model="gpt-5")
    fire(Rule.objects.get(name="HighProviderCost"), provider="acme")
    owner = browser_of(people.owner)

    def titles(query: str) -> list[str]:
        history = owner.get(f"/alerts/?{query}").context["history"]
        return sorted(alert.rule.name for alert in history.alerts)

    assert titles("") == ["HighProviderCost", "LLMUsageIngestionFailuresCritical"]
    assert titles("severity=warning") == ["HighProviderCost"]
    assert titles(f"rule={rule.pk}") == ["LLMUsageIngestionFailuresCritical"]
    assert titles("text=model%3Dgpt-5") == ["LLMUsageIngestionFailuresCritical"]
    assert titles("state=resolved") == []
    assert titles("severity=nonsense&page=x") == ["HighProviderCost", "LLMUsageIngestionFailuresCritical"]


@pytest.mark.parametrize("path", ["/alerts/", "/rules/", "/channels/", "/runbooks/", "/channels/{channel}/"])
def test_queries_stay_flat_as_rows_grow(people: People, default_rules: None, path: str) -> None:
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    owner = browser_of(people.owner)

    def grow(start: int) -> None:
        for number in range(start, start + 4):
            deliver(fire(make_rule(), model=f"m{number}"), channel, "failed")
            channels.create_channel("slack", f"#c{number}", {"url": SLACK})
            Runbook.objects.create(slug=f"r{number}", title="r").versions.create(number=1, text="x")

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert owner.get(path.format(channel=channel.pk)).status_code == 200
        return len(found)

    grow(0)
    few = queries()
    grow(10)
    assert queries() == few


def typed(rule: Rule, **changes: object) -> dict[str, object]:
    """The rule's form as a browser sends it."""
    fields: dict[str, object] = {
        "title": rule.title,
        "threshold": rule.threshold,
        "unit": rule.unit,
        "threshold_unit": rule.threshold_unit,
        "for_seconds": "15m",
        "keep_firing_seconds": "0",
        "severity": rule.severity,
        "runbook": rule.runbook_id,
        "summary": rule.annotations["summary"],
        "description": rule.annotations["description"],
        "labels": "",
        "annotations": "",
        "expr": rule.expr,
    }
    return {**fields, **changes}


def test_saving_a_threshold_makes_a_version_that_can_be_undone(people: People, rule: Rule) -> None:
    owner = browser_of(people.owner)
    owner.post(f"/rules/{rule.pk}/", typed(rule, threshold="2.5", for_seconds="1h 30m"))
    change = RuleChange.objects.get(rule=rule)
    assert change.fields == {"threshold": [1.0, 2.5], "for_seconds": [900, 5400]}
    assert change.author == people.owner
    owner.post(f"/rules/{rule.pk}/undo/{change.version}")
    rule.refresh_from_db()
    assert (rule.threshold, rule.for_seconds, rule.version) == (1, 900, 3)


def test_saving_without_a_change_makes_no_version(people: People, rule: Rule) -> None:
    page = browser_of(people.owner).post(f"/rules/{rule.pk}/", typed(rule), follow=True)
    assert "Nothing was changed." in text_of(page)
    assert not RuleChange.objects.exists()


def test_wrong_promql_is_placed_and_all_that_was_typed_is_kept(people: People, rule: Rule) -> None:
    broken = "sum by (model) (\n  rate(llm_provider_errors_total[5m]) >> $threshold)"
    answer = browser_of(people.owner).post(
        f"/rules/{rule.pk}/", typed(rule, expr=broken, threshold="7", title="My own")
    )
    page = text_of(answer)
    assert answer.status_code == 422
    assert "Line 2, column" in page
    assert 'value="My own"' in page
    assert 'value="7"' in page
    assert "&gt;&gt; $threshold" in page
    rule.refresh_from_db()
    assert rule.title == "Usage is not recorded"


def test_the_usual_mistake_is_answered_with_what_was_meant(people: People, rule: Rule) -> None:
    wrong = "rate(llm_provider_errors_total[5m]) by (provider) > $threshold"
    page = text_of(browser_of(people.owner).post(f"/rules/{rule.pk}/", typed(rule, expr=wrong)))
    assert "sum by (provider) (rate(llm_provider_errors_total[5m])) &gt; $threshold" in page


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("for_seconds", "soon", "such as 90s, 15m or 1h 30m"),
        ("threshold", "", "so a threshold is needed"),
        ("threshold", "nan", "Enter a number."),
        ("labels", "no equals sign", "is not of the form name=text"),
        ("expr", "llm_tokens_total[5m]", "a rule needs an instant vector"),
        ("keep_firing_seconds", "900d", "must be between 0 and 30 days"),
    ],
)
def test_each_error_stands_under_its_field(people: People, rule: Rule, field: str, value: str, error: str) -> None:
    answer = browser_of(people.owner).post(f"/rules/{rule.pk}/", typed(rule, **{field: value}))
    assert answer.status_code == 422
    assert any(error in found for found in answer.context["form"].errors[field])


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("summary", "a\n{{ $value | shout }}", 'Line 2, column 13, at “shout }}”: function "shout" not defined.'),
        ("description", "{{ $labels.model", "Line 1, column 17, at the end: unclosed action."),
        ("labels", "team=x\n  tier = {{ $vlaue }}", 'Line 2, column 13, at “$vlaue }}”: undefined variable "$vlaue".'),
        ("annotations", "x={{ end }}", "Line 1, column 6, at “end }}”: unexpected {{end}}."),
    ],
)
def test_a_template_that_cannot_be_parsed_is_refused_with_its_place(
    people: People, rule: Rule, field: str, value: str, error: str
) -> None:
    answer = browser_of(people.owner).post(f"/rules/{rule.pk}/", typed(rule, **{field: value}))
    assert answer.status_code == 422
    assert answer.context["form"].errors[field] == [error]
    rule.refresh_from_db()
    assert rule.version == 1


@pytest.mark.parametrize(
    ("threshold", "text"), [("1", "would have read, at"), ("99", "With the last value it measured")]
)
def test_a_preview_shows_the_message_for_a_label_set_of_the_past(
    people: People, rule: Rule, threshold: str, text: str
) -> None:
    draft = typed(
        rule,
        expr='label_replace(vector(7), "model", "gpt-5", "", "") > $threshold',
        threshold=threshold,
        for_seconds="0",
        summary='{{ $labels.model }} at {{ printf "%.1f" $value }}',
        labels="tier={{ toUpper $labels.model }}",
        annotations="more={{ $labels.tier }}",
    )
    part = text_of(
        browser_of(people.teammate).post(
            f"/rules/{rule.pk}/", {**draft, "preview": "1"}, headers={"HX-Request": "true"}
        )
    )
    assert text in part
    assert "gpt-5 at 7.0" in part
    assert '<span class="chip" title="tier">GPT-5</span>' in part
    assert '<span class="hint">more</span> GPT-5' in part


def test_a_preview_shows_the_typed_rule_and_saves_nothing(people: People, rule: Rule) -> None:
    answer = browser_of(people.teammate).post(
        f"/rules/{rule.pk}/?span=7d", {**typed(rule, threshold="40"), "preview": "1"}, headers={"HX-Request": "true"}
    )
    part = text_of(answer)
    assert "threshold 40 %" in part
    assert "It would not have fired in the last 7 d." in part
    assert "<html" not in part
    rule.refresh_from_db()
    assert rule.threshold == 1


def test_a_new_rule_shows_its_past_before_it_has_a_name(people: People, rule: Rule) -> None:
    owner = browser_of(people.owner)
    draft = {**typed(rule), "preview": "1", "span": "7d"}
    assert "in the last 7 d" in text_of(owner.post("/rules/new/", draft, headers={"HX-Request": "true"}))
    assert owner.post("/rules/new/", typed(rule)).context["form"].errors["name"] == ["This field is required."]


def test_a_rule_is_switched_paused_and_resumed_in_place(people: People, rule: Rule) -> None:
    owner, url = browser_of(people.owner), f"/rules/{rule.pk}/enable"
    part = text_of(owner.post(url, {"to": "off"}, headers={"HX-Request": "true", "HX-Target": "rules"}))
    assert "<html" not in part
    assert "Switch on" in part
    owner.post(url, {"to": "on"})
    owner.post(url, {"to": "8h"})
    assert "Resume" in text_of(owner.get("/rules/"))
    owner.post(url, {"to": "resume"})
    rule.refresh_from_db()
    assert (rule.enabled, rule.paused_until, rule.version) == (True, None, 5)


def test_a_rule_is_created_with_its_channels_and_deleted_with_its_alerts(people: People, rule: Rule) -> None:
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    owner = browser_of(people.owner)
    fields = typed(rule, name="Mine", group=rule.group_id, channels=[channel.pk])
    owner.post("/rules/new/", fields)
    mine = Rule.objects.get(name="Mine")
    assert list(mine.channels.all()) == [channel]
    fire(mine, model="gpt-5")
    assert "its 1 alert with" in text_of(owner.get(f"/rules/{mine.pk}/delete/"))
    owner.post(f"/rules/{mine.pk}/delete/")
    assert not Rule.objects.filter(name="Mine").exists()
    assert not Alert.objects.exists()


def test_a_name_that_is_taken_is_said_under_the_name(people: People, rule: Rule) -> None:
    answer = browser_of(people.owner).post("/rules/new/", typed(rule, name=rule.name, group=rule.group_id))
    assert answer.context["form"].errors["name"] == ["is taken"]


def test_a_channels_secret_is_never_shown_again_and_kept_when_left_empty(people: People) -> None:
    owner = browser_of(people.owner)
    owner.post("/channels/new/slack/", {"name": "#oncall", "config_url": SLACK, "send_resolved": "on", "enabled": "on"})
    channel = Channel.objects.get()
    stored = bytes(channel.config_encrypted)
    for page in ("/channels/", f"/channels/{channel.pk}/", f"/channels/{channel.pk}/edit/"):
        assert "very-secret" not in text_of(owner.get(page))
    owner.post(f"/channels/{channel.pk}/edit/", {"name": "#night", "config_url": "", "severities": ["critical"]})
    channel.refresh_from_db()
    assert (channel.name, channel.severities, channel.enabled) == ("#night", ["critical"], False)
    assert bytes(channel.config_encrypted) == stored


def test_a_wrong_address_is_said_under_its_field_and_nothing_is_stored(people: People) -> None:
    answer = browser_of(people.owner).post("/channels/new/email/", {"name": "ops", "config_to": "nobody"})
    assert answer.status_code == 422
    assert answer.context["form"].errors["config_to"] == ["'nobody' is not an email address"]
    assert not Channel.objects.exists()


def test_a_test_message_says_in_place_what_came_of_it(
    people: People, http_server: HttpServer, portal_setting: Callable[..., None]
) -> None:
    portal_setting(outbound_private=True)
    channel = channels.create_channel("webhook", "hook", {"url": f"{http_server.url}/hook"})
    owner, url = browser_of(people.owner), f"/channels/{channel.pk}/test"
    assert "Delivered in" in text_of(owner.post(url, headers={"HX-Request": "true"}))
    http_server.default = Answer(status=500)
    assert "Not sent" in text_of(owner.post(url, headers={"HX-Request": "true"}))
    assert "did not arrive" in text_of(owner.post(url, follow=True))


def test_only_a_failed_delivery_is_sent_again(people: People, rule: Rule) -> None:
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    failed = deliver(fire(rule, model="a"), channel, "failed")
    sent = deliver(fire(rule, model="b"), channel, "sent")
    owner = browser_of(people.owner)
    for delivery in (failed, sent):
        owner.post(f"/deliveries/{delivery.pk}/retry")
        delivery.refresh_from_db()
    assert (failed.state, sent.state) == ("pending", "sent")


def test_removing_a_channel_says_what_it_takes_away(people: People, rule: Rule) -> None:
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    deliver(fire(rule, model="a"), channel, "pending")
    owner = browser_of(people.owner)
    assert "1 message still to be sent" in text_of(owner.get(f"/channels/{channel.pk}/delete/"))
    owner.post(f"/channels/{channel.pk}/delete/")
    assert not Channel.objects.exists()
    assert Delivery.objects.get().state == "skipped"


def test_a_runbook_is_edited_previewed_and_restored(people: People, default_rules: None) -> None:
    owner, page = browser_of(people.owner), "/runbooks/usage-not-recorded/"
    first = Runbook.objects.get(slug="usage-not-recorded").versions.get().text
    preview = owner.post(
        f"{page}edit/", {"text": "**new** <script>x</script>", "preview": "1"}, headers={"HX-Request": "true"}
    )
    assert text_of(preview).strip() == "<p><strong>new</strong> &lt;script&gt;x&lt;/script&gt;</p>"
    owner.post(f"{page}edit/", {"text": "**new**"})
    assert "<strong>new</strong>" in text_of(owner.get(page))
    assert "An older text" in text_of(owner.get(f"{page}?version=1"))
    owner.post(f"{page}restore/1")
    newest = Runbook.objects.get(slug="usage-not-recorded").versions.first()
    assert newest is not None
    assert (newest.number, newest.text) == (3, first)


def test_a_new_runbook_needs_an_address_of_its_own(people: People, default_rules: None) -> None:
    fields = {"title": "Again", "slug": "usage-not-recorded", "text": "kept text"}
    answer = browser_of(people.owner).post("/runbooks/new/", fields)
    assert answer.context["form"].errors["slug"] == ["This address is taken."]
    assert "kept text" in text_of(answer)


def test_what_is_not_there_is_404(people: People, rule: Rule) -> None:
    owner = browser_of(people.owner)
    for path in ("/alerts/999/", "/rules/999/", "/channels/999/", "/channels/new/pigeon/", "/runbooks/nothing/"):
        assert owner.get(path).status_code == 404, path


@pytest.mark.parametrize("path", ["/", "/alerts/", "/rules/"])
def test_a_group_that_stands_still_has_a_banner(people: People, default_rules: None, path: str) -> None:
    banner = "Rules of group llm_usage are not evaluated"
    now = timezone.now()
    RuleGroup.objects.update(evaluated_until=now)
    viewer = browser_of(people.teammate)
    assert banner not in viewer.get(path).content.decode()
    RuleGroup.objects.filter(name="llm_usage").update(evaluated_until=now - dt.timedelta(minutes=10))
    assert banner in viewer.get(path).content.decode()


def test_what_fired_meanwhile_is_a_part_of_other_pages(people: People, rule: Rule) -> None:
    tool = make_rule("ToolFails", severity="warning")
    other = fire(rule, model="gpt-5", workspace=people.production.slug)
    fire(rule, model="elsewhere", workspace="elsewhere")
    own = fire(tool, tool_name="create_refund")
    old = fire(rule, minutes=600, model="old")
    Alert.objects.filter(pk=old.pk).update(ended_at=old.fired_at + dt.timedelta(minutes=5), state="resolved")
    now = int(timezone.now().timestamp() * 1000)
    path = f"/alerts/meanwhile?from={now - 60_000}&to={now}&workspace={people.production.slug}&about=create_refund"
    found = re.findall(r"/alerts/(\d+)/", text_of(browser_of(people.admin).get(path)))
    assert found == [str(own.pk), str(other.pk)]
    assert browser_of(people.outsider).get(path).status_code == 404
    early = f"/alerts/meanwhile?from={now - 90_000_000}&to={now - 86_400_000}"
    assert text_of(browser_of(people.admin).get(early)).strip() == "none fired"
