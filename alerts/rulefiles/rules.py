"""Prometheus's rule files: their fields, and everything for which Prometheus would refuse
one. Source: prometheus `model/rulefmt`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

import promql
from alerts import gotemplate
from alerts.routing.durations import parse_duration
from alerts.rulefiles.document import Document, FileError, Path, Problem


class RuleFields(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One rule as it is written: a recording rule has `record`, an alerting rule `alert`."""

    record: str | None = None
    alert: str | None = None
    expr: str | None = None
    for_: str | None = msgspec.field(default=None, name="for")
    keep_firing_for: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """What it records or raises."""
        return self.record or self.alert or ""


class GroupFields(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One group as it is written."""

    name: str | None = None
    interval: str | None = None
    query_offset: str | None = None
    limit: int | None = None
    labels: dict[str, str] | None = None
    rules: list[RuleFields] | None = None


class FileFields(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A rule file as it is written."""

    groups: list[GroupFields] | None = None


@dataclass(frozen=True)
class RuleFile:
    """A rule file that was read, and what is wrong with it: with problems Prometheus would not load it."""

    groups: list[GroupFields]
    problems: list[Problem]


def read_rule_file(text: str, file: str) -> RuleFile:
    """The rules of a file's text; `file` is the name that problems give."""
    try:
        document = Document(text, file)
        found = document.read(FileFields)
    except FileError as error:
        return RuleFile([], [error.problem])
    groups = found.groups or []
    return RuleFile(groups, [*_group_problems(document, groups)])


def duplicates(groups: list[GroupFields]) -> list[tuple[str, dict[str, str]]]:
    """Name and labels of the rules that stand in the files more than once."""
    counts: dict[tuple[str, frozenset[tuple[str, str]]], int] = {}
    for group in groups:
        for rule in group.rules or []:
            key = (rule.name, frozenset((rule.labels or {}).items()))
            counts[key] = counts.get(key, 0) + 1
    return [(name, dict(labels)) for (name, labels), count in counts.items() if count > 1]


def _group_problems(document: Document, groups: list[GroupFields]) -> Iterator[Problem]:
    names: set[str] = set()
    for place, group in enumerate(groups):
        path: Path = ("groups", place)
        yield from own_problems(document, path, group, names)
        for number, rule in enumerate(group.rules or []):
            yield from rule_problems(document, (*path, "rules", number), group, number, rule)


def own_problems(document: Document, path: Path, group: GroupFields, names: set[str]) -> Iterator[Problem]:
    """What is wrong with a group, its rules aside. `names` are those of the groups before it; its own is added."""
    if not group.name:
        yield document.problem(path, "Groupname must not be empty")
    elif group.name in names:
        yield document.problem((*path, "name"), f'groupname: "{group.name}" is repeated in the same file')
    names.add(group.name or "")
    yield from _duration_problems(document, path, group.interval, "interval")
    yield from _duration_problems(document, path, group.query_offset, "query_offset")
    yield from _label_problems(document, path, group.labels)


def rule_problems(
    document: Document, path: Path, group: GroupFields, number: int, rule: RuleFields
) -> Iterator[Problem]:
    """What is wrong with a group's rule; `number` is its place in it, from 0."""
    for problem in _rule_problems(document, path, rule):
        message = f'group "{group.name}", rule {number + 1}, "{rule.name}": {problem.message}'
        yield Problem(problem.file, problem.line, problem.column, message)


def _rule_problems(document: Document, path: Path, rule: RuleFields) -> Iterator[Problem]:
    if rule.record and rule.alert:
        yield document.problem((*path, "alert"), "only one of 'record' and 'alert' must be set")
    if not rule.record and not rule.alert:
        yield document.problem(path, "one of 'record' or 'alert' must be set")
    yield from _expression_problems(document, path, rule)
    yield from _duration_problems(document, path, rule.for_, "for")
    yield from _duration_problems(document, path, rule.keep_firing_for, "keep_firing_for")
    if rule.record:
        yield from _recording_problems(document, path, rule)
    yield from _label_problems(document, path, rule.labels)
    for name in rule.annotations or {}:
        if not name:
            yield document.problem((*path, "annotations"), f"invalid annotation name: {name}")
    if rule.alert:
        for field in ("labels", "annotations"):
            for name, text in (getattr(rule, field) or {}).items():
                yield from _template_problems(document, (*path, field, name), f"{field[:-1]} {name!r}", text)


def _expression_problems(document: Document, path: Path, rule: RuleFields) -> Iterator[Problem]:
    if not rule.expr:
        yield document.problem(path, "field 'expr' must be set in rule")
        return
    try:
        promql.parse(rule.expr)
    except promql.ParseError as error:
        yield document.problem_in((*path, "expr"), error.position or 0, f"could not parse expression: {error.message}")


def _recording_problems(document: Document, path: Path, rule: RuleFields) -> Iterator[Problem]:
    for name, value in (
        ("annotations", rule.annotations),
        ("for", rule.for_),
        ("keep_firing_for", rule.keep_firing_for),
    ):
        if value:
            yield document.problem((*path, name), f"invalid field '{name}' in recording rule")
    if set(rule.record or "") & set("{}"):
        yield document.problem(
            (*path, "record"), f"braces present in the recording rule name; should it be in expr?: {rule.record}"
        )


def _label_problems(document: Document, path: Path, labels: dict[str, str] | None) -> Iterator[Problem]:
    for name in labels or {}:
        if not name or name == "__name__":
            yield document.problem((*path, "labels", name), f"invalid label name: {name}")


def _duration_problems(document: Document, path: Path, text: str | None, field: str) -> Iterator[Problem]:
    if text is None:
        return
    try:
        parse_duration(text)
    except ValueError as error:
        yield document.problem((*path, field), f"{field}: {error}")


def _template_problems(document: Document, path: Path, what: str, text: str) -> Iterator[Problem]:
    try:
        gotemplate.parse(text)
    except gotemplate.TemplateError as error:
        yield document.problem_in(path, error.position or 0, f"{what}: {error.message}")


def seconds(text: str | None, default: float = 0.0) -> float:
    """A checked duration."""
    return default if text is None else parse_duration(text) / dt.timedelta(seconds=1)
