"""One rule group evaluated by itself."""

from __future__ import annotations

import datetime as dt

import promql
from alerts.evaluation.scopes import SourceOf, workspace_source
from alerts.evaluation.tick import evaluate_groups


def evaluate_group(
    group_id: int, now: dt.datetime, source: promql.Source, of_workspace: SourceOf = workspace_source
) -> int:
    """How many slots of the group were due and are evaluated."""
    return evaluate_groups([(group_id, False)], now, source, of_workspace)
