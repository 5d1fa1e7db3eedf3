"""A new rule begins where one stands: at a panel, with its query, workspace and a likely threshold, in two clicks."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from alerts.models import Rule
from alerts.pages.rules.beginning import with_threshold
from tests.people import People, browser_of
from tests.records import Sender, call
from usage.boards.declarations import BOARDS
from usage.store import downsampling

pytestmark = pytest.mark.django_db
BOARD_PAGES = ("coverage", "providers", "tools", "cost")


def links(page: str) -> list[str]:
    """The addresses behind "Alert on …"."""
    return [unescape(one) for one in re.findall(r'<a href="([^"]+)">Alert on [^<]+</a>', page)]


def test_every_panel_leads_to_a_rule_that_could_be_saved(people: People, rule: Rule) -> None:
    browser = browser_of(people.owner)
    pages = {name: links(browser.get(f"/{name}/").content.decode()) for name in BOARD_PAGES}
    assert all(len(found) >= len(BOARDS[name].panels) for name, found in pages.items())
    for address in {one for found in pages.values() for one in found}:
        answer = browser.get(address)
        form, shown = answer.context["form"], answer.context["shown"]
        assert (answer.status_code, shown.error) == (200, ""), address
        assert "$threshold" in form["expr"].value(), address
        assert getattr(shown.test, "comparison", None) is not None, address


def test_viewers_are_offered_no_rule(people: People, rule: Rule) -> None:
    assert links(browser_of(people.teammate).get("/providers/").content.decode()) == []


def test_a_query_that_a_template_measures_becomes_its_form(people: People, rule: Rule) -> None:
    latency, *_ = links(browser_of(people.owner).get("/providers/?workspace=production").content.decode())
    context = browser_of(people.owner).get(latency).context
    assert context["blanks"].template.slug == "latency"
    assert context["blanks"]["by"].value() == ["provider", "model"]
    assert context["form"]["workspace"].value() == people.production.pk
    assert context["form"]["name"].value() == "CallsSlow"


def test_blanks_of_the_url_are_taken_where_they_fit(people: People, rule: Rule) -> None:
    context = browser_of(people.owner).get("/rules/new/?template=error-type&by=error_type&window=2s").context
    assert context["blanks"]["by"].value() == ["error_type"]
    assert context["blanks"]["window"].value() == "5m"


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("sum(rate(llm_tokens_total[5m]))", "sum(rate(llm_tokens_total[5m])) > $threshold"),
        ("a or b", "(a or b) > $threshold"),
        ("(a or b)", "(a or b) > $threshold"),
        ("a > 5", "a > 5"),
        ("a > $threshold", "a > $threshold"),
        ("sum by (", "sum by ("),
    ],
)
def test_what_compares_nothing_is_compared_with_the_threshold(query: str, rule: str) -> None:
    assert with_threshold(query) == rule


@pytest.mark.django_db(transaction=True)
def test_the_threshold_is_one_that_the_last_day_suggests(sender: Sender, people: People, default_rules: None) -> None:
    now = timezone.now()
    sender.post([call(at=now - timedelta(seconds=20 * place), duration_seconds=0.5) for place in range(1, 180)])
    downsampling.downsample(now)
    browser = browser_of(people.admin)
    latency, *_ = links(browser.get("/providers/").content.decode())
    assert 0.4 < float(browser.get(latency).context["form"]["threshold"].value()) < 1.1
