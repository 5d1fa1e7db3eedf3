"""Generated rules with every odd expression, label, annotation, threshold and unit, many to a group, beside a control
rule: the control rule fires and is notified at its slot, always. ODD_RULES of them."""

import datetime as dt
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.models import Alert, Delivery, Health, Rule
from alerts.notify.channels import create_channel
from alerts.notify.deliveries import send_channel
from core.pg.text import storable
from tests.alerts.groups import evaluate_group
from tests.alerts.scripted_rules import DELAY, START, gauge, make_rule
from tests.servers import HttpServer

RULES = int(os.environ.get("ODD_RULES", "800"))
GROUP = 200

ODD = [
    *(
        "",
        " ",
        "\\",
        '"',
        "'",
        "`",
        "%",
        "$",
        "{",
        "}",
        "{{",
        "}}",
        "é",
        "🔴",
        "\u202e",
        "\ufeff",
        "\x01",
        "\x7f",
        "\u2028",
    ),
    *(
        "\\x00",
        "\\xff",
        "\\ud800",
        "\\u0000",
        "\\777",
        "NaN",
        "+Inf",
        "1e999",
        "9" * 400,
        "a" * 3000,
        "__name__",
        "le",
        "alertname",
    ),
]
TEXT = st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=8)), max_size=4).map("".join).map(storable)
NAME = st.one_of(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,12}", fullmatch=True),
    st.sampled_from(["alertname", "severity", "workspace", "__x"]),
)
VERB = st.sampled_from([*"vTtbcdoOqxXUeEfFgGsp", "z", "!", ""])
FORMAT = st.builds(
    lambda flags, width, precision, verb: f"%{flags}{width}{precision}{verb}",
    st.text("+-# 0", max_size=3),
    st.sampled_from(["", "5", "*", "[2]", "[99]", "99999999999999999999", "400000000", "1000000"]),
    st.sampled_from(["", ".", ".3", ".*", ".99999999999"]),
    VERB,
)
ARGUMENT = st.sampled_from(
    ["$value", "$labels", "$labels.host", "$labels.a", "1", "1.5", "true", "nil", '"x"', '"\\xff"', ".", "$nothing"]
)
FUNCTION = st.sampled_from(
    [
        "humanize",
        "humanize1024",
        "humanizeDuration",
        "humanizePercentage",
        "humanizeTimestamp",
        "title",
        "toUpper",
        "len",
        "html",
        "query",
        "first",
        "toTime",
    ]
)
ACTION = st.one_of(
    st.builds(lambda text, one, two: f'{{{{ printf "{text}" {one} {two} }}}}', FORMAT, ARGUMENT, ARGUMENT),
    st.builds(lambda one, function: f"{{{{ {one} | {function} }}}}", ARGUMENT, FUNCTION),
    st.builds(lambda one, text: f"{{{{ if {one} }}}}{text}{{{{ else }}}}b{{{{ end }}}}", ARGUMENT, TEXT),
    st.builds(lambda one: f"{{{{ range {one} }}}}{{{{ . }}}}{{{{ end }}}}", ARGUMENT),
    st.sampled_from(
        [
            '{{ define "t" }}{{ template "t" }}{{ end }}{{ template "t" }}',
            '{{ reReplaceAll "(a*)*" "$1$1" "aaaa" }}',
            '{{ match "(" "x" }}',
        ]
    ),
    st.builds(lambda text: f"{{{{ {text} }}}}", TEXT),
)
TEMPLATE = st.lists(st.one_of(ACTION, ACTION, TEXT), max_size=4).map("".join)
LEAF = st.sampled_from(
    [
        "load",
        "load * NaN",
        "load / 0",
        "vector(1)",
        "time()",
        "-load",
        "sum(load)",
        "absent(nothing)",
        "load[5m]",
        '"text"',
        "1",
        "load @ end()",
        "nothing",
        "load offset 1000y",
    ]
)
STRING = st.lists(st.sampled_from([*"ab$1{}", "\\x00", "\\xff", "\\u00e9", "\\ud800", "(.*)", "é"]), max_size=5).map(
    "".join
)
EXPR = st.one_of(
    LEAF,
    st.builds(
        lambda leaf, op, limit: f"{leaf} {op} {limit}",
        LEAF,
        st.sampled_from([">", "<", "==", "!=", ">= bool", "+", "^"]),
        st.sampled_from(["$threshold", "0", "load"]),
    ),
    st.builds(
        lambda leaf, name, text, pattern: f'label_replace({leaf}, "{name}", "{text}", "host", "{pattern}")',
        LEAF,
        NAME,
        STRING,
        STRING,
    ),
    st.builds(lambda leaf, text: f'label_join({leaf}, "a", "{text}", "host", "host")', LEAF, STRING),
    st.builds(lambda leaf, text: f'count_values("{text}", {leaf})', LEAF, STRING),
    TEXT,
)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of a rule, as a hand in the database could leave them."""
    return {
        "expr": draw(EXPR),
        "threshold": draw(
            st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.0, -1.0, float("nan"), float("inf")]))
        ),
        "unit": draw(TEXT)[:40],
        "threshold_unit": draw(TEXT)[:80],
        "title": draw(TEXT)[:200],
        "for_seconds": draw(st.sampled_from([0, 60, 86_400])),
        "keep_firing_seconds": draw(st.sampled_from([0, 60])),
        "severity": draw(st.sampled_from(["critical", "warning", "info"])),
        "labels": draw(st.dictionaries(st.one_of(NAME, TEXT), TEMPLATE, max_size=3)),
        "annotations": draw(st.dictionaries(st.sampled_from(["summary", "description", "x"]), TEMPLATE, max_size=3)),
    }


def generated(count: int) -> list[dict[str, Any]]:
    """So many rules."""
    found: list[dict[str, Any]] = []
    suppressed = [HealthCheck.too_slow, HealthCheck.data_too_large]

    @settings(max_examples=count, deadline=None, suppress_health_check=suppressed, database=None)
    @given(rules())
    def collect(rule: dict[str, Any]) -> None:
        found.append(rule)

    collect()
    return found


@pytest.mark.django_db
def test_no_rule_keeps_the_control_rule_from_being_notified_at_its_slot(
    http_server: HttpServer, portal_setting: Callable[..., None]
) -> None:
    portal_setting(outbound_private=True)
    channel = create_channel("webhook", "hook", {"url": http_server.url}, severities=["critical"])
    source = gauge({"a": [1, 2, 3], "b\x00": [5, None, 1]})
    now = START + DELAY
    odd = generated(RULES)
    assert len(odd) >= RULES / 2
    for first in range(0, len(odd), GROUP):
        control = make_rule("vector(1) > 0", None, name=f"Control{first}", severity="critical", position=GROUP)
        Rule.objects.bulk_create(
            Rule(group=control.group, name=f"Odd{first + place}", position=place, **fields)
            for place, fields in enumerate(odd[first : first + GROUP])
        )
        before = len(http_server.requests)
        assert evaluate_group(control.group_id, now, source) == 1
        alert = Alert.objects.get(rule=control)
        assert (alert.state, alert.fired_at) == ("firing", START)
        for rule in Rule.objects.filter(group=control.group):
            assert (rule.evaluations, rule.last_evaluated_at) == (1, START)
            assert (rule.health == Health.ERROR) == bool(rule.last_error)
            assert not rule.last_error.startswith("internal error"), (rule.expr, rule.labels, rule.last_error)
        while send_channel(channel.pk, lambda: now + dt.timedelta(seconds=1)):
            pass
        assert any(control.name.encode() in request.body for request in http_server.requests[before:])
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}
