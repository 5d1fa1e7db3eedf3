"""The shell in a real browser: charts under the strict policy, live refresh, zoom, keyboard, themes, a narrow
screen."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from core.accounts.keys import create_key
from core.accounts.models import Workspace
from tests.records import Sender, call
from tests.servers import wait_until

# Fetches every chart anew, as its interval would.
REFRESH = """
import("/static/charts/charts.js").then(({ load }) => {
  document.querySelectorAll(".chart").forEach((chart) => load(chart));
})
"""
PAGES = ("/", "/coverage/", "/providers/", "/tools/", "/cost/", "/alerts/", "/rules/", "/channels/", "/runbooks/")


@pytest.fixture(autouse=True)
def recorded(sender: Sender) -> None:
    """Calls of the last half hour."""
    now = timezone.now()
    sender.post([call(at=now - timedelta(seconds=20 * place), model=f"model-{place % 2}") for place in range(1, 90)])


def drawn(page: Page) -> None:
    """Wait until every chart is drawn, or says that it is empty."""
    for chart in page.locator(".chart").all():
        expect(chart).to_have_attribute("data-state", re.compile("ready|empty"))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_draws_without_complaint_in_both_themes_and_fits_a_narrow_screen(page: Page, path: str) -> None:
    page.goto(f"{path}?range=1h")
    drawn(page)
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    drawn(page)
    page.set_viewport_size({"width": 390, "height": 844})
    wait_until(lambda: page.evaluate("document.documentElement.scrollWidth") == 390)


def test_new_records_appear_without_a_reload(page: Page, sender: Sender) -> None:
    page.goto("/?range=1h")
    drawn(page)
    page.evaluate("window.stays = true")
    now = timezone.now()
    sender.post([call(at=now - timedelta(seconds=place), model="newcomer") for place in range(20, 60)])
    page.evaluate("htmx.trigger(document.querySelector('[data-live]'), 'live')")
    expect(page.locator("#models")).to_contain_text("newcomer")
    page.evaluate(REFRESH)
    expect(page.locator(".legend button", has_text="newcomer").first).to_be_visible()
    assert page.evaluate("window.stays")


def test_a_live_refresh_keeps_the_scroll_position(page: Page, sender: Sender) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/?range=1h")
    drawn(page)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    before = page.evaluate("scrollY")
    assert before > 400
    now = timezone.now()
    sender.post([call(at=now - timedelta(seconds=place), model="newcomer") for place in range(20, 60)])
    page.evaluate("document.querySelectorAll('[data-live]').forEach((element) => htmx.trigger(element, 'live'))")
    page.evaluate(REFRESH)
    expect(page.locator("#models")).to_contain_text("newcomer")
    expect(page.locator(".legend button", has_text="newcomer").first).to_be_attached()
    assert page.evaluate("scrollY") == before


def test_the_workspace_filter_shows_one_workspace_and_stays_in_links(page: Page) -> None:
    staging = Workspace.objects.create(slug="staging", name="Staging")
    now = timezone.now()
    key, plaintext = create_key("other app", staging, ["ingest"])
    other = Sender(key, plaintext, Client())
    other.post([call(at=now - timedelta(seconds=20 * place), model="only-in-staging") for place in range(1, 30)])
    page.goto("/?range=1h")
    drawn(page)
    expect(page.locator("#models")).to_contain_text("only-in-staging")
    expect(page.locator("#models")).to_contain_text("model-1")
    page.locator(".header summary", has_text="all workspaces").click()
    page.get_by_role("link", name="staging", exact=True).click()
    page.wait_for_url(re.compile("workspace=staging"))
    drawn(page)
    expect(page.locator("#models")).to_contain_text("only-in-staging")
    expect(page.locator("#models")).not_to_contain_text("model-1")
    shown = page.locator(".legend button").all_inner_texts()
    assert "only-in-staging" in shown
    assert not [name for name in shown if name.startswith("model-")]
    page.get_by_role("link", name="Providers").click()
    page.wait_for_url(re.compile("/providers/.*workspace=staging"))
    expect(page.locator(".header summary", has_text="staging")).to_be_visible()


def test_dragging_over_a_chart_zooms_the_whole_page(page: Page) -> None:
    page.goto("/?range=1h")
    drawn(page)
    box = page.locator(".chart").first.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, middle, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile(r"from=\d+&to=\d+"))
    found = re.search(r"from=(\d+)&to=(\d+)", page.url)
    assert found
    minutes = (int(found[2]) - int(found[1])) / 60_000
    assert 15 < minutes < 23
    now = timezone.now().timestamp() * 1000
    assert now - 30 * 60_000 < int(found[1]) < now - 20 * 60_000
    expect(page.locator(".live-text")).to_have_text("Fixed range")
    drawn(page)


def test_the_legend_hides_a_series(page: Page) -> None:
    page.goto("/?range=1h")
    drawn(page)
    button = page.locator(".legend button", has_text="model-1").first
    button.click()
    expect(page.locator(".legend button", has_text="model-1").first).to_have_attribute("aria-pressed", "false")


def test_the_keyboard_opens_the_command_palette(page: Page) -> None:
    page.goto("/?range=1h")
    page.keyboard.press("/")
    page.keyboard.type("model-1")
    expect(page.locator("#palette li[aria-selected=true]")).to_contain_text("model-1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/providers/")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/coverage/")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("t")
    expect(page.locator("#range-from")).to_be_focused()


def test_the_theme_recolours_what_is_drawn(page: Page) -> None:
    page.goto("/?range=1h")
    drawn(page)
    swatch = page.locator(".legend rect").first
    light = swatch.get_attribute("fill")
    page.locator("[data-theme-toggle]").click()
    page.locator("[data-theme-toggle]").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator(".legend rect").first).not_to_have_attribute("fill", light or "")


def test_a_lost_connection_is_shown_and_heals(page: Page, complaints: list[str]) -> None:
    page.goto("/?range=1h")
    drawn(page)
    page.context.set_offline(True)
    page.evaluate(REFRESH)
    expect(page.locator(".live-text")).to_have_text("Connection lost")
    page.context.set_offline(False)
    page.evaluate(REFRESH)
    expect(page.locator(".live-text")).to_have_text("Live")
    drawn(page)
    assert {text.partition(": ")[2] for text in complaints} == {"net::ERR_INTERNET_DISCONNECTED"}
    complaints.clear()


def test_a_panel_that_fails_leaves_the_others_alone(page: Page, complaints: list[str]) -> None:
    page.route(
        "**/panels/overview/tokens.json*", lambda route: route.fulfill(status=422, json={"error": "no such thing"})
    )
    page.goto("/?range=1h")
    broken = page.locator('.chart[data-figure-url*="tokens.json"]')
    expect(broken).to_have_attribute("data-message", "This panel could not be drawn: no such thing")
    expect(page.locator('.chart[data-figure-url*="coverage.json"]')).to_have_attribute("data-state", "ready")
    complaints.clear()


def test_a_panel_that_found_no_slot_asks_again(page: Page) -> None:
    refused = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=503, headers={"Retry-After": "0.05"}, json={"error": "too many"})

    page.route("**/panels/overview/tokens.json*", refuse, times=2)
    page.goto("/?range=1h")
    expect(page.locator('.chart[data-figure-url*="tokens.json"]')).to_have_attribute("data-state", "ready")
    assert len(refused) == 2


def test_what_did_not_work_is_said(page: Page, complaints: list[str]) -> None:
    page.goto("/cost/?range=1h")
    page.evaluate("htmx.ajax('POST', '/cost/budgets/999/delete/', {source: document.body, swap: 'none'})")
    expect(page.locator(".toast")).to_have_text("It is no longer there.")
    complaints.clear()
