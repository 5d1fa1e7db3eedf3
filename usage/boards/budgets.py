"""What teams spend against their budgets, kept as the gauges team_spend_usd and budget_limit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import connection

from core.accounts.time_zones import midnight, zone_of
from usage.catalog import KINDS
from usage.catalog.grains import COARSE, FINE, MIDDLE
from usage.models import Budget
from usage.series.grid import SETTLED
from usage.store import gauges


def period_start(period: str, now: datetime, zone: ZoneInfo) -> datetime:
    """When the current period of a budget began in the zone: midnight, Monday, or the first of the month."""
    day = midnight(now, zone)
    if period == "week":
        return (day.replace(tzinfo=None) - timedelta(days=day.weekday())).replace(tzinfo=zone)
    return day.replace(day=1) if period == "month" else day


def by_period(found: Iterable[Budget]) -> dict[tuple[str, ZoneInfo], list[Budget]]:
    """The budgets by their period and the zone in which it begins; `workspace` is fetched already."""
    groups: dict[tuple[str, ZoneInfo], list[Budget]] = defaultdict(list)
    of_portal = zone_of(None)
    for budget in found:
        zone = ZoneInfo(budget.workspace.time_zone) if budget.workspace else of_portal
        groups[budget.period, zone].append(budget)
    return groups


# Whole hours before today from the hours, today from the 15 s rows, which are complete at any time. A day of a
# zone such as India's begins within an hour, hence the 5 min rows. Summed per dimension first: its labels are
# then unpacked once, not once for each row.
_SPEND = f"""
SELECT d.labels->>'workspace', d.labels->>'team', sum(r.cost) FROM usage_dimension d JOIN (
    SELECT dimension_id, sum(measures[%(offset)s]) AS cost
    FROM {MIDDLE.table} WHERE bucket >= %(start)s AND bucket < %(first_hour)s GROUP BY 1
    UNION ALL
    SELECT dimension_id, sum(measures[%(offset)s])
    FROM {COARSE.table} WHERE bucket >= %(first_hour)s AND bucket < %(today)s GROUP BY 1
    UNION ALL
    SELECT dimension_id, sum(measures[%(offset)s])
    FROM {FINE.table} WHERE bucket >= %(today)s AND bucket <= %(now)s GROUP BY 1
) AS r ON r.dimension_id = d.id
WHERE d.kind = 'llm_call' AND d.labels->>'team' = ANY(%(teams)s) GROUP BY 1, 2
"""  # noqa: S608 - only names of our own; values are parameters


def spend(found: Sequence[Budget], start: datetime, now: datetime) -> dict[int, float]:
    """What was spent of each budget, by its id, since `start` (a midnight of their zone), in USD."""
    today = max(now.astimezone(start.tzinfo).replace(hour=0, minute=0, second=0, microsecond=0), start)
    is_today = today == start
    # What was spent just before midnight is not in its hour yet.
    settled = hour_of(min(today, now - timedelta(seconds=SETTLED)))
    first_hour = start if is_today else hour_of(start + timedelta(minutes=59))
    values: dict[str, int | datetime | list[str]] = {
        "offset": KINDS["llm_call"].offsets["cost_usd"] + 1,
        "start": start,
        "first_hour": first_hour,
        "today": start if is_today else max(first_hour, settled),
        "now": now,
        "teams": [budget.team for budget in found],
    }
    with connection.cursor() as cursor:
        cursor.execute(_SPEND, values)
        return by_budget(found, [(slug, team, float(total or 0)) for slug, team, total in cursor.fetchall()])


def hour_of(at: datetime) -> datetime:
    """The start of its hour, UTC."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def by_budget(found: Sequence[Budget], costs: Iterable[tuple[str, str, float]]) -> dict[int, float]:
    """The costs (of a workspace and team) that count against each budget, by its id: a
    workspace's has its own, the portal's all."""
    sums: dict[tuple[str | None, str], float] = defaultdict(float)
    for slug, team, cost in costs:
        sums[slug, team] += cost
        sums[None, team] += cost
    return {one.pk: sums[one.workspace.slug if one.workspace else None, one.team] for one in found}


def measure(now: datetime) -> None:
    """Keep each budget's spend and limit."""
    samples = {}
    every = list(Budget.objects.select_related("workspace"))
    for (period, zone), budgets in by_period(every).items():
        spent = spend(budgets, period_start(period, now, zone), now)
        for budget in budgets:
            slug = budget.workspace.slug if budget.workspace else ""
            samples[gauges.gauge_key("team_spend_usd", {"team": budget.team}, slug)] = spent[budget.pk]
            samples[gauges.gauge_key("budget_limit", {"team": budget.team}, slug)] = budget.limit_usd
    gauges.keep(samples, now)
