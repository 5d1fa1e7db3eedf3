"""What calls cost: by team and model today against yesterday, and budgets with their forecast."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from core.accounts.ownership import owned
from core.charts.figures import SERIES_COLOURS
from core.ui.numbers import SPACE, change, count, usd
from core.ui.time_range import DAY, HOUR, MINUTE, TimeRange
from usage.boards import budgets
from usage.boards.queries import Rollups
from usage.boards.tiles import Tile, course_step, days_of, on_yesterday, spark
from usage.models import Budget

SORTS = ("today", "yesterday", "more")
STATES = ("ok", "warning", "critical")
WARN_AT = 0.9
MEASURES = ("cost_usd", "unpriced")


@dataclass(frozen=True)
class CostRow:
    """What a team spent on a model since midnight, and in the same hours of the day before, in USD."""

    team: str
    model: str
    colour: int | None
    today: float
    yesterday: float
    unpriced: float

    @property
    def more(self) -> float:
        """How much more than yesterday."""
        return self.today - self.yesterday

    @property
    def shown(self) -> dict[str, str]:
        """Its figures as formatted text."""
        sign = "+" if self.more > 0 else "−" if self.more < 0 else ""
        return {
            "today": usd(self.today),
            "yesterday": usd(self.yesterday),
            "more": f"{sign}{usd(abs(self.more))}",
            "change": change(self.today, self.yesterday) or ("new" if self.today else ""),
            "unpriced": count(self.unpriced),
        }


@dataclass(frozen=True)
class BudgetState:
    """A budget in its present period: spent and expected at its end at the pace of the
    last day, in USD and in percent."""

    budget: Budget
    spent: float
    forecast: float
    ends_at: datetime

    @property
    def used(self) -> float:
        """Percent of the limit that is spent."""
        return 100 * self.spent / self.budget.limit_usd if self.budget.limit_usd > 0 else 100.0

    @property
    def expected(self) -> float:
        """Percent of the limit at the period's end."""
        return 100 * self.forecast / self.budget.limit_usd if self.budget.limit_usd > 0 else 100.0

    @property
    def state(self) -> str:
        """Critical once it is spent, warning where it is nearly spent or expected to be."""
        return (
            "critical" if self.used >= 100 else "warning" if self.used >= 100 * WARN_AT or self.expected > 100 else "ok"
        )

    @property
    def description(self) -> str:
        """The state as text."""
        if self.used >= 100:
            return "spent"
        if self.expected > 100:
            return f"{usd(self.forecast - self.budget.limit_usd)} over at this pace"
        return "nearly spent" if self.used >= 100 * WARN_AT else "within"

    @property
    def shown(self) -> dict[str, str]:
        """Its figures as formatted text."""
        return {"spent": usd(self.spent), "limit": usd(self.budget.limit_usd), "forecast": usd(self.forecast)}

    @property
    def bar(self) -> dict[str, float]:
        """Widths of a meter of 100, whose end is the limit, or the forecast where that is more."""
        whole = max(self.used, self.expected, 100.0)
        return {name: round(100 * value / whole, 1) for name, value in self._parts.items()}

    @property
    def _parts(self) -> dict[str, float]:
        return {"used": self.used, "expected": self.expected, "limit": 100.0}


def by_team_and_model(
    rollups: Rollups, now: datetime, zone: ZoneInfo, colours: Mapping[str, int], sort: str
) -> list[CostRow]:
    """A row per team and model with cost or unpriced calls today or yesterday, sorted by
    one of `SORTS` (else by today).

    Days begin at midnight of the zone.
    """
    days = days_of(now, zone)
    by = ("team", "model")
    today = rollups.sums(MEASURES, by, days.today_ms, days.now_ms)
    yesterday = rollups.sums(MEASURES, by, days.yesterday_ms, days.yesterday_by_now_ms)
    before = dict(zip(yesterday.groups, yesterday.of("cost_usd")[:, 0].tolist(), strict=True))
    found = [
        CostRow(
            team,
            model,
            colours[model] % SERIES_COLOURS if model in colours else None,
            float(today.of("cost_usd")[place, 0]),
            before[team, model],
            float(today.of("unpriced")[place, 0]),
        )
        for place, (team, model) in enumerate(today.groups)
    ]
    wanted = sort if sort in SORTS else "today"
    rows = (row for row in found if row.today or row.yesterday or row.unpriced)
    return sorted(rows, key=lambda row: (-getattr(row, wanted), -row.unpriced, row.team, row.model))


