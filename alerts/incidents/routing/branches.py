"""The routing tree, workspace by workspace: what its readers see of it, and the branch that its operators edit.

The tree belongs to the whole portal. A reader of some workspaces sees it as it is for their alerts. A workspace's
branch is the child of the root that takes `workspace="its slug"` and does not continue; its operators change it and the
receivers whose names begin with `its slug/`, nothing else.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from alerts.incidents.models import RoutingVersion
from alerts.incidents.policy import CHANNELS, current_configuration
from alerts.incidents.routing.edits import keep_version, lock_routing
from alerts.models import Channel, EscalationPolicy
from alerts.routing.configuration import (
    Configuration,
    ConfigurationError,
    dump,
    load,
    read_configuration,
    write_configuration,
    write_route,
)
from alerts.routing.inhibition import InhibitRule
from alerts.routing.matchers import Matcher, Matchers, all_match
from alerts.routing.tree import Route
from core.accounts.holder import Actor
from core.accounts.models import Workspace
from core.accounts.ownership import all_or, owned
from core.pg.text import storable

LABEL = "workspace"
MAX_ROUTES = 200
THINGS: dict[str, Any] = {"channel": Channel, "escalation": EscalationPolicy}


def seen(configuration: Configuration, workspaces: Collection[str] | None) -> Configuration:
    """The configuration as it is for alerts of these workspaces (None: all): they take the same way through it. It has
    no node that none of them can come to, and a condition on the workspace names no others."""
    slugs = all_or(workspaces)
    if slugs is None:
        return configuration
    root = _seen_route(configuration.root, slugs) or replace(configuration.root, routes=())
    routes = list(root.walk())
    receivers = {route.receiver for route in routes}
    intervals = {name for route in routes for name in (*route.mute, *route.active)}
    rules = (_seen_rule(rule, slugs) for rule in configuration.inhibit_rules)
    return Configuration(
        root=root,
        receivers={name: found for name, found in configuration.receivers.items() if name in receivers},
        inhibit_rules=tuple(rule for rule in rules if rule is not None),
        time_intervals={name: found for name, found in configuration.time_intervals.items() if name in intervals},
        resolve_timeout=configuration.resolve_timeout,
    )


def _narrowed(matchers: Matchers, slugs: Collection[str]) -> tuple[Matchers, Collection[str]]:
    """The matchers with those of these workspaces that they let through; none: they match no alert of them."""
    conditions = [matcher for matcher in matchers if matcher.name == LABEL]
    if not conditions:
        return matchers, slugs
    left = sorted(slug for slug in slugs if all_match(conditions, {LABEL: slug}))
    one = Matcher(LABEL, "=" if len(left) == 1 else "=~", "|".join(left))
    return (*(matcher for matcher in matchers if matcher.name != LABEL), one), left


def _seen_route(route: Route, slugs: Collection[str]) -> Route | None:
    matchers, left = _narrowed(route.matchers, slugs)
    if not left:
        return None
    children = (_seen_route(child, left) for child in route.routes)
    return replace(route, matchers=matchers, routes=tuple(child for child in children if child is not None))


def _seen_rule(rule: InhibitRule, slugs: Collection[str]) -> InhibitRule | None:
    source, of_source = _narrowed(rule.source, slugs)
    target, of_target = _narrowed(rule.target, slugs)
    return replace(rule, source=source, target=target) if of_source and of_target else None


def named_receivers(
    configuration: Configuration, workspaces: Collection[str] | None
) -> dict[str, list[dict[str, str]]]:
    """What each receiver notifies, by the names that a reader of these workspaces may see; with the workspace where it
    is not the portal's."""
    slugs = all_or(workspaces)
    names = {kind: _names(kind, slugs) for kind in THINGS}
    return {
        receiver: [
            names[kind][pk]
            for entry in entries.get(CHANNELS, [])
            for kind, pk in entry.items()
            if pk in names.get(kind, {})
        ]
        for receiver, entries in configuration.receivers.items()
    }


def _names(kind: str, slugs: Collection[str] | None) -> dict[int, dict[str, str]]:
    rows = THINGS[kind].objects.filter(owned(slugs)).values_list("pk", "name", "workspace__slug")
    return {pk: {kind: name, **({LABEL: owner} if owner else {})} for pk, name, owner in rows}


def branch_text(workspace: Workspace) -> str:
    """The workspace's branch as its operators edit it: a file with `route` and `receivers`. Empty while there is
    none."""
    configuration = current_configuration()[1]
    node = _branch(configuration, workspace)
    if configuration is None or node is None:
        return ""
    prefix = f"{workspace.slug}/"
    route = write_route(node, configuration.root)
    route.pop("matchers")
    route.setdefault("receiver", node.receiver)
    _rename(route, lambda name: name.removeprefix(prefix))
    wanted = {one.receiver for one in node.walk()}
    named = named_receivers(configuration, {workspace.slug})
    receivers = [
        {"name": name.removeprefix(prefix), CHANNELS: [_of(entry, workspace) for entry in entries]}
        for name, entries in named.items()
        if name in wanted
    ]
    return dump({"route": route, "receivers": receivers})


