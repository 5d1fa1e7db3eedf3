"""Traces that are not whole, and long ones: what their pages say, in both themes, on a phone, by
keyboard, under axe; and the search bar."""

import json
import random
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from telemetry.ingest.bodies import take
from telemetry.samples import demo_traces
from telemetry.samples.demo_executions import Execution, Hour, body_of
from tests.e2e.test_accessibility import faults
from tests.e2e.test_pages import open_page
from tests.records import rows, scalar
from tests.telemetry.pages.test_waterfall import large_trace
from usage.samples import demo

LOSE_ROOT = "WITH gone AS (DELETE FROM telemetry_span WHERE name = 'large' RETURNING 1) SELECT count(*) FROM gone"
FORGET_ROOT = (
    "WITH lost AS (UPDATE telemetry_trace SET has_root = false, root_name = '' RETURNING 1) SELECT count(*) FROM lost"
)
CUT = "WITH gone AS (DELETE FROM telemetry_span WHERE name LIKE 'step 1_' RETURNING 1) SELECT count(*) FROM gone"


def skewed() -> str:
    """An execution in which a service's clock is off."""
    now = timezone.now()
    demo_traces.backfill(now - timedelta(minutes=6), now, now)
    return str(scalar("SELECT trace_id FROM telemetry_span WHERE service = 'knowledge' ORDER BY trace_id LIMIT 1").hex)


def rootless() -> str:
    """A trace whose root has not come."""
    trace = large_trace(30)
    scalar(LOSE_ROOT)
    scalar(FORGET_ROOT)
    return trace


def cut() -> str:
    """A trace of which some spans are gone."""
    trace = large_trace(30)
    scalar(CUT)
    return trace


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (skewed, "the clock of knowledge is"),
        (rootless, "its root has not arrived"),
        (cut, "10 of 30 spans were cut by sampling or retention"),
        (lambda: large_trace(2000), "Still arriving"),
    ],
    ids=["skewed", "rootless", "cut", "large and arriving"],
)
def test_a_trace_that_is_not_as_it_should_be_says_so_on_every_screen(
    page: Page, made: Callable[[], str], said: str
) -> None:
    trace = made()
    open_page(page, f"/traces/{trace}/")
    expect(page.locator("#trace-state .banner")).to_contain_text(said)
    expect(page.get_by_role("treeitem").first).to_be_visible()
    assert faults(page) == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults(page) == []


def test_a_trace_that_still_arrives_shows_what_came_meanwhile(page: Page) -> None:
    trace = large_trace(5)
    open_page(page, f"/traces/{trace}/")
    expect(page.get_by_role("treeitem")).to_have_count(5)
    late = Execution(random.Random(7), Hour(0), trace)
    now = timezone.now().timestamp()
    parent = page.get_by_role("treeitem").first.get_attribute("id") or ""
    late.add("shop", parent.removeprefix("wf-"), late.span_id(), "came late", now - 299, now - 298)
    take("traces.json", json.dumps(body_of("Spans", late.spans)).encode(), demo.caller(), now)
    expect(page.get_by_role("treeitem", name="came late")).to_be_visible(timeout=40_000)
    expect(page.locator("#trace-state .tile", has_text="Spans")).to_contain_text("6")


