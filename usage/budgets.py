"""What teams spend against their budgets, kept as the gauges team_spend_usd and budget_limit."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from usage import gauges
from usage.catalog import KINDS
from usage.models import Budget


def period_start(period: str, now: datetime) -> datetime:
    """When the current period of a budget began, UTC: midnight, Monday, or the first of the month."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


# Days before today from the hours, today from the 15 s rows, which are complete at any time. Summed per dimension first: its
# labels are then unpacked once, not once for each row.
_SPEND = """
SELECT d.labels->>'team', sum(r.cost) FROM usage_dimension d JOIN (
    SELECT dimension_id, sum(measures[%(slot)s]) AS cost
    FROM usage_rollup_1h WHERE bucket >= %(start)s AND bucket < %(today)s GROUP BY 1
    UNION ALL
    SELECT dimension_id, sum(measures[%(slot)s])
    FROM usage_rollup_15s WHERE bucket >= %(today)s AND bucket <= %(now)s GROUP BY 1
) AS r ON r.dimension_id = d.id
WHERE d.kind = 'llm_call' AND d.labels->>'team' = ANY(%(teams)s) GROUP BY 1
"""


def spend(teams: list[str], start: datetime, now: datetime) -> dict[str, float]:
    """What each team spent since `start` (a midnight, UTC), in USD."""
    slot = KINDS["llm_call"].slots["cost_usd"] + 1
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(_SPEND, {"slot": slot, "start": start, "today": max(today, start), "now": now, "teams": teams})
        return {team: float(total or 0) for team, total in cursor.fetchall()}


def measure(now: datetime) -> None:
    """Keep each budget's spend and limit."""
    samples = {}
    for period, _ in Budget.PERIODS:
        budgets = list(Budget.objects.filter(period=period))
        spent = spend([budget.team for budget in budgets], period_start(period, now), now) if budgets else {}
        for budget in budgets:
            samples[gauges.gauge_key("team_spend_usd", {"team": budget.team})] = spent.get(budget.team, 0.0)
            samples[gauges.gauge_key("budget_limit", {"team": budget.team})] = budget.limit_usd
    gauges.keep(samples, now)
