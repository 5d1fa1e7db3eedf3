"""8 alert rules, again: slots into which records came late are evaluated once more, and what they show is corrected.

A batch notes in its own transaction which records of it were late (`usage.store.late`). `note` gives that to the groups
whose rules read such records (`RuleGroup.reopen_from`). `reopen` evaluates these groups' slots from there to the last
one that was evaluated. It holds the lock that ticks take, and in the transaction of its corrections takes the note
back, if that and the group are as they were: so corrections are made once, whoever dies, and no tick is disturbed.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Least

import promql
from alerts.evaluation import flips
from alerts.evaluation.corrections import as_of, corrections
from alerts.evaluation.evaluate import apply, database_is_lost
from alerts.evaluation.metrics import INTERVAL, LAST_EVALUATION
from alerts.evaluation.order import in_order, reads_of
from alerts.evaluation.schedule import Slots, shift_of, slot_before
from alerts.evaluation.scopes import Scopes, SourceOf, workspace_source
from alerts.evaluation.states import RuleState
from alerts.evaluation.tick import LOCK, recent_firings
from alerts.evaluation.work import Work, evaluate
from alerts.models import Alert, Rule, RuleChange, RuleGroup
from alerts.recording import write as recording
from alerts.rules.locks import lock_group, with_retries
from core.pg.snapshot import snapshot
from usage.catalog import BY_SERIES
from usage.store.late import take_late

logger = logging.getLogger(__name__)
Arrivals = Mapping[tuple[int, str], dt.datetime]


def note(now: dt.datetime) -> int:
    """Note on each group from when on its rules read records that came late; how many groups that are."""
    earliest = now - dt.timedelta(seconds=settings.PORTAL.late_records)
    with transaction.atomic():
        arrivals = {key: at for key, at in take_late().items() if at >= earliest}
        # Another server's series do not change by records that come here.
        arrivals = {} if settings.PORTAL.prometheus_url else arrivals
        affected = _affected(arrivals) if arrivals else {}
        # In the order of ids, so that two of these cannot wait for each other.
        for group_id, first in sorted(affected.items()):
            group = RuleGroup.objects.filter(pk=group_id, evaluated_until__gte=first)
            group.update(reopen_from=Least(Coalesce(F("reopen_from"), first), first))
    return len(affected)


def _affected(arrivals: Arrivals) -> dict[int, dt.datetime]:
    """The groups whose rules read late records, or what is recorded of them, with the time of the first."""
    found: dict[int, dt.datetime] = {}
    recorded: dict[str, dt.datetime] = {}
    rules = list(Rule.objects.filter(enabled=True, external=False).order_by("pk"))
    reads = {rule.pk: reads_of(rule.expr, rule.threshold) for rule in rules}
    while True:
        before = dict(recorded)
        for rule in rules:
            names = reads[rule.pk].names
            kinds = {BY_SERIES[name].kind for name in names if name in BY_SERIES}
            times = [
                at
                for (workspace, kind), at in arrivals.items()
                if (reads[rule.pk].has_pattern or kind in kinds) and rule.workspace_id in (None, workspace)
            ] + [recorded[name] for name in names if name in recorded]
            if times:
                found[rule.group_id] = min([*times, *([found[rule.group_id]] if rule.group_id in found else [])])
                if rule.record:
                    recorded[rule.record] = min([*times, recorded.get(rule.record, times[0])])
        if recorded == before:
            return found


def reopen(now: dt.datetime, source: promql.Source, of_workspace: SourceOf = workspace_source) -> int:
    """Evaluate again what is noted; how many groups that were. Groups fail apart: one that raises is logged, and tried
    at the next time."""
    noted = RuleGroup.objects.filter(reopen_from__isnull=False)
    ordered = in_order([*noted.order_by("reopen_from", "pk").values_list("pk", "last_duration_seconds")])
    done = 0
    for group_id in ordered:
        try:
            done += reopen_group(group_id, now, source, of_workspace)
        except Exception:
            logger.exception("late records of rule group %s could not be evaluated", group_id)
            if database_is_lost():
                raise
    return done


def reopen_group(group_id: int, now: dt.datetime, source: promql.Source, of_workspace: SourceOf) -> bool:
    """Evaluate a group's slots since the first late record, unless somebody else is at the group."""
    with LOCK.try_session(group_id) as is_ours:
        group = RuleGroup.objects.filter(pk=group_id).first() if is_ours else None
        if group is None or group.reopen_from is None or group.evaluated_until is None:
            return False
        rules = list(group.rules.select_related("workspace").order_by("position", "id"))
        work = Work(group, rules, Slots(_slots(group, now), 0))
        if work.slots.due:
            with snapshot(settings.PORTAL.rule_timeout):
                evaluate(work, Scopes([group_id], source, of_workspace))
        return _correct(work, now)


