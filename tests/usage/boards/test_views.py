"""The boards: what they show, as each person, and that what they cost does not grow with the rows."""

import csv
import io
import json
import math
import re
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.accounts import keys
from core.accounts.time_zones import UTC_ZONE
from core.ui.time_range import MINUTE, parse
from tests.people import People, browser_of, make_people
from tests.records import NOW, Sender, call
from usage.boards.declarations import BOARDS
from usage.boards.gaps import gaps
from usage.boards.model_table import rows as model_rows
from usage.boards.queries import Rollups, colours_by_value, quantile
from usage.boards.tiles import overview
from usage.ingest import pipeline, spool_gauge
from usage.models import Budget
from usage.store import downsampling

pytestmark = pytest.mark.usefixtures("tables")
PAGES = ("/coverage/", "/providers/", "/tools/", "/cost/")
PANELS = [f"/panels/{board.id}/{panel.id}" for board in BOARDS.values() for panel in board.panels]


@pytest.fixture
def people(sender: Sender) -> People:
    """Three people; production has calls of the last minutes, of which one carried no usage."""
    now = timezone.now()
    ago = [now - timedelta(seconds=20 * place + 20) for place in range(12)]
    records = [call(at=at, team="checkout", cost_usd=0.5) for at in ago]
    records.append(call(at=ago[0], model="claude", prompt_tokens=None, completion_tokens=None))
    records.append(call(at=ago[0], model="unheard-of", provider="nobody"))
    failed = {"outcome": "error", "error_type": "server_error", "prompt_tokens": None, "completion_tokens": None}
    records.append(call(at=ago[1], **failed))
    tool = {"kind": "tool_call", "at": ago[0].isoformat(), "server_id": "web", "tool_name": "fetch"}
    records.append({**tool, "outcome": "success", "duration_seconds": 12.0})
    assert sender.post(records).json()["rejected"] == []
    return make_people()


@pytest.mark.parametrize("path", PAGES)
def test_members_see_their_workspace_and_outsiders_nothing_of_it(people: People, path: str) -> None:
    for person, sees in ((people.owner, True), (people.teammate, True), (people.admin, True), (people.outsider, False)):
        page = browser_of(person).get(path)
        assert page.status_code == 200
        text = page.content.decode()
        assert any(word in text for word in ("gpt-4o", "fetch")) is sees, person
        assert browser_of(person).get(path, {"workspace": "production"}).status_code == (200 if sees else 404)


