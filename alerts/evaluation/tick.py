"""8 alert rules, once: every due slot of every group is evaluated once, in order, at its own time, whoever ticks.

The rules of a tick are queried on one snapshot of the data, apart from any writing. Then, group by group, a transaction
writes the flips and moves `evaluated_until`, if it still is where it was: of several workers one succeeds, and one that
dies leaves everything as it was for the next tick.

Locks are always taken in one order, here and where rules are saved (`alerts.rules.locks`): the
group's row, its rules' by id, then alerts.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack

from django.conf import settings
from django.db import transaction
from django.db.models import F

import promql
from alerts.evaluation import flips
from alerts.evaluation.evaluate import Outcome, apply, database_is_lost, internal_error, set_health
from alerts.evaluation.order import in_order, is_slow
from alerts.evaluation.schedule import Slots, due_slots, milliseconds, shift_of
from alerts.evaluation.scopes import Scopes, SourceOf, workspace_source
from alerts.evaluation.state_machine import FLAP_MS
from alerts.evaluation.states import RuleState
from alerts.evaluation.work import Work, evaluate
from alerts.models import OPEN_STATES, Alert, Rule, RuleGroup
from alerts.recording import write as recording
from alerts.rules.locks import is_conflict, lock_group, with_retries
from core.pg.locks import AdvisoryLock
from core.pg.snapshot import snapshot

logger = logging.getLogger(__name__)
LOCK = AdvisoryLock(1_634_493_810)  # of who evaluates a group: spares double work; what counts is decided by `_claim`
# A tick writes what it has found once it has queried for so long (seconds), and goes on with a new snapshot: what a
# worker that dies takes with it stays small, and the newest data are not older than that.
SNAPSHOT_SECONDS = 5.0


def tick(now: dt.datetime, source: promql.Source, of_workspace: SourceOf = workspace_source) -> int:
    """Evaluate what is due; how many slots that was. Groups fail apart: one that raises
    is logged, and tried at the next tick.

    `source` is what the portal's rules read, `of_workspace` gives what those of a workspace read.
    """
    due = due_groups(now)
    ordered = in_order([*due.items()]) if due else []
    return evaluate_groups([(group_id, is_slow(due[group_id])) for group_id in ordered], now, source, of_workspace)


def due_groups(now: dt.datetime) -> dict[int, float | None]:
    """The ids of the groups that are due, the longest waiting first, each with the seconds it took last."""
    # The rule that stands for alerts that others send has nothing to be evaluated.
    own = RuleGroup.objects.exclude(rules__external=True).order_by("evaluated_until", "pk")
    groups = own.values_list("pk", "name", "interval_seconds", "evaluated_until", "last_duration_seconds")
    return {
        group_id: seconds
        for group_id, name, interval, until, seconds in groups
        if due_slots(interval, until, now, shift_of(name, interval)).due
    }


def evaluate_groups(
    groups: Sequence[tuple[int, bool]], now: dt.datetime, source: promql.Source, of_workspace: SourceOf
) -> int:
    """Evaluate the due slots of groups, each given by its id and whether it is slow; how many slots that was.

    It queries for a while on one snapshot, writes, and so on until no group is left. A group that another worker is at,
    or was, is left to that one. What the others found is written before a slow group is
    begun, so that it delays none of them.
    """
    done = 0
    waiting = list(groups)
    while waiting:
        with ExitStack() as held:
            evaluated: list[Work] = []
            with snapshot(settings.PORTAL.rule_timeout):
                # What is remembered of the reads lives as long as the snapshot, so that
                # every rule sees one state of the data.
                scopes = Scopes([group_id for group_id, _ in waiting], source, of_workspace)
                until = time.monotonic() + SNAPSHOT_SECONDS
                while waiting and time.monotonic() < until and not (evaluated and waiting[0][1]):
                    work = _begin(waiting.pop(0)[0], now, held)
                    if work is None:
                        continue
                    try:
                        evaluated.append(evaluate(work, scopes))
                    except Exception:
                        logger.exception("rule group %s could not be queried", work.group.name)
                        if database_is_lost():
                            raise
                        break  # the snapshot may be spoilt: the other groups go on with a new one
            for work in evaluated:
                try:
                    done += _write(work, now)
                except Exception:
                    logger.exception("what rule group %s found could not be written", work.group.name)
                    if database_is_lost():
                        raise
    return done


def _begin(group_id: int, now: dt.datetime, held: ExitStack) -> Work | None:
    """The group with its rules, ours until `held` ends; None when another worker has it, or nothing of it is due."""
    if not held.enter_context(LOCK.try_session(group_id)):
        return None
    group = RuleGroup.objects.filter(pk=group_id).first()
    if group is None:
        return None
    shift = shift_of(group.name, group.interval_seconds)
    slots = due_slots(group.interval_seconds, group.evaluated_until, now, shift)
    if not slots.due:
        return None
    return Work(group, list(group.rules.select_related("workspace").order_by("position", "id")), slots)


@with_retries
def _write(work: Work, now: dt.datetime) -> int:
    """Write what the group's evaluation found; how many slots. 0, and nothing is written, when somebody else has
    evaluated them or a rule was changed meanwhile: the next tick asks the new one."""
    slots, group = work.slots, work.group
    with transaction.atomic():
        unchanged = lock_group(group.pk) == sorted((rule.pk, rule.version) for rule in work.rules)
        if not unchanged or not _claim(group, slots, now):
            return 0
        states = open_states(work.rules, slots.due[0])
        outcomes = [_advance(*pair, slots.due, now) for pair in zip(states, work.outcomes, strict=True)]
        outcomes = _write_states(states, outcomes, slots.due, now)
        outcomes = _write_recorded(work, outcomes)
        for rule, outcome in zip(work.rules, outcomes, strict=True):
            set_health(rule, outcome, slots.due[-1])
        flips.write_health(work.rules, outcomes, slots.due[-1])
    RuleGroup.objects.filter(pk=group.pk).update(last_duration_seconds=work.seconds)
    return len(slots.due)


def _claim(group: RuleGroup, slots: Slots, now: dt.datetime) -> bool:
    """Move the group on to its last due slot, unless somebody else has moved it."""
    unmoved = RuleGroup.objects.filter(pk=group.pk, evaluated_until=group.evaluated_until)
    return bool(
        unmoved.update(
            evaluated_until=slots.due[-1],
            last_evaluated_at=now,
            slots_skipped=F("slots_skipped") + slots.skipped,
        )
    )


def open_states(rules: Sequence[Rule], slot: dt.datetime) -> list[RuleState]:
    """The rules, each with its open alerts and how often those of its labels fired shortly before the slot."""
    open_alerts: dict[int, dict[str, Alert]] = defaultdict(dict)
    by_id = {rule.pk: rule for rule in rules}
    for alert in Alert.objects.filter(rule__in=rules, state__in=OPEN_STATES):
        alert.rule = by_id[alert.rule_id]
        open_alerts[alert.rule_id][alert.fingerprint] = alert
    fired = recent_firings([rule for rule in rules if rule.flap_limit], slot)
    return [RuleState(rule, open_alerts[rule.pk], fired[rule.pk]) for rule in rules]


def recent_firings(rules: Sequence[Rule], slot: dt.datetime) -> dict[int, dict[str, list[int]]]:
    """When (Unix ms) alerts of the rules that were over before the slot began to fire, within FLAP_MS before it; by
    rule and fingerprint."""
    found: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    if rules:
        since = slot - dt.timedelta(milliseconds=FLAP_MS)
        over = Alert.objects.filter(rule__in=rules, fired_at__gt=since, ended_at__lt=slot)
        for alert in over.only("rule_id", "fingerprint", "fired_at"):
            if alert.fired_at is not None:
                found[alert.rule_id][alert.fingerprint].append(milliseconds(alert.fired_at))
    return found


def _advance(state: RuleState, outcome: Outcome, slots: list[dt.datetime], now: dt.datetime) -> Outcome:
    """Bring the rule's alerts through the slots. Where that fails they stay as they are,
    and the outcome has the reason."""
    try:
        apply(state, outcome, slots, now)
    except Exception as error:
        logger.exception("rule %s: its result could not be applied", state.rule.name)
        state.discard()
        return Outcome.failed(slots, internal_error(error), outcome.seconds)
    return outcome


def _write_states(
    states: Sequence[RuleState], outcomes: Sequence[Outcome], slots: list[dt.datetime], now: dt.datetime
) -> list[Outcome]:
    """Write all rules' alerts and flips at once; where Postgres refuses that, rule by rule, and the
    outcome of the refused one has the reason."""
    try:
        with transaction.atomic():
            flips.write(states, now)
    except Exception as error:
        if is_conflict(error) or database_is_lost():
            raise
        logger.warning("flips are written rule by rule: %s", error)
        return [_write_alone(*pair, slots, now) for pair in zip(states, outcomes, strict=True)]
    return list(outcomes)


def _write_recorded(work: Work, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Write what the recording rules found; where Postgres refuses that, rule by rule, and the
    outcome of the refused one has the reason."""
    found = work.recorded()
    try:
        with transaction.atomic():
            recording.write(found)
        return list(outcomes)
    except Exception as error:
        if is_conflict(error) or database_is_lost():
            raise
        logger.warning("recorded series are written rule by rule: %s", error)
    return [
        _record_alone(rule, outcome, [one for one in found if one.rule_id == rule.pk], work.slots.due)
        for rule, outcome in zip(work.rules, outcomes, strict=True)
    ]


def _record_alone(
    rule: Rule, outcome: Outcome, found: Sequence[recording.Recorded], slots: list[dt.datetime]
) -> Outcome:
    """Write what one rule recorded."""
    try:
        with transaction.atomic():
            recording.write(found)
    except Exception as error:
        if is_conflict(error) or database_is_lost():
            raise
        logger.exception("rule %s: what it recorded could not be written", rule.name)
        return Outcome.failed(slots, internal_error(error), outcome.seconds)
    return outcome


def _write_alone(state: RuleState, outcome: Outcome, slots: list[dt.datetime], now: dt.datetime) -> Outcome:
    """Write one rule's alerts and flips."""
    try:
        with transaction.atomic():
            flips.write([state], now)
    except Exception as error:
        if is_conflict(error) or database_is_lost():
            raise
        logger.exception("rule %s: its flips could not be written", state.rule.name)
        return Outcome.failed(slots, internal_error(error), outcome.seconds)
    return outcome
