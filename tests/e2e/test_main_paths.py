"""The operator's way from the first start to an alert that fired and resolved, in a real
browser before a real portal."""

import json
import urllib.request

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.live import LivePortal, live_portal, open_folder
from tests.servers import HttpServer, wait_until

pytestmark = pytest.mark.long
RULE = "HighMCPToolErrorRate"
PASSWORD = "a-horse-of-another-staple"


def send(portal: LivePortal, records: list[dict[str, object]]) -> None:
    """Records over HTTP with the key that the first start printed."""
    headers = {"Authorization": f"Bearer {portal.line('api key:')}"}
    request = urllib.request.Request(f"{portal.url}/api/v1/usage", json.dumps(records).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["accepted"] == len(records)


def sign_in(page: Page, portal: LivePortal) -> None:
    """With the one-time password, which has to be changed."""
    one_time = portal.output.split("one-time password ")[1].split()[0]
    page.goto(portal.url)
    page.locator("[name=login]").fill("admin")
    page.locator("[name=password]").fill(one_time)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.locator("[name=new_password1]").fill(PASSWORD)
    page.locator("[name=new_password2]").fill(PASSWORD)
    page.locator("[name=new_password2]").press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def add_slack(page: Page, url: str) -> None:
    """A channel by the form, and a test message."""
    page.goto("/channels/new/slack/")
    page.get_by_label("Name").fill("#llm-oncall")
    page.locator("[name=config_url]").fill(url)
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Send a test message").click()
    expect(page.locator("#test")).to_contain_text("Delivered in")


def tune(page: Page, threshold: str) -> None:
    """Change the rule's threshold and let it fire at once."""
    page.goto("/rules/")
    page.locator("tr", has_text=RULE).locator("a[href^='/rules/']").click()
    page.locator("[name=threshold]").fill(threshold)
    page.locator("[name=for_seconds]").fill("0")
    page.get_by_role("button", name="Save").first.click()
    expect(page.locator("[name=threshold]")).to_have_value(threshold)


def test_from_the_first_start_to_a_resolved_alert(browser: Browser, http_server: HttpServer) -> None:
    environment = {"PORTAL_OUTBOUND_PRIVATE": "true", "PORTAL_EVALUATION_DELAY": "0"}
    with open_folder() as folder, live_portal(folder / "data", environment=environment) as portal:
        context = browser.new_context(
            base_url=portal.url, viewport={"width": 1440, "height": 960}, color_scheme="light"
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        sign_in(page, portal)
        expect(
            page.get_by_text("curl").first
        ).to_be_visible()  # nothing has come yet: the page says how to send a record
        calls = [
            {"kind": "llm_call", "provider": "openai", "model": "gpt-4o", "prompt_tokens": 100, "completion_tokens": 20}
        ]
        send(portal, calls * 30)
        page.goto("/?range=1h")
        expect(page.locator("#models")).to_contain_text("gpt-4o")
        # The first scrape after the records is up to 15 s away; then the charts, which
        # refresh themselves, show the model.
        expect(page.locator(".legend button", has_text="gpt-4o").first).to_be_visible(timeout=90_000)

        add_slack(page, f"{http_server.url}/hook")
        http_server.wait_for(1)
        tune(page, "0.01")
        send(portal, [{"kind": "tool_call", "server_id": "web", "tool_name": "fetch", "outcome": "error"}] * 60)
        messages = http_server.wait_for(2, seconds=90)
        fired = messages[1].body.decode()
        assert RULE in fired
        assert "/runbooks/" in fired
        page.goto("/alerts/")
        expect(page.get_by_text("fetch").first).to_be_visible()
        page.get_by_role("button", name="Acknowledge").first.click()
        expect(page.get_by_text("admin").first).to_be_visible()

        tune(page, "1000")
        resolved = http_server.wait_for(3, seconds=90)[2].body.decode()
        assert "esolved" in resolved
        page.goto("/alerts/")
        wait_until(lambda: "resolved" in (page.reload() and page.content()), 60, "the alert is not shown as resolved")
        context.close()
