"""What the rules of a tick may read: the portal's rules everything, a workspace's rule the records of that workspace;
and what the recording rules of the same tick have found so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from django.db import transaction

import promql
from alerts.evaluation.order import reads_of
from alerts.evaluation.series import portal_source
from alerts.models import Rule
from alerts.recording.overlay import Overlay
from alerts.rules.expression import ExpressionError
from alerts.rules.judgement import JUDGED, judge_of

SourceOf = Callable[[str], promql.Source]
# Labels with the metric's name, time (Unix ms) and value.
NewSample = tuple[dict[str, str], int, float]


def workspace_source(slug: str) -> promql.Source:
    """The series of one workspace."""
    return portal_source(frozenset({slug}))


class Scopes:
    """A source for each owner of the groups' rules, in which the rules of that owner share what they read."""

    def __init__(self, group_ids: Sequence[int], portal: promql.Source, of_workspace: SourceOf) -> None:
        self._portal, self._of_workspace = portal, of_workspace
        self._asked: dict[str | None, list[promql.Query]] = defaultdict(list)
        self._sources: dict[str | None, promql.Source] = {}
        self._recorded: dict[str | None, dict[str, list[NewSample]]] = defaultdict(lambda: defaultdict(list))
        enabled = Rule.objects.filter(group__in=group_ids, enabled=True).select_related("workspace")
        for rule in enabled.only(*JUDGED, "severity", "workspace__slug"):
            # What cannot be asked is that rule's error, later.
            with suppress(ExpressionError, promql.PromQLError):
                self._asked[_slug(rule)].append(promql.parse(judge_of(rule).query))

    def source(self, rule: Rule) -> promql.Source:
        """What the rule may read; its `workspace` is fetched already."""
        slug = _slug(rule)
        if slug not in self._sources:
            inner = self._portal if slug is None else self._of_workspace(slug)
            self._sources[slug] = promql.share_reads(inner, self._asked[slug], transaction.atomic)
        owners = [*self._recorded] if slug is None else [slug]
        metrics = {metric for owner in owners for metric in self._recorded[owner]}
        if not metrics or not reads_of(rule.expr, rule.threshold).any_of(metrics):
            return self._sources[slug]
        new = [sample for owner in owners for samples in self._recorded[owner].values() for sample in samples]
        return Overlay(self._sources[slug], new)

    def add_recorded(self, rule: Rule, samples: Iterable[NewSample]) -> None:
        """Let later rules read what this one recorded."""
        self._recorded[_slug(rule)][rule.record].extend(samples)


def _slug(rule: Rule) -> str | None:
    return rule.workspace.slug if rule.workspace is not None else None
