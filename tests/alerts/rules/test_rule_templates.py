"""Templates of rules: each is a query that works, is recognised again, and can be filled
in by somebody who knows no PromQL."""

import pytest
from django.test import Client

import promql
from alerts.models import Rule, RuleGroup
from alerts.rules.expression import check, split
from alerts.rules.rule_templates import TEMPLATES, RuleTemplate, recognise
from tests.people import browser_of, make_people

BY_SLUG = pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)


@BY_SLUG
def test_its_query_is_promql_with_a_threshold_over_known_metrics(template: RuleTemplate) -> None:
    text = check(template.fill(template.defaults()), template.threshold)
    assert promql.parse(text).type == "vector"
    assert split(text) is not None
    assert "{by}" not in text


@BY_SLUG
def test_it_is_recognised_with_what_was_filled_in_however_it_is_spaced(template: RuleTemplate) -> None:
    values = template.defaults()
    assert recognise(template.fill(values)) == (template, values)
    for blank in template.blanks:
        values[blank.name] = next(reversed(blank.choices), "0.25") if blank.choices else "75"
    spaced = template.fill(values).replace(" ", "\n  ")
    assert recognise(spaced) == (template, values)


@pytest.mark.parametrize("expr", ["", "up > 1", "sum by (provider) (rate(mcp_tool_errors_total[5m])) > $threshold"])
def test_another_query_is_none(expr: str) -> None:
    assert recognise(expr) is None


def test_a_blank_that_occurs_twice_must_hold_the_same() -> None:
    template = TEMPLATES["spike"]
    filled = template.fill(template.defaults())
    assert recognise(filled.replace("offset 15m", "offset 5m")) is None


@pytest.fixture
def browser(db: None) -> Client:
    RuleGroup.objects.get_or_create(name="a group")
    return browser_of(make_people().admin)


def given(browser: Client, slug: str, **changes: object) -> dict[str, object]:
    """What the form of a template posts when nobody changed anything, but for `changes`."""
    form = browser.get(f"/rules/new/?template={slug}").context["form"]
    blanks = browser.get(f"/rules/new/?template={slug}").context["blanks"]
    fields = {name: form[name].value() for name in form.fields if form[name].value() not in (None, "")}
    fields["group"] = RuleGroup.objects.get(name="a group").pk
    own = {f"blank-{name}": blanks[name].value() for name in blanks.fields}
    fields.pop("expr", None)
    return {"template": slug, **fields, **own, **changes}


def test_new_rule_offers_every_template(browser: Client) -> None:
    page = browser.get("/rules/new/").content.decode()
    for template in TEMPLATES.values():
        assert f'href="?template={template.slug}"' in page


@pytest.mark.parametrize("slug", TEMPLATES)
def test_a_rule_is_made_from_it_by_its_form_alone(browser: Client, slug: str) -> None:
    answer = browser.post("/rules/new/", given(browser, slug))
    assert answer.status_code == 302, answer.content.decode()
    rule = Rule.objects.get(name=TEMPLATES[slug].name)
    assert rule.expr == TEMPLATES[slug].fill(TEMPLATES[slug].defaults())
    assert rule.threshold == TEMPLATES[slug].threshold
    assert rule.annotations == {"summary": TEMPLATES[slug].summary}


def test_blanks_make_the_query(browser: Client) -> None:
    fields = given(browser, "latency", **{"blank-quantile": "0.5", "blank-by": ["provider"], "blank-window": "1h"})
    browser.post("/rules/new/", fields)
    assert Rule.objects.get(name="CallsSlow").expr == (
        "histogram_quantile(0.5, sum by (le, provider) (rate(llm_provider_request_seconds_bucket[1h]))) > $threshold"
        " and sum by (provider) (increase(llm_provider_request_seconds_count[1h])) >= 20"
    )


def test_a_blank_that_is_wrong_is_said_and_nothing_is_saved(browser: Client) -> None:
    answer = browser.post("/rules/new/", given(browser, "latency", **{"blank-quantile": "3"}))
    assert "less than or equal to 0.999" in answer.content.decode()
    assert not Rule.objects.filter(name="CallsSlow").exists()


def test_a_saved_rule_is_shown_as_form_or_as_promql(browser: Client) -> None:
    browser.post("/rules/new/", given(browser, "cost", **{"blank-window": "6h"}))
    rule = Rule.objects.get(name="CostHigh")
    assert browser.get(f"/rules/{rule.pk}/").context["blanks"] is None
    blanks = browser.get(f"/rules/{rule.pk}/?view=form").context["blanks"]
    assert (blanks["window"].value(), blanks["by"].value()) == ("6h", ["provider", "model"])
    fields = given(browser, "cost", **{"blank-window": "1h", "threshold": "7"})
    assert browser.post(f"/rules/{rule.pk}/?view=form", fields).status_code == 302
    rule.refresh_from_db()
    assert (rule.threshold, "[1h]" in rule.expr, rule.version) == (7, True, 2)


def test_a_rule_of_another_shape_has_no_form(browser: Client) -> None:
    rule = Rule.objects.create(group=RuleGroup.objects.get(name="a group"), name="Own", expr="up > 1")
    answer = browser.get(f"/rules/{rule.pk}/?view=form")
    assert (answer.context["blanks"], answer.context["is_template"]) == (None, False)


def test_a_name_that_is_taken_gets_a_number(browser: Client) -> None:
    browser.post("/rules/new/", given(browser, "cost"))
    assert browser.get("/rules/new/?template=cost").context["form"]["name"].value() == "CostHigh2"


def test_taking_a_suggested_threshold_over_saves_nothing(browser: Client) -> None:
    answer = browser.post("/rules/new/", given(browser, "cost", use_threshold="4.2"))
    assert answer.context["form"]["threshold"].value() == "4.2"
    assert not Rule.objects.filter(name="CostHigh").exists()


def test_the_api_lists_the_templates(browser: Client) -> None:
    found = browser.get("/api/v1/alerting-rules/templates").json()
    assert [one["slug"] for one in found] == list(TEMPLATES)
    assert found[2]["blanks"][0] == {
        "name": "quantile",
        "title": "Quantile",
        "initial_text": "0.95",
        "takes_many": False,
        "choices": {},
    }
