"""The list of rules: a page at a time, filtered and grouped by folder, team and owner, however many there are."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import QueryDict

from alerts.models import Rule, RuleGroup
from alerts.rules.edits import RuleEdit, create_rule
from alerts.rules.queries import rule_page
from tests.alerts.pages.samples import fire, text_of
from tests.alerts.scripted_rules import minute
from tests.people import People, browser_of, make_people

pytestmark = pytest.mark.django_db


def make(name: str, group: str = "g", people: People | None = None, **fields: Any) -> Rule:
    made = RuleGroup.objects.get_or_create(name=group)[0]
    edit = RuleEdit(expr="up > $threshold", threshold=1, **fields)
    workspace = people.elsewhere if people else None
    return create_rule(made, name, edit, by=None, now=minute(0), workspace=workspace)


@pytest.fixture
def rules() -> list[Rule]:
    Rule.objects.all().delete()
    return [
        make("Slow", folder="Latency", team="core", owner="ada"),
        make("Dear", group="money", folder="Cost", labels={"team": "finance", "owner": "bob"}),
        make("Late", folder="Latency", labels={"team": "other"}, team="core"),
        make("Plain"),
    ]


def headings(query: str, slugs: set[str] | None = None) -> list[tuple[str, list[str]]]:
    found = rule_page(slugs, QueryDict(query))
    return [(one.heading, [rule.name for rule in one.rules]) for one in found.sections]


def test_rules_are_grouped_by_what_one_chooses(rules: list[Rule]) -> None:
    assert headings("") == [("g", ["Slow", "Late", "Plain"]), ("money", ["Dear"])]
    assert headings("by=folder") == [("No folder", ["Plain"]), ("Cost", ["Dear"]), ("Latency", ["Slow", "Late"])]
    assert headings("by=team") == [("No team", ["Plain"]), ("core", ["Slow", "Late"]), ("finance", ["Dear"])]
    assert headings("by=owner") == [("No owner", ["Late", "Plain"]), ("ada", ["Slow"]), ("bob", ["Dear"])]
    assert headings("by=nonsense") == headings("")


def test_they_are_filtered_by_these_and_by_text(rules: list[Rule]) -> None:
    assert headings("team=core") == [("g", ["Slow", "Late"])]
    assert headings("folder=Latency&owner=ada") == [("g", ["Slow"])]
    assert headings("text=MONEY") == [("money", ["Dear"])]
    assert headings("team=nobody") == []
    assert rule_page(None, QueryDict("")).choices == {
        "folder": ["Cost", "Latency"],
        "team": ["core", "finance"],
        "owner": ["ada", "bob"],
    }


def test_rules_of_other_workspaces_are_on_no_page_and_among_no_choices(rules: list[Rule]) -> None:
    make("Theirs", people=make_people(), team="secret")
    assert all("Theirs" not in names for _, names in headings("", {"production"}))
    assert "secret" not in rule_page({"production"}, QueryDict("")).choices["team"]
    assert headings("team=secret", {"elsewhere"}) == [("g", ["Theirs"])]


def test_a_page_costs_as_many_statements_however_many_rules_there_are(
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    group = RuleGroup.objects.create(name="many")
    Rule.objects.bulk_create(
        Rule(group=group, name=f"R{n:04}", expr="up", team=f"t{n % 7}", position=n) for n in range(900)
    )
    fire(Rule.objects.get(name="R0003"), model="a")
    with django_assert_max_num_queries(8):
        found = rule_page(None, QueryDict("text=R0&page=2"))
        assert [len(one.rules) for one in found.sections] == [25]
    first = rule_page(None, QueryDict("text=R0"))
    assert [(rule.name, rule.firing_count) for rule in first.page.rows if rule.firing_count] == [("R0003", 1)]
    assert (first.page.matching, first.page.following) == (900, 2)
    assert len(first.choices["team"]) == 7


def test_the_page_filters_and_goes_on_by_links(rules: list[Rule]) -> None:
    group = RuleGroup.objects.create(name="many")
    Rule.objects.bulk_create(
        Rule(group=group, name=f"R{n:04}", expr="up", folder="Bulk", position=n) for n in range(60)
    )
    browser = browser_of(make_people().admin)
    page = text_of(browser.get("/rules/?by=folder&folder=Bulk&page=2"))
    assert "26 to 50 of 60 rules" in page
    assert "R0030" in page
    assert "R0001" not in page
    assert "folder=Bulk&amp;page=3" in page or "page=3&amp;" in page
    assert "No rule is like that" in text_of(browser.get("/rules/?team=nobody"))
