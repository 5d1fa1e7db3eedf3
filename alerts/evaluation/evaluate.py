"""8 alert rules, what: a rule's expression at its slots, and the labels and annotations
of the alerts that its result means.

Whatever goes wrong with a rule is that rule's error: nothing here raises for one rule
what would keep others from being evaluated.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from django.conf import settings
from django.db import DatabaseError, connection

import promql
from alerts.evaluation.schedule import milliseconds
from alerts.evaluation.states import RuleState, Sample
from alerts.gotemplate import expand, uses_value
from alerts.models import Alert, Health, Rule, WithoutData
from alerts.rules.expression import ExpressionError
from alerts.rules.judgement import Judge, judge_of
from core.pg.text import storable, storable_labels

logger = logging.getLogger(__name__)
WHOLE_QUERY = ("start()", "end()")
TOO_SLOW = "the time that it may take in one go is used up"
STANDS_FOR = "rule_state"  # a label of alerts that stand for no sample; its values:
NO_DATA, ERROR = "no_data", "error"
CANCELLED = "57014"  # what Postgres calls a statement that ran into the time limit


class RuleFailed(Exception):
    """A rule that could not be evaluated at a slot; its alerts stay as they are."""


@dataclass
class Outcome:
    """A rule's evaluation over some slots: its samples per slot, or why there are none. `silent` are slots at which
    nothing was measured, where that matters to the rule."""

    samples: dict[dt.datetime, list[Sample]] = field(default_factory=dict)
    errors: dict[dt.datetime, str] = field(default_factory=dict)
    silent: set[dt.datetime] = field(default_factory=set)
    seconds: float = 0.0

    def add(self, later: Outcome) -> None:
        """Take what the rule did at further slots."""
        self.samples |= later.samples
        self.errors |= later.errors
        self.silent |= later.silent
        self.seconds += later.seconds

    @classmethod
    def failed(cls, slots: Iterable[dt.datetime], error: str, seconds: float = 0.0) -> Outcome:
        """The same error at every slot."""
        return cls(errors=dict.fromkeys(slots, error), seconds=seconds)


def evaluate_rule(rule: Rule, slots: list[dt.datetime], source: promql.Source) -> Outcome:
    """The rule's result at the slots at which it is neither off nor paused. Raises only where the database is lost."""
    start = time.monotonic()
    running = [slot for slot in slots if rule.enabled and not rule.is_paused(slot)]
    outcome = evaluate_slots(rule, running, source) if running else Outcome()
    outcome.seconds = time.monotonic() - start
    return outcome


def evaluate_slots(rule: Rule, slots: list[dt.datetime], source: promql.Source) -> Outcome:
    """The rule's result at each slot: as one query over all of them, or one by one where
    that fails or would mean something else.

    The queries one by one may take twice as long as one query may; then the slots that are left fail.
    """
    if len(slots) > 1 and not any(word in rule.expr for word in WHOLE_QUERY):
        try:
            return _query(rule, slots, source)
        except RuleFailed:
            logger.info("rule %s is evaluated slot by slot", rule.name)
    outcome = Outcome()
    until = time.monotonic() + 2 * settings.PORTAL.rule_timeout
    for slot in slots:
        if time.monotonic() > until:
            outcome.errors[slot] = TOO_SLOW
            continue
        try:
            outcome.add(_query(rule, [slot], source))
        except RuleFailed as error:
            outcome.errors[slot] = storable(str(error))
    return outcome


def _query(rule: Rule, slots: list[dt.datetime], source: promql.Source) -> Outcome:
    """Hits per slot; the slots are evenly spaced. Raises RuleFailed, or DatabaseError where the database is lost."""
    try:
        judge = judge_of(rule)
        samples = _samples(rule, judge, _ask(judge.query, rule, slots, source), len(slots))
        outcome = Outcome(dict(zip(slots, samples, strict=True)))
        # Where something is beyond the threshold, something was measured.
        if judge.measured and not all(samples):
            measured = _ask(judge.measured, rule, slots, source).present
            outcome.silent = {slot for column, slot in enumerate(slots) if not measured[:, column].any()}
        return outcome
    except RuleFailed:
        raise
    except (ExpressionError, promql.PromQLError) as error:
        raise RuleFailed(str(error)) from error
    except DatabaseError as error:
        # Without the database no rule could be judged: the slots are left for the next tick.
        if database_is_lost():
            raise
        if getattr(error.__cause__, "sqlstate", "") == CANCELLED:
            raise RuleFailed(f"the query ran longer than {settings.PORTAL.rule_timeout} s") from error
        raise RuleFailed(str(error)) from error
    except Exception as error:
        logger.exception("rule %s could not be evaluated", rule.name)
        raise RuleFailed(internal_error(error)) from error


def _ask(text: str, rule: Rule, slots: list[dt.datetime], source: promql.Source) -> promql.Result:
    """A query's result, a column per slot."""
    times = [milliseconds(asked_at(rule, slot)) for slot in slots]
    limits = promql.Limits(timeout_seconds=settings.PORTAL.rule_timeout)
    query = promql.parse(text)
    if len(times) == 1:
        result = promql.instant(query, source, times[0], limits=limits)
    else:
        result = promql.range(query, source, times[0], times[-1], times[1] - times[0], limits=limits)
    if result.type not in ("vector", "scalar", "matrix") or query.type not in ("vector", "scalar"):
        raise RuleFailed(f"the expression is a {query.type}; a rule needs an instant vector or a scalar")
    return result


def asked_at(rule: Rule, slot: dt.datetime) -> dt.datetime:
    """The time that the rule's query asks about at a slot."""
    return slot - dt.timedelta(seconds=rule.group.query_offset_seconds)


