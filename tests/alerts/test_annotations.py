"""Templates, as Prometheus expands them."""

import math

import pytest

from alerts.annotations import expand

LABELS = {"model": "gpt-5", "provider": "openai", "quote": 'a"b'}


@pytest.mark.parametrize(
    ("text", "value", "expanded"),
    [
        ("plain { text }", 1, "plain { text }"),
        ("{{ $labels.model }} of {{$labels.provider}}", 1, "gpt-5 of openai"),
        ("{{ .Labels.model }} {{ .Value }}", 2.5, "gpt-5 2.5"),
        ('{{ index $labels "model" }}', 1, "gpt-5"),
        ("[{{ $labels.nothing }}]", 1, "[]"),
        ("a {{- $value -}} b", 3, "a3b"),
        ("{{ $value }}", 1e6, "1000000"),
        ("{{ $value }}", 1e21, "1e+21"),
        ("{{ $value }}", 0.1, "0.1"),
        ("{{ $value }}", math.nan, "NaN"),
        ("{{ $value }}", math.inf, "+Inf"),
        ("{{ $value | humanize }}", 0, "0"),
        ("{{ $value | humanize }}", 12345.678, "12.35k"),
        ("{{ $value | humanize }}", 0.00123, "1.23m"),
        ("{{ $value | humanize }}", -1.5e9, "-1.5G"),
        ("{{ $value | humanize }}", math.inf, "+Inf"),
        ("{{ humanize $value }}", 999, "999"),
        ("{{ $value | humanize1024 }}", 2048, "2ki"),
        ("{{ $value | humanize1024 }}", 3 * 1024**3, "3Gi"),
        ("{{ $value | humanize1024 }}", 1, "1"),
        ("{{ $value | humanizeDuration }}", 0, "0s"),
        ("{{ $value | humanizeDuration }}", 12.5, "12.5s"),
        ("{{ $value | humanizeDuration }}", 3723, "1h 2m 3s"),
        ("{{ $value | humanizeDuration }}", 90061, "1d 1h 1m 1s"),
        ("{{ $value | humanizeDuration }}", 0.0125, "12.5ms"),
        ("{{ $value | humanizeDuration }}", -61, "-1m 1s"),
        ("{{ $value | humanizePercentage }}", 0.1234, "12.34%"),
        ('{{ printf "%.2f" $value }}', 3.14159, "3.14"),
        ('{{ $value | printf "%.1f %%" }}', 3.14159, "3.1 %"),
        ('{{ printf "%s has %d" $labels.model 7 }}', 1, "gpt-5 has 7"),
        ('{{ printf "%q" $labels.quote }}', 1, '"a\\"b"'),
        ("{{ $labels.model | toUpper }}", 1, "GPT-5"),
        ('{{ `raw` }} {{ "a\\"b" }}', 1, 'raw a"b'),
    ],
)
def test_expansion(text: str, value: float, expanded: str) -> None:
    assert expand(text, LABELS, value) == expanded


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{{ $value | shout }}", 'function "shout" not defined'),
        ("{{ $vlaue }}", "unexpected '$vlaue'"),
        ("{{ if $value }}x{{ end }}", "{{ if }} is not supported"),
        ("{{ $labels.model | humanize }}", "not a number: 'gpt-5'"),
        ("{{ humanize }}", "wrong number of args for humanize: want 1 got 0"),
        ("{{ $value", "unclosed action"),
        ("{{ }}", "missing value for command"),
        ("{{ $value $value }}", "can't give argument to non-function $value"),
    ],
)
def test_what_cannot_be_expanded_says_so_in_the_text(text: str, error: str) -> None:
    assert expand(text, LABELS, 1) == f"<error expanding template: {error}>"


def test_a_label_s_text_is_never_taken_for_a_template() -> None:
    assert expand("{{ $labels.model }}", {"model": "{{ $value }}"}, 1) == "{{ $value }}"