def _of(entry: dict[str, str], workspace: Workspace) -> dict[str, str]:
    """An entry in a branch, where the workspace's own things need not say whose they are."""
    return {kind: name for kind, name in entry.items() if (kind, name) != (LABEL, workspace.slug)}


def _branch(configuration: Configuration | None, workspace: Workspace) -> Route | None:
    own = (Matcher(LABEL, "=", workspace.slug),)
    children = configuration.root.routes if configuration else ()
    return next((child for child in children if child.matchers == own and not child.continues), None)


def save_branch(workspace: Workspace, text: str, *, by: Actor | None, now: dt.datetime) -> RoutingVersion:
    """Put the workspace's branch in force, in its place or after the portal's own. Its receivers name channels and
    escalation policies of the workspace or of the portal. ConfigurationError says what is wrong."""
    given = load(text)
    if not isinstance(given, dict) or set(given) != {"route", "receivers"}:
        raise ConfigurationError("write `route` and `receivers`: everything else is the whole portal's")
    # Read alone it must be complete, and be bounded before it is walked.
    alone = read_configuration({**given, "time_intervals": _intervals()})
    if sum(1 for _ in alone.root.walk()) > MAX_ROUTES or len(alone.receivers) > MAX_ROUTES:
        raise ConfigurationError(f"a branch may have {MAX_ROUTES} routes and receivers")
    prefix = f"{workspace.slug}/"
    node = {**copy.deepcopy(given["route"]), "matchers": [str(Matcher(LABEL, "=", workspace.slug))]}
    _rename(node, lambda name: prefix + name)
    receivers = [{"name": prefix + name, CHANNELS: _entries(name, alone, workspace)} for name in alone.receivers]
    return _put(workspace, node, receivers, by, now)


def remove_branch(workspace: Workspace, *, by: Actor | None, now: dt.datetime) -> RoutingVersion:
    """Take the workspace's branch out of the tree. ConfigurationError where there is none."""
    return _put(workspace, None, [], by, now)


def _put(
    workspace: Workspace,
    node: dict[str, Any] | None,
    receivers: list[dict[str, Any]],
    by: Actor | None,
    now: dt.datetime,
) -> RoutingVersion:
    """Keep a version in which this is the workspace's branch."""
    with transaction.atomic():
        lock_routing()
        configuration = current_configuration()[1]
        if configuration is None:
            raise ConfigurationError("there is no routing tree yet: who operates the whole portal makes one first")
        old = _branch(configuration, workspace)
        if node is None and old is None:
            raise ConfigurationError(f"{workspace.slug} has no branch")
        raw = write_configuration(configuration)
        routes = raw["route"].setdefault("routes", [])
        place = old.path[0] if old else len(routes)
        routes[place : place + 1] = [] if node is None else [node]
        names = [one["name"] for one in raw["receivers"]]
        own = [number for number, name in enumerate(names) if name.startswith(f"{workspace.slug}/")]
        others = [one for number, one in enumerate(raw["receivers"]) if number not in own]
        first = own[0] if own else len(others)
        raw["receivers"] = [*others[:first], *receivers, *others[first:]]
        read_configuration(raw)
        shown = {"branch": node, "receivers": receivers}
        return keep_version(raw, by, now, shown=shown, workspace=workspace.slug)


def _intervals() -> list[dict[str, Any]]:
    """The portal's time intervals, which a branch may name."""
    configuration = current_configuration()[1]
    found: list[dict[str, Any]] = write_configuration(configuration).get("time_intervals", []) if configuration else []
    return found


def _entries(receiver: str, branch: Configuration, workspace: Workspace) -> list[dict[str, int]]:
    """A receiver's channels and escalation policies by their ids; of two of one name the workspace's own."""
    found = []
    for kind, entries in branch.receivers[receiver].items():
        for entry in entries:
            names = set(entry) & set(THINGS)
            if kind != CHANNELS or len(names) != 1 or set(entry) - names - {LABEL}:
                raise ConfigurationError(
                    f"receiver {receiver!r}: name channels as `{CHANNELS}: [{{channel: its name}}]`"
                )
            thing = names.pop()
            mine = Q(workspace=workspace) if LABEL in entry else Q(workspace=workspace) | Q(workspace=None)
            known = THINGS[thing].objects.filter(mine, name=storable(str(entry[thing])))
            pk = known.order_by(F("workspace").asc(nulls_last=True)).values_list("pk", flat=True).first()
            if pk is None:
                raise ConfigurationError(f"receiver {receiver!r}: there is no {thing} {entry[thing]!r}")
            found.append({thing: pk})
    return found


def _rename(route: dict[str, Any], name: Callable[[str], str]) -> None:
    """Give the receivers of a route, as it is in a file, and of all below it other names."""
    if route.get("receiver"):
        route["receiver"] = name(str(route["receiver"]))
    for child in route.get("routes") or ():
        _rename(child, name)
