"""Explore in a real browser: completion by keyboard, errors while one types, several queries, parts as queries, and
without scripts."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.records import Sender, call
from tests.servers import wait_until

COUNT = "sum by (model) (llm_provider_request_seconds_count)"
TABS = ("graph", "table", "meaning", "history")


@pytest.fixture(autouse=True)
def recorded(sender: Sender) -> None:
    """Calls of two models in the last half hour."""
    now = timezone.now()
    sender.post([call(at=now - timedelta(seconds=20 * place), model=f"model-{place % 2}") for place in range(1, 90)])


def editor(page: Page, place: int = 0) -> Locator:
    return page.locator(".editor textarea").nth(place)


def chosen(page: Page) -> Locator:
    return page.locator('.completion li[aria-selected="true"]')


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_shows_without_complaint_in_both_themes_and_fits_a_narrow_screen(page: Page, tab: str) -> None:
    page.goto(f"/explore/?q={COUNT}&q=sum(llm_tokens_total)&tab={tab}&range=1h")
    expect(page.locator('.tabs [aria-current="page"]')).to_be_visible()
    if tab == "graph":
        expect(page.locator(".chart")).to_have_attribute("data-state", "ready")
        expect(page.locator("#explore-unit")).to_have_text("plain numbers left, tokens right")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    # Playwright's own waiting for a function evaluates text in the page, which its policy forbids.
    wait_until(lambda: page.evaluate("document.documentElement.scrollWidth") == 390, what="the narrow page")


def test_of_three_units_each_has_a_graph(page: Page) -> None:
    page.goto(f"/explore/?q={COUNT}&q=sum(llm_tokens_total)&q=sum(llm_provider_request_seconds_sum)&q=sum(&range=1h")
    expect(page.locator(".chart[data-state=ready]")).to_have_count(3)
    expect(page.locator("#explore-unit")).to_have_text("3 units, a graph each")
    with page.expect_download() as picture:
        page.get_by_role("button", name="Picture as PNG").nth(1).click()
    assert picture.value.suggested_filename == "tokens.png"


def test_a_query_is_written_with_completion_alone(page: Page) -> None:
    page.goto("/explore/?range=1h")
    expect(editor(page)).to_be_focused()
    page.keyboard.type("llm_provider_request_sec")
    expect(chosen(page)).to_contain_text("llm_provider_request_seconds_bucket")
    expect(chosen(page)).to_contain_text("Provider API call latency, in seconds")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(chosen(page)).to_contain_text("llm_provider_request_seconds_count")
    page.keyboard.press("Tab")
    expect(editor(page)).to_have_value("llm_provider_request_seconds_count")
    page.keyboard.type("{mo")
    expect(chosen(page)).to_contain_text("model")
    page.keyboard.press("Enter")
    expect(chosen(page)).to_contain_text("model-0")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("}")
    expect(editor(page)).to_have_value('llm_provider_request_seconds_count{model="model-1"}')
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile(r"q=llm_provider_request_seconds_count"))
    expect(page.locator(".explore-summary")).to_contain_text("1 series")
    expect(page.locator(".legend button")).to_have_count(1)


def test_escape_closes_the_completion_and_leaves_the_text(page: Page) -> None:
    page.goto("/explore/?range=1h")
    page.keyboard.type("su")
    expect(chosen(page)).to_contain_text("sum")
    page.keyboard.press("Escape")
    expect(page.locator(".completion")).to_have_count(0)
    expect(editor(page)).to_have_value("su")
    page.keyboard.press("Control+ ")
    expect(chosen(page)).to_contain_text("sum")


def test_labels_of_a_grouping_are_those_of_the_metric_after_it(page: Page) -> None:
    page.goto("/explore/?q=sum by () (llm_tokens_total)&range=1h")
    editor(page).focus()
    page.evaluate("document.querySelector('.editor textarea').setSelectionRange(8, 8)")
    page.keyboard.press("Control+ ")
    expect(page.locator(".completion b")).to_have_text(["direction", "model", "provider"])


def test_an_error_stands_under_its_place_while_typing_and_a_click_corrects_it(page: Page) -> None:
    page.goto("/explore/?range=1h")
    page.keyboard.type("rate(llm_tokens_total[5m]) by (model)")
    expect(page.locator(".editor .tok-wrong")).to_have_text("by")
    caret = page.locator(".wrong-line span").bounding_box()
    marked = page.locator(".wrong-line mark").bounding_box()
    assert caret
    assert marked
    assert abs(caret["x"] + caret["width"] - marked["x"] - marked["width"]) < 2
    page.locator(".suggestion").click()
    page.wait_for_url(re.compile(r"q=sum\+by"))
    expect(editor(page)).to_have_value("sum by (model) (rate(llm_tokens_total[5m]))")
    expect(page.locator(".wrong-box")).to_have_count(0)
    expect(page.locator(".chart")).to_have_attribute("data-state", "ready")


def test_queries_are_added_hidden_and_removed_and_the_url_follows(page: Page) -> None:
    page.goto(f"/explore/?q={COUNT}&range=1h")
    page.get_by_role("button", name="Add a query").click()
    expect(editor(page, 1)).to_be_focused()
    page.keyboard.type("sum(nothing_of_that_name)")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".explore-summary").nth(1)).to_contain_text("0 series")
    expect(page.locator(".legend button")).to_have_count(2)
    page.get_by_role("button", name="Query A: hide").click()
    page.wait_for_url(re.compile("hide=A"))
    expect(page.locator(".chart")).to_have_attribute("data-state", "empty")
    page.get_by_role("button", name="Query A: show").click()
    expect(page.get_by_role("button", name="Query A: hide")).to_be_visible()
    page.get_by_role("button", name="Remove query B").click()
    expect(page.locator(".editor")).to_have_count(1)
    assert "hide" not in page.url
    page.reload()
    expect(editor(page)).to_have_value(COUNT)


def test_adding_hiding_and_removing_loads_no_page_and_keeps_text_focus_and_graph(page: Page) -> None:
    page.goto(f"/explore/?q={COUNT}&range=1h")
    expect(page.locator(".chart")).to_have_attribute("data-state", "ready")
    page.evaluate("window.samePage = true; document.querySelector('.chart').dataset.same = 'graph'")
    page.get_by_role("button", name="Add a query").click()
    expect(editor(page, 1)).to_be_focused()
    expect(page.locator(".chart[data-same=graph]")).to_have_attribute("data-state", "ready")
    page.keyboard.type("sum(llm_tokens_total)")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Query A: hide").press("Enter")
    expect(page.get_by_role("button", name="Query A: show")).to_be_focused()
    expect(editor(page, 1)).to_have_value("sum(llm_tokens_total)")
    page.wait_for_url(re.compile(r"q=sum%28llm_tokens_total%29&hide=A"))
    expect(page.locator("#explore-unit")).to_have_text("tokens")
    expect(page.get_by_role("link", name="6 h")).to_have_attribute("href", re.compile("hide=A"))
    page.get_by_role("button", name="Remove query A").press("Enter")
    expect(editor(page)).to_be_focused()
    expect(editor(page)).to_have_value("sum(llm_tokens_total)")
    page.get_by_role("link", name="What does this mean").click()
    expect(page.locator(".meaning-sentence")).to_have_text("The sum over all of “total LLM tokens used”.")
    assert page.evaluate("window.samePage")
    page.go_back()
    expect(page.locator(".meaning-sentence")).to_have_count(0)
    page.wait_for_load_state()
    page.go_back()
    expect(editor(page, 1)).to_have_value("sum(llm_tokens_total)")
    expect(page.get_by_role("button", name="Query A: show")).to_be_visible()


def test_what_is_typed_while_an_answer_is_on_its_way_stays(page: Page) -> None:
    page.goto(f"/explore/?q={COUNT}&q=sum(llm_tokens_total)&range=1h")
    held: list[Route] = []
    page.route(re.compile("do="), lambda route: held.append(route))
    with page.expect_request(re.compile("do=remove-A")):
        page.get_by_role("button", name="Remove query A").click()
    editor(page, 1).focus()
    page.keyboard.press("End")
    page.keyboard.type(" > 1")
    page.keyboard.press("Escape")
    held[0].continue_()
    expect(page.locator(".editor")).to_have_count(1)
    expect(editor(page)).to_have_value("sum(llm_tokens_total) > 1")


def test_a_button_pressed_before_the_answer_to_another_loses_neither(page: Page, complaints: list[str]) -> None:
    page.goto(f"/explore/?q={COUNT}&q=sum(llm_tokens_total)&range=1h")
    page.route(re.compile("do=hide-B$|do=hide-B&"), lambda route: None, times=1)
    page.get_by_role("button", name="Query B: hide").click()
    page.get_by_role("button", name="Remove query A").click()
    page.wait_for_url(re.compile(r"\?q=sum%28llm_tokens_total%29&hide=A&range=1h$"))
    expect(page.get_by_role("button", name="Query A: show")).to_be_visible()
    complaints.clear()  # htmx writes of the request that it gave up


def test_a_part_of_a_query_becomes_the_query(page: Page) -> None:
    page.goto(f"/explore/?q={COUNT} > 5&tab=meaning&range=1h")
    page.locator(".part-text").nth(1).click()
    expect(editor(page)).to_have_value(COUNT)
    assert "range=1h" in page.url


def test_the_table_follows_new_records(page: Page, sender: Sender) -> None:
    page.goto(f"/explore/?q={COUNT}&tab=table&range=1h")
    expect(page.locator("td.num")).to_have_count(2)
    sender.post([call(at=timezone.now() - timedelta(seconds=20), model="newcomer")])
    page.evaluate("htmx.trigger(document.querySelector('#explore-live'), 'live')")
    expect(page.locator("#explore-live table")).to_contain_text("newcomer")
    expect(page.locator("#explore-live")).to_have_count(1)


def test_history_runs_a_query_again(page: Page) -> None:
    page.goto(f"/explore/?q={COUNT}&range=1h")
    with page.expect_response(re.compile("do=run")) as answer:
        page.get_by_role("button", name="Run").click()
    answer.value.finished()
    page.goto("/explore/?tab=history")
    page.locator(".row-actions a", has_text="Run").click()
    expect(editor(page)).to_have_value(COUNT)


def test_a_panel_leads_to_explore(page: Page) -> None:
    page.goto("/providers/?range=1h")
    page.locator(".panel-menu summary").first.click()
    page.get_by_role("link", name="Open in Explore").first.click()
    expect(editor(page)).to_have_value(re.compile("histogram_quantile"))
    expect(page.locator(".chart")).to_have_attribute("data-state", "ready")


def test_it_works_without_scripts(context: BrowserContext, page: Page) -> None:
    browser = context.browser
    assert browser
    plain = browser.new_context(java_script_enabled=False, storage_state=context.storage_state())
    bare = plain.new_page()
    page.goto("/explore/")
    bare.goto(page.url)
    bare.locator("textarea").fill(COUNT)
    bare.get_by_role("button", name="Run").click()
    bare.get_by_role("link", name="Table").click()
    expect(bare.locator("table")).to_contain_text("model-1")
    bare.get_by_role("button", name="Add a query").click()
    bare.locator("textarea").nth(1).fill("sum(")
    bare.get_by_role("button", name="Run").click()
    expect(bare.locator(".wrong-box")).to_contain_text("is never closed")
    expect(bare.locator("table")).to_contain_text("model-1")
    plain.close()