@pytest.mark.parametrize("path", PAGES)
def test_the_live_part_of_a_page_has_no_frame(people: People, path: str) -> None:
    part = browser_of(people.owner).get(path, headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()
    assert 'hx-swap-oob="true"' in part.content.decode()
    assert "HX-Request" in part.headers["Vary"]


@pytest.fixture
def everything(people: People, sender: Sender) -> People:
    """The people, and records of whatever the panels show: failures, refusals, lookups, connections, a queue."""
    at = (timezone.now() - timedelta(seconds=30)).isoformat()
    limited = {"outcome": "rate_limited", "prompt_tokens": None, "completion_tokens": None}
    tool = {"at": at, "kind": "tool_call", "server_id": "web", "tool_name": "fetch", "duration_seconds": 1.0}
    gauge = {
        "at": at,
        "kind": "gauge",
        "metric": "mcp_server_connections_active",
        "labels": {"server_id": "web"},
        "value": 3,
    }
    sent = [
        call(at=at, error_type="rate_limit", **limited),
        {**tool, "outcome": "error", "error_kind": "timeout"},
        {"at": at, "kind": "registry_lookup", "outcome": "hit", "duration_seconds": 0.001},
        gauge,
    ]
    assert sender.post(sent).json()["rejected"] == []
    # A refusal counts when it came, and the newest scrape interval is not over yet.
    caller = keys.Caller(sender.key.pk, sender.key.workspace_id or 0, "production", frozenset({"ingest"}))
    pipeline.ingest(json.dumps([call(prompt_tokens=-1)]).encode(), caller, timezone.now().timestamp() - 60)
    spool_gauge.report(timezone.now() - timedelta(seconds=30))
    return people


@pytest.mark.parametrize("path", PANELS)
def test_every_panel_answers_with_a_figure_and_csv(everything: People, path: str) -> None:
    # Some series belong to no workspace: those only a superuser sees.
    figure = browser_of(everything.admin).get(f"{path}.json", {"range": "1h"}).json()
    assert set(figure) == {"data", "layout", "empty"}
    assert any(value is not None for trace in figure["data"] for value in np.ravel(trace["z" if "z" in trace else "y"]))
    data = browser_of(everything.admin).get(f"{path}.csv", {"range": "1h"})
    header, *lines = csv.reader(io.StringIO(data.content.decode()))
    assert header[0] == "time"
    assert any(cell for _, *cells in lines for cell in cells)


def test_a_panel_shows_members_what_outsiders_do_not_get(people: People) -> None:
    path = "/panels/overview/tokens.json?range=1h"
    own, other = (browser_of(person).get(path).json() for person in (people.owner, people.outsider))
    assert sorted(trace["name"] for trace in own["data"]) == ["gpt-4o", "unheard-of"]
    assert other["data"] == []
    assert browser_of(people.outsider).get(f"{path}&workspace=production").status_code == 404


def test_an_unknown_panel_is_not_found(people: People) -> None:
    assert browser_of(people.owner).get("/panels/overview/nothing.json").status_code == 404


def test_what_a_page_asks_of_postgres_does_not_grow_with_rows(people: People, sender: Sender) -> None:
    browser = browser_of(people.owner)

    def asked(path: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert browser.get(path).status_code == 200
        return len(queries)

    for path in PAGES:
        asked(path)  # what a process remembers of label sets, it reads once
    before = {path: asked(path) for path in PAGES}
    now = timezone.now()
    sender.post([call(at=now - timedelta(seconds=place), model=f"m{place}", team=f"t{place}") for place in range(60)])
    for place in range(5):
        Budget.objects.create(team=f"t{place}", limit_usd=10)
    assert browser.get("/cost/").content.decode().count("meter-used") == 5
    # Budgets of a period are read together: one query more than without any.
    assert {path: asked(path) - before[path] for path in PAGES} == {path: int(path == "/cost/") for path in PAGES}


def test_a_row_per_model_has_calls_coverage_failures_and_cost(people: People) -> None:
    now = timezone.now()
    calls = Rollups("llm_call", frozenset({"production"}), now)
    found = {
        row.model: row for row in model_rows(calls, parse({"from": _ago(30)}, now), colours_by_value("model"), "calls")
    }
    assert list(found) == ["gpt-4o", "claude", "unheard-of"]
    row = found["gpt-4o"]
    assert (row.calls, row.coverage, row.cost, row.tokens_in, row.tokens_out) == (13, 100, 6, 1200, 240)
    assert row.failed == pytest.approx(100 / 13)
    assert found["claude"].coverage == 0
    assert found["unheard-of"].is_unpriced
    assert not row.is_unpriced


def test_a_refused_record_misses_in_coverage_and_is_no_failed_call(sender: Sender) -> None:
    now = timezone.now()
    answer = sender.post([call(at=now), call(at=now, prompt_tokens=-5), call(at=now, model="claude", prompt_tokens=-5)])
    assert [refused["index"] for refused in answer.json()["rejected"]] == [1, 2]
    now = timezone.now()
    rollups, time_range = Rollups("llm_call", None, now), parse({"from": _ago(30)}, now)
    found = {row.model: row for row in model_rows(rollups, time_range, colours_by_value("model"), "calls")}
    assert (found["gpt-4o"].coverage, found["gpt-4o"].failed) == (50, 0)
    assert found["claude"].coverage == 0
    assert math.isnan(found["claude"].failed)
    tiles = {tile.name: tile.value for tile in overview(rollups, time_range, now, UTC_ZONE)}
    assert tiles["Failed calls, 15 min"] == "0"


@pytest.mark.usefixtures("fixed_time")
def test_a_record_of_the_last_second_counts_in_a_range_of_odd_milliseconds(sender: Sender) -> None:
    sender.post(call(at=NOW))
    end_ms = int(NOW.timestamp() * 1000) + 300
    sums = Rollups("llm_call", None, NOW + timedelta(seconds=1)).sums(("count",), (), end_ms - 1_799_990, end_ms)
    assert sums.values.sum() == 1


def _ago(minutes: int) -> str:
    return str(int((timezone.now() - timedelta(minutes=minutes)).timestamp() * 1000))


def test_sums_are_the_same_from_every_grain(people: People) -> None:
    now = timezone.now()
    downsampling.downsample(now)
    calls = Rollups("llm_call", None, now)
    at = int(now.timestamp() * 1000) + MINUTE
    totals = [
        calls.sums(("count", "prompt_tokens"), (), at - span * 60 * MINUTE, at).values.sum(axis=(0, 1)).tolist()
        for span in (1, 13, 24 * 4)
    ]
    assert totals == [[15.0, 1300.0]] * 3


def test_sums_fall_into_their_steps(sender: Sender) -> None:
    at = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=10)
    sender.post([call(at=at + timedelta(seconds=second)) for second in (0, 59, 60, 200)])
    start = int(at.timestamp() * 1000)
    sums = Rollups("llm_call", None, timezone.now()).sums(("count",), ("model",), start, start + 5 * MINUTE, MINUTE)
    assert (sums.groups, sums.of("count").tolist()) == ([("gpt-4o",)], [[2, 1, 0, 1, 0]])


def test_a_gap_begins_where_usage_stops_and_is_open_until_it_returns(sender: Sender) -> None:
    now = timezone.now()
    at = now.replace(minute=now.minute // 5 * 5, second=0, microsecond=0) - timedelta(minutes=30)
    missing = {"prompt_tokens": None, "completion_tokens": None}
    records = [
        call(at=at + timedelta(minutes=minute, seconds=place), **(missing if minute >= 10 else {}))
        for minute in (0, 5, 10, 15)
        for place in range(20)
    ]
    sender.post(records)
    (gap,) = gaps(Rollups("llm_call", None, now), parse({"range": "1h"}, now))
    assert (gap.model, gap.start, gap.is_open, gap.lowest, gap.missing) == (
        "gpt-4o",
        at + timedelta(minutes=10),
        True,
        0,
        40,
    )
    sender.post([call(at=at + timedelta(minutes=20, seconds=place)) for place in range(20)])
    (gap,) = gaps(Rollups("llm_call", None, now), parse({"range": "1h"}, now))
    assert (gap.is_open, gap.end) == (False, at + timedelta(minutes=20))


def test_quantile_of_buckets_is_prometheus_own() -> None:
    assert quantile(0.5, (1, 2, 4), [0, 10, 0, 0]) == 1.5  # type: ignore[arg-type]
    assert quantile(0.99, (1, 2, 4), [1, 1, 1, 7]) == 4  # type: ignore[arg-type]
    assert quantile(0.5, (1, 2, 4), [0, 0, 0, 0]) != quantile(0.5, (1, 2, 4), [0, 0, 0, 0])  # type: ignore[arg-type]


def test_colours_stay_when_models_are_added(sender: Sender) -> None:
    sender.post([call(model="b")])
    sender.post([call(model="a")])
    assert colours_by_value("model") == {"b": 0, "a": 1}


def test_operators_add_change_and_delete_budgets(people: People) -> None:
    browser = browser_of(people.owner)
    form = {"team": "checkout", "limit_usd": "100", "period": "month", "workspace": people.production.pk}
    assert browser.post("/cost/budgets/", form).headers["Location"] == "/cost/"
    budget = Budget.objects.get()
    page = re.sub(r"[ \n]+", " ", browser.get("/cost/").content.decode())
    assert "$\u00a06.00 of $\u00a0100.00 this month" in page
    browser.post(f"/cost/budgets/{budget.pk}/", {**form, "limit_usd": "5"})
    assert "spent" in browser.get("/cost/").content.decode()
    browser.post(f"/cost/budgets/{budget.pk}/delete/")
    assert not Budget.objects.exists()


def test_a_budget_that_cannot_be_keeps_what_was_typed(people: People) -> None:
    page = browser_of(people.owner).post("/cost/budgets/", {"team": "checkout", "limit_usd": "-3", "period": "month"})
    assert "greater than or equal to 0.01" in page.content.decode()
    assert 'value="-3"' in page.content.decode()


def test_viewers_change_no_budget_and_outsiders_see_none(people: People) -> None:
    budget = Budget.objects.create(team="checkout", limit_usd=10, workspace=people.production)
    teammate, outsider = browser_of(people.teammate), browser_of(people.outsider)
    assert teammate.post(f"/cost/budgets/{budget.pk}/delete/").status_code == 403
    assert teammate.post("/cost/budgets/", {}).status_code == 403
    assert outsider.post(f"/cost/budgets/{budget.pk}/delete/").status_code == 404
    assert "checkout" not in outsider.get("/cost/").content.decode()
    assert Budget.objects.get().limit_usd == 10
