"""Pages of alerts and data in a real browser: what changes in place, without complaint, and within a narrow screen."""

import re
from datetime import timedelta

import pytest
from django.apps import apps
from django.utils import timezone
from playwright.sync_api import Page, expect

from alerts.models import Alert, Rule
from alerts.notify import channels
from alerts.rules.defaults import ensure_defaults
from tests.alerts.pages.samples import fire
from tests.records import Sender, call
from tests.servers import wait_until
from usage.store import downsampling


@pytest.fixture(autouse=True)
def world(sender: Sender) -> Alert:
    """Calls of the last hour, a quarter of them without token counts, and the alert that this is."""
    now = timezone.now()
    lost = {"prompt_tokens": None, "completion_tokens": None}
    ensure_defaults(apps.get_model)
    channels.create_channel("slack", "#oncall", {"url": "https://hooks.slack.com/services/T000/B000/secret"})
    sender.post(
        [call(at=now - timedelta(seconds=20 * place), **(lost if place % 4 == 0 else {})) for place in range(1, 180)]
    )
    downsampling.downsample(now)
    rule = Rule.objects.get(name="LLMUsageIngestionFailuresCritical")
    return fire(rule, model="gpt-4o", provider="openai", component="agent")


def open_page(page: Page, path: str) -> None:
    """Go there and wait until every chart is drawn, or says that it is empty."""
    page.goto(path)
    for chart in page.locator(".chart").all():
        expect(chart).to_have_attribute("data-state", re.compile("ready|empty"))


@pytest.mark.parametrize(
    "path",
    [
        "/alerts/{alert}/",
        "/rules/{rule}/",
        "/rules/new/",
        "/channels/new/slack/",
        "/runbooks/usage-not-recorded/",
        "/runbooks/usage-not-recorded/edit/",
        "/ingestion/",
        "/keys/",
        "/prices/",
        "/settings/",
    ],
)
def test_a_page_draws_without_complaint_and_fits_a_narrow_screen(page: Page, world: Alert, path: str) -> None:
    open_page(page, path.format(alert=world.pk, rule=world.rule_id))
    page.set_viewport_size({"width": 390, "height": 844})
    wait_until(lambda: page.evaluate("document.documentElement.scrollWidth") == 390)


def test_a_threshold_redraws_the_past_before_it_is_saved(page: Page, world: Alert) -> None:
    open_page(page, f"/rules/{world.rule_id}/")
    summary = page.locator(".backtest-summary")
    expect(summary).to_contain_text("1 label set would be firing now.")
    page.get_by_label("Fires above, %").fill("80")
    expect(summary).to_contain_text("Nothing would be firing now.")
    page.get_by_role("link", name="7 d").click()
    expect(summary).to_contain_text("in the last 7 d")
    expect(page.get_by_label("Fires above, %")).to_have_value("80")
    world.rule.refresh_from_db()
    assert world.rule.threshold == 1
    page.get_by_role("button", name="Save").first.click()
    expect(page.locator(".message")).to_contain_text("Saved as version 2.")
    expect(page.locator("#history")).to_contain_text("threshold: 1 → 80")


def test_acknowledging_changes_the_list_in_place(page: Page, world: Alert) -> None:
    open_page(page, "/alerts/")
    page.evaluate("window.stays = true")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("#open-alerts")).to_contain_text("acknowledged by admin")
    assert page.evaluate("window.stays")


def test_a_thumb_acknowledges_on_a_narrow_screen(page: Page, world: Alert) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, f"/alerts/{world.pk}/")
    button = page.get_by_role("button", name="Acknowledge")
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["y"] + box["height"] < 844
    button.click()
    expect(page.locator("#state")).to_contain_text("acknowledged by admin")
    expect(page.locator("#events")).to_contain_text("Acknowledged by admin")


def test_a_runbook_is_previewed_while_it_is_written(page: Page) -> None:
    open_page(page, "/runbooks/usage-not-recorded/edit/")
    page.locator("textarea").fill("Call **Ada**")
    expect(page.locator("#preview")).to_have_text(re.compile("^\\s*Call Ada\\s*$"))


def test_hovering_a_chart_shows_a_model_s_name_as_text_and_breaks_no_policy(page: Page, sender: Sender) -> None:
    now = timezone.now()
    name = "<b>bold</b> & <span style='color:red'>red</span>"
    sender.post([call(at=now - timedelta(seconds=20 * place), model=name) for place in range(1, 180)])
    open_page(page, "/providers/?range=1h")
    chart = page.locator(".js-plotly-plot").first
    expect(page.locator(".legend").first).to_contain_text(name)
    chart.locator(".nsewdrag").first.hover()
    expect(chart.locator(".hoverlayer")).to_contain_text("<b>bold</b>")
    assert page.evaluate("document.querySelectorAll('.js-plotly-plot tspan[style]').length") == 0
