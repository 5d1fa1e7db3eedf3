"""An Alertmanager configuration file: read, checked as Alertmanager checks it, and written again. Source:
prometheus/alertmanager `config`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from alerts.routing.durations import parse_duration, write_duration
from alerts.routing.inhibition import InhibitRule
from alerts.routing.intervals import TimeInterval, parse_interval, write_interval
from alerts.routing.matchers import PLAIN, Matcher, MatcherError, Matchers, parse_matchers, written
from alerts.routing.tree import EVERYTHING, Route

BYTES, NODES, DEPTH = 1_000_000, 2000, 50
RESOLVE_TIMEOUT = dt.timedelta(minutes=5)
TOP = {"global", "route", "receivers", "inhibit_rules", "time_intervals", "mute_time_intervals", "templates"}
ROUTE = {
    *("receiver", "group_by", "match", "match_re", "matchers", "continue", "routes"),
    *("group_wait", "group_interval", "repeat_interval", "mute_time_intervals", "active_time_intervals"),
}
INHIBIT = {
    *("source_match", "source_match_re", "source_matchers", "target_match", "target_match_re", "target_matchers"),
    *("equal", "name"),
}


class ConfigurationError(ValueError):
    """A configuration that Alertmanager would refuse; says where and why."""


@dataclass(frozen=True)
class Configuration:
    """A checked configuration. `receivers` maps each name to its settings as they are in the file, by `…_configs`."""

    root: Route
    receivers: dict[str, dict[str, list[dict[str, Any]]]]
    inhibit_rules: tuple[InhibitRule, ...] = ()
    time_intervals: dict[str, tuple[TimeInterval, ...]] = field(default_factory=dict)
    resolve_timeout: dt.timedelta = RESOLVE_TIMEOUT
    settings: dict[str, Any] = field(default_factory=dict)

    def is_within(self, names: tuple[str, ...], at: dt.datetime) -> str | None:
        """The first of the named time intervals that contains the time."""
        for name in names:
            if any(interval.contains(at) for interval in self.time_intervals.get(name, ())):
                return name
        return None

    def muted_by_time(self, route: Route, at: dt.datetime) -> str | None:
        """Why the route is quiet at that time: the mute interval that holds, or that no active one does. None: it is
        not."""
        if route.active and self.is_within(route.active, at) is None:
            return f"outside of {', '.join(route.active)}"
        if muting := self.is_within(route.mute, at):
            return f"during {muting}"
        return None


def parse_configuration(text: str) -> Configuration:
    """Of the file's YAML. ConfigurationError where Alertmanager would not take it."""
    return read_configuration(load(text))


def load(text: str) -> Any:
    """What the file's YAML holds, not yet checked."""
    if len(text.encode()) > BYTES:
        raise ConfigurationError(f"the file is larger than {BYTES:,} bytes")
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"no YAML: {' '.join(str(error).split())}") from None


def read_configuration(raw: Any) -> Configuration:
    """Of what a YAML or JSON file holds."""
    found = _mapping(raw, "the file")
    _known(found, TOP, "the file")
    settings = _mapping(found.get("global") or {}, "global")
    receivers = _receivers(found)
    intervals = _time_intervals(found)
    if found.get("route") is None:
        raise ConfigurationError("no route provided in config")
    root = _root(_mapping(found["route"], "route"))
    for route in root.walk():
        where = f"route {route.key}"
        if route.receiver not in receivers:
            raise ConfigurationError(f"{where}: undefined receiver {route.receiver!r}")
        for name in (*route.mute, *route.active):
            if name not in intervals:
                raise ConfigurationError(f"{where}: undefined time interval {name!r}")
    return Configuration(
        root=root,
        receivers=receivers,
        inhibit_rules=tuple(_inhibit_rule(entry) for entry in _list(found, "inhibit_rules")),
        time_intervals=intervals,
        resolve_timeout=_duration(settings, "resolve_timeout", "global", RESOLVE_TIMEOUT),
        settings=settings,
    )


