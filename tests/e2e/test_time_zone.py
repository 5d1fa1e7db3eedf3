"""Times of pages, forms and charts in the zone that a person chose, whatever the browser's is."""

import re

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from core.accounts.models import Preferences

SHOWN = """async () => {
  const zone = await import(document.querySelector('script[src*="core/times"]').src.replace("times", "zone"));
  const at = Date.parse("2026-03-29T00:30:00Z");
  return {
    name: zone.name,
    hours: [at, at + 3600e3].map((ms) => zone.ahead(ms) / 3600e3),
    back: zone.fromWall(zone.toWall(at + 7200e3)) - at,
    texts: ["2026-03-29T03:30", "2026-03-29 03:30:00.5", "2026-07-01"].map(
      (text) => new Date(zone.parseWall(text)).toISOString(),
    ),
  };
}"""


def test_the_clock_is_that_of_the_chosen_zone_also_where_it_is_moved(page: Page) -> None:
    Preferences.objects.create(user=User.objects.get(username="admin"), time_zone="Europe/Berlin", theme="dark")
    page.goto("/account/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate(SHOWN) == {
        "name": "Europe/Berlin",
        "hours": [1, 2],
        "back": 7200e3,
        "texts": ["2026-03-29T01:30:00.000Z", "2026-03-29T01:30:00.500Z", "2026-06-30T22:00:00.000Z"],
    }
    page.evaluate("""() => {
      const at = document.createElement("time");
      at.dateTime = "2026-01-02T23:30:00Z";
      at.id = "late";
      document.querySelector("main").append(at);
    }""")
    expect(page.locator("#late")).to_have_text(re.compile("3 Jan.* 00:30"))
