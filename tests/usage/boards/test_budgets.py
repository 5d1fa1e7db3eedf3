"""What counts against a budget: the periods of its workspace's time zone, read from
three grains without a gap or an overlap."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from core.accounts.models import Workspace
from core.pg.partitions import ensure
from tests.records import NOW
from usage.boards.budgets import by_period, period_start, spend
from usage.boards.costs import period_end
from usage.catalog import KINDS
from usage.catalog.grains import COARSE, FINE, MIDDLE
from usage.models import Budget, Dimension

KOLKATA = ZoneInfo("Asia/Kolkata")


def utc(day: int, hour: int, minute: int = 0, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("day", utc(1, 18, 30), utc(2, 18, 30)),
        ("week", utc(1, 18, 30), utc(8, 18, 30)),
        ("month", utc(28, 18, 30, month=2), utc(31, 18, 30)),
    ],
)
def test_a_period_begins_and_ends_at_midnight_of_the_zone(period: str, start: datetime, end: datetime) -> None:
    begun = period_start(period, NOW, KOLKATA)
    assert begun.astimezone(UTC) == start
    assert period_end(period, begun).astimezone(UTC) == end


@pytest.mark.usefixtures("tables")
def test_a_month_that_begins_within_an_hour_is_summed_once() -> None:
    workspace = Workspace.objects.create(slug="shop", name="Shop", time_zone="Asia/Kolkata")
    labels = {"workspace": "shop", "team": "search"}
    dimension = Dimension.objects.create(kind="llm_call", labels=labels, digest=b"1" * 16, first_at=NOW)
    place = KINDS["llm_call"].offsets["cost_usd"]
    rows = [
        (MIDDLE.partition, utc(28, 18, 25, month=2), 1000),
        (MIDDLE.partition, utc(28, 18, 30, month=2), 1),
        (COARSE.partition, utc(28, 18, month=2), 1000),
        (COARSE.partition, utc(28, 19, month=2), 2),
        (COARSE.partition, utc(1, 17), 4),
        (COARSE.partition, utc(1, 18), 1000),
        (FINE.partition, utc(1, 17, 59), 1000),
        (FINE.partition, utc(1, 18), 8),
        (FINE.partition, utc(1, 18, 30), 16),
        (FINE.partition, utc(2, 10, 8), 1000),
    ]
    for parent, bucket, cost in rows:
        ensure(parent, [bucket])
        with connection.cursor() as cursor:
            values = [bucket, dimension.pk, [0.0] * place + [float(cost)]]
            cursor.execute(f"INSERT INTO {parent.table} (bucket, dimension_id, measures) VALUES (%s, %s, %s)", values)
    budget = Budget.objects.create(team="search", limit_usd=100, period="month", workspace=workspace)
    (((period, zone), mine),) = by_period([budget]).items()
    assert spend(mine, period_start(period, NOW, zone), NOW) == {budget.pk: 31.0}
    assert spend(mine, period_start("day", NOW, zone), NOW) == {budget.pk: 16.0}


@pytest.mark.usefixtures("tables")
def test_what_was_spent_just_before_midnight_counts_before_it_is_in_its_hour() -> None:
    workspace = Workspace.objects.create(slug="shop", name="Shop", time_zone="UTC")
    labels = {"workspace": "shop", "team": "search"}
    dimension = Dimension.objects.create(kind="llm_call", labels=labels, digest=b"1" * 16, first_at=NOW)
    place = KINDS["llm_call"].offsets["cost_usd"]
    ensure(FINE.partition, [utc(1, 23, 58)])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {FINE.table} (bucket, dimension_id, measures) VALUES (%s, %s, %s)",
            [utc(1, 23, 58), dimension.pk, [0.0] * place + [7.0]],
        )
    budget = Budget.objects.create(workspace=workspace, team="search", limit_usd=10, period="month")
    [((period, zone), mine)] = by_period([budget]).items()
    now = utc(2, 0, 3)
    assert spend(mine, period_start(period, now, zone), now) == {budget.pk: 7}
