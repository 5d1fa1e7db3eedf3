"""axe-core over every page, in both themes: what WCAG 2.2 AA asks of markup, names, roles and contrast."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from alerts.models import Alert
from tests.e2e.test_pages import open_page, world

__all__ = ["world"]
OPTIONS = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
QUERY = "sum by (model) (rate(llm_tokens_total[5m]))"
PATHS = (
    "/",
    "/coverage/",
    "/providers/",
    "/tools/",
    "/cost/",
    "/alerts/",
    "/alerts/{alert}/",
    "/rules/",
    "/rules/{rule}/",
    "/rules/new/",
    "/channels/",
    "/channels/new/slack/",
    "/runbooks/",
    "/runbooks/usage-not-recorded/",
    "/runbooks/usage-not-recorded/edit/",
    "/explore/",
    f"/explore/?q={QUERY}&q=sum(llm_provider_request_seconds_sum)&q=rate(x[5m]) by (y)",
    f"/explore/?q={QUERY}&tab=table",
    f"/explore/?q={QUERY}&tab=meaning",
    f"/explore/?q={QUERY}&tab=history",
    "/ingestion/",
    "/keys/",
    "/keys/new/",
    "/prices/",
    "/settings/",
    "/password/",
    "/nowhere/",
)


def faults(page: Page) -> list[str]:
    """Each rule of axe that the page breaks, with the elements that do."""
    found: list[dict[str, Any]] = Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node['any'][0]['message'][:120] if node['any'] else ''}"
        for one in found
        for node in one["nodes"]
    ]


def test_no_page_breaks_a_rule_of_axe_in_either_theme(
    page: Page, complaints: list[str], world: Alert, subtests: pytest.Subtests
) -> None:
    for path in PATHS:
        with subtests.test(path):
            page.emulate_media(color_scheme="light")
            page.set_viewport_size({"width": 1440, "height": 960})
            open_page(page, path.format(alert=world.pk, rule=world.rule_id))
            assert faults(page) == []
            page.emulate_media(color_scheme="dark")
            page.set_viewport_size({"width": 390, "height": 844})
            assert faults(page) == []
    complaints.clear()  # one of the pages does not exist