def _slots(group: RuleGroup, now: dt.datetime) -> list[dt.datetime]:
    """The evaluated slots that see the first late record, or come after one that does."""
    assert group.reopen_from is not None  # noqa: S101 - looked at by the caller
    assert group.evaluated_until is not None  # noqa: S101
    interval, step = group.interval_seconds, dt.timedelta(seconds=group.interval_seconds)
    offset = dt.timedelta(seconds=group.query_offset_seconds)
    earliest = now - dt.timedelta(seconds=settings.PORTAL.late_records)
    shift = shift_of(group.name, interval)
    first = slot_before(max(group.reopen_from, earliest) + offset, interval, shift) + step
    return [first + step * number for number in range((group.evaluated_until - first) // step + 1)]


@with_retries
def _correct(work: Work, now: dt.datetime) -> bool:
    """Write what is otherwise than it was found before; False, and nothing is written, where the group, its rules or
    the note have changed meanwhile."""
    group, slots = work.group, work.slots.due
    with transaction.atomic():
        unchanged = lock_group(group.pk) == sorted((rule.pk, rule.version) for rule in work.rules)
        seen = RuleGroup.objects.filter(
            pk=group.pk, reopen_from=group.reopen_from, evaluated_until=group.evaluated_until
        )
        if not unchanged or not seen.update(reopen_from=None):
            return False
        if slots:
            _write(work, slots, now)
    return True


def _write(work: Work, slots: list[dt.datetime], now: dt.datetime) -> None:
    """Write corrected alerts, their flips, and what was recorded again."""
    recording.write([one for one in work.recorded() if one.samples])
    changed = set(RuleChange.objects.filter(rule__in=work.rules, at__gt=slots[0]).values_list("rule_id", flat=True))
    # What another version of a rule found, or one that was off or failed, says nothing about this one.
    pairs = [
        (rule, outcome)
        for rule, outcome in zip(work.rules, work.outcomes, strict=True)
        if not rule.record
        and rule.pk not in changed
        and len(outcome.samples) == len(slots)
        # Of these series only the present is known.
        and not reads_of(rule.expr, rule.threshold).any_of({LAST_EVALUATION, INTERVAL})
    ]
    rules = {rule.pk: rule for rule, _ in pairs}
    since = Q(ended_at=None) | Q(ended_at__gte=slots[0])
    actual: dict[int, list[Alert]] = {pk: [] for pk in rules}
    for alert in Alert.objects.filter(since, rule__in=rules).order_by("active_at", "id"):
        alert.rule = rules[alert.rule_id]
        actual[alert.rule_id].append(alert)
    fired = recent_firings([rule for rule in rules.values() if rule.flap_limit], slots[0])
    found = []
    for rule, outcome in pairs:
        began = as_of(actual[rule.pk], slots[0])
        replay = RuleState(rule, dict(began), fired[rule.pk])
        apply(replay, outcome, slots, now)
        found.append(corrections(replay, [*began.values()], actual[rule.pk], slots[-1], now))
    amended = [alert for one in found for alert in one.amended]
    Alert.objects.bulk_update(amended, ["active_at", "correction"])
    flips.write([one.state for one in found], now)
    if amended or any(one.state.flips for one in found):
        logger.info("late records changed alerts of rule group %s", work.group.name)
