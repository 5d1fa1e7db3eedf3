"""The page, its figure and CSV, the check and the history, as each person."""

import csv
import html
import io
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.models import Rule
from alerts.rules.defaults import ensure_defaults
from portal.explore import meaning, query_history
from portal.explore.views import STEPS
from portal.models import ExploredQuery
from tests.people import People, browser_of
from tests.portal.explore.parts import KINDS, values_of_parts
from tests.records import Sender, call

pytestmark = pytest.mark.usefixtures("tables")
COUNT = "sum by (model) (llm_provider_request_seconds_count)"
MISTAKE = "rate(llm_tokens_total[5m]) by (model)"
CORRECTED = "sum by (model) (rate(llm_tokens_total[5m]))"
ADDRESSES = (
    "/explore/",
    "/explore/figure.json",
    "/explore/graph.csv",
    "/explore/table.csv",
    "/explore/check",
    "/explore/completion.json",
)


def text_of(person: User, *queries: str, **parameters: Any) -> str:
    """The page's text for a person."""
    answer = browser_of(person).get(
        f"/explore/?{urlencode([('q', one) for one in queries] + list(parameters.items()))}"
    )
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


@pytest.mark.parametrize("path", [*ADDRESSES, "/explore/history/delete"])
def test_a_visitor_is_sent_to_the_login_page(people: People, path: str) -> None:
    assert Client().get(path, {"q": COUNT}).headers["Location"].startswith("/login/")


@pytest.mark.parametrize("path", ["/explore/", "/explore/figure.json", "/explore/graph.csv", "/explore/table.csv"])
def test_members_see_their_series_and_outsiders_nothing_of_them(people: People, path: str) -> None:
    asked = {"q": COUNT, "tab": "table", "range": "1h"}
    for person, sees in ((people.owner, True), (people.teammate, True), (people.admin, True), (people.outsider, False)):
        answer = browser_of(person).get(path, asked)
        assert answer.status_code == 200
        assert ("claude" in answer.content.decode()) is sees, person
        chosen = browser_of(person).get(path, {**asked, "workspace": "production"})
        assert chosen.status_code == (200 if sees else 404), person


def test_no_expression_reaches_another_workspace(people: People) -> None:
    for tab in ("table", "meaning"):
        page = text_of(people.outsider, '{__name__=~".+", model=~".+"}', 'sum({__name__=~".+"})', tab=tab)
        assert "claude" not in page
    assert "No series" in text_of(people.outsider, '{__name__=~".+"}', tab="table")


def test_without_a_query_the_page_offers_those_of_the_boards_and_of_the_rules(people: People) -> None:
    ensure_defaults(apps.get_model)
    Rule.objects.filter(name="HighProviderCost").update(enabled=False)
    page = text_of(people.owner)
    assert "Queries to begin with" in page
    assert "Coverage by model" in page
    rules = page[page.index("<h3>Rules: agents_and_budgets</h3>") :]
    assert "<b>An MCP tool is slow</b>" in rules
    assert "fires above 10 s<" in rules
    assert "fires above 0.9 of the budget<" in rules
    measured = "sum by (provider, error_type) (rate(llm_provider_errors_total[5m]))"
    assert f"/explore/?{urlencode({'q': measured})}" in rules
    assert "A model costs too much per hour" not in rules


@pytest.mark.parametrize("tab", ["graph", "table", "meaning", "history"])
def test_every_tab_answers_and_the_others_keep_the_queries(people: People, tab: str) -> None:
    page = text_of(people.owner, COUNT, tab=tab, range="6h", step="1m")
    others = re.findall(r'<a href="(/explore/\?[^"]+)"[^>]*>(Graph|Table|What does this mean|History)<', page)
    assert len(others) == 4
    assert all(urlencode({"q": COUNT}) in url and "range=6h" in url and "step=1m" in url for url, _ in others)
    # The form of other times sends the queries along.
    assert f'<input type="hidden" name="q" value="{COUNT}">' in page


def test_the_table_has_a_column_per_label_and_sorts_both_ways(people: People) -> None:
    query = 'label_replace(sum by (model) (llm_provider_request_seconds_count), "n", "$1", "model", "(.).*")'
    page = text_of(people.owner, query, tab="table", sort="model")
    assert re.findall(r"<td>(claude|gpt-4o)</td><td>(c|g)</td>", page) == [("claude", "c"), ("gpt-4o", "g")]
    assert 'aria-sort="ascending"' in page
    page = text_of(people.owner, query, tab="table", sort="-model")
    assert re.findall(r"<td>(claude|gpt-4o)</td>", page) == ["gpt-4o", "claude"]


