"""The routing tree: which way an alert goes, and why. Source: prometheus/alertmanager `dispatch/route.go`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from alerts.routing.durations import write_duration
from alerts.routing.matchers import Matchers, written

EVERYTHING = "..."
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Route:
    """A node, with what it inherits filled in. `group_by` holds `...` where alerts are grouped by all their labels.

    `repeat_interval` None never repeats. `key` names the node by the matchers on the way to it, as Alertmanager's group
    keys do; `path` by its position ((): the root).
    """

    receiver: str
    matchers: Matchers = ()
    group_by: tuple[str, ...] = ()
    group_wait: dt.timedelta = dt.timedelta(seconds=30)
    group_interval: dt.timedelta = dt.timedelta(minutes=5)
    repeat_interval: dt.timedelta | None = dt.timedelta(hours=4)
    mute: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    continues: bool = False
    key: str = "{}"
    path: tuple[int, ...] = ()
    routes: tuple[Route, ...] = ()

    def group_labels(self, labels: Labels) -> dict[str, str]:
        """The labels that name the group of an alert."""
        if EVERYTHING in self.group_by:
            return dict(sorted(labels.items()))
        return {name: labels[name] for name in sorted(self.group_by) if name in labels}

    def walk(self) -> Iterator[Route]:
        """This node and all below it, from top to bottom."""
        yield self
        for route in self.routes:
            yield from route.walk()


@dataclass(frozen=True)
class Step:
    """What the tree did with an alert at one node. `ends`: a message comes from this node."""

    route: Route
    matched: bool
    ends: bool
    reason: str


def route_of(root: Route, labels: Labels) -> list[Route]:
    """The nodes that tell of an alert: depth first, the first child that matches unless it continues, else the node
    itself."""
    return [step.route for step in explain(root, labels) if step.ends]


def explain(root: Route, labels: Labels) -> list[Step]:
    """Every node that was asked, in order, with the reason. Nodes below one that does not match are not asked."""
    steps: list[Step] = []
    _visit(root, labels, steps)
    return steps


def _visit(route: Route, labels: Labels, steps: list[Step]) -> bool:
    failed = [matcher for matcher in route.matchers if not matcher.matches(labels)]
    if failed:
        found = "; ".join(f"{matcher.name} is {labels.get(matcher.name, '') or 'missing'!r}" for matcher in failed)
        steps.append(Step(route, False, False, f"{written(failed)} does not match: {found}"))
        return False
    here = len(steps)
    steps.append(Step(route, True, False, ""))
    taken, left = False, len(route.routes)
    for child in route.routes:
        left -= 1
        if _visit(child, labels, steps):
            taken = True
            if not child.continues:
                break
    if not taken:
        why = "no branch below matches, so it goes here" if route.routes else "it goes here"
    elif left:
        why = f"a branch below matches and ends the search; {left} more not asked"
    else:
        why = "a branch below matches"
    matched = f"{written(route.matchers)} matches" if route.matchers else "takes everything"
    steps[here] = Step(route, True, not taken, f"{matched}; {why}")
    return True


def summary(route: Route) -> str:
    """How a node groups and when it sends, in words."""
    by = "every label" if EVERYTHING in route.group_by else ", ".join(route.group_by)
    parts = [f"by {by}" if by else "all as one group", f"wait {write_duration(route.group_wait)}"]
    parts.append(f"then every {write_duration(route.group_interval)}")
    if route.repeat_interval is not None:
        parts.append(f"repeat {write_duration(route.repeat_interval)}")
    return " · ".join(parts)
