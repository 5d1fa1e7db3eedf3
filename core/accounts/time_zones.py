"""Time zones: a workspace has one, in which its days begin; costs and budgets are counted by them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from core.accounts.models import DEMO, Workspace

UTC_ZONE = ZoneInfo("UTC")


@cache
def names() -> tuple[str, ...]:
    """The zones that there are, such as Europe/Berlin, UTC first."""
    found = (name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    return ("UTC", *sorted(found))


def zone_of(slugs: Collection[str] | None) -> ZoneInfo:
    """The zone of these workspaces (None: all but that of demo traffic); UTC where they have several."""
    found = Workspace.objects.exclude(slug=DEMO) if slugs is None else Workspace.objects.filter(slug__in=sorted(slugs))
    zones = list(found.order_by("time_zone").values_list("time_zone", flat=True).distinct()[:2])
    return ZoneInfo(zones[0]) if len(zones) == 1 else UTC_ZONE


def midnight(at: datetime, zone: ZoneInfo) -> datetime:
    """The start of the day in the zone."""
    return at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def day_before(start: datetime) -> datetime:
    """The midnight before a midnight of a zone: 23, 24 or 25 hours earlier."""
    return (start.replace(tzinfo=None) - timedelta(days=1)).replace(tzinfo=start.tzinfo)