def test_values_carry_the_unit_of_the_catalog(people: People) -> None:
    page = text_of(people.owner, "sum(llm_tokens_total)", tab="table")
    assert "value, tokens" in " ".join(page.split())
    assert "2,880\u00a0tokens" in page


def test_a_syntax_error_is_shown_at_its_place_with_the_corrected_query(people: People) -> None:
    page = text_of(people.owner, MISTAKE, COUNT, tab="table")
    assert f"{' ' * MISTAKE.index('by')}^" in page
    assert f"column {MISTAKE.index('by') + 1}" in page
    link = re.search(r'data-suggestion="([^"]+)"\s+href="([^"]+)"', page)
    assert link
    assert link[1] == CORRECTED
    assert f"/explore/?{urlencode([('q', CORRECTED), ('q', COUNT)])}" in link[2]
    assert "<td>claude</td>" in page


def test_the_place_of_an_error_is_on_its_line(people: People) -> None:
    page = text_of(people.owner, "sum(\n  llm_tokens_total +\n)")
    assert "line 3, column 1" in page


def test_a_query_that_fails_hides_none_of_the_others(people: People) -> None:
    failing = '{__name__=~"llm_tokens_total|llm_provider_tokens_total"} + on () llm_tokens_total'
    query = urlencode([("q", failing), ("q", COUNT), ("range", "1h")])
    figure = browser_of(people.owner).get(f"/explore/figure.json?{query}").json()
    assert list(figure["problems"]) == ["A"]
    assert {trace["name"] for trace in figure["data"]} == {"claude", "gpt-4o"}
    answer = browser_of(people.owner).get("/explore/figure.json", {"q": failing, "range": "1h"})
    assert (answer.status_code, list(answer.json()["problems"])) == (422, ["A"])


def test_a_hidden_query_is_read_but_not_answered(people: People) -> None:
    query = urlencode([("q", COUNT), ("q", "sum(llm_tokens_total)"), ("hide", "A"), ("range", "1h")])
    figure = browser_of(people.owner).get(f"/explore/figure.json?{query}").json()
    assert [trace["name"] for trace in figure["data"]] == ["sum(llm_tokens_total)"]
    assert "Every query is hidden" in text_of(people.owner, COUNT, hide="A")


def test_two_units_have_an_axis_each_and_each_query_its_colours(people: People) -> None:
    query = urlencode([("q", COUNT), ("q", "sum by (model) (llm_tokens_total)"), ("range", "1h")])
    figure = browser_of(people.owner).get(f"/explore/figure.json?{query}").json()
    assert figure["unit"] == "plain numbers left, tokens right"
    found = [(trace["name"][0], trace.get("yaxis"), trace["line"]["color"]) for trace in figure["data"]]
    assert found == [
        ("A", None, "--series-0"),
        ("A", None, "--series-0/.7"),
        ("B", "y2", "--series-1"),
        ("B", "y2", "--series-1/.7"),
    ]


def test_of_more_than_two_units_each_has_a_graph_of_its_own(people: People) -> None:
    seconds = "sum(llm_provider_request_seconds_sum)"
    asked = [COUNT, "sum by (model) (llm_tokens_total)", seconds, "sum(rate(llm_tokens_total[5m]))", "sum("]
    page = text_of(people.owner, *asked, range="1h")
    assert "4 units, a graph each" in page
    assert re.findall(r"<h3[^>]*>([^<]+)<", page) == ["plain numbers", "tokens", "seconds", "tokens/s"]
    addresses = re.findall(r'data-figure-url="([^"]+)"', page)
    drawn = [browser_of(people.owner).get(address).json() for address in addresses]
    assert [(one["unit"], [trace["name"] for trace in one["data"]]) for one in drawn] == [
        ("", ["A · claude", "A · gpt-4o"]),
        ("tokens", ["B · claude", "B · gpt-4o"]),
        ("seconds", [f"C · {seconds}"]),
        ("tokens/s", ["D · sum(rate(llm_tokens_total[5m]))"]),
    ]
    assert [trace["line"]["color"] for trace in drawn[2]["data"]] == ["--series-2"]
    assert not [trace for one in drawn for trace in one["data"] if "yaxis" in trace]


