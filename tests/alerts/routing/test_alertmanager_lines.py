"""What Alertmanager does, line by line, as far as a moment of labels and times can show it: routing, inhibition, time
intervals, files."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from alerts.routing.configuration import Configuration, ConfigurationError, read_configuration, write_route
from alerts.routing.durations import parse_duration, write_duration
from alerts.routing.inhibition import Inhibitor, InhibitRule
from alerts.routing.intervals import parse_interval, write_interval
from alerts.routing.matchers import parse_matchers
from alerts.routing.tree import explain, route_of


def configuration(route: dict[str, Any], **more: Any) -> Configuration:
    """With receivers a to d."""
    return read_configuration({"route": route, "receivers": [{"name": name} for name in "abcd"], **more})


def receivers(found: Configuration, **labels: str) -> list[str]:
    return [route.receiver for route in route_of(found.root, labels)]


def test_routing_is_depth_first_and_the_first_matching_child_wins_unless_it_continues_else_the_parent() -> None:
    found = configuration(
        {
            "receiver": "a",
            "routes": [
                {
                    "matchers": ["team=x"],
                    "receiver": "b",
                    "continue": True,
                    "routes": [{"matchers": ["env=prod"], "receiver": "c"}],
                },
                {"matchers": ["team=~x|y"], "receiver": "d"},
                {"matchers": ["team=x"], "receiver": "a"},
            ],
        }
    )
    assert receivers(found, team="x", env="prod") == ["c", "d"]
    assert receivers(found, team="x") == ["b", "d"]
    assert receivers(found, team="y") == ["d"]
    assert receivers(found, team="xy") == ["a"]


def test_every_step_of_the_way_has_its_reason() -> None:
    found = configuration(
        {
            "receiver": "a",
            "routes": [
                {"matchers": ["team=x"], "receiver": "b"},
                {"matchers": ["env=prod"], "receiver": "c"},
                {"receiver": "d"},
            ],
        }
    )
    steps = explain(found.root, {"env": "prod"})
    assert [(step.route.path, step.matched, step.ends, step.reason) for step in steps] == [
        ((), True, False, "takes everything; a branch below matches and ends the search; 1 more not asked"),
        ((0,), False, False, "{team=\"x\"} does not match: team is 'missing'"),
        ((1,), True, True, '{env="prod"} matches; it goes here'),
    ]


def test_a_child_inherits_receiver_grouping_and_times_but_no_time_intervals() -> None:
    found = configuration(
        {
            "receiver": "a",
            "group_by": ["x"],
            "group_wait": "10s",
            "routes": [
                {
                    "receiver": "b",
                    "repeat_interval": "1h",
                    "mute_time_intervals": ["m"],
                    "routes": [{"matchers": ["k=v"]}],
                }
            ],
        },
        time_intervals=[{"name": "m", "time_intervals": [{"weekdays": ["monday"]}]}],
    )
    leaf = found.root.routes[0].routes[0]
    assert (leaf.receiver, leaf.group_by, leaf.mute) == ("b", ("x",), ())
    assert (leaf.group_wait, leaf.group_interval, leaf.repeat_interval) == (
        dt.timedelta(seconds=10),
        dt.timedelta(minutes=5),
        dt.timedelta(hours=1),
    )
    assert leaf.key == '{}/{}/{k="v"}'
    assert write_route(leaf, found.root.routes[0]) == {"matchers": ['k="v"']}


def test_group_by_dots_groups_by_every_label() -> None:
    found = configuration({"receiver": "a", "group_by": ["..."]})
    assert found.root.group_labels({"b": "2", "a": "1"}) == {"a": "1", "b": "2"}
    named = configuration({"receiver": "a", "group_by": ["b", "c"]})
    assert named.root.group_labels({"b": "2", "a": "1"}) == {"b": "2"}


def inhibits(rule: InhibitRule, source: dict[str, str], target: dict[str, str]) -> bool:
    return Inhibitor([rule], [("s", source)]).inhibited_by(target) == "s"


def test_inhibition_needs_all_equal_labels_equal_and_missing_is_empty() -> None:
    rule = InhibitRule(parse_matchers("sev=crit"), parse_matchers("sev=warn"), ("a", "b"))
    assert inhibits(rule, {"sev": "crit", "a": "1"}, {"sev": "warn", "a": "1"})
    assert inhibits(rule, {"sev": "crit", "a": "1", "b": ""}, {"sev": "warn", "a": "1"})
    assert not inhibits(rule, {"sev": "crit", "a": "1"}, {"sev": "warn", "a": "2"})
    assert not inhibits(rule, {"sev": "crit", "a": "1", "b": "x"}, {"sev": "warn", "a": "1"})
    assert not inhibits(rule, {"sev": "crit", "a": "1"}, {"sev": "info", "a": "1"})


def test_alerts_that_match_both_sides_cannot_inhibit_each_other() -> None:
    rule = InhibitRule(parse_matchers("s=1"), parse_matchers("t=1"), ())
    assert inhibits(rule, {"s": "1"}, {"t": "1"})
    assert inhibits(rule, {"s": "1"}, {"s": "1", "t": "1"})
    assert not inhibits(rule, {"s": "1", "t": "1"}, {"s": "1", "t": "1"})
    assert inhibits(rule, {"s": "1", "t": "1"}, {"t": "1"})


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ({"times": [{"start_time": "09:00", "end_time": "17:00"}]}, ["2026-11-25T09:00", "2026-11-25T16:59"], ["2026-11-25T17:00", "2026-11-25T08:59"]),
        ({"times": [{"start_time": "22:00", "end_time": "24:00"}]}, ["2026-11-25T23:59"], ["2026-11-25T00:00"]),
        ({"weekdays": ["monday:wednesday"]}, ["2026-11-23T12:00", "2026-11-25T12:00"], ["2026-11-26T12:00", "2026-11-22T12:00"]),
        ({"weekdays": ["sunday"]}, ["2026-11-22T12:00"], ["2026-11-23T12:00"]),
        ({"days_of_month": ["-2:-1"]}, ["2026-02-27T12:00", "2026-02-28T12:00", "2026-11-30T12:00"], ["2026-02-26T12:00"]),
        ({"days_of_month": ["29:31"]}, ["2026-11-30T12:00"], ["2026-02-28T12:00"]),
        ({"days_of_month": ["1:-2"]}, ["2026-11-29T12:00"], ["2026-11-30T12:00"]),
        ({"months": ["january:march", "11"], "years": ["2026"]}, ["2026-03-31T00:00", "2026-11-01T00:00"], ["2026-04-01T00:00", "2027-11-01T00:00"]),
        ({"times": [{"start_time": "09:00", "end_time": "17:00"}], "location": "Europe/Berlin"},
         ["2026-07-01T07:00", "2026-12-01T08:00"], ["2026-07-01T15:00", "2026-12-01T07:59"]),
    ],
)  # fmt: skip
def test_times_are_end_exclusive_others_inclusive_negative_days_clamp_and_utc_unless_location(
    interval: dict[str, Any], inside: list[str], outside: list[str]
) -> None:
    found = parse_interval(interval)
    assert [found.contains(at(text)) for text in inside] == [True] * len(inside)
    assert [found.contains(at(text)) for text in outside] == [False] * len(outside)
    assert parse_interval(write_interval(found)) == found


@pytest.mark.parametrize(
    "interval",
    [
        {"times": [{"start_time": "9:00", "end_time": "17:00"}]},
        {"times": [{"start_time": "17:00", "end_time": "09:00"}]},
        {"weekdays": ["friday:monday"]},
        {"days_of_month": ["0"]},
        {"days_of_month": ["-1:5"]},
        {"days_of_month": ["20:10"]},
        {"months": ["13"]},
        {"location": "Mars/Olympus"},
        {"hours": []},
        [],
    ],
)
def test_a_time_interval_that_alertmanager_refuses_is_refused(interval: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_interval(interval)


def test_a_route_is_muted_during_its_mute_intervals_and_outside_of_its_active_ones() -> None:
    found = configuration(
        {"receiver": "a", "routes": [{"mute_time_intervals": ["night"], "active_time_intervals": ["office"]}]},
        time_intervals=[
            {"name": "night", "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "06:00"}]}]},
            {"name": "office", "time_intervals": [{"weekdays": ["monday:friday"]}]},
        ],
    )
    route = found.root.routes[0]
    assert found.muted_by_time(route, at("2026-11-25T12:00")) is None
    assert found.muted_by_time(route, at("2026-11-25T05:59")) == "during night"
    assert found.muted_by_time(route, at("2026-11-28T12:00")) == "outside of office"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"route": None}, "no route provided"),
        ({"route": {}}, "root route must specify a default receiver"),
        ({"route": {"receiver": "a", "matchers": ["x=y"]}}, "must not have any matchers"),
        ({"route": {"receiver": "a", "mute_time_intervals": ["t"]}}, "must not have any mute_time_intervals"),
        ({"route": {"receiver": "a", "active_time_intervals": ["t"]}}, "must not have any active_time_intervals"),
        ({"route": {"receiver": "a", "continue": True}}, "cannot have continue in root route"),
        ({"route": {"receiver": "z"}}, "undefined receiver 'z'"),
        ({"route": {"receiver": "a", "routes": [{"mute_time_intervals": ["t"]}]}}, "undefined time interval 't'"),
        ({"route": {"receiver": "a", "group_by": ["...", "x"]}}, "wildcard group_by"),
        ({"route": {"receiver": "a", "group_by": ["x", "x"]}}, "duplicated label"),
        ({"route": {"receiver": "a", "group_interval": "0s"}}, "group_interval cannot be zero"),
        ({"route": {"receiver": "a", "repeat_interval": "0s"}}, "repeat_interval cannot be zero"),
        ({"route": {"receiver": "a", "group_wait": "soon"}}, "'soon' is not a duration"),
        ({"route": {"receiver": "a", "reciever": "b"}}, "field reciever not known"),
        ({"receivers": [{"name": "a"}, {"name": "a"}]}, "not unique"),
        ({"receivers": [{"webhook_configs": []}]}, "missing name"),
        ({"inhibit_rules": [{"source_matchers": ["x"]}]}, "no matcher"),
        ({"time_intervals": [{"name": "t", "time_intervals": [{"years": ["x"]}]}]}, "time interval 't'"),
        ({"tracing": {}}, "field tracing not known"),
    ],
)
def test_a_configuration_that_alertmanager_refuses_is_refused_with_the_reason(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_configuration({"route": {"receiver": "a"}, "receivers": [{"name": "a"}], **changes})


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("0s", 0), ("90s", 90), ("1h30m", 5400), ("1d", 86_400), ("100ms", 0.1)]
)
def test_durations_are_prometheuss(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds
    assert parse_duration(write_duration(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "30m1h", "-5m", "1.5h", None, 5, "99999999y"])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"not a duration|10 years"):
        parse_duration(text)


def test_every_line_of_the_table_has_its_test() -> None:
    root = Path(__file__).resolve().parent.parent.parent.parent
    rows = re.findall(r"^\| .+ \| `(.+)` \| `(.+)` \|$", (root / "docs/alertmanager.md").read_text(), re.MULTILINE)
    assert len(rows) > 20
    missing = [name for file, name in rows if f"def {name}(" not in (root / "tests/alerts" / file).read_text()]
    assert missing == []