def database_is_lost() -> bool:
    """Whether this thread's connection broke."""
    return connection.connection is None or bool(connection.connection.closed)


def internal_error(error: BaseException) -> str:
    """What a rule shows for a fault of ours; the log has the rest."""
    return storable(f"internal error: {type(error).__name__}: {error}"[:500])


def _samples(rule: Rule, judge: Judge, result: promql.Result, columns: int) -> list[list[Sample]]:
    """The samples of each column under their final labels. Raises RuleFailed when two of a column have the same, or a
    recording rule has too many."""
    changing = not rule.record and any(uses_value(text) for text in rule.all_labels.values())
    kind = "rule" if rule.record else "alert"
    found: list[dict[str, Sample]] = [{} for _ in range(columns)]
    verdict = judge.judge(result)
    counts = verdict.begins | verdict.keeps
    for row, (labels, bound) in enumerate(zip(result.labels, verdict.bounds, strict=True)):
        identity = None
        for column in counts[row].nonzero()[0]:
            value = float(result.values[row, column])
            if identity is None or changing:
                identity = identify(rule, labels, value, bound.severity)
            if identity[0] in found[column]:
                raise RuleFailed(f"vector contains metrics with the same labelset after applying {kind} labels")
            found[column][identity[0]] = Sample(*identity, value, bool(verdict.begins[row, column]), bound)
    limit = rule.group.limit
    if rule.record and limit and (most := max(map(len, found), default=0)) > limit:
        raise RuleFailed(f"exceeded limit of {limit} with {most} series")
    return [list(samples.values()) for samples in found]


def identify(rule: Rule, labels: dict[str, str], value: float, severity: str = "") -> tuple[str, dict[str, str]]:
    """An alert's fingerprint and labels: those of the result without the metric's name, the rule's over them, and
    alertname; those of a workspace's rule name it, whatever the rule says. Of a recorded series: the same without
    severity and alertname, and no label is a template."""
    result = {name: text for name, text in labels.items() if name != "__name__"}
    whose = {} if rule.workspace is None else {"workspace": rule.workspace.slug}
    if rule.record:
        final = storable_labels({**result, **rule.all_labels, **whose})
    else:
        own = {name: expand(text, labels, value) for name, text in rule.all_labels.items()}
        final = storable_labels(
            {**result, "severity": severity or rule.severity, **own, **whose, "alertname": rule.alert_name}
        )
    final = {name: final[name] for name in sorted(final) if final[name]}
    named = {**final, "__name__": rule.record} if rule.record else final
    pairs = "\xff".join(f"{name}\xff{text}" for name, text in named.items())
    return blake2b(pairs.encode(), digest_size=16).hexdigest(), final


def apply(state: RuleState, outcome: Outcome, slots: list[dt.datetime], now: dt.datetime) -> None:
    """Bring the rule's alerts through the slots. At a slot that failed, they stay as they
    are; past the group's limit they all end."""
    if state.rule.record:
        return
    limit = state.rule.group.limit
    for slot in slots:
        if slot in outcome.errors:
            _take_unknown(state, slot, state.rule.on_error, ERROR, outcome.errors[slot], now)
        elif slot in outcome.silent:
            _take_unknown(state, slot, state.rule.no_data, NO_DATA, "There is nothing to compare.", now)
        elif slot in outcome.samples:
            count = state.count_at(slot, outcome.samples[slot])
            if limit and count > limit:
                outcome.errors[slot] = f"exceeded limit of {limit} with {count} alerts"
                state.close(slot, now)
            else:
                state.advance(slot, outcome.samples[slot], now)
        else:
            state.close(slot, now)
    for alert in state.changed():
        if STANDS_FOR not in alert.labels:
            alert.annotations = annotations_of(state.rule, alert)
        elif reason := state.reasons.get(alert.fingerprint):
            alert.annotations = _stand_in_texts(state.rule, alert, reason)


def _take_unknown(state: RuleState, slot: dt.datetime, then: str, what: str, reason: str, now: dt.datetime) -> None:
    """Bring the rule's alerts through a slot of which nothing is known, as the rule wants it."""
    if then == WithoutData.OK:
        state.advance(slot, [], now)
    elif then == WithoutData.ALERT:
        identity = identify(state.rule, {STANDS_FOR: what}, math.nan)
        state.advance(slot, [Sample(*identity, math.nan, reason=reason)], now, is_unknown=True)


def _stand_in_texts(rule: Rule, alert: Alert, reason: str) -> dict[str, str]:
    """The annotations of an alert that stands for no sample: the rule's own speak of labels and a value that it does
    not have."""
    what = "cannot be evaluated" if alert.labels[STANDS_FOR] == ERROR else "has no data"
    return storable_labels({"summary": f"{rule.title or rule.name}: the rule {what}", "description": reason})


def annotations_of(rule: Rule, alert: Alert) -> dict[str, str]:
    """The rule's annotations for this alert, at its last value."""
    return storable_labels({name: expand(text, alert.labels, alert.value) for name, text in rule.annotations.items()})


def set_health(rule: Rule, outcome: Outcome, last: dt.datetime) -> None:
    """Note on the rule how its evaluation went; `last` is the last slot."""
    error = outcome.errors.get(last, "")
    rule.last_series = len(outcome.samples[last]) if last in outcome.samples else (rule.last_series if error else 0)
    if not outcome.samples and not outcome.errors:
        rule.health, rule.last_error = Health.UNKNOWN, ""
    else:
        rule.health, rule.last_error = (Health.ERROR, error) if error else (Health.OK, "")
    rule.last_duration_seconds = outcome.seconds
