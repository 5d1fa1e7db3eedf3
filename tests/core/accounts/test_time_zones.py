"""Days begin at the midnight of a workspace's zone, also where the clock is moved or stands half an hour apart."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.accounts.models import Workspace
from core.accounts.time_zones import day_before, midnight, names, zone_of
from tests.people import make_people


def test_a_day_before_the_clock_is_moved_is_as_long_as_it_is() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = midnight(datetime(2026, 3, 30, 10, tzinfo=UTC), berlin)
    assert start.astimezone(UTC) == datetime(2026, 3, 29, 22, tzinfo=UTC)
    assert start.astimezone(UTC) - day_before(start).astimezone(UTC) == timedelta(hours=23)


def test_names_are_places_and_utc_comes_first() -> None:
    assert names()[0] == "UTC"
    assert {"Europe/Berlin", "Asia/Kolkata", "America/New_York"} < set(names())
    assert not [name for name in names() if name.startswith("Etc/")]


@pytest.mark.django_db
def test_workspaces_with_several_zones_are_counted_in_utc() -> None:
    people = make_people()
    Workspace.objects.filter(slug="production").update(time_zone="Asia/Tokyo")
    assert zone_of({"production"}).key == "Asia/Tokyo"
    assert zone_of({"production", "elsewhere"}).key == "UTC"
    assert zone_of(None).key == "UTC"
    Workspace.objects.exclude(pk=people.production.pk).update(time_zone="Asia/Tokyo")
    assert zone_of(None).key == "Asia/Tokyo"
