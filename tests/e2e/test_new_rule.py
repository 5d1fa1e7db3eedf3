"""Somebody who has never seen PromQL makes, tries and saves a useful rule."""

import re
from datetime import timedelta

import pytest
from django.apps import apps
from django.utils import timezone
from playwright.sync_api import Page, expect

from alerts.models import Rule
from alerts.rules.defaults import ensure_defaults
from tests.records import Sender, call
from usage.store import downsampling


@pytest.fixture(autouse=True)
def calls(sender: Sender) -> None:
    """An hour of calls, the last of which are slow."""
    now = timezone.now()
    ensure_defaults(apps.get_model)
    sender.post(
        [
            call(at=now - timedelta(seconds=10 * place), duration_seconds=9.0 if place < 80 else 0.5)
            for place in range(1, 360)
        ]
    )
    downsampling.downsample(now)


def test_a_rule_is_made_tried_and_saved_without_a_word_of_promql(page: Page) -> None:
    page.goto("/rules/")
    page.get_by_role("link", name="New rule").click()
    page.get_by_role("link", name="Calls are slow").click()
    expect(page.get_by_label("Quantile")).to_have_value("0.95")
    page.wait_for_load_state()
    # The preview follows what is typed, without a button.
    threshold = page.get_by_label(re.compile("^Fires above"))
    threshold.fill("3")
    page.get_by_label("For at least").fill("1m")
    expect(page.locator("#backtest")).to_contain_text(re.compile(r"would have fired [1-9]"))
    expect(page.locator("#backtest pre.query")).to_contain_text("histogram_quantile(0.95, sum by (le, provider, model)")
    page.get_by_label("model", exact=True).uncheck()
    expect(page.locator("#backtest pre.query")).to_contain_text("sum by (le, provider) (rate")
    page.get_by_role("button", name="Create").first.click()
    expect(page.get_by_text("CallsSlow was created")).to_be_visible()
    rule = Rule.objects.get(name="CallsSlow")
    assert (rule.threshold, rule.for_seconds, rule.severity) == (3, 60, "warning")
    assert "sum by (le, provider) (" in rule.expr
    page.get_by_role("link", name="Form", exact=True).click()
    expect(page.get_by_label("model", exact=True)).not_to_be_checked()


def test_a_suggested_threshold_is_taken_over_and_not_saved(page: Page) -> None:
    page.goto("/rules/new/?template=latency")
    page.get_by_label(re.compile("^Fires above")).fill("500")
    expect(page.locator("#backtest")).to_contain_text("For about 1 alert a week use")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_label(re.compile("^Fires above"))).not_to_have_value("500")
    assert not Rule.objects.filter(name="CallsSlow").exists()


def test_the_threshold_is_dragged_on_the_chart_or_moved_by_keys(page: Page) -> None:
    page.goto("/rules/new/?template=latency")
    threshold = page.get_by_label(re.compile("^Fires above"))
    threshold.fill("3")
    handle = page.get_by_role("slider", name="Threshold")
    expect(handle).to_have_attribute("aria-valuenow", "3")
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 40, steps=4)
    page.mouse.up()
    dragged = float(threshold.input_value())
    assert dragged > 3
    expect(page.locator("#backtest .js-plotly-plot")).to_contain_text(re.compile(rf"threshold {dragged:,g}\b"))
    expect(handle).to_have_attribute("aria-valuenow", f"{dragged:g}")
    # The chart is another one after each answer, and the keys go on.
    handle.press("ArrowDown")
    expect(handle).to_be_focused()
    moved = float(threshold.input_value())
    assert moved < dragged
    expect(page.locator("#backtest .js-plotly-plot")).to_contain_text(re.compile(rf"threshold {moved:,g}\b"))
    expect(handle).to_be_focused()


def test_a_stretch_that_is_dragged_over_tells_what_would_have_caught_it(page: Page) -> None:
    page.goto("/rules/new/?template=latency")
    threshold = page.get_by_label(re.compile("^Fires above"))
    page.get_by_label("For at least").fill("1m")
    threshold.fill("500")
    caught = page.locator("[data-caught]")
    expect(page.get_by_role("slider", name="Threshold")).to_have_attribute("aria-valuenow", "500")
    box = page.locator("#backtest .js-plotly-plot .nsewdrag").first.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 3
    page.mouse.move(box["x"] + box["width"] * 0.95, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, y, steps=5)
    page.mouse.up()
    expect(caught.get_by_text("Nothing would have fired.")).to_be_visible()
    expect(page.get_by_label("From", exact=True)).not_to_have_value("")
    caught.get_by_role("button", name=re.compile("^Use the threshold")).click()
    expect(threshold).not_to_have_value("500")
    expect(page.locator("[data-caught]").get_by_text("would have fired, the first")).to_be_visible()
    assert not Rule.objects.filter(name="CallsSlow").exists()


def test_a_window_is_given_by_keyboard_and_taken_back(page: Page) -> None:
    page.goto("/rules/new/?template=latency")
    page.get_by_label(re.compile("^Fires above")).fill("500")
    now = page.evaluate("() => new Date(Date.now() - new Date().getTimezoneOffset() * 60e3).toISOString().slice(0, 16)")
    early = page.evaluate(
        "() => new Date(Date.now() - 36e5 - new Date().getTimezoneOffset() * 60e3).toISOString().slice(0, 16)"
    )
    page.get_by_label("From", exact=True).fill(early)
    page.get_by_label("To", exact=True).fill(now)
    page.get_by_label("To", exact=True).blur()
    expect(page.get_by_text("Nothing would have fired.")).to_be_visible()
    page.get_by_label("From", exact=True).fill("")
    page.get_by_label("To", exact=True).fill("")
    page.get_by_label("To", exact=True).blur()
    expect(page.get_by_text("Nothing would have fired.")).to_have_count(0)
