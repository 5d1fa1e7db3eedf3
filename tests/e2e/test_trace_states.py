"""Traces that are not whole, and long ones: what their pages say, in both themes, on a phone, by
keyboard, under axe; and the search bar."""

import itertools
import json
import random
import re
from datetime import timedelta
from typing import Literal

import pytest
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Page, ViewportSize, expect

from telemetry.ingest.bodies import take
from telemetry.samples import demo_traces
from telemetry.samples.demo_executions import Execution, Hour, body_of
from tests.e2e.test_accessibility import faults
from tests.e2e.test_pages import open_page
from tests.records import rows, scalar, settle_all
from tests.servers import wait_until
from tests.telemetry.pages.traces.test_waterfall import large_trace
from usage.samples import demo

CHANGES = {
    "rootless": (
        "DELETE FROM telemetry_span WHERE name = 'large' AND trace_id = %s",
        "UPDATE telemetry_trace SET has_root = false, root_name = '' WHERE trace_id = %s",
    ),
    "cut": ("DELETE FROM telemetry_span WHERE name LIKE 'step 1_' AND trace_id = %s",),
    # However long the test takes until it looks.
    "arriving": ("UPDATE telemetry_trace SET last_seen = last_seen + interval '1 hour' WHERE trace_id = %s",),
    "large": ("UPDATE telemetry_trace SET last_seen = last_seen - interval '1 hour' WHERE trace_id = %s",),
}
WIDE: ViewportSize = {"width": 1440, "height": 960}
NARROW: ViewportSize = {"width": 390, "height": 844}
SCREENS: list[tuple[Literal["light", "dark"], ViewportSize]]
SCREENS = [("light", WIDE), ("dark", NARROW), ("light", NARROW), ("dark", WIDE)]
SAID = {
    "skewed": "the clock of knowledge is",
    "rootless": "its root has not arrived",
    "cut": "10 of 30 spans were cut by sampling or retention",
    "arriving": "Still arriving",
    "large": "Finished without an error",
}


def skewed() -> str:
    """An execution in which a service's clock is off."""
    now = timezone.now()
    demo_traces.backfill(now - timedelta(minutes=6), now, now)
    return str(scalar("SELECT trace_id FROM telemetry_span WHERE service = 'knowledge' ORDER BY trace_id LIMIT 1").hex)


def states() -> dict[str, str]:
    """A trace of each state: one whose root has not come, one of which spans are gone, one that still arrives …"""
    made = {"skewed": skewed()}
    made |= {name: large_trace(30, digit * 32) for name, digit in (("rootless", "a"), ("cut", "c"), ("arriving", "e"))}
    made["large"] = large_trace(2000, "f" * 32)
    with connection.cursor() as cursor:
        for name, statements in CHANGES.items():
            for statement in statements:
                cursor.execute(statement, [made[name]])
    settle_all()
    return made


def right(page: Page, screen: tuple[Literal["light", "dark"], ViewportSize]) -> None:
    """Assert that the page breaks no rule of axe in a theme and a size, and that a narrow one scrolls down only."""
    theme, size = screen
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size(size)
    if size is NARROW:
        wait_until(lambda: page.evaluate("document.documentElement.scrollWidth") <= 390)
    assert faults(page) == []


def test_pages_of_traces_that_are_not_as_they_should_be_are_right_on_every_screen(
    page: Page, subtests: pytest.Subtests
) -> None:
    """The waterfall of each state in both themes and sizes, walked by keyboard; its other pages each on one screen, in
    turn."""
    made = states()
    turns = itertools.cycle(SCREENS)
    for name, trace in made.items():
        with subtests.test(name):
            page.set_viewport_size(WIDE)
            open_page(page, f"/traces/{trace}/")
            expect(page.locator("#trace-state .banner")).to_contain_text(SAID[name])
            page.get_by_role("tree").focus()
            page.keyboard.press("End")
            page.keyboard.press("Enter")
            expect(page.locator("#span-detail h2")).to_be_visible()
            for screen in SCREENS:
                right(page, screen)
            page.locator(".tabs").get_by_role("link", name="Records").focus()
            page.keyboard.press("Enter")
            page.wait_for_url(f"**/traces/{trace}/records/")
            right(page, next(turns))
        for path in (
            f"/traces/{trace}/cost/",
            f"/traces/compare/?id={trace}",
            f"/traces/compare/?id={trace}&id={made['skewed']}",
            f"/logs/?range=1h&q=trace={trace}",
        ):
            with subtests.test(f"{name}: {path}"):
                open_page(page, path)
                right(page, next(turns))
    with subtests.test("list"):
        open_page(page, "/traces/?range=1h")
        for screen in SCREENS:
            right(page, screen)


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