def write_configuration(configuration: Configuration) -> dict[str, Any]:
    """The configuration as a file has it; its receivers as they are in it."""
    found: dict[str, Any] = {"global": {"resolve_timeout": write_duration(configuration.resolve_timeout)}}
    found["route"] = write_route(configuration.root)
    found["receivers"] = [{"name": name, **settings} for name, settings in configuration.receivers.items()]
    if configuration.inhibit_rules:
        found["inhibit_rules"] = [_write_inhibit_rule(rule) for rule in configuration.inhibit_rules]
    if configuration.time_intervals:
        found["time_intervals"] = [
            {"name": name, "time_intervals": [write_interval(entry) for entry in entries]}
            for name, entries in configuration.time_intervals.items()
        ]
    return found


def write_route(route: Route, parent: Route | None = None) -> dict[str, Any]:
    """A node and all below it, without what it inherits."""
    found: dict[str, Any] = {}
    if parent is None or route.receiver != parent.receiver:
        found["receiver"] = route.receiver
    if route.matchers:
        found["matchers"] = [str(matcher) for matcher in route.matchers]
    if route.group_by and (parent is None or route.group_by != parent.group_by):
        found["group_by"] = list(route.group_by)
    for name in ("group_wait", "group_interval", "repeat_interval"):
        value = getattr(route, name)
        if value is not None and (parent is None or value != getattr(parent, name)):
            found[name] = write_duration(value)
    if route.mute:
        found["mute_time_intervals"] = list(route.mute)
    if route.active:
        found["active_time_intervals"] = list(route.active)
    if route.continues:
        found["continue"] = True
    if route.routes:
        found["routes"] = [write_route(child, route) for child in route.routes]
    return found


def dump(found: dict[str, Any]) -> str:
    """As YAML, in the order given."""
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=120)


def _root(raw: dict[str, Any]) -> Route:
    if not raw.get("receiver"):
        raise ConfigurationError("root route must specify a default receiver")
    if raw.get("match") or raw.get("match_re") or raw.get("matchers"):
        raise ConfigurationError("root route must not have any matchers")
    for name in ("mute_time_intervals", "active_time_intervals"):
        if raw.get(name):
            raise ConfigurationError(f"root route must not have any {name}")
    if raw.get("continue"):
        raise ConfigurationError("cannot have continue in root route")
    return _route(raw, None, (), [NODES])


def _route(raw: dict[str, Any], parent: Route | None, path: tuple[int, ...], left: list[int]) -> Route:
    left[0] -= 1
    if left[0] < 0 or len(path) > DEPTH:
        raise ConfigurationError(f"the tree has more than {NODES} routes, or more than {DEPTH} levels")
    where = f"route {'.'.join(str(number + 1) for number in path) or 'root'}"
    _known(raw, ROUTE, where)
    base = parent or Route("")
    matchers = _matchers(raw, "", where)
    route = Route(
        receiver=str(raw.get("receiver") or base.receiver),
        matchers=matchers,
        group_by=_group_by(raw, where) or base.group_by,
        group_wait=_duration(raw, "group_wait", where, base.group_wait),
        group_interval=_positive(raw, "group_interval", where, base.group_interval),
        repeat_interval=_positive(raw, "repeat_interval", where, base.repeat_interval or dt.timedelta(hours=4)),
        mute=_names(raw, "mute_time_intervals", where),
        active=_names(raw, "active_time_intervals", where),
        continues=_flag(raw, "continue", where),
        key=f"{parent.key}/{written(matchers)}" if parent else "{}",
        path=path,
    )
    children = tuple(
        _route(_mapping(child, where), route, (*path, number), left)
        for number, child in enumerate(_list(raw, "routes"))
    )
    return Route(**{**{name: getattr(route, name) for name in route.__dataclass_fields__}, "routes": children})


def _group_by(raw: Mapping[str, Any], where: str) -> tuple[str, ...]:
    names = _names(raw, "group_by", where)
    if len(set(names)) < len(names):
        raise ConfigurationError(f"{where}: duplicated label in group_by")
    if EVERYTHING in names and len(names) > 1:
        raise ConfigurationError(f"{where}: cannot have wildcard group_by (`...`) and other labels at the same time")
    return names


def _matchers(raw: Mapping[str, Any], side: str, where: str) -> Matchers:
    """From `match`, `match_re` and `matchers`, with the prefix of a side."""
    found = []
    for name, op in ((f"{side}match", "="), (f"{side}match_re", "=~")):
        for label, value in _mapping(raw.get(name) or {}, f"{where}: {name}").items():
            if not PLAIN.fullmatch(str(label)):
                raise ConfigurationError(f"{where}: invalid label name {label!r}")
            found.append(_matcher(str(label), op, str(value), where))
    for text in _list(raw, f"{side}matchers"):
        try:
            found += parse_matchers(str(text))
        except MatcherError as error:
            raise ConfigurationError(f"{where}: {error}") from None
    return tuple(sorted(found, key=lambda matcher: (matcher.name, matcher.value, matcher.op)))


