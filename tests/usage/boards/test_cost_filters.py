"""The tables of Cost hold the workspace of the URL only, on the page and in the API; the page also looks for a text."""

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core.accounts import keys
from core.accounts.models import Workspace
from tests.people import People, browser_of, make_platform_people
from usage.ingest import pipeline
from usage.models import Budget

Rows = list[tuple[str, str, float]]


@pytest.fixture
def people(tables: None) -> People:
    """Both workspaces called a model today, for a team of their own and one of one name."""
    found = make_platform_people()
    for workspace, team, cost in ((found.production, "checkout", 1.0), (found.elsewhere, "search", 2.0)):
        send(workspace, team=team, model="own-model", cost_usd=cost)
        send(workspace, team="both", model="shared-model", cost_usd=10 * cost)
        Budget.objects.create(team=team, limit_usd=5, workspace=workspace)
    for team in ("checkout", "search"):
        Budget.objects.create(team=team, limit_usd=50)
    return found


def send(workspace: Workspace, **fields: object) -> None:
    """A call of now."""
    key, _ = keys.create_key("app", workspace)
    caller = keys.Caller(key.pk, workspace.pk, workspace.slug, frozenset({"ingest"}))
    record = {"kind": "llm_call", "provider": "acme", "outcome": "success", "prompt_tokens": 1, **fields}
    pipeline.ingest(json.dumps([record]).encode(), caller, timezone.now().timestamp())


def on_page(client: Client, query: str) -> tuple[Rows, list[tuple[str, float, float]]]:
    """The rows of the table, and the budgets with their limit and what is spent."""
    found = client.get(f"/cost/{query}").context
    rows = [(row.team, row.model, row.today) for row in found["rows"].rows]
    return rows, [(one.budget.team, one.budget.limit_usd, one.spent) for one in found["budgets"]]


def in_api(client: Client, query: str) -> tuple[Rows, list[tuple[str, float, float]]]:
    found: dict[str, Any] = client.get(f"/api/v1/costs{query}").json()
    rows = [(row["team"], row["model"], row["today"]) for row in found["rows"]]
    return rows, [(one["team"], one["limit_usd"], one["spent"]) for one in found["budgets"]]


@pytest.mark.parametrize("read", [on_page, in_api])
def test_the_tables_hold_the_workspace_of_the_url_only(read: Any, people: People) -> None:
    teammate = browser_of(people.teammate)
    rows, budgets = read(teammate, "?workspace=production")
    assert rows == [("both", "shared-model", 10), ("checkout", "own-model", 1)]
    assert sorted(budgets) == [("checkout", 5, 1), ("checkout", 50, 1)]
    rows, budgets = read(teammate, "")
    assert rows == [("both", "shared-model", 30), ("search", "own-model", 2), ("checkout", "own-model", 1)]
    assert sorted(budgets) == [("checkout", 5, 1), ("checkout", 50, 1), ("search", 5, 2), ("search", 50, 2)]
    rows, budgets = read(browser_of(people.outsider), "")
    assert rows == [("both", "shared-model", 20), ("search", "own-model", 2)]
    assert {team for team, _, _ in budgets} == {"search"}


def test_a_workspace_that_one_does_not_see_is_not_found(people: People) -> None:
    for path in ("/cost/", "/api/v1/costs"):
        assert browser_of(people.outsider).get(f"{path}?workspace=production").status_code == 404


def test_the_page_looks_for_a_text_and_sorts_within_it(people: People) -> None:
    rows, _ = on_page(browser_of(people.teammate), "?text=own&sort=more")
    assert rows == [("search", "own-model", 2), ("checkout", "own-model", 1)]
    rows, _ = on_page(browser_of(people.teammate), "?text=CHECKOUT&workspace=production")
    assert rows == [("checkout", "own-model", 1)]
