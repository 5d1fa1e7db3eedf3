"""The groups of rule files evaluated over series in memory, as a Prometheus evaluates
them. Source: prometheus `rules`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

import promql
from alerts.evaluation.state_machine import FIRING, INACTIVE, NEVER, PENDING, Holding, Seen, States
from alerts.gotemplate import expand
from alerts.rulefiles.rules import GroupFields, RuleFields, seconds
from promql.labels import LabelKey, Matcher, label_key
from promql.values import Bools

NAMES = {PENDING: "pending", FIRING: "firing"}


class RuleFailed(Exception):
    """A rule that could not be evaluated."""


@dataclass(frozen=True)
class Surroundings:
    """What templates know besides the alert, and the step of subqueries without one (ms)."""

    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    subquery_step_ms: int = 60_000


@dataclass
class ActiveAlert:
    """An alert of a rule. `code` is its state; times are Unix milliseconds."""

    labels: dict[str, str]
    annotations: dict[str, str]
    value: float
    active_ms: int = NEVER
    code: int = INACTIVE
    missing_ms: int = NEVER

    @property
    def state(self) -> str:
        """The state's name: pending or firing."""
        return NAMES[self.code]


class Until:
    """A source as it was at a time: later samples had not come yet."""

    def __init__(self, source: promql.Source, until_ms: int) -> None:
        self._source, self._until = source, until_ms

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        """The series that match, up to that time."""
        return (
            self._source.select(matchers, start_ms, min(end_ms, self._until), hints) if start_ms <= self._until else []
        )


class EvaluatedRule:
    """A rule with its alerts and the series that it wrote last."""

    def __init__(self, rule: RuleFields, group: GroupFields, around: Surroundings) -> None:
        self.rule, self._limit, self._around = rule, group.limit or 0, around
        self._labels = {**(group.labels or {}), **(rule.labels or {})}
        self._holding = Holding(round(seconds(rule.for_) * 1000), round(seconds(rule.keep_firing_for) * 1000))
        self._expr = promql.parse(rule.expr or "")
        self._written: dict[LabelKey, dict[str, str]] = {}
        self.alerts: dict[LabelKey, ActiveAlert] = {}

    def evaluate(self, source: promql.MemorySource, at_ms: int, offset_ms: int) -> None:
        """Evaluate at a time and write the resulting series. Raises RuleFailed, after
        which the alerts are as before."""
        asked_ms = at_ms - offset_ms
        try:
            samples = self._samples(source, asked_ms)
            series = self._recorded(samples) if self.rule.record else self._alerted(samples, source, at_ms, asked_ms)
        except promql.PromQLError as error:
            raise RuleFailed(str(error)) from error
        found = {label_key(labels): labels for labels, _ in series}
        for labels, value in series:
            source.add(labels, [asked_ms], [value])
        for key, labels in self._written.items():
            if key not in found:
                source.add(labels, [asked_ms], [promql.STALE_NAN])
        self._written = found

    def _samples(self, source: promql.Source, at_ms: int) -> list[tuple[dict[str, str], float]]:
        return instant(self._expr, Until(source, at_ms), at_ms, self._around)

    def _recorded(self, samples: Iterable[tuple[dict[str, str], float]]) -> list[tuple[dict[str, str], float]]:
        found: dict[LabelKey, tuple[dict[str, str], float]] = {}
        for labels, value in samples:
            final = _set({**labels, "__name__": self.rule.record or ""}, self._labels)
            if label_key(final) in found:
                raise RuleFailed("vector contains metrics with the same labelset after applying rule labels")
            found[label_key(final)] = (final, value)
        self._check_limit(len(found), "series")
        return [*found.values()]

    def _alerted(
        self, samples: Iterable[tuple[dict[str, str], float]], source: promql.Source, at_ms: int, asked_ms: int
    ) -> list[tuple[dict[str, str], float]]:
        found: dict[LabelKey, ActiveAlert] = {}
        for given, value in samples:
            alert = self._alert(given, value, source, at_ms, asked_ms)
            if label_key(alert.labels) in found:
                raise RuleFailed("vector contains metrics with the same labelset after applying alert labels")
            found[label_key(alert.labels)] = alert
        for key, alert in found.items():
            if (known := self.alerts.get(key)) is not None:
                known.value, known.annotations = alert.value, alert.annotations
            else:
                self.alerts[key] = alert
        if self.alerts:
            self._advance(np.array([key in found for key in self.alerts]), at_ms)
        try:
            self._check_limit(len(self.alerts), "alerts")
        except RuleFailed:
            self.alerts = {}
            raise
        return [pair for alert in self.alerts.values() for pair in _series_of(alert)]

    def _alert(
        self, given: dict[str, str], value: float, source: promql.Source, at_ms: int, asked_ms: int
    ) -> ActiveAlert:
        def ask(query: str) -> list[tuple[dict[str, str], float]]:
            return instant(promql.parse(query), Until(source, asked_ms), asked_ms, self._around)

        def filled(text: str) -> str:
            around = self._around
            return expand(
                text,
                given,
                value,
                external_labels=around.external_labels,
                external_url=around.external_url,
                query=ask,
                at=at_ms / 1000,
                name=f"__alert_{self.rule.alert}",
            )

        own = {name: filled(text) for name, text in self._labels.items()}
        labels = _set({name: text for name, text in given.items() if name != "__name__"}, own)
        labels["alertname"] = self.rule.alert or ""
        annotations = {name: filled(text) for name, text in (self.rule.annotations or {}).items()}
        return ActiveAlert(labels, annotations, value)

    def _advance(self, has_sample: Bools, at_ms: int) -> None:
        """Bring the alerts to their next states; those that are inactive are gone."""
        before = States.of((alert.code, alert.active_ms, alert.missing_ms) for alert in self.alerts.values())
        after = before.advance(Seen(has_sample), at_ms, self._holding)
        for alert, row in zip(self.alerts.values(), after.as_rows(), strict=True):
            alert.code, alert.active_ms, alert.missing_ms = row
        self.alerts = {key: alert for key, alert in self.alerts.items() if alert.code != INACTIVE}

    def _check_limit(self, count: int, what: str) -> None:
        if self._limit and count > self._limit:
            raise RuleFailed(f"exceeded limit of {self._limit} with {count} {what}")