def budget_states(rollups: Rollups, workspaces: frozenset[str] | None, now: datetime) -> list[BudgetState]:
    """The budgets that a reader of these workspaces (None: all) may see, the one nearest its limit first.

    Of the portal's budgets those of the teams that occur in them.
    """
    found = list(Budget.objects.filter(owned(workspaces)).select_related("workspace"))
    if workspaces is not None:
        teams = rollups.values("team")
        found = [budget for budget in found if budget.workspace_id is not None or budget.team in teams]
    at = int(now.timestamp() * 1000)
    last_day = rollups.sums(("cost_usd",), ("workspace", "team"), at - DAY, at)
    costs = zip(last_day.groups, last_day.of("cost_usd")[:, 0].tolist(), strict=True)
    pace = budgets.by_budget(found, [(slug, team, cost) for (slug, team), cost in costs])
    states = []
    for (period, zone), mine in budgets.by_period(found).items():
        start = budgets.period_start(period, now, zone)
        spent = budgets.spend(mine, start, now)
        ends_at = period_end(period, start)
        days_left = (ends_at - now) / timedelta(days=1)
        for budget in mine:
            so_far = spent[budget.pk]
            states.append(BudgetState(budget, so_far, so_far + pace[budget.pk] * days_left, ends_at))
    return sorted(states, key=lambda state: (-state.used, state.budget.team))


def period_end(period: str, start: datetime) -> datetime:
    """When the period that began at `start`, a midnight of its zone, ends."""
    days = {"day": 1, "week": 7}.get(period) or monthrange(start.year, start.month)[1]
    return (start.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=start.tzinfo)


def tiles(rollups: Rollups, time_range: TimeRange, now: datetime, zone: ZoneInfo) -> list[Tile]:
    """Today in the zone, the pace of the last hour, yesterday, and the range."""
    days = days_of(now, zone)
    at = days.now_ms

    def cost(start: int, end: int) -> float:
        return float(rollups.sums(("cost_usd",), (), start, end).of("cost_usd").sum())

    today, by_now = cost(days.today_ms, at), cost(days.yesterday_ms, days.yesterday_by_now_ms)
    whole_day = cost(days.yesterday_ms, days.today_ms)
    hour, hour_before = cost(at - HOUR, at), cost(at - DAY - HOUR, at - DAY)
    step = course_step(time_range, 5 * MINUTE)
    sums = rollups.sums(MEASURES, (), time_range.start_ms, time_range.end_ms, step)
    course = np.asarray(sums.of("cost_usd").sum(axis=0))
    unpriced = float(sums.of("unpriced").sum())
    note = on_yesterday(today, by_now)
    without = f"{count(unpriced)}{SPACE}calls without a price" if unpriced else "every call has a price"
    return [
        Tile(
            f"Today, {zone.key}", usd(today), "", note, "ok" if note.startswith("▼") else "", spark(course, 0), "cost"
        ),
        Tile("Last hour", usd(hour), "/h", on_yesterday(hour, hour_before), "", spark(course[-12:], 0), "cost"),
        Tile("Yesterday", usd(whole_day), "", f"{usd(by_now)} by this time", "", spark(course[:0]), "cost"),
        Tile(
            time_range.description.capitalize(),
            usd(float(course.sum())),
            "",
            without,
            "warning" if unpriced else "",
            spark(np.cumsum(course), 0),
            "cost",
        ),
    ]
