"""What a rule's message would say, tried on a label set of the past: so that a template is read before it wakes
somebody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alerts.evaluation.evaluate import annotations_of, identify
from alerts.models import Alert, Rule
from alerts.trial.backtest import Backtest


@dataclass(frozen=True)
class ExampleMessage:
    """An alert as its notification would have shown it. `at_ms` is when (Unix ms); `fired` is false where nothing did,
    and the last value stands in."""

    labels: dict[str, str]
    annotations: dict[str, str]
    title: str
    value: float
    at_ms: int
    fired: bool

    @property
    def description(self) -> str:
        """The paragraph below the title."""
        return self.annotations.get("description", "")

    @property
    def more_annotations(self) -> dict[str, str]:
        """Those that are neither title nor description."""
        return {name: text for name, text in self.annotations.items() if name not in ("summary", "description")}


def example_message(test: Backtest, rule: Rule) -> ExampleMessage | None:
    """The message of the newest alert that would have fired; else of the last value measured; None where there is
    neither.

    `rule` may be one that is only typed.
    """
    if test.episodes:
        newest = test.episodes[-1]
        return _expanded(rule, newest.labels, newest.peak, newest.fired_ms, fired=True)
    rows, columns = np.nonzero(test.measured.present)
    if not len(rows):
        return None
    last = int(np.argmax(columns))
    row, column = int(rows[last]), int(columns[last])
    value, at_ms = float(test.measured.values[row, column]), int(test.measured.times[column])
    return _expanded(rule, test.measured.labels[row], value, at_ms, fired=False)


def _expanded(rule: Rule, labels: dict[str, str], value: float, at_ms: int, *, fired: bool) -> ExampleMessage:
    _, final = identify(rule, labels, value)
    alert = Alert(rule=rule, labels=final, value=value)
    alert.annotations = annotations_of(rule, alert)
    return ExampleMessage(final, alert.annotations, alert.title, value, at_ms, fired)
