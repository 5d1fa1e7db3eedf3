"""8 alert rules, a group at a time: its rules at its due slots, in their order, each
seeing what those before it recorded."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from django.conf import settings

import promql
from alerts.evaluation.evaluate import TOO_SLOW, Outcome, asked_at, evaluate_rule
from alerts.evaluation.order import is_in_sequence
from alerts.evaluation.schedule import Slots, milliseconds
from alerts.evaluation.scopes import NewSample, Scopes
from alerts.evaluation.states import Sample
from alerts.models import Rule, RuleGroup
from alerts.recording import read
from alerts.recording.write import Recorded
from core.net.tracing import span
from promql.labels import label_key

Slot = dt.datetime


@dataclass
class Work:
    """A group that this tick evaluates. `rules` are in their order, `outcomes` one for each."""

    group: RuleGroup
    rules: list[Rule]
    slots: Slots
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def recorded(self) -> list[Recorded]:
        """What its recording rules found, to be written; a rule that is off gets one
        empty row, which ends its series."""
        return [
            one
            for pair in zip(self.rules, self.outcomes, strict=True)
            if pair[0].record
            for one in _recorded(*pair, self.slots.due)
        ]


def evaluate(work: Work, scopes: Scopes) -> Work:
    """Evaluate the group's rules. Each has a time of its own, after which its remaining slots fail."""
    start = time.monotonic()
    work.outcomes = [Outcome() for _ in work.rules]
    before = _last_recorded(work.rules)
    slots = work.slots.due
    parts = [[slot] for slot in slots] if len(slots) > 1 and is_in_sequence(work.rules) else [slots]
    with span("evaluate", group=work.group.name, rules=len(work.rules), slots=len(slots)):
        for part in parts:
            for rule, outcome in zip(work.rules, work.outcomes, strict=True):
                if outcome.seconds > settings.PORTAL.rule_timeout and len(parts) > 1:
                    outcome.add(Outcome.failed(part, TOO_SLOW))
                    continue
                found = evaluate_rule(rule, part, scopes.source(rule))
                outcome.add(found)
                if rule.record:
                    scopes.add_recorded(rule, _new_samples(rule, found, part, before))
    work.seconds = time.monotonic() - start
    return work


def _recorded(rule: Rule, outcome: Outcome, slots: Sequence[Slot]) -> Iterator[Recorded]:
    goes_on = bool(rule.last_series)
    for slot in slots:
        if slot in outcome.samples:
            samples = outcome.samples[slot]
            yield Recorded(rule.pk, rule.workspace_id, rule.record, asked_at(rule, slot), samples)
            goes_on = bool(samples)
        elif slot not in outcome.errors and goes_on:
            yield Recorded(rule.pk, rule.workspace_id, rule.record, asked_at(rule, slot), [])
            goes_on = False


def _new_samples(
    rule: Rule, found: Outcome, slots: Iterable[Slot], before: dict[int, list[dict[str, str]]]
) -> Iterator[NewSample]:
    """What the rule recorded at the slots, and a stale mark for each series of the time before that it did not."""
    for slot in slots:
        if slot not in found.samples:
            continue
        at_ms, samples = milliseconds(asked_at(rule, slot)), found.samples[slot]
        labels = [_named(rule, sample) for sample in samples]
        yield from ((one, at_ms, sample.value) for one, sample in zip(labels, samples, strict=True))
        kept = {label_key(one) for one in labels}
        gone = [one for one in before.get(rule.pk, []) if label_key(one) not in kept]
        yield from ((one, at_ms, promql.STALE_NAN) for one in gone)
        before[rule.pk] = labels


def _named(rule: Rule, sample: Sample) -> dict[str, str]:
    return {**sample.labels, "__name__": rule.record}


def _last_recorded(rules: Sequence[Rule]) -> dict[int, list[dict[str, str]]]:
    """The labels, with the name, of the series that each rule recorded last."""
    recording = {rule.pk: rule.record for rule in rules if rule.record}
    return read.last_of(recording) if recording else {}
