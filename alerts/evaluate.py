"""8 alert rules: every due slot of every group is evaluated once, in order, at its own time, whoever ticks.

A slot is a multiple of the group's interval since the epoch. It is due once the clock passed it by the evaluation delay, so
that records which arrive a little late still count. All rules of a group are queried on one snapshot of the data. Then the
transaction that writes the flips moves `evaluated_until`, if it still is where it was: of several workers one succeeds, and
one that dies leaves everything as it was for the next tick.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F

import promql
from alerts import flips
from alerts.annotations import expand, uses_value
from alerts.cached_source import shared
from alerts.expression import ExpressionError
from alerts.expression import expand as fill_threshold
from alerts.models import OPEN_STATES, Alert, Health, Rule, RuleGroup
from alerts.states import Hit, RuleState

logger = logging.getLogger(__name__)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
WHOLE_QUERY = ("start()", "end()")
LOCKS = 1_634_493_810  # the class of this module's advisory locks; any number that nobody else uses


class RuleFailed(Exception):
    """A rule that could not be evaluated at a slot; its alerts stay as they are."""


@dataclass
class Outcome:
    """A rule's evaluation over some slots: its hits per slot, or why there are none."""

    hits: dict[dt.datetime, list[Hit]] = field(default_factory=dict)
    errors: dict[dt.datetime, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Slots:
    """The due slots of a group, oldest first, and how many were too old to be made up for."""

    due: list[dt.datetime]
    skipped: int


def tick(now: dt.datetime, source: promql.Source) -> int:
    """Evaluate what is due; how many slots that was. Groups fail apart: one that raises is logged, and tried at the next tick."""
    done = 0
    groups = RuleGroup.objects.values_list("pk", "interval_seconds", "evaluated_until")
    due = [group_id for group_id, interval, until in groups if due_slots(interval, until, now).due]
    for_all = shared(source, queries(due))
    for group_id in due:
        try:
            done += evaluate_group(group_id, now, for_all)
        except Exception:
            logger.exception("rule group %s could not be evaluated", group_id)
    return done


def queries(group_ids: list[int]) -> Iterator[promql.Query]:
    """What the groups' rules ask, less what cannot be asked."""
    rules = Rule.objects.filter(group__in=group_ids, enabled=True)
    for expr, threshold in rules.values_list("expr", "threshold") if group_ids else ():
        with suppress(ExpressionError, promql.PromQLError):
            yield promql.parse(fill_threshold(expr, threshold))


def evaluate_group(group_id: int, now: dt.datetime, source: promql.Source) -> int:
    """Evaluate the group's due slots; how many. 0 when another worker is at it, or was."""
    with _alone(group_id) as alone:
        group = RuleGroup.objects.get(pk=group_id) if alone else None
        slots = due_slots(group.interval_seconds, group.evaluated_until, now) if group is not None else Slots([], 0)
        if group is None or not slots.due:
            return 0
        start = time.monotonic()
        rules = list(group.rules.order_by("position", "id"))
        with _snapshot():
            outcomes = [evaluate_rule(rule, slots.due, source) for rule in rules]
        with transaction.atomic():
            if not _claim(group, slots, now):
                return 0
            states = open_states(rules)
            for state, outcome in zip(states, outcomes, strict=True):
                apply(state, outcome, slots.due, now)
            flips.write(states, now)
            flips.write_health(
                [_health(*pair, slots.due[-1]) for pair in zip(rules, outcomes, strict=True)], slots.due[-1]
            )
        RuleGroup.objects.filter(pk=group.pk).update(last_duration_seconds=time.monotonic() - start)
        return len(slots.due)


@contextmanager
def _alone(group_id: int) -> Iterator[bool]:
    """Whether this session may work on the group. Only spares double work: what counts is decided by `_claim`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCKS, group_id])
        held = bool(cursor.fetchone()[0])
        try:
            yield held
        finally:
            if held:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCKS, group_id])


@contextmanager
def _snapshot() -> Iterator[None]:
    """One state of the data for several reads: a record is in all of them or in none."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


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


def due_slots(interval: int, until: dt.datetime | None, now: dt.datetime) -> Slots:
    """The slots after `until` that are due at `now`. A group never evaluated begins with the newest."""
    newest = slot_before(now - dt.timedelta(seconds=settings.PORTAL.evaluation_delay), interval)
    step = dt.timedelta(seconds=interval)
    if until is None:
        return Slots([newest], 0)
    oldest = slot_before(until, interval) + step
    bound = slot_before(now - dt.timedelta(seconds=settings.PORTAL.evaluation_catch_up), interval)
    first = max(oldest, min(bound, newest))
    count = (newest - first) // step + 1
    return Slots([first + step * number for number in range(count)], max(0, (first - oldest) // step))


def slot_before(at: dt.datetime, interval: int) -> dt.datetime:
    """The newest slot at or before a time."""
    return EPOCH + dt.timedelta(seconds=int((at - EPOCH).total_seconds()) // interval * interval)


def open_states(rules: list[Rule]) -> list[RuleState]:
    """The rules, each with its open alerts."""
    open_alerts: dict[int, dict[str, Alert]] = defaultdict(dict)
    for alert in Alert.objects.filter(rule__in=rules, state__in=OPEN_STATES):
        open_alerts[alert.rule_id][alert.fingerprint] = alert
    return [RuleState(rule, open_alerts[rule.pk]) for rule in rules]


def evaluate_rule(rule: Rule, slots: list[dt.datetime], source: promql.Source) -> Outcome:
    """The rule's result at the slots at which it is neither off nor paused."""
    start = time.monotonic()
    running = [slot for slot in slots if rule.enabled and not rule.is_paused(slot)]
    outcome = evaluate_slots(rule, running, source) if running else Outcome()
    outcome.seconds = time.monotonic() - start
    return outcome


def apply(state: RuleState, outcome: Outcome, slots: list[dt.datetime], now: dt.datetime) -> None:
    """Bring the rule's alerts through the slots. At a slot that failed, they stay as they are."""
    for slot in slots:
        if slot in outcome.hits:
            state.advance(slot, outcome.hits[slot], now)
        elif slot not in outcome.errors:
            state.close(slot, now)
    for alert in state.changed():
        alert.annotations = annotations_of(state.rule, alert)


def evaluate_slots(rule: Rule, slots: list[dt.datetime], source: promql.Source) -> Outcome:
    """The rule's result at each slot: as one query over all of them, or one by one where that fails or would mean something else."""
    if len(slots) > 1 and not any(word in rule.expr for word in WHOLE_QUERY):
        try:
            return Outcome(_query(rule, slots, source))
        except RuleFailed:
            logger.info("rule %s is evaluated slot by slot", rule.name)
    outcome = Outcome()
    for slot in slots:
        try:
            outcome.hits |= _query(rule, [slot], source)
        except RuleFailed as error:
            outcome.errors[slot] = str(error)
    return outcome


def _query(rule: Rule, slots: list[dt.datetime], source: promql.Source) -> dict[dt.datetime, list[Hit]]:
    """Hits per slot; the slots are evenly spaced. Raises RuleFailed."""
    times = [milliseconds(slot) for slot in slots]
    try:
        query = promql.parse(fill_threshold(rule.expr, rule.threshold))
        if len(times) == 1:
            result = promql.instant(query, source, times[0])
        else:
            result = promql.range(query, source, times[0], times[-1], times[1] - times[0])
    except (ExpressionError, promql.PromQLError, DatabaseError) as error:
        raise RuleFailed(str(error)) from error
    if result.type not in ("vector", "scalar", "matrix") or query.type not in ("vector", "scalar"):
        raise RuleFailed(f"the expression is a {query.type}; a rule needs an instant vector or a scalar")
    return dict(zip(slots, _hits(rule, result, len(slots)), strict=True))


def _hits(rule: Rule, result: promql.Result, columns: int) -> list[list[Hit]]:
    """The samples of each column under their final labels. Raises RuleFailed when two of a column have the same."""
    changing = any(uses_value(text) for text in rule.labels.values())
    found: list[dict[str, Hit]] = [{} for _ in range(columns)]
    for row, labels in enumerate(result.labels):
        identity = None
        for column in result.present[row].nonzero()[0]:
            value = float(result.values[row, column])
            if identity is None or changing:
                identity = identify(rule, labels, value)
            if identity[0] in found[column]:
                raise RuleFailed("vector contains metrics with the same labelset after applying alert labels")
            found[column][identity[0]] = Hit(*identity, value)
    return [list(hits.values()) for hits in found]


def identify(rule: Rule, labels: dict[str, str], value: float) -> tuple[str, dict[str, str]]:
    """An alert's fingerprint and labels: those of the result without the metric's name, the rule's over them, and alertname."""
    own = {name: expand(text, labels, value) for name, text in rule.labels.items()}
    result = {name: text for name, text in labels.items() if name != "__name__"}
    final = {**result, "severity": rule.severity, **own, "alertname": rule.name}
    final = {name: final[name] for name in sorted(final) if final[name]}
    pairs = "\xff".join(f"{name}\xff{text}" for name, text in final.items())
    return blake2b(pairs.encode(), digest_size=16).hexdigest(), final


def annotations_of(rule: Rule, alert: Alert) -> dict[str, str]:
    """The rule's annotations for this alert, at its last value."""
    return {name: expand(text, alert.labels, alert.value) for name, text in rule.annotations.items()}


def milliseconds(at: dt.datetime) -> int:
    """Unix time in ms."""
    return (at - EPOCH) // dt.timedelta(milliseconds=1)


def _health(rule: Rule, outcome: Outcome, last: dt.datetime) -> Rule:
    """The rule, with what its last evaluation said about it."""
    error = outcome.errors.get(last, "")
    if not outcome.hits and not outcome.errors:
        rule.health, rule.last_error = Health.UNKNOWN, ""
    else:
        rule.health, rule.last_error = (Health.ERROR, error) if error else (Health.OK, "")
    rule.last_duration_seconds = outcome.seconds
    return rule
