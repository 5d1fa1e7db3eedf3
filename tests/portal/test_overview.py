"""The overview: the state of telemetry, six figures, what needs attention; how to begin while it is empty."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.models import Alert, Rule, RuleGroup, Schedule, State
from alerts.oncall.schedules import add_override, save_schedule
from core.accounts import permissions
from core.accounts.time_zones import UTC_ZONE
from core.ui.time_range import parse
from portal.overview import telemetry
from tests.people import People, browser_of, make_people
from tests.records import Sender, call
from usage.boards import tiles
from usage.boards.queries import Rollups

pytestmark = pytest.mark.usefixtures("tables")
ALL = permissions.Scope(None, "", ())


@pytest.fixture
def people(sender: Sender) -> People:
    """Three people, and a minute of calls in production."""
    now = timezone.now()
    assert sender.post([call(at=now - timedelta(seconds=place)) for place in range(60)]).json()["accepted"] == 60
    return make_people()


def test_each_person_sees_only_their_own(people: People) -> None:
    for person, sees in ((people.owner, True), (people.teammate, True), (people.admin, True), (people.outsider, False)):
        page = browser_of(person).get("/").content.decode()
        assert ("gpt-4o" in page) is sees
        assert ("Send the first record" in page) is not sees


def test_who_is_on_call_stands_below_what_needs_attention(people: People) -> None:
    schedule = save_schedule(Schedule(workspace=people.production), name="support", time_zone="UTC", calendar="")
    now = timezone.now()
    add_override(schedule, people.teammate, now - timedelta(days=1), now + timedelta(days=1))
    assert "support</a> <b>teammate</b>" in " ".join(browser_of(people.owner).get("/").content.decode().split())


def test_an_empty_portal_says_how_to_begin() -> None:
    admin = User.objects.create_superuser("root")
    page = browser_of(admin).get("/").content.decode()
    assert "Nothing was recorded yet" in page
    assert "curl http://127.0.0.1:8000/api/v1/usage -H" in page


@pytest.mark.parametrize(
    ("minutes", "state", "title", "on_schedule"),
    [
        (1, "ok", "Telemetry is arriving", 1),
        (6, "warning", "Telemetry is quiet", 1),
        (16, "critical", "Telemetry has stopped", 0),
    ],
)
def test_state_of_telemetry_follows_the_last_record(
    people: People, minutes: int, state: str, title: str, on_schedule: int
) -> None:
    found = telemetry(ALL, timezone.now() + timedelta(minutes=minutes))
    assert (found.state, found.description, found.keys, found.keys_on_schedule) == (state, title, 1, on_schedule)


def test_tiles_compare_with_the_same_time_yesterday(sender: Sender) -> None:
    now = timezone.now()
    missing = {"prompt_tokens": None, "completion_tokens": None}
    failed = {"outcome": "timeout", "error_type": "timeout", **missing}
    sender.post([call(at=now - timedelta(days=1, minutes=5)) for _ in range(10)])
    sender.post([call(at=now - timedelta(minutes=5), **given) for given in (*({},) * 17, missing, failed, failed)])
    found = {tile.name: tile for tile in tiles.overview(Rollups("llm_call", None, now), parse({}, now), now, UTC_ZONE)}
    shown = {name: (tile.value, tile.unit, tile.note.replace("\u00a0", " ")) for name, tile in found.items()}
    cost = shown.pop("Cost today")
    assert shown == {
        "Coverage, 15 min": ("94.4", "%", "below target 95 %"),
        "Failed calls, 15 min": ("10.0", "%", "▲ 10.00 on yesterday"),
        "Calls, 15 min": ("0.022", "/s", "▲ 100 % on yesterday"),
        "Latency p95, 15 min": ("1.95", "s", "p50 1.50 s · p99 1.99 s"),
        "Tokens, 15 min": ("136", "/min", "83 % in · 17 % out"),
    }
    assert cost[0].startswith("$")
    assert [tile.state for tile in found.values()][:2] == ["critical", "critical"]


def test_firing_alerts_stand_on_the_page_worst_first(people: People) -> None:
    now = timezone.now()
    group = RuleGroup.objects.create(name="g")
    for severity, value in (("warning", 13.1), ("critical", 6.4)):
        rule = Rule.objects.create(
            group=group, name=severity, expr="up > $threshold", threshold=1, severity=severity, unit="%"
        )
        Alert.objects.create(
            rule=rule,
            severity=rule.severity,
            threshold=rule.threshold,
            for_seconds=rule.for_seconds,
            fingerprint=severity,
            labels={"alertname": severity, "model": f"model-{severity}"},
            state=State.FIRING,
            value=value,
            annotations={"summary": f"Something {severity}"},
            active_at=now,
            fired_at=now,
        )
    page = browser_of(people.admin).get("/").content.decode()
    assert page.index("Something critical") < page.index("Something warning")
    assert "2 firing" in page
    assert "model-critical" in page


def test_the_page_asks_no_more_when_there_is_more(people: People, sender: Sender) -> None:
    browser = browser_of(people.owner)
    browser.get("/")
    with CaptureQueriesContext(connection) as before:
        browser.get("/")
    now = timezone.now()
    sender.post([call(at=now - timedelta(seconds=place), model=f"m{place}") for place in range(50)])
    browser.get("/")  # the new label sets are read once
    with CaptureQueriesContext(connection) as after:
        browser.get("/")
    assert len(after) == len(before)
    assert not [query for query in after if "usage_record" in query["sql"]]
