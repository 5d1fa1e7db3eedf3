"""Pages of rules: nothing that was typed is lost, nothing is saved that cannot be evaluated."""

import pytest

from alerts.models import Alert, Rule, RuleChange
from alerts.notify import channels
from alerts.pages.rules import rules
from tests.alerts.pages.samples import fire, text_of
from tests.people import People, browser_of

pytestmark = pytest.mark.django_db

SLACK = "https://hooks.slack.com/services/T000/B000/very-secret"


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


def test_over_many_label_sets_the_past_comes_after_the_page(
    people: People, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = browser_of(people.owner)
    assert 'hx-trigger="input from' in text_of(owner.get(f"/rules/{rule.pk}/"))
    monkeypatch.setattr(rules, "MANY_LABEL_SETS", 0)
    page = text_of(owner.get(f"/rules/{rule.pk}/"))
    assert "Looking at the past" in page
    assert 'hx-trigger="load, input from' in page
    typed_form = {**typed(rule), "preview": "1"}
    past = owner.post(f"/rules/{rule.pk}/", typed_form, headers={"HX-Request": "true"})
    assert "to compute" in text_of(past)