def test_many_series_are_eight_and_the_others(people: People, sender: Sender) -> None:
    now = timezone.now()
    sender.post([call(at=now - timedelta(seconds=60), model=f"m{place}") for place in range(10)])
    figure = browser_of(people.owner).get("/explore/figure.json", {"q": COUNT, "range": "1h"}).json()
    assert [trace["name"] for trace in figure["data"]][-1] == "4 others"
    assert len(figure["data"]) == 9


def test_a_step_that_is_too_fine_is_explained_and_not_used(people: People) -> None:
    page = text_of(people.owner, COUNT, step="1s", range="7d")
    assert "at most 11,000 are allowed" in page
    assert all(step in text_of(people.owner, COUNT) for step in STEPS)


def test_csv_has_every_label(people: People) -> None:
    browser = browser_of(people.owner)
    header, *rows = csv.reader(io.StringIO(browser.get("/explore/table.csv", {"q": COUNT}).content.decode()))
    assert header == ["query", "model", "value"]
    assert sorted(rows) == [["A", "claude", "12"], ["A", "gpt-4o", "12"]]
    header, *rows = csv.reader(
        io.StringIO(browser.get("/explore/graph.csv", {"q": COUNT, "range": "1h"}).content.decode())
    )
    assert header == ["time", "query", "model", "value"]
    assert rows[-1][1:] == ["A", "gpt-4o", "12"]
    refused = browser.get("/explore/table.csv", {"q": "sum("})
    assert (refused.status_code, refused.content) == (422, b"A: '(' is never closed")


def test_the_meaning_has_each_part_with_its_value_and_a_link(people: People) -> None:
    page = text_of(people.owner, f"{COUNT} > 5", tab="meaning", range="1h")
    assert "The sum per model of the count of “provider API call latency”, only where above 5." in page
    assert re.findall(r'part-now">([^<]+)<', page) == ["2 series, 12 to 12", "2 series, 12 to 12", "2 series, 12 to 12"]
    assert f'href="/explore/?{urlencode({"q": COUNT})}&range=1h"' in page.replace("%20", "+")
    ranged = text_of(people.owner, "rate(llm_tokens_total[5m])", tab="meaning", range="1h")
    assert "%5B5m%5D&tab=table&range=1h" in ranged


@pytest.mark.parametrize("text", KINDS, ids=lambda text: text[:40])
def test_the_meaning_gives_every_part_its_value(people: People, text: str) -> None:
    found = values_of_parts(text_of(people.owner, text, tab="meaning", range="1h"))
    assert found
    assert all(found), found


def test_parts_that_come_after_too_long_a_time_say_so(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "SECONDS", 0.0)
    page = text_of(people.owner, f"{COUNT} > 5", tab="meaning", range="1h")
    assert re.findall(r'part-now warning-text">([^<]+)<', page) == [meaning.LATE] * 3


def test_the_check_answers_with_what_is_wrong_and_nothing_else(people: People) -> None:
    browser = browser_of(people.owner)
    assert browser.get("/explore/check", {"q": COUNT}).content.strip() == b""
    assert browser.get("/explore/check", {"q": " "}).content.strip() == b""
    wrong = browser.get("/explore/check", {"q": "sum(<script>"}).content.decode()
    assert 'data-position="3"' in wrong
    assert "<script>" not in wrong


def test_operators_can_make_a_rule_of_a_query_and_others_not(people: People) -> None:
    page = text_of(people.owner, f"{COUNT} > 5")
    link = re.search(r'href="(/rules/new/[^"]+)">Make this a rule', page)
    assert link
    assert f"{COUNT} > 5" in html.unescape(browser_of(people.owner).get(link[1]).content.decode())
    assert "Make this a rule" not in text_of(people.teammate, COUNT)
    assert "Make this a rule" not in text_of(people.owner, "sum(")


ODD = (
    '"hi"',
    "-time()",
    "llm_tokens_total[5m]",
    "rate(llm_tokens_total[5m])[1h:]",
    "(" * 99 + "1" + ")" * 99,
    "-" * 140 + "x",
    "a\0b",
    "é",
    "topk(scalar(vector(2)), llm_tokens_total)",
    'count_values("v", llm_tokens_total)',
    "limitk(1, llm_tokens_total)",
    "+".join(["llm_tokens_total"] * 60),
    "vector(0) / 0",
    "llm_tokens_total{model='<script>'}",
    'ALERTS{alertstate="firing"}',
    "sum(" * 3000,
)