@dataclass
class EvaluatedGroup:
    """A group whose rules are evaluated in order, each seeing what those before it wrote."""

    name: str
    rules: list[EvaluatedRule]
    offset_ms: int

    @classmethod
    def of(cls, group: GroupFields, around: Surroundings) -> EvaluatedGroup:
        """A group as it is written, without problems."""
        rules = [EvaluatedRule(rule, group, around) for rule in group.rules or []]
        return cls(group.name or "", rules, round(seconds(group.query_offset) * 1000))

    def evaluate(self, source: promql.MemorySource, at_ms: int) -> list[tuple[str, str]]:
        """Evaluate at a time; names of rules that failed, and why. The others are evaluated all the same."""
        failed = []
        for rule in self.rules:
            try:
                rule.evaluate(source, at_ms, self.offset_ms)
            except RuleFailed as error:
                failed.append((rule.rule.name, str(error)))
        return failed


def instant(
    query: promql.Query, source: promql.Source, at_ms: int, around: Surroundings
) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each sample of a query that is a vector or a scalar. Raises promql.PromQLError."""
    result = promql.instant(query, source, at_ms, subquery_step_ms=around.subquery_step_ms)
    if result.type not in ("vector", "scalar"):
        raise promql.EvalError("rule result is not a vector or scalar")
    rows = np.flatnonzero(result.present[:, 0]).tolist()
    return [(result.labels[row], float(result.values[row, 0])) for row in rows]


def _set(labels: dict[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Labels with others set over them; an empty one removes."""
    return {name: text for name, text in {**labels, **own}.items() if text}


def _series_of(alert: ActiveAlert) -> list[tuple[dict[str, str], float]]:
    """What Prometheus writes of an alert."""
    state = {**alert.labels, "__name__": "ALERTS", "alertstate": alert.state}
    since = {**alert.labels, "__name__": "ALERTS_FOR_STATE"}
    return [(state, 1.0), (since, float(alert.active_ms // 1000))]