def _matcher(name: str, op: str, value: str, where: str) -> Matcher:
    try:
        return Matcher(name, op, value)
    except MatcherError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _inhibit_rule(raw: Any) -> InhibitRule:
    found = _mapping(raw, "inhibit_rules")
    _known(found, INHIBIT, "inhibit_rules")
    source, target = _matchers(found, "source_", "inhibit_rules"), _matchers(found, "target_", "inhibit_rules")
    return InhibitRule(source, target, _names(found, "equal", "inhibit_rules"))


def _write_inhibit_rule(rule: InhibitRule) -> dict[str, Any]:
    found: dict[str, Any] = {
        "source_matchers": [str(matcher) for matcher in rule.source],
        "target_matchers": [str(matcher) for matcher in rule.target],
    }
    return {**found, "equal": list(rule.equal)} if rule.equal else found


def _receivers(raw: Mapping[str, Any]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for entry in _list(raw, "receivers"):
        receiver = dict(_mapping(entry, "receivers"))
        name = str(receiver.pop("name", "") or "")
        if not name:
            raise ConfigurationError("missing name in receiver")
        if name in found:
            raise ConfigurationError(f"notification config name {name!r} is not unique")
        for kind in receiver:
            if not str(kind).endswith("_configs"):
                raise ConfigurationError(f"receiver {name!r}: unknown field {kind}")
        found[name] = {
            str(kind): [dict(_mapping(one, f"receiver {name!r}: {kind}")) for one in _list(receiver, kind)]
            for kind in receiver
        }
    return found


def _time_intervals(raw: Mapping[str, Any]) -> dict[str, tuple[TimeInterval, ...]]:
    found: dict[str, tuple[TimeInterval, ...]] = {}
    for section in ("time_intervals", "mute_time_intervals"):
        for entry in _list(raw, section):
            one = _mapping(entry, section)
            _known(one, {"name", "time_intervals"}, section)
            name = str(one.get("name") or "")
            if not name:
                raise ConfigurationError(f"missing name in {section}")
            if name in found:
                raise ConfigurationError(f"time interval {name!r} is not unique")
            try:
                found[name] = tuple(parse_interval(interval) for interval in _list(one, "time_intervals"))
            except ValueError as error:
                raise ConfigurationError(f"time interval {name!r}: {error}") from None
    return found


def _mapping(raw: Any, where: str) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise ConfigurationError(f"{where} must be a mapping")
    return dict(raw)


def _list(raw: Mapping[str, Any], name: str) -> list[Any]:
    given = raw.get(name) or []
    if not isinstance(given, list) or len(given) > NODES:
        raise ConfigurationError(f"{name} must be a list")
    return given


def _names(raw: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    given = _list(raw, name)
    if not all(isinstance(entry, str) and entry for entry in given):
        raise ConfigurationError(f"{where}: {name} must be a list of names")
    return tuple(given)


def _known(raw: Mapping[str, Any], names: set[str], where: str) -> None:
    if unknown := sorted(set(map(str, raw)) - names):
        raise ConfigurationError(f"{where}: field {unknown[0]} not known")


def _flag(raw: Mapping[str, Any], name: str, where: str) -> bool:
    value = raw.get(name) or False
    if not isinstance(value, bool):
        raise ConfigurationError(f"{where}: {name} must be true or false")
    return value


def _duration(raw: Mapping[str, Any], name: str, where: str, otherwise: dt.timedelta) -> dt.timedelta:
    if raw.get(name) is None:
        return otherwise
    try:
        return parse_duration(raw[name])
    except ValueError as error:
        raise ConfigurationError(f"{where}: {name}: {error}") from None


def _positive(raw: Mapping[str, Any], name: str, where: str, otherwise: dt.timedelta) -> dt.timedelta:
    value = _duration(raw, name, where, otherwise)
    if not value:
        raise ConfigurationError(f"{where}: {name} cannot be zero")
    return value
