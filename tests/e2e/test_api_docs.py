"""The pages of the API's documentation under the strict Content-Security-Policy."""

from playwright.sync_api import Page, expect


def test_the_documentation_draws_without_complaint_and_sends_requests(page: Page) -> None:
    page.goto("/api/docs/")
    expect(page.get_by_role("heading", name="LLM usage portal")).to_be_visible(timeout=60_000)
    # The first one: the page draws only the operations that are near what one sees.
    episodes = page.locator("#operations-alerts-alert_episodes_list")
    episodes.locator(".opblock-summary-control").click()
    episodes.get_by_role("button", name="Try it out").click()
    episodes.get_by_role("button", name="Execute").click()
    expect(episodes.locator(".live-responses-table td.response-col_status").last).to_contain_text("200", timeout=60_000)