def test_the_waterfall_is_walked_by_keyboard(page: Page) -> None:
    open_page(page, f"/traces/{skewed()}/")
    tree = page.get_by_role("tree")
    all_rows = tree.get_by_role("treeitem").count()
    tree.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    expect(tree.get_by_role("treeitem")).to_have_count(1)
    expect(tree.get_by_role("treeitem").first).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowRight")
    expect(tree.get_by_role("treeitem")).to_have_count(all_rows)
    page.keyboard.press("c")
    expect(page.get_by_role("button", name="Critical path")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("c")
    page.keyboard.press("f")
    expect(page.locator("#wf-find")).to_be_focused()


def test_a_second_trace_is_chosen_to_compare_with(page: Page) -> None:
    skewed()
    [(trace,), *_] = rows(
        "SELECT trace_id FROM telemetry_trace WHERE root_name = 'answer-ticket' ORDER BY start, trace_id LIMIT 1"
    )
    open_page(page, f"/traces/{trace.hex}/")
    page.get_by_role("link", name="Compare with").click()
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", name="Step by step")).to_be_visible()
    expect(page).to_have_url(re.compile(f"id={trace.hex}&id="))


def test_the_search_bar_completes_values_and_keeps_views(page: Page) -> None:
    skewed()
    open_page(page, "/traces/?range=1h")
    bar = page.get_by_label("Add a filter")
    bar.fill("agent = ")
    expect(page.locator('#search-names option[value="agent=triage-agent"]')).to_be_attached()
    bar.fill("agent=triage-agent")
    bar.press("Enter")
    expect(page.locator(".search-chip")).to_contain_text("triage-agent")
    page.get_by_text("Saved views").click()
    page.get_by_label("This search, for me, as").fill("Triage")
    page.get_by_role("button", name="Save", exact=True).click()
    assert faults(page) == []
    page.goto("/traces/")
    page.get_by_text("Saved views").click()
    page.get_by_role("link", name="Triage", exact=True).click()
    expect(page).to_have_url(re.compile("range=1h.*q=agent%3Dtriage-agent"))
    page.get_by_text("Saved views").click()
    page.get_by_role("button", name="Forget the view Triage").click()
    expect(page.get_by_role("link", name="Triage", exact=True)).to_have_count(0)
    page.goto("/logs/?range=1h")
    page.get_by_label("Add a filter").fill("severity=")
    expect(page.locator('#search-names option[value="severity=warn"]')).to_be_attached()


def drag(page: Page, place: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over an element, from and to in shares of its width and height."""
    box = page.locator(place).bounding_box()
    assert box
    x, y, wide, high = box["x"], box["y"], box["width"], box["height"]
    page.mouse.move(x + wide * start[0], y + high * start[1])
    page.mouse.down()
    page.mouse.move(x + wide * end[0], y + high * end[1], steps=5)
    page.mouse.up()


def test_a_region_of_the_chart_filters_and_the_mini_map_zooms(page: Page) -> None:
    skewed()
    open_page(page, "/traces/?range=1h")
    expect(page.locator("#dots")).to_have_attribute("data-state", "ready")
    drag(page, "#dots", (0.5, 0.2), (0.98, 0.8))
    page.wait_for_url(re.compile(r"base=\d+-\d+.*q=duration"))
    expect(page.locator("#special")).to_contain_text(re.compile("as often as usual|nothing is more frequent|of these"))
    expect(page.get_by_role("link", name="show all")).to_be_visible()
    page.locator(".what-ran a").first.click()
    expect(page.get_by_role("treeitem").first).to_be_visible()
    axis = page.locator("#wf-axis span").last
    whole = axis.text_content()
    drag(page, "#wf-map", (0.2, 0.5), (0.6, 0.5))
    expect(page.get_by_role("button", name="Whole time")).to_be_visible()
    expect(axis).not_to_have_text(whole or "")
    page.keyboard.press("Escape")
    expect(axis).to_have_text(whole or "")


def test_live_tail_shows_what_comes_and_stops_when_one_scrolls_and_an_address_is_shared(page: Page) -> None:
    skewed()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, "/logs/?range=1h")
    page.get_by_role("button", name="Live tail").click()
    late, now = Execution(random.Random(8), Hour(0), "5f2d" * 8), timezone.now().timestamp()
    late.log("shop", "", now, (9, "INFO"), "came while one looked")
    take("logs.json", json.dumps(body_of("Logs", late.logs)).encode(), demo.caller(), now)
    expect(page.locator(".log-line").first).to_contain_text("came while one looked")
    page.mouse.wheel(0, 400)
    expect(page.locator("#tail")).to_contain_text("stopped")
    page.locator("#share").click()
    expect(page.locator("#share")).to_have_text("Address copied")
    assert re.search(r"/logs/\?from=\d+&to=\d+$", page.evaluate("navigator.clipboard.readText()"))
