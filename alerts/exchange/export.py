"""The portal's rules as a file of another system."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

from alerts.exchange import grafana, prometheus
from alerts.models import Rule
from core.accounts.models import Workspace

WRITERS: dict[str, Callable[[Iterable[Rule]], str]] = {
    "prometheus": prometheus.write,
    "vmalert": partial(prometheus.write, vmalert=True),
    "grafana": grafana.write,
}


def rules_of(workspace: Workspace | None, groups: Collection[str] = ()) -> list[Rule]:
    """An owner's rules, of all groups or of those named."""
    rules = Rule.objects.filter(workspace=workspace, external=False).select_related("group", "runbook")
    return list(rules.filter(group__name__in=groups) if groups else rules)


def write(rules: Iterable[Rule], form: str) -> str:
    """The rules as a file; `form` is a key of WRITERS."""
    return WRITERS[form](rules)
