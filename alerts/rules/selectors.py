"""Which selectors of a rule match nothing: most often a metric or a label that is misspelt. Looked
for when a rule is saved, and hourly."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from typing import NotRequired, TypedDict

import promql
from alerts.evaluation.series import OWN, portal_source
from alerts.models import Rule
from alerts.rules.expression import ExpressionError, expand
from promql import syntax
from promql.labels import METRIC_NAME
from usage.catalog import BY_SERIES

ABSENCE = ("absent", "absent_over_time")


class Unmatched(TypedDict):
    """A selector without a series, and what is known of it: `kind` is unknown (no such metric), empty (no series of it
    yet) or labels (it has series, but none with these labels). `like` is a metric whose name is nearly the same."""

    selector: str
    kind: str
    like: NotRequired[str]


def unmatched(expr: str, threshold: float | None, source: promql.Listing) -> list[Unmatched]:
    """The selectors that match no series, those that ask for absence aside. Raises
    promql.PromQLError where the source cannot be asked."""
    try:
        query = promql.parse(expand(expr, threshold))
    except (ExpressionError, promql.PromQLError):
        return []
    found: dict[str, Unmatched] = {}
    for selector in _selectors(query.expr):
        text = promql.format_node(syntax.Selector(selector.matchers))
        if text not in found and not source.series(selector.matchers):
            found[text] = _described(text, selector, source)
    return [*found.values()]


def note_unmatched(rules: Iterable[Rule]) -> int:
    """Look for the selectors of these rules and keep what is found; how many rules have changed.
    Where the series cannot be read, it stays."""
    changed = 0
    sources: dict[str | None, promql.Listing] = {}
    for rule in rules:
        slug = rule.workspace.slug if rule.workspace is not None else None
        if slug not in sources:
            sources[slug] = portal_source(None if slug is None else frozenset({slug}))
        try:
            found = unmatched(rule.expr, rule.threshold, sources[slug])
        except promql.PromQLError:
            continue
        if found != rule.unmatched:
            rule.unmatched = found
            changed += Rule.objects.filter(pk=rule.pk).update(unmatched=found)
    return changed


def _described(text: str, selector: syntax.Selector, source: promql.Listing) -> Unmatched:
    name = next((one.value for one in selector.matchers if one.name == METRIC_NAME and one.op == "="), "")
    if not name:
        return {"selector": text, "kind": "labels"}
    if source.series((promql.Matcher(METRIC_NAME, "=", name),)):
        return {"selector": text, "kind": "labels"}
    if name in BY_SERIES or name in OWN:
        return {"selector": text, "kind": "empty"}
    like = nearest(name, [*BY_SERIES, *OWN])
    return {"selector": text, "kind": "unknown", "like": like} if like else {"selector": text, "kind": "unknown"}


def nearest(name: str, names: Collection[str]) -> str:
    """The name that differs least, where that is little; else empty."""
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.8)), "")


def _selectors(node: syntax.Node) -> Iterator[syntax.Selector]:
    if isinstance(node, syntax.Selector):
        yield node
    elif not (isinstance(node, syntax.Call) and node.function in ABSENCE):
        for child in syntax.children(node):
            yield from _selectors(child)