@pytest.mark.parametrize("text", ODD, ids=lambda text: text[:20])
def test_every_text_ends_in_an_answer_or_a_clear_error(people: People, text: str) -> None:
    browser = browser_of(people.owner)
    for tab in ("graph", "table", "meaning", "history"):
        page = browser.get("/explore/", {"q": text, "tab": tab, "range": "1h"})
        assert page.status_code == 200
        assert "<script>'" not in page.content.decode()
    for address in ("figure.json", "graph.csv", "table.csv", "check"):
        assert browser.get(f"/explore/{address}", {"q": text, "range": "1h"}).status_code in (200, 422)
    assert browser.get("/explore/", {"q": text, "do": "run"}).status_code in (200, 302)


def test_queries_too_long_for_an_address_are_answered_and_it_is_said(people: People) -> None:
    long = f'sum by (model) (llm_provider_request_seconds_count{{model=~"claude|gpt-4o|{"x" * 8000}"}})'
    page = text_of(people.owner, long, do="run")
    assert "These queries are too long for an address that can be shared." in page
    assert "2 series" in page


def test_running_keeps_the_queries_and_leads_to_their_url(people: People) -> None:
    browser = browser_of(people.owner)
    answer = browser.get(f"/explore/?{urlencode([('do', 'run'), ('q', COUNT), ('q', ''), ('tab', 'table')])}")
    assert answer.headers["Location"] == f"/explore/?{urlencode([('q', COUNT), ('q', ''), ('tab', 'table')])}"
    assert [one.queries for one in ExploredQuery.objects.all()] == [[COUNT]]
    browser.get("/explore/", {"q": "up"})
    assert ExploredQuery.objects.count() == 1


def test_history_is_each_persons_own_and_can_be_searched_and_deleted(people: People) -> None:
    now = timezone.now()
    for person in (people.owner, people.teammate):
        query_history.record(person, [COUNT], now)
    query_history.record(people.owner, ["sum(up)", "up"], now + timedelta(seconds=1))
    page = text_of(people.owner, tab="history")
    assert page.index('<code class="history-text">up<') < page.index(f'<code class="history-text">{COUNT}<')
    assert COUNT not in text_of(people.owner, tab="history", find="UP sum")
    own = ExploredQuery.objects.get(user=people.owner, queries=[COUNT])
    others = ExploredQuery.objects.get(user=people.teammate)
    browser = browser_of(people.owner)
    browser.post("/explore/history/delete", {"entry": others.pk})
    assert ExploredQuery.objects.filter(pk=others.pk).exists()
    answer = browser.post("/explore/history/delete?tab=history", {"entry": own.pk})
    assert answer.headers["Location"] == "/explore/?q=&tab=history"
    browser.post("/explore/history/delete", {"entry": "all"})
    assert [one.user for one in ExploredQuery.objects.all()] == [people.teammate]


def test_history_keeps_the_last_hundred_and_a_query_once(people: People) -> None:
    now = timezone.now()
    for place in range(103):
        query_history.record(people.owner, [f"m{place}"], now + timedelta(seconds=place))
    query_history.record(people.owner, ["m50"], now + timedelta(hours=1))
    texts = [one.queries[0] for one in query_history.find(people.owner, "")]
    assert (len(texts), texts[0], texts[-1], texts.count("m50")) == (100, "m50", "m3", 1)


def test_a_panel_opens_in_explore_over_the_same_time(people: People) -> None:
    page = html.unescape(browser_of(people.owner).get("/providers/?range=6h&workspace=production").content.decode())
    links = re.findall(r'href="(/explore/\?[^"]+)">Open in Explore', page)
    assert len(links) == 5
    assert all(link.endswith("&range=6h&workspace=production") for link in links)
    assert browser_of(people.owner).get(links[0]).status_code == 200


def test_what_the_page_asks_of_postgres_does_not_grow_with_the_history(people: People) -> None:
    browser = browser_of(people.owner)

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert browser.get("/explore/?tab=history").status_code == 200
        return len(queries)

    before = asked()
    for place in range(20):
        query_history.record(people.owner, [f"m{place}"], timezone.now())
    assert asked() == before
