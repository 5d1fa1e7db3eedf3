"""promtool's unit tests of rules: their files, and what each expects against what the rules do. Source:
prometheus `cmd/promtool/unittest.go`."""

from __future__ import annotations

import datetime as dt
import glob
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

import promql
from alerts.evaluation.state_machine import FIRING
from alerts.routing.durations import parse_duration
from alerts.rulefiles.document import Document, FileError
from alerts.rulefiles.evaluation import EvaluatedGroup, Surroundings, instant
from alerts.rulefiles.notation import NotationError, read_labels, read_values
from alerts.rulefiles.rules import GroupFields, read_rule_file
from promql.text_forms import format_value

MAX_EVALUATIONS = 1_000_000
DEFAULT_INTERVAL = "1m"
# Go's time.Duration, which promtool counts in, ends there.
LONGEST = dt.timedelta(microseconds=2**63 // 1000)


class SeriesFields(msgspec.Struct, forbid_unknown_fields=True):
    """A series and its values, one per interval."""

    series: str
    values: str


class ExpectedAlert(msgspec.Struct, forbid_unknown_fields=True):
    """An alert that fires, less its name."""

    exp_labels: dict[str, str] | None = None
    exp_annotations: dict[str, str] | None = None


class AlertTest(msgspec.Struct, forbid_unknown_fields=True):
    """Which alerts of a name fire at a time."""

    eval_time: str = "0"
    alertname: str = ""
    exp_alerts: list[ExpectedAlert] | None = None
    ignore_annotations: bool = False


class ExpectedSample(msgspec.Struct, forbid_unknown_fields=True):
    """A sample of a query's answer."""

    labels: str | None = None
    value: float = 0.0
    histogram: str | None = None


class QueryTest(msgspec.Struct, forbid_unknown_fields=True):
    """What a query answers at a time."""

    expr: str = ""
    eval_time: str = "0"
    exp_samples: list[ExpectedSample] | None = None


class TestFields(msgspec.Struct, forbid_unknown_fields=True):
    """Series, and what is expected of the rules over them."""

    __test__ = False

    name: str = ""
    interval: str | None = None
    start_timestamp: str | None = None
    input_series: list[SeriesFields] | None = None
    alert_rule_test: list[AlertTest] | None = None
    promql_expr_test: list[QueryTest] | None = None
    external_labels: dict[str, str] | None = None
    external_url: str = ""
    ignore_annotations: bool = False


class TestFile(msgspec.Struct, forbid_unknown_fields=True):
    """A unit-test file as it is written."""

    __test__ = False

    rule_files: list[str] | None = None
    evaluation_interval: str | None = None
    group_eval_order: list[str] | None = None
    tests: list[TestFields] | None = None
    fuzzy_compare: bool = False


@dataclass(frozen=True)
class Expected:
    """Alerts or samples as they are compared and shown."""

    labels: tuple[tuple[str, str], ...]
    more: tuple[tuple[str, str], ...] = ()
    value: float = 0.0


def run_test_file(text: str, file: Path) -> list[str]:
    """Every failure of a unit-test file, in words; none where all is as expected."""
    try:
        tests = Document(text, str(file)).read(TestFile)
        order = _group_order(tests.group_eval_order or [])
        interval_ms = _milliseconds(tests.evaluation_interval or DEFAULT_INTERVAL)
        if interval_ms <= 0:
            raise ValueError("evaluation_interval must be longer than 0")
        groups, problems = _load_groups(file.parent, tests.rule_files or [])
    except FileError as error:
        return [str(error)]
    except ValueError as error:
        return [f"{file}: {error}"]
    if problems:
        return problems
    groups.sort(key=lambda group: order.get(group.name or "", 0))
    found: list[str] = []
    for test in tests.tests or []:
        try:
            run = _TestRun(test, groups, interval_ms, fuzzy=tests.fuzzy_compare)
            found += [f"{test.name}: {failure}" if test.name else failure for failure in run.failures()]
        except (ValueError, promql.PromQLError) as error:
            found.append(f"{test.name}: {error}" if test.name else str(error))
    return found


def _group_order(names: Sequence[str]) -> dict[str, int]:
    order: dict[str, int] = {}
    for name in names:
        if name in order:
            raise ValueError(f"group name repeated in evaluation order: {name}")
        order[name] = len(order)
    return order


def _load_groups(folder: Path, patterns: Sequence[str]) -> tuple[list[GroupFields], list[str]]:
    """The groups of the rule files that the patterns match, and what is wrong with them."""
    groups: list[GroupFields] = []
    problems: list[str] = []
    for pattern in patterns:
        for name in sorted(glob.glob(pattern, root_dir=folder)):
            path = folder / name
            try:
                read = read_rule_file(path.read_text(), str(path))
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{path}: {error}")
                continue
            groups += read.groups
            problems += [str(problem) for problem in read.problems]
    return groups, problems


class _TestRun:
    """One test: its series, evaluated at each interval up to the last time that it asks about."""

    def __init__(self, test: TestFields, groups: Sequence[GroupFields], interval_ms: int, *, fuzzy: bool) -> None:
        self._test, self._step_ms, self._fuzzy = test, interval_ms, fuzzy
        self._start_ms = _start(test.start_timestamp)
        self._around = Surroundings(test.external_labels or {}, test.external_url, interval_ms)
        self._groups = [EvaluatedGroup.of(group, self._around) for group in groups]
        self._source = promql.MemorySource()
        self._load(_milliseconds(test.interval) if test.interval else interval_ms)
        self._alert_tests = [(_milliseconds(one.eval_time), one) for one in test.alert_rule_test or []]
        self._query_tests = [(_milliseconds(one.eval_time), one) for one in test.promql_expr_test or []]
        for _, one in self._alert_tests:
            if not one.alertname:
                raise ValueError(
                    f"an item under alert_rule_test misses required attribute alertname at eval_time {one.eval_time}"
                )

    def failures(self) -> Iterator[str]:
        """What is not as expected."""
        last = max((at for at, _ in [*self._alert_tests, *self._query_tests]), default=0)
        if last // self._step_ms > MAX_EVALUATIONS:
            raise ValueError(f"the tests need more than {MAX_EVALUATIONS:,} evaluations")
        for at in range(0, last + 1, self._step_ms):
            failed = [pair for group in self._groups for pair in group.evaluate(self._source, self._start_ms + at)]
            for name, error in failed:
                yield f"rule: {name}, time: {_written(at)}, err: {error}"
            if failed:
                return
            for asked, test in self._alert_tests:
                if at <= asked < at + self._step_ms:
                    yield from self._alert_failures(test)
        for asked, query in self._query_tests:
            yield from self._query_failures(query, self._start_ms + asked)

    def _load(self, interval_ms: int) -> None:
        for series in self._test.input_series or []:
            labels = read_labels(series.series)
            samples = [
                (self._start_ms + number * interval_ms, value)
                for number, value in enumerate(read_values(series.values))
                if value is not None
            ]
            self._source.add(labels, [at for at, _ in samples], [value for _, value in samples])

    def _alert_failures(self, test: AlertTest) -> Iterator[str]:
        ignore = test.ignore_annotations or self._test.ignore_annotations
        found = [
            _expected(alert.labels, {} if ignore else alert.annotations)
            for group in self._groups
            for rule in group.rules
            if rule.rule.alert == test.alertname
            for alert in rule.alerts.values()
            if alert.code == FIRING
        ]
        wanted = [
            _expected(
                {**(one.exp_labels or {}), "alertname": test.alertname}, {} if ignore else one.exp_annotations or {}
            )
            for one in test.exp_alerts or []
        ]
        if sorted(found, key=_order) != sorted(wanted, key=_order):
            what = f"alertname: {test.alertname}, time: {test.eval_time}"
            yield f"{what},\n    exp: {_alerts_written(wanted)}\n    got: {_alerts_written(found)}"

    def _query_failures(self, test: QueryTest, at_ms: int) -> Iterator[str]:
        what = f"expr: {test.expr!r}, time: {test.eval_time}"
        try:
            answer = instant(promql.parse(test.expr), self._source, at_ms, self._around)
            found = [_expected(labels, value=value) for labels, value in answer]
            wanted = [_expected_sample(one) for one in test.exp_samples or []]
        except (promql.PromQLError, NotationError) as error:
            yield f"{what}, err: {error}"
            return
        found.sort(key=_order)
        wanted.sort(key=_order)
        same = len(found) == len(wanted) and all(
            one.labels == other.labels and self._equal(one.value, other.value)
            for one, other in zip(found, wanted, strict=True)
        )
        if not same:
            yield f"{what},\n    exp: {_samples_written(wanted)}\n    got: {_samples_written(found)}"

    def _equal(self, one: float, other: float) -> bool:
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        near = (other, math.nextafter(other, math.inf), math.nextafter(other, -math.inf)) if self._fuzzy else (other,)
        return one in near


def _start(text: str | None) -> int:
    """Unix milliseconds of a start: RFC 3339, or Unix seconds."""
    if not text:
        return 0
    try:
        return round(float(text) * 1000)
    except ValueError:
        pass
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"start_timestamp: {text!r} is neither a time in RFC 3339 nor Unix seconds") from None
    if moment.tzinfo is None:
        raise ValueError(f"start_timestamp: {text!r} has no time zone")
    return round(moment.timestamp() * 1000)


def _milliseconds(text: str) -> int:
    return parse_duration(text, LONGEST) // dt.timedelta(milliseconds=1)


def _written(milliseconds: int) -> str:
    return f"{milliseconds / 1000:g}s"


def _expected(labels: Mapping[str, str], more: Mapping[str, str] | None = None, value: float = 0.0) -> Expected:
    present = tuple(sorted((name, text) for name, text in labels.items() if text))
    return Expected(present, tuple(sorted((more or {}).items())), value)


def _expected_sample(sample: ExpectedSample) -> Expected:
    if sample.histogram:
        raise NotationError("native histograms are not supported")
    return _expected(read_labels(sample.labels or ""), value=sample.value)


def _order(one: Expected) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    return one.labels, one.more


def _pairs_written(pairs: Sequence[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'{name}="{text}"' for name, text in pairs) + "}"


def _alerts_written(alerts: Sequence[Expected]) -> str:
    return "[" + ", ".join(f"{_pairs_written(one.labels)} {_pairs_written(one.more)}" for one in alerts) + "]"


def _samples_written(samples: Sequence[Expected]) -> str:
    return ", ".join(f"{_pairs_written(one.labels)} {format_value(one.value)}" for one in samples) or "nil"
